"""What a campaign is: what someone asks for, what is kept of it, how far it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.db import Connection, Database, Row
from app.errors import Conflict, NotFound
from app.ids import E164, CampaignId, NumberId, OrgId, TeamId
from campaigns import store
from campaigns.lifecycle.settings import MODELS
from campaigns.rules.pacing import Mode
from campaigns.rules.retries import RetryRule

DELETED_AT_ONCE = 10_000
"""Contacts of a draft, or entries of its list, that one transaction deletes: a fraction of a second."""
_IN_USE = "Contacts still come into this draft, or another campaign was made of it."


class CampaignNotFound(NotFound):
    """The organization has no such campaign."""

    code = "campaign_not_found"


class CampaignState(Conflict):
    """The campaign's status does not allow this."""

    code = "campaign_state"


class CampaignStatus(StrEnum):
    DRAFT = "draft"
    SCHEDULED = "scheduled"
    """Started, and runs from its `starts_at` on."""
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"


class CanaryStatus(StrEnum):
    """How far the first dials of a campaign are judged."""

    DIALING = "dialing"
    PASSED = "passed"
    STOPPED = "stopped"


class FinishReason(StrEnum):
    DONE = "done"
    """Nobody was left to call."""
    DEADLINE = "deadline"
    STOPPED = "stopped"
    """Somebody ended it."""


class CampaignKind(StrEnum):
    LIST = "list"
    CALL = "call"
    """One call at a time that somebody asked for."""


@dataclass(frozen=True)
class Plan:
    """What someone asks for. `team`: its slug. `from_number`: None for the first own number that can dial out.

    `settings`: by the names of lifecycle/settings.py, but for `retry`; what is absent there is the default.
    `region`: ISO 3166, the country of numbers without one; None: the organization's. `ends_when_done`: False for a
    campaign that runs on while contacts are added to it.
    """

    name: str
    team: str
    from_number: E164 | None = None
    max_concurrent: int = 5
    calls_per_second: float = 1.0
    retry: RetryRule = field(default_factory=RetryRule)
    ring_timeout_seconds: int = 30
    mode: Mode = Mode.AI
    priority: int = 0
    share: float = 1.0
    starts_at: datetime | None = None
    deadline_at: datetime | None = None
    region: str | None = None
    ends_when_done: bool = True
    kind: CampaignKind = CampaignKind.LIST
    parent_id: CampaignId | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])


@dataclass(frozen=True)
class Campaign:
    """`import_report` as ImportReport.to_json writes it; empty before an import. `pause_reason`: why it paused itself;
    None where a person did. `copying`: a draft to which contacts of another campaign are still on their way;
    `deleting_at`: since when one is being deleted."""

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
    mode: Mode
    priority: int
    share: float
    starts_at: datetime | None
    deadline_at: datetime | None
    region: str | None
    ends_when_done: bool
    kind: CampaignKind
    parent_id: CampaignId | None
    settings: Mapping[str, Mapping[str, Any]]
    canary_status: CanaryStatus | None
    copying: bool
    pause_reason: str | None
    finish_reason: FinishReason | None
    import_report: Mapping[str, Any]
    created_at: datetime
    started_at: datetime | None
    resumed_at: datetime | None
    finished_at: datetime | None
    deleting_at: datetime | None


async def load_campaign(
    db: Database, org_id: OrgId, campaign_id: CampaignId, *, claims: Mapping[str, Any] | None = None
) -> Campaign:
    """Raises CampaignNotFound."""
    async with db.system() if claims is None else db.request(claims) as connection:
        return await select_campaign(connection, org_id, campaign_id)


async def list_campaigns(
    db: Database,
    org_id: OrgId,
    *,
    claims: Mapping[str, Any] | None = None,
    kind: CampaignKind | None = CampaignKind.LIST,
    status: CampaignStatus | None = None,
    name: str | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int | None = None,
) -> list[Campaign]:
    """Newest first; `kind`, `status` None: every one; `name`: a part of it; `before`: the instant and id of the last
    one seen."""
    async with db.system() if claims is None else db.request(claims) as connection:
        rows = await store.select_campaigns(
            connection, org_id, kind=kind, status=status, name=name, before=before, limit=limit
        )
    return [read_campaign(row) for row in rows]


