"""Campaigns: made from a file, started, paused, watched."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, BinaryIO
from uuid import UUID

from app.db import Connection, Database, Row
from app.errors import Conflict, InvalidInput, NotFound
from app.ids import E164, CampaignId, NumberId, OrgId, TeamId, new_id
from campaigns import store
from campaigns.imports.contacts_file import ContactsFile
from campaigns.imports.importing import ImportReport, add_contacts, load_rules
from campaigns.rules.retries import RetryRule


class CampaignNotFound(NotFound):
    """The organization has no such campaign."""

    code = "campaign_not_found"


class NoSuchTeam(InvalidInput):
    """The team named does not exist, or has no published version."""

    code = "team_not_published"
    title = "No such team"


class NoCallerId(InvalidInput):
    """The number to call from is not one of the organization's, or it has none."""

    code = "no_caller_id"
    title = "No number to call from"


class CampaignState(Conflict):
    """The campaign's status does not allow this."""

    code = "campaign_state"


class CampaignStatus(StrEnum):
    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"


@dataclass(frozen=True)
class Plan:
    """What someone asks for. `team`: its slug. `from_number`: None for the first own number that can dial out."""

    name: str
    team: str
    from_number: E164 | None = None
    max_concurrent: int = 5
    calls_per_second: float = 1.0
    retry: RetryRule = field(default_factory=RetryRule)
    ring_timeout_seconds: int = 30


@dataclass(frozen=True)
class Campaign:
    """`import_report` as ImportReport.to_json writes it; empty before an import."""

    id: CampaignId
    org_id: OrgId
    name: str
    team_id: TeamId
    team: str
    from_number_id: NumberId
    from_number: E164
    status: CampaignStatus
    max_concurrent: int
    calls_per_second: float
    retry: RetryRule
    ring_timeout_seconds: int
    import_report: Mapping[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class Progress:
    """Counts at one instant. `contacts`: by status (underscores). `attempts`: by status, and `dialed`: requests that
    went, or may have gone, out. `dispositions`: contacts by what came of their last attempt."""

    status: CampaignStatus
    contacts: Mapping[str, int]
    attempts: Mapping[str, int]
    dispositions: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.status.value,
            "contacts": dict(self.contacts),
            "attempts": dict(self.attempts),
            "dispositions": dict(self.dispositions),
        }


async def create_campaign(
    db: Database, org_id: OrgId, plan: Plan, *, claims: Mapping[str, Any] | None = None
) -> Campaign:
    """A draft without contacts. `claims`: who asks, None for our own processes. Raises NoSuchTeam, NoCallerId."""
    async with db.system() if claims is None else db.request(claims) as connection:
        return await _insert_campaign(connection, org_id, plan)


async def create_campaign_from_file(
    db: Database, org_id: OrgId, plan: Plan, file: BinaryIO, *, claims: Mapping[str, Any] | None = None
) -> tuple[Campaign, ImportReport]:
    """A draft with the contacts of a CSV file: both, or neither where the file cannot be used.

    Numbers without + are read as of the organization's country. Raises NoSuchTeam, NoCallerId, EmptyFile, NotUtf8,
    NoPhoneColumn, BrokenCsv.
    """
    rules = await load_rules(db, org_id)
    opened = await asyncio.to_thread(ContactsFile, file, region=rules.org_country)
    async with db.system() if claims is None else db.request(claims) as connection:
        campaign = await _insert_campaign(connection, org_id, plan)
        report = await add_contacts(connection, org_id, campaign.id, opened, rules)
    return campaign, report


async def _insert_campaign(connection: Connection, org_id: OrgId, plan: Plan) -> Campaign:
    team = await store.select_team(connection, org_id, plan.team)
    if team is None or not team["published"]:
        why = "has no published version" if team else "does not exist"
        raise NoSuchTeam(f'The team "{plan.team}" {why}; push one with: trunkline teams push FILE')
    number_id = await store.select_caller_id(connection, org_id, plan.from_number)
    if number_id is None:
        raise NoCallerId(
            "The number to call from is not one of yours." if plan.from_number else "You own no number to call from."
        )
    campaign_id = CampaignId(new_id())
    await store.insert_campaign(
        connection,
        campaign_id=campaign_id,
        org_id=org_id,
        name=plan.name,
        team_id=team["id"],
        from_number_id=number_id,
        max_concurrent=plan.max_concurrent,
        calls_per_second=plan.calls_per_second,
        retry=plan.retry.to_json(),
        ring_timeout_seconds=plan.ring_timeout_seconds,
    )
    return await _select_campaign(connection, org_id, campaign_id)


