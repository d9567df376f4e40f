"""Schedules: what happens to a campaign again and again, by cron in a zone. The truth stands in a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.clock import utc_now
from app.db import Connection, Database, Row
from app.errors import NotFound
from app.ids import CampaignId, OrgId, new_id
from campaigns.campaigns import CampaignState, CampaignStatus, select_campaign
from campaigns.schedules import store
from campaigns.schedules.cron import Cron, InvalidCron, read_cron


class ScheduleNotFound(NotFound):
    """The organization has no such schedule."""

    code = "schedule_not_found"


class Action(StrEnum):
    COPY = "copy"
    """A new campaign like it, with all of its contacts, is made and started."""
    REDIAL = "redial"
    """The same with those it did not reach."""
    START = "start"
    PAUSE = "pause"


class Missed(StrEnum):
    """What becomes of times that passed while no dialer ran."""

    SKIP = "skip"
    ONCE = "once"
    ALL = "all"


@dataclass(frozen=True)
class Schedule:
    """`cron`: five fields, by the clocks of `time_zone`. `next_at`: None for never again. Nothing happens from
    `ends_at` on."""

    id: UUID
    org_id: OrgId
    name: str
    campaign_id: CampaignId
    action: Action
    cron: str
    time_zone: str
    missed: Missed = Missed.ONCE
    enabled: bool = True
    next_at: datetime | None = None
    ends_at: datetime | None = None
    created_at: datetime = field(default_factory=utc_now)

    def read_cron(self) -> Cron:
        return read_cron(self.cron, self.time_zone)

    def next_after(self, at: datetime) -> datetime | None:
        following = self.read_cron().next_after(at)
        return None if following is None or (self.ends_at and following >= self.ends_at) else following


@dataclass(frozen=True)
class Run:
    """What came of one time."""

    planned_at: datetime
    outcome: str
    detail: str
    campaign_id: CampaignId | None
    created_at: datetime


async def create_schedule(
    db: Database,
    org_id: OrgId,
    *,
    name: str,
    campaign_id: CampaignId,
    cron: str,
    time_zone: str,
    action: Action = Action.COPY,
    missed: Missed = Missed.ONCE,
    ends_at: datetime | None = None,
    claims: Mapping[str, Any] | None = None,
) -> Schedule:
    """From now on it happens. Raises InvalidCron, also for a time that never comes, CampaignNotFound, CampaignState."""
    made = Schedule(UUID(int=0), org_id, name, campaign_id, action, cron, time_zone, missed, ends_at=ends_at)
    made = _plan(replace(made, id=new_id(), time_zone=made.read_cron().zone.key))
    async with db.system() if claims is None else db.request(claims) as connection:
        await _check_action(connection, made)
        await store.insert_schedule(connection, vars(made))
        return await _select(connection, org_id, made.id)


async def edit_schedule(
    db: Database,
    org_id: OrgId,
    schedule_id: UUID,
    changed: Mapping[str, Any],
    *,
    claims: Mapping[str, Any] | None = None,
) -> Schedule:
    """`changed`: by the names of Schedule. Times that passed while it was off are not made up for. Raises
    ScheduleNotFound, InvalidCron, CampaignState."""
    async with db.system() if claims is None else db.request(claims) as connection:
        edited = _plan(replace(await _select(connection, org_id, schedule_id, lock=True), **dict(changed)))
        if "action" in changed:
            await _check_action(connection, edited)
        await store.update_schedule(connection, vars(edited))
        return await _select(connection, org_id, schedule_id)


async def _check_action(connection: Connection, schedule: Schedule) -> None:
    """Raises CampaignNotFound; CampaignState where the campaign is over and the action is for one that is not."""
    campaign = await select_campaign(connection, schedule.org_id, schedule.campaign_id)
    if campaign.status is CampaignStatus.FINISHED and schedule.action in (Action.START, Action.PAUSE):
        raise CampaignState(f"The campaign is finished: there is nothing to {schedule.action}; copy or redial it.")


def _plan(schedule: Schedule) -> Schedule:
    """With its next time. Raises InvalidCron."""
    next_at = schedule.next_after(utc_now())
    if next_at is None and schedule.read_cron().next_after(utc_now()):
        raise InvalidCron("ends_at", "It ends before its first time comes")
    if next_at is None:
        raise InvalidCron("cron", "This time never comes")
    return replace(schedule, next_at=next_at)


async def load_schedule(
    db: Database, org_id: OrgId, schedule_id: UUID, *, claims: Mapping[str, Any] | None = None
) -> Schedule:
    """Raises ScheduleNotFound."""
    async with db.system() if claims is None else db.request(claims) as connection:
        return await _select(connection, org_id, schedule_id)


async def list_schedules(
    db: Database,
    org_id: OrgId,
    *,
    claims: Mapping[str, Any] | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> list[Schedule]:
    """Newest first; `before`: the instant and id of the last one seen."""
    async with db.system() if claims is None else db.request(claims) as connection:
        rows = await store.select_schedules(connection, org_id, before=before, limit=limit)
    return [read_schedule(row) for row in rows]


async def delete_schedule(
    db: Database, org_id: OrgId, schedule_id: UUID, *, claims: Mapping[str, Any] | None = None
) -> None:
    """What it made stays. Raises ScheduleNotFound."""
    async with db.system() if claims is None else db.request(claims) as connection:
        if not await store.delete_schedule(connection, org_id, schedule_id):
            raise ScheduleNotFound("There is no such schedule.")


async def list_runs(
    db: Database, org_id: OrgId, schedule_id: UUID, *, limit: int = 50, claims: Mapping[str, Any] | None = None
) -> list[Run]:
    """What came of its times, the latest first. Raises ScheduleNotFound."""
    async with db.system() if claims is None else db.request(claims) as connection:
        await _select(connection, org_id, schedule_id)
        rows = await store.select_runs(connection, org_id, schedule_id, limit=limit)
    names = ("planned_at", "outcome", "detail", "campaign_id", "created_at")
    return [Run(**{name: row[name] for name in names}) for row in rows]


async def _select(connection: Connection, org_id: OrgId, schedule_id: UUID, *, lock: bool = False) -> Schedule:
    row = await store.select_schedule(connection, org_id, schedule_id, lock=lock)
    if row is None:
        raise ScheduleNotFound("There is no such schedule.")
    return read_schedule(row)


def read_schedule(row: Row) -> Schedule:
    fields: dict[str, Any] = dict(row)
    fields["action"], fields["missed"] = Action(row["action"]), Missed(row["missed"])
    return Schedule(**fields)