async def count_contacts(
    db: Database, org_id: OrgId, campaign_ids: Sequence[CampaignId], *, claims: Mapping[str, Any] | None = None
) -> dict[CampaignId, dict[str, int]]:
    """Contacts of each of these campaigns by status, where there are any."""
    async with db.system() if claims is None else db.request(claims) as connection:
        rows = await store.sum_contacts(connection, org_id, campaign_ids)
    counts: dict[CampaignId, dict[str, int]] = {}
    for row in rows:
        counts.setdefault(row["campaign_id"], {})[row["status"]] = row["count"]
    return counts


async def delete_campaign(
    db: Database, org_id: OrgId, campaign_id: CampaignId, *, claims: Mapping[str, Any] | None = None
) -> None:
    """A draft, with its contacts and its own do-not-call list: nobody was called. Raises CampaignNotFound,
    CampaignState.

    Some contacts a transaction, however many there are: a long one would hold up the event streams of everybody. From
    the first on the draft cannot be started; where the process dies in the middle, it is deleted once more.
    """
    async with db.system() if claims is None else db.request(claims) as connection:
        campaign = await select_campaign(connection, org_id, campaign_id)
        if campaign.status is not CampaignStatus.DRAFT:
            raise CampaignState(f"The campaign is {campaign.status.value}; only a draft can be deleted.")
        if not await store.mark_deleting(connection, org_id, campaign_id):
            raise CampaignState(_IN_USE)
    for delete in (store.delete_contacts, store.delete_list):
        after: str | None = ""
        while after is not None:
            async with db.system() if claims is None else db.request(claims) as connection:
                after = await delete(connection, org_id, campaign_id, after=after, limit=DELETED_AT_ONCE)
    async with db.system() if claims is None else db.request(claims) as connection:
        if not await store.delete_draft(connection, org_id, campaign_id):
            raise CampaignState(_IN_USE)


async def select_campaign(connection: Connection, org_id: OrgId, campaign_id: CampaignId) -> Campaign:
    """Raises CampaignNotFound."""
    row = await store.select_campaign(connection, org_id, campaign_id)
    if row is None:
        raise CampaignNotFound("There is no such campaign.")
    return read_campaign(row)


async def keep_open(connection: Connection, org_id: OrgId, campaign_id: CampaignId) -> None:
    """What this transaction adds comes into a campaign that is not finished, nor does it finish before that is seen.
    Last in the transaction: until it ends, dials of this campaign wait for their slots. Raises CampaignNotFound,
    CampaignState."""
    row = await store.lock_open(connection, org_id, campaign_id)
    if row is None:
        raise CampaignNotFound("There is no such campaign.")
    demand_open(CampaignStatus(row["status"]), row["deleting_at"])


def demand_open(status: CampaignStatus, deleting_at: datetime | None) -> None:
    """Of a campaign that is to get contacts. Raises CampaignState."""
    if status is CampaignStatus.FINISHED:
        raise CampaignState("The campaign is finished; make another one for these contacts.")
    if deleting_at is not None:
        raise CampaignState("The campaign is being deleted; make another one for these contacts.")


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
        mode=Mode(row["mode"]),
        priority=row["priority"],
        share=float(row["share"]),
        starts_at=row["starts_at"],
        deadline_at=row["deadline_at"],
        region=row["region"],
        ends_when_done=row["ends_when_done"],
        kind=CampaignKind(row["kind"]),
        parent_id=row["parent_id"],
        settings={name: row[name] for name in MODELS if name != "retry"},
        canary_status=CanaryStatus(row["canary_status"]) if row["canary_status"] else None,
        copying=row["copying"],
        pause_reason=row["pause_reason"],
        finish_reason=FinishReason(row["finish_reason"]) if row["finish_reason"] else None,
        import_report=row["import_report"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        resumed_at=row["resumed_at"],
        finished_at=row["finished_at"],
        deleting_at=row["deleting_at"],
    )
