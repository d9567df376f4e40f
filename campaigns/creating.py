"""A campaign comes to be: from what someone asks for, with or without a file of contacts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from app.db import Connection, Database
from app.errors import Conflict, InvalidInput
from app.ids import E164, CampaignId, NumberId, OrgId, TeamId, new_id
from campaigns import store
from campaigns.campaigns import Campaign, Plan, select_campaign
from campaigns.imports.importing import begin_import, run_import
from campaigns.imports.opening import load_needs, open_import
from campaigns.imports.report import ImportReport
from campaigns.imports.store import delete_draft
from campaigns.lifecycle.settings import InvalidSettings, check_settings


class NoSuchTeam(InvalidInput):
    """The team named does not exist, or has no published version."""

    code = "team_not_published"
    title = "No such team"


class NoCallerId(InvalidInput):
    """The number to call from is not one of the organization's, or it has none."""

    code = "no_caller_id"
    title = "No number to call from"


class RequestKeyReused(Conflict):
    """The Idempotency-Key came before, with another request."""

    code = "idempotency_key_reused"


@dataclass(frozen=True)
class Once:
    """The same request again makes nothing new: its Idempotency-Key, and the hash of what was asked for."""

    key: str
    request_hash: bytes


async def create_campaign(
    db: Database,
    org_id: OrgId,
    plan: Plan,
    *,
    once: Once | None = None,
    claims: Mapping[str, Any] | None = None,
) -> Campaign:
    """A draft without contacts. `claims`: who asks, None for our own processes. Raises NoSuchTeam, NoCallerId,
    InvalidSettings, RequestKeyReused."""
    async with db.system() if claims is None else db.request(claims) as connection:
        if known := await find_made(connection, org_id, once):
            return known
        campaign = await insert_campaign(connection, org_id, plan)
        await mark_made(connection, campaign.id, once)
    return campaign


async def find_made(connection: Connection, org_id: OrgId, once: Once | None) -> Campaign | None:
    """The campaign that this request made before; else nobody else makes it until this transaction is over.
    Raises RequestKeyReused."""
    if once is None:
        return None
    await store.lock_request_key(connection, org_id, once.key)
    row = await store.select_request(connection, org_id, once.key)
    if row is None:
        return None
    if bytes(row["request_hash"]) != once.request_hash:
        raise RequestKeyReused("This Idempotency-Key came before with another request; use a new one.")
    return await select_campaign(connection, org_id, row["id"])


async def mark_made(connection: Connection, campaign_id: CampaignId, once: Once | None) -> None:
    if once is not None:
        await store.set_request(connection, campaign_id, once.key, once.request_hash)


async def create_campaign_from_file(
    db: Database,
    org_id: OrgId,
    plan: Plan,
    file: BinaryIO,
    *,
    once: Once | None = None,
    claims: Mapping[str, Any] | None = None,
) -> tuple[Campaign, ImportReport | None]:
    """A draft with the contacts of a file: both, or neither where the file cannot be used. The report is None where
    this request made the campaign before; then it stands in the campaign.

    Numbers without + are read as of the plan's region, else of the organization's country. Raises NoSuchTeam,
    NoCallerId, EmptyFile, BrokenFile, UnknownFormat, NoPhoneColumn, RequestKeyReused.
    """
    opened = await open_import(file, await load_needs(db, org_id, team=plan.team, region=plan.region))
    async with db.system() if claims is None else db.request(claims) as connection:
        if known := await find_made(connection, org_id, once):
            return known, None
        campaign = await insert_campaign(connection, org_id, plan)
        await mark_made(connection, campaign.id, once)
        job = await begin_import(connection, org_id, campaign.id, opened)
    try:
        return campaign, await run_import(db, job)
    except InvalidInput:
        async with db.system() as connection:
            await delete_draft(connection, org_id, campaign.id)
        raise


async def insert_campaign(connection: Connection, org_id: OrgId, plan: Plan) -> Campaign:
    """`create_campaign` inside the caller's transaction. Raises InvalidSettings too."""
    settings = check_settings({"retry": plan.retry.to_json(), **plan.settings})
    check_times(plan.starts_at, plan.deadline_at)
    team_id = await find_team(connection, org_id, plan.team)
    number_id = await find_caller_id(connection, org_id, plan.from_number)
    campaign_id = CampaignId(new_id())
    await store.insert_campaign(
        connection,
        campaign_id=campaign_id,
        org_id=org_id,
        name=plan.name,
        team_id=team_id,
        from_number_id=number_id,
        kind=plan.kind,
        parent_id=plan.parent_id,
    )
    await store.update_campaign(
        connection,
        org_id,
        campaign_id,
        {
            "max_concurrent": plan.max_concurrent,
            "calls_per_second": plan.calls_per_second,
            "ring_timeout_seconds": plan.ring_timeout_seconds,
            "mode": plan.mode,
            "priority": plan.priority,
            "share": plan.share,
            "starts_at": plan.starts_at and plan.starts_at.isoformat(),
            "deadline_at": plan.deadline_at and plan.deadline_at.isoformat(),
            "region": plan.region,
            "ends_when_done": plan.ends_when_done,
            **settings,
        },
        changes_gates=False,
    )
    return await select_campaign(connection, org_id, campaign_id)


def check_times(starts_at: datetime | None, deadline_at: datetime | None) -> None:
    """Raises InvalidSettings where the deadline is not after the start."""
    if starts_at and deadline_at and deadline_at <= starts_at:
        fault = {"path": "body.deadline_at", "message": "must be after starts_at"}
        raise InvalidSettings("The deadline must be after the start.", errors=[fault])


async def find_team(connection: Connection, org_id: OrgId, slug: str) -> TeamId:
    """Raises NoSuchTeam."""
    team = await store.select_team(connection, org_id, slug)
    if team is None or not team["published"]:
        why = "has no published version" if team else "does not exist"
        raise NoSuchTeam(f'The team "{slug}" {why}; push one with: trunkline teams push FILE')
    return TeamId(team["id"])


async def find_caller_id(connection: Connection, org_id: OrgId, e164: E164 | None) -> NumberId:
    """Raises NoCallerId."""
    number_id = await store.select_caller_id(connection, org_id, e164)
    if number_id is None:
        raise NoCallerId("The number to call from is not one of yours." if e164 else "You own no number to call from.")
    return NumberId(number_id)
