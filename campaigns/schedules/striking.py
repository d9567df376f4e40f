"""A schedule's time has come: what it says happens once, in the transaction that moves the schedule on.

Whoever's clock strikes, and however often: the schedule's row is held meanwhile, and a time has one row of its own.
"""

from datetime import datetime, timedelta

from app.db import Connection, Database
from app.errors import TrunklineError
from app.ids import CampaignId, new_id
from app.logs import get_logger
from campaigns.campaigns import CampaignState, CampaignStatus, select_campaign
from campaigns.lifecycle import store as lifecycle_store
from campaigns.lifecycle.control import start_in
from campaigns.lifecycle.copies.copying import begin_copy
from campaigns.lifecycle.redial import UNREACHED, plan_like
from campaigns.schedules import store
from campaigns.schedules.schedules import Action, Missed, Schedule, read_schedule

log = get_logger(__name__)

LATE = timedelta(seconds=60)
"""A time that is so long past was missed: no clock struck then."""
MOST_COUNTED = 1000
"""Missed times that are counted one by one."""


async def strike_due(db: Database, *, now: datetime) -> int:
    """Every schedule that is due by `now` is done what it says; how many times in all."""
    struck = 0
    while await _strike_next(db, now):
        struck += 1
    return struck


async def _strike_next(db: Database, now: datetime) -> bool:
    async with db.system() as connection:
        row = await store.take_due(connection, now=now)
        if row is None:
            return False
        schedule = read_schedule(row)
        assert schedule.next_at is not None  # it is due
        if schedule.missed is Missed.ALL:
            await _strike(connection, schedule, schedule.next_at)
            await store.set_next(connection, schedule.id, schedule.next_after(schedule.next_at))
            return True
        times, more = list_due(schedule, now)
        last = times[-1]
        if schedule.missed is Missed.SKIP and now - last > LATE:
            await _note_skipped(connection, schedule, len(times), more=more)
        else:
            await _strike(connection, schedule, last)
        await store.set_next(connection, schedule.id, schedule.next_after(now))
        return True


def list_due(schedule: Schedule, now: datetime) -> tuple[list[datetime], bool]:
    """Its times up to `now`, at least one, and whether there are more of them than are counted."""
    times: list[datetime] = []
    at = schedule.next_at
    while at is not None and at <= now:
        times.append(at)
        if len(times) == MOST_COUNTED:
            return times, True
        at = schedule.next_after(at)
    return times, False


async def _strike(connection: Connection, schedule: Schedule, planned_at: datetime) -> None:
    """A campaign that cannot be started, or has nobody left, is a failed run and not a broken clock."""
    try:
        async with connection.transaction():
            campaign_id, detail = await _act(connection, schedule, planned_at)
        outcome = "done"
    except TrunklineError as error:
        campaign_id, outcome, detail = None, "failed", error.detail
        log.warning("a schedule did not do what it says", schedule_id=str(schedule.id), why=error.detail)
    await _note(connection, schedule, planned_at, outcome=outcome, detail=detail, campaign_id=campaign_id)


async def _act(connection: Connection, schedule: Schedule, planned_at: datetime) -> tuple[CampaignId, str]:
    """→ the campaign concerned, and what was done with it."""
    org_id, campaign_id = schedule.org_id, schedule.campaign_id
    if schedule.action is Action.START:
        await start_in(connection, org_id, campaign_id)
        return campaign_id, "started"
    source = await select_campaign(connection, org_id, campaign_id)
    if schedule.action is Action.PAUSE:
        if source.status is CampaignStatus.RUNNING:
            await lifecycle_store.set_paused(connection, org_id, campaign_id, reason=f"schedule: {schedule.name}")
            return campaign_id, "paused"
        return campaign_id, f"it is {source.status.value}"
    day = planned_at.astimezone(schedule.read_cron().zone)
    outcomes = UNREACHED if schedule.action is Action.REDIAL else None
    plan = plan_like(source, f"{schedule.name} {day:%Y-%m-%d %H:%M}")
    # Copied, and then started, by whoever's clock strikes next: no transaction lasts as long as a list is.
    begun = await begin_copy(connection, source, plan, outcomes=outcomes, starts=True, lease_seconds=0)
    if begun.contacts == 0:
        raise CampaignState("No contact of this campaign is left to call.")
    return begun.campaign.id, f"{begun.contacts} contacts"


async def _note_skipped(connection: Connection, schedule: Schedule, count: int, *, more: bool) -> None:
    assert schedule.next_at is not None
    detail = f"{'more than ' if more else ''}{count} times passed while no dialer ran"
    await _note(connection, schedule, schedule.next_at, outcome="skipped", detail=detail, campaign_id=None)


async def _note(
    connection: Connection,
    schedule: Schedule,
    planned_at: datetime,
    *,
    outcome: str,
    detail: str,
    campaign_id: CampaignId | None,
) -> None:
    await store.insert_run(
        connection,
        run_id=new_id(),
        org_id=schedule.org_id,
        schedule_id=schedule.id,
        planned_at=planned_at,
        outcome=outcome,
        detail=detail,
        campaign_id=campaign_id,
    )