async def load_campaign(
    db: Database, org_id: OrgId, campaign_id: CampaignId, *, claims: Mapping[str, Any] | None = None
) -> Campaign:
    """Raises CampaignNotFound."""
    async with db.system() if claims is None else db.request(claims) as connection:
        return await _select_campaign(connection, org_id, campaign_id)


async def list_campaigns(
    db: Database,
    org_id: OrgId,
    *,
    claims: Mapping[str, Any] | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int | None = None,
) -> list[Campaign]:
    """Newest first; `before`: the instant and id of the last one seen."""
    async with db.system() if claims is None else db.request(claims) as connection:
        rows = await store.select_campaigns(connection, org_id, before=before, limit=limit)
    return [read_campaign(row) for row in rows]


async def start_campaign(
    db: Database, org_id: OrgId, campaign_id: CampaignId, *, claims: Mapping[str, Any] | None = None
) -> Campaign:
    """draft or paused → running; a running one stays so. Raises CampaignNotFound, CampaignState."""
    async with db.system() if claims is None else db.request(claims) as connection:
        campaign = await _select_campaign(connection, org_id, campaign_id)
        if campaign.status is CampaignStatus.RUNNING:
            return campaign
        counts = await store.count_contacts(connection, org_id, campaign_id)
        if not any(row["status"] in ("waiting", "in-flight") for row in counts):
            raise CampaignState("No contact of this campaign is left to call.")
        await store.set_running(connection, org_id, campaign_id)
        return await _select_campaign(connection, org_id, campaign_id)


async def pause_campaign(
    db: Database, org_id: OrgId, campaign_id: CampaignId, *, claims: Mapping[str, Any] | None = None
) -> Campaign:
    """running → paused: nothing more is dialed, calls under way end by themselves. Raises CampaignNotFound,
    CampaignState for a draft or a finished one."""
    async with db.system() if claims is None else db.request(claims) as connection:
        await store.set_paused(connection, org_id, campaign_id)
        campaign = await _select_campaign(connection, org_id, campaign_id)
    if campaign.status is not CampaignStatus.PAUSED:
        raise CampaignState(f"The campaign is {campaign.status.value}; only a running one can be paused.")
    return campaign


async def load_progress(
    db: Database, org_id: OrgId, campaign_id: CampaignId, *, claims: Mapping[str, Any] | None = None
) -> Progress:
    """Raises CampaignNotFound."""
    async with db.system() if claims is None else db.request(claims) as connection:
        campaign = await _select_campaign(connection, org_id, campaign_id)
        contact_rows = await store.count_contacts(connection, org_id, campaign_id)
        attempt_rows = await store.count_attempts(connection, org_id, campaign_id)
    contacts: dict[str, int] = dict.fromkeys(("waiting", "in_flight", "finished", "blocked"), 0)
    dispositions: dict[str, int] = {}
    for row in contact_rows:
        contacts[row["status"].replace("-", "_")] += row["count"]
        if row["disposition"] is not None:
            dispositions[row["disposition"]] = dispositions.get(row["disposition"], 0) + row["count"]
    attempts: dict[str, int] = dict.fromkeys(("claimed", "dialing", "placed", "uncertain", "settled", "released"), 0)
    attempts.update({row["status"]: row["count"] for row in attempt_rows})
    attempts["dialed"] = sum(row["dialed"] for row in attempt_rows)
    return Progress(campaign.status, contacts, attempts, dict(sorted(dispositions.items())))


async def _select_campaign(connection: Connection, org_id: OrgId, campaign_id: CampaignId) -> Campaign:
    row = await store.select_campaign(connection, org_id, campaign_id)
    if row is None:
        raise CampaignNotFound("There is no such campaign.")
    return read_campaign(row)


def read_campaign(row: Row) -> Campaign:
    """A row of `campaigns` with `team`, `from_number` beside it."""
    return Campaign(
        id=row["id"],
        org_id=row["org_id"],
        name=row["name"],
        team_id=row["team_id"],
        team=row["team"],
        from_number_id=row["from_number_id"],
        from_number=row["from_number"],
        status=CampaignStatus(row["status"]),
        max_concurrent=row["max_concurrent"],
        calls_per_second=float(row["calls_per_second"]),
        retry=RetryRule.read(row["retry"]),
        ring_timeout_seconds=row["ring_timeout_seconds"],
        import_report=row["import_report"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )
