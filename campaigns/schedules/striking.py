"""A schedule's time has come: what it says happens once, in the transaction that moves the schedule on.

Whoever's clock strikes, and however often: the schedule's row is held meanwhile, and a time has one row of its own.
"""

from datetime import datetime, timedelta

from app.db import Connection, Database
from app.errors import TrunklineError
from app.ids import CampaignId, new_id
from app.logs import get_logger
from campaigns.campaigns import Campaign, CampaignState, CampaignStatus, select_campaign
from campaigns.contacts import ContactStatus
from campaigns.lifecycle import store as lifecycle_store
from campaigns.lifecycle.control import start_in
from campaigns.lifecycle.copies.copying import begin_copy
from campaigns.lifecycle.copies.store import select_copy_error
from campaigns.lifecycle.redial import UNREACHED, plan_like
from campaigns.schedules import store
from campaigns.schedules.schedules import Action, Missed, Schedule, read_schedule
from campaigns.store import sum_contacts

log = get_logger(__name__)

LATE = timedelta(seconds=60)
"""A time that is so long past was missed: no clock struck then."""
MOST_COUNTED = 1000
"""Missed times that are counted one by one."""
_UNFINISHED = {
    CampaignStatus.DRAFT: "was not started: start it, or delete it",
    CampaignStatus.SCHEDULED: "has not begun yet",
    CampaignStatus.RUNNING: "still runs",
    CampaignStatus.PAUSED: "is paused: resume it, or finish it",
}
"""Why a campaign is not redialed yet, and what to do."""


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
    if schedule.action is Action.PAUSE:
        return campaign_id, await _pause(connection, schedule)
    redials = schedule.action is Action.REDIAL
    source = await (_find_over(connection, schedule) if redials else select_campaign(connection, org_id, campaign_id))
    day = planned_at.astimezone(schedule.read_cron().zone)
    plan = plan_like(source, f"{schedule.name} {day:%Y-%m-%d %H:%M}")
    outcomes = UNREACHED if redials else None
    # Copied, and then started, by whoever's clock strikes next: no transaction lasts as long as a list is.
    begun = await begin_copy(connection, source, plan, outcomes=outcomes, starts=True, lease_seconds=0)
    if begun.contacts == 0:
        left = f"nobody whom {source.name} did not reach" if redials else f"no contact of {source.name}"
        raise CampaignState(f"Nobody is left to call: {left}.")
    return begun.campaign.id, f"{begun.contacts} contacts"


async def _pause(connection: Connection, schedule: Schedule) -> str:
    """→ what was done."""
    campaign = await select_campaign(connection, schedule.org_id, schedule.campaign_id)
    if campaign.status is not CampaignStatus.RUNNING:
        return f"it is {campaign.status.value}"
    await lifecycle_store.set_paused(connection, campaign.org_id, campaign.id, reason=f"schedule: {schedule.name}")
    return "paused"


async def _find_over(connection: Connection, schedule: Schedule) -> Campaign:
    """The campaign to redial: the one that this schedule made last, so that nobody whom a redial has reached is called
    again; at first the schedule's own. Raises CampaignState where it is not over: whom it has yet to try would be lost
    to every later redial, which goes on from this one's copy.

    A redial of our own that runs, but calls nobody just now, is ended: one callback next week would keep all others
    waiting, and comes along."""
    last = await store.select_last_made(connection, schedule.org_id, schedule.id, original_id=schedule.campaign_id)
    source = await select_campaign(connection, schedule.org_id, CampaignId(last) if last else schedule.campaign_id)
    if last and source.status is CampaignStatus.RUNNING:
        await lifecycle_store.set_finished(connection, source.org_id, source.id)
        source = await select_campaign(connection, source.org_id, source.id)
    if (why := await _tell_unfinished(connection, source)) is not None:
        raise CampaignState(f"{source.name} {why}. Whom it does not reach is called again when it is finished.")
    return source


async def _tell_unfinished(connection: Connection, campaign: Campaign) -> str | None:
    """Why it is not over, and what to do about it; None where it is."""
    if campaign.copying:
        error = await select_copy_error(connection, campaign.org_id, campaign.id)
        return f"did not get all of its contacts: {error}" if error else "still gets its contacts"
    if campaign.status is not CampaignStatus.FINISHED:
        return _UNFINISHED[campaign.status]
    # Ended by its deadline or by somebody, with calls under way: what comes of them is not known yet.
    counts = await sum_contacts(connection, campaign.org_id, [campaign.id])
    called = sum(row["count"] for row in counts if row["status"] == ContactStatus.IN_FLIGHT)
    return "still has calls under way" if called else None


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
