"""One call at an instant in the future: a campaign of a single contact, so that every gate, retry and report holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.clock import utc_now
from app.db import Connection, Database, Row
from app.errors import InvalidInput, NotFound
from app.ids import E164, CampaignId, ContactId, OrgId, new_id
from campaigns.campaigns import Campaign, CampaignKind, Plan, list_campaigns, select_campaign
from campaigns.creating import Once, find_made, insert_campaign, mark_made
from campaigns.gates.why import why
from campaigns.lifecycle import store as lifecycle_store
from campaigns.lifecycle.control import start_in
from campaigns.rules.calling.zones import demand_place
from campaigns.rules.retries import RetryRule
from campaigns.schedules import store


class CallNotScheduled(NotFound):
    """The organization has no such call ahead."""

    code = "scheduled_call_not_found"


class CallInThePast(InvalidInput):
    """The instant has passed; calling at once is something else."""

    code = "call_in_the_past"


class CallForbidden(InvalidInput):
    """A gate says never: the call would not be made."""

    code = "call_forbidden"
    title = "This call would never be made"


LATE = timedelta(minutes=1)
"""So far behind may the clock of who says "now" be, and the request be on its way."""


@dataclass(frozen=True)
class CallPlan:
    """Whom to call, when, and who speaks. `time_zone`: the callee's own, IANA; None: the zones of the number.
    `settings`: as of a campaign (calling, caps, consent, …)."""

    to: E164
    team: str
    at: datetime
    from_number: E164 | None = None
    name: str | None = None
    time_zone: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    retry: RetryRule = field(default_factory=RetryRule)
    deadline_at: datetime | None = None
    consent_at: datetime | None = None
    consent_source: str | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])


@dataclass(frozen=True)
class ScheduledCall:
    """The campaign that makes the call, and its one contact: `status` and `disposition` are the contact's, `due_at`
    when it is called next."""

    campaign: Campaign
    contact_id: ContactId
    to: E164
    name: str | None
    status: str
    disposition: str | None
    attempts_made: int
    due_at: datetime


async def schedule_call(
    db: Database,
    org_id: OrgId,
    plan: CallPlan,
    *,
    once: Once | None = None,
    claims: Mapping[str, Any] | None = None,
) -> ScheduledCall:
    """Called from `at` on, as soon as calling hours and every other gate allow.

    Raises CallInThePast, CallForbidden, NoSuchTeam, NoCallerId, InvalidSettings, UnknownTimeZone, RequestKeyReused;
    CampaignState for a deadline in the past.
    """
    zone = demand_place(plan.time_zone) if plan.time_zone else plan.time_zone
    async with db.system() if claims is None else db.request(claims) as connection:
        made = await find_made(connection, org_id, once)
        if made is None:
            made = await _insert(connection, org_id, plan, zone)
            await mark_made(connection, made.id, once)
        return await _select(connection, org_id, made.id)


async def _insert(connection: Connection, org_id: OrgId, plan: CallPlan, zone: str | None) -> Campaign:
    if plan.at < utc_now() - LATE:
        fault = {"path": "body.at", "message": "has passed"}
        raise CallInThePast(f"{plan.at:%Y-%m-%d %H:%M %Z} has passed; name an instant ahead.", errors=[fault])
    campaign = await insert_campaign(
        connection,
        org_id,
        Plan(
            name=f"Call to {plan.name or plan.to}"[:200],
            team=plan.team,
            from_number=plan.from_number,
            max_concurrent=1,
            retry=plan.retry,
            starts_at=plan.at,
            deadline_at=plan.deadline_at,
            kind=CampaignKind.CALL,
            settings=plan.settings,
        ),
    )
    contact_id = ContactId(new_id())
    await store.insert_contact(
        connection,
        contact_id=contact_id,
        org_id=org_id,
        campaign_id=campaign.id,
        phone=plan.to,
        name=plan.name,
        variables=plan.variables,
        time_zone=zone,
        due_at=plan.at,
        consent_at=plan.consent_at,
        consent_source=plan.consent_source,
    )
    started = await start_in(connection, org_id, campaign.id)
    await _refuse_in_vain(connection, org_id, contact_id, plan)
    return started


async def _refuse_in_vain(connection: Connection, org_id: OrgId, contact_id: ContactId, plan: CallPlan) -> None:
    """Raises CallForbidden where a gate would never open for the call, as things stand: better now than on the day."""
    told = await why(connection, org_id, contact_id, now=plan.at)
    if told.next_at is not None:
        return
    closed = next((verdict for verdict in told.verdicts if not verdict.passed and verdict.next_at is None), None)
    reason = f"{closed.gate}: {closed.reason}" if closed else "no calling hour comes before the deadline"
    fault = {"path": "body.to" if closed else "body.deadline_at", "message": reason}
    raise CallForbidden(f"{plan.to} would never be called, {reason}.", errors=[fault])


async def load_scheduled_call(
    db: Database, org_id: OrgId, campaign_id: CampaignId, *, claims: Mapping[str, Any] | None = None
) -> ScheduledCall:
    """Raises CallNotScheduled."""
    async with db.system() if claims is None else db.request(claims) as connection:
        return await _select(connection, org_id, campaign_id)


async def list_scheduled_calls(
    db: Database,
    org_id: OrgId,
    *,
    claims: Mapping[str, Any] | None = None,
    before: tuple[datetime, Any] | None = None,
    limit: int = 50,
) -> list[ScheduledCall]:
    """Newest first, those that are over too."""
    campaigns = await list_campaigns(db, org_id, claims=claims, kind=CampaignKind.CALL, before=before, limit=limit)
    async with db.system() if claims is None else db.request(claims) as connection:
        rows = await store.select_single_calls(connection, org_id, [campaign.id for campaign in campaigns])
    contacts = {row["campaign_id"]: row for row in rows}
    return [_read(campaign, contacts[campaign.id]) for campaign in campaigns if campaign.id in contacts]


async def cancel_call(
    db: Database, org_id: OrgId, campaign_id: CampaignId, *, claims: Mapping[str, Any] | None = None
) -> ScheduledCall:
    """It is not made any more; one that is under way goes on. Raises CallNotScheduled."""
    async with db.system() if claims is None else db.request(claims) as connection:
        await _select(connection, org_id, campaign_id)
        await lifecycle_store.set_finished(connection, org_id, campaign_id)
        return await _select(connection, org_id, campaign_id)


async def _select(connection: Connection, org_id: OrgId, campaign_id: CampaignId) -> ScheduledCall:
    rows = await store.select_single_calls(connection, org_id, [campaign_id])
    if not rows:
        raise CallNotScheduled("There is no such scheduled call.")
    return _read(await select_campaign(connection, org_id, campaign_id), rows[0])


def _read(campaign: Campaign, row: Row) -> ScheduledCall:
    names = ("name", "status", "disposition", "attempts_made", "due_at")
    return ScheduledCall(
        campaign=campaign, contact_id=row["id"], to=row["phone"], **{name: row[name] for name in names}
    )
