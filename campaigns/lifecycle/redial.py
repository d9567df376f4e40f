"""A campaign like another one: with all of its contacts again, or with those whom it did not reach."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from app.db import Connection, Database
from app.ids import CampaignId, OrgId
from campaigns.campaigns import Campaign, CampaignKind, CampaignState, CampaignStatus, Plan, select_campaign
from campaigns.creating import Once, find_made, insert_campaign, mark_made
from campaigns.lifecycle import store
from campaigns.rules.dispositions import Disposition

UNREACHED: frozenset[str] = frozenset(
    {
        Disposition.NO_ANSWER,
        Disposition.BUSY,
        Disposition.FAILED,
        Disposition.CANCELED,
        Disposition.VOICEMAIL,
        Disposition.VOICEMAIL_LEFT,
        Disposition.ABANDONED,
        Disposition.CALLBACK,
    }
)
"""Nobody was talked to, or they asked for a call that was not made. Who refused a call is dialed again only by name. Of
an unknown end that cannot be said: name it to dial those again too."""
AT_ONCE = 20_000
"""Contacts copied by one statement: well within the time that a statement has."""


@dataclass(frozen=True)
class Copied:
    campaign: Campaign
    contacts: int


async def redial_unreached(
    db: Database,
    org_id: OrgId,
    campaign_id: CampaignId,
    *,
    name: str | None = None,
    outcomes: Collection[str] | None = None,
    once: Once | None = None,
    claims: Mapping[str, Any] | None = None,
) -> Copied:
    """A draft with the same settings and the contacts that were not reached: those whose last outcome is one of
    `outcomes` (UNREACHED if None) and, of a finished campaign, those who still waited. Who is blocked stays so.

    All or nothing. Raises CampaignNotFound; CampaignState where there is nobody to dial again; RequestKeyReused.
    """
    async with db.system() if claims is None else db.request(claims) as connection:
        if known := await find_made(connection, org_id, once):
            return Copied(known, await store.count_contacts_of(connection, org_id, known.id))
        source = await select_campaign(connection, org_id, campaign_id)
        wanted = UNREACHED if outcomes is None else frozenset(outcomes)
        copied = await copy_in(connection, source, name=name or f"{source.name}, again", outcomes=wanted)
        if copied.contacts == 0:
            raise CampaignState(f"Nobody to dial again: no contact ended as {', '.join(sorted(wanted))}.")
        await mark_made(connection, copied.campaign.id, once)
        return copied


async def copy_in(
    connection: Connection, source: Campaign, *, name: str, outcomes: Collection[str] | None = None
) -> Copied:
    """In the caller's transaction: a draft like `source`, with all of its contacts that may be called or, with
    `outcomes`, those of `redial_unreached`. Its start and deadline are not taken over: they are past."""
    campaign = await insert_campaign(connection, source.org_id, _plan_like(source, name))
    copied, after = 0, ""
    while after is not None:
        count, after = await store.copy_contacts(
            connection,
            source.id,
            campaign.id,
            outcomes=sorted(outcomes) if outcomes is not None else None,
            with_waiting=source.status is CampaignStatus.FINISHED,
            after=after,
            limit=AT_ONCE,
        )
        copied += count
    return Copied(campaign, copied)


def _plan_like(source: Campaign, name: str) -> Plan:
    return Plan(
        name=name[:200],
        team=source.team,
        from_number=source.from_number,
        max_concurrent=source.max_concurrent,
        calls_per_second=source.calls_per_second,
        retry=source.retry,
        ring_timeout_seconds=source.ring_timeout_seconds,
        mode=source.mode,
        priority=source.priority,
        share=source.share,
        region=source.region,
        kind=CampaignKind.LIST,
        parent_id=source.id,
        settings=source.settings,
    )
