"""Schedules and single calls: what happens by itself happens once, whoever's clock strikes."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from app.db import Database
from app.errors import NotFound
from app.ids import CampaignId, OrgId, new_id
from campaigns.campaigns import Campaign, Plan, load_campaign
from campaigns.creating import create_campaign
from campaigns.lifecycle.control import start_campaign
from campaigns.lifecycle.copies.copying import finish_copies
from campaigns.schedules.cron import InvalidCron
from campaigns.schedules.schedules import (
    Action,
    Missed,
    Run,
    Schedule,
    ScheduleNotFound,
    create_schedule,
    delete_schedule,
    edit_schedule,
    list_runs,
    load_schedule,
)
from campaigns.schedules.striking import strike_due
from tests.db.lifecycle_world import add_team
from tests.db.outcome_world import add_contacts

pytestmark = pytest.mark.db


@pytest.fixture
async def campaign(db: Database, org: OrgId) -> Campaign:
    await add_team(db, org)
    made = await create_campaign(db, org, Plan(name="Recall", team="reception"))
    async with db.system() as connection:
        await add_contacts(connection, org, made.id, 5)
    return made


async def every_minute(db: Database, campaign: Campaign, **changes: object) -> Schedule:
    usual = {"name": "Each minute", "campaign_id": campaign.id, "cron": "* * * * *", "time_zone": "UTC"}
    return await create_schedule(db, campaign.org_id, **(usual | changes))  # type: ignore[arg-type]


async def runs_of(db: Database, schedule: Schedule) -> list[Run]:
    return list(reversed(await list_runs(db, schedule.org_id, schedule.id)))


def first_time(schedule: Schedule) -> datetime:
    assert schedule.next_at is not None
    return schedule.next_at


async def test_a_copy_with_every_contact_is_made_and_started_at_its_time(db: Database, campaign: Campaign) -> None:
    schedule = await every_minute(db, campaign)
    assert await strike_due(db, now=first_time(schedule) - timedelta(seconds=1)) == 0
    assert await strike_due(db, now=first_time(schedule)) == 1
    [run] = await runs_of(db, schedule)
    assert (run.outcome, run.detail, run.planned_at) == ("done", "5 contacts", first_time(schedule))
    assert run.campaign_id is not None
    assert (await load_campaign(db, campaign.org_id, run.campaign_id)).copying
    await finish_copies(db)
    copy = await load_campaign(db, campaign.org_id, run.campaign_id)
    assert (copy.status, copy.parent_id, copy.retry) == ("running", campaign.id, campaign.retry)
    assert first_time(await load_schedule(db, campaign.org_id, schedule.id)) == first_time(schedule) + timedelta(
        minutes=1
    )


async def test_many_clocks_that_strike_at_once_make_it_happen_once(db: Database, campaign: Campaign) -> None:
    schedule = await every_minute(db, campaign)
    struck = await asyncio.gather(*(strike_due(db, now=first_time(schedule)) for _ in range(5)))
    assert sum(struck) == 1
    assert len(await runs_of(db, schedule)) == 1


@pytest.mark.parametrize(
    ("missed", "outcomes"),
    [(Missed.SKIP, ["skipped"]), (Missed.ONCE, ["done"]), (Missed.ALL, ["done"] * 4)],
)
async def test_times_that_passed_while_nothing_ran_are_treated_by_their_policy(
    db: Database, campaign: Campaign, missed: Missed, outcomes: list[str]
) -> None:
    schedule = await every_minute(db, campaign, missed=missed, cron="*/10 * * * *")
    woken = first_time(schedule) + timedelta(minutes=35)
    await strike_due(db, now=woken)
    runs = await runs_of(db, schedule)
    assert [run.outcome for run in runs] == outcomes
    assert first_time(await load_schedule(db, campaign.org_id, schedule.id)) > woken
    if missed is Missed.SKIP:
        assert runs[0].detail == "4 times passed while no dialer ran"
    if missed is Missed.ONCE:
        assert runs[0].planned_at == first_time(schedule) + timedelta(minutes=30)


async def test_a_schedule_that_is_off_does_nothing_and_makes_up_for_nothing(db: Database, campaign: Campaign) -> None:
    schedule = await every_minute(db, campaign, missed=Missed.ALL)
    await edit_schedule(db, campaign.org_id, schedule.id, {"enabled": False})
    assert await strike_due(db, now=first_time(schedule) + timedelta(hours=1)) == 0
    again = await edit_schedule(db, campaign.org_id, schedule.id, {"enabled": True})
    assert first_time(again) > datetime.now(UTC)


async def test_a_campaign_is_started_and_paused_by_the_clock(db: Database, campaign: Campaign) -> None:
    start = await every_minute(db, campaign, action=Action.START)
    await strike_due(db, now=first_time(start))
    assert (await load_campaign(db, campaign.org_id, campaign.id)).status == "running"
    await delete_schedule(db, campaign.org_id, start.id)
    pause = await every_minute(db, campaign, action=Action.PAUSE, name="Lunch")
    await strike_due(db, now=first_time(pause))
    paused = await load_campaign(db, campaign.org_id, campaign.id)
    assert (paused.status, paused.pause_reason) == ("paused", "schedule: Lunch")


async def test_what_cannot_be_done_is_a_failed_run_and_leaves_nothing_behind(db: Database, campaign: Campaign) -> None:
    schedule = await every_minute(db, campaign, action=Action.REDIAL)
    await strike_due(db, now=first_time(schedule))
    [run] = await runs_of(db, schedule)
    assert (run.outcome, run.detail) == ("failed", "No contact of this campaign is left to call.")
    async with db.system() as connection:
        assert await connection.fetchval("select count(*) from campaigns") == 1


async def test_nothing_happens_from_its_end_on(db: Database, campaign: Campaign) -> None:
    schedule = await every_minute(db, campaign, ends_at=datetime.now(UTC) + timedelta(seconds=121))
    await strike_due(db, now=first_time(schedule) + timedelta(days=1))
    assert (await load_schedule(db, campaign.org_id, schedule.id)).next_at is None


async def test_a_time_that_never_comes_and_a_campaign_that_is_not_there_are_refused(
    db: Database, campaign: Campaign
) -> None:
    with pytest.raises(InvalidCron, match="never comes"):
        await every_minute(db, campaign, cron="0 0 31 2 *")
    with pytest.raises(InvalidCron, match=r"^It ends before its first time comes\.$"):
        await every_minute(db, campaign, ends_at=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(NotFound):
        await every_minute(db, campaign, campaign_id=CampaignId(new_id()))
    with pytest.raises(ScheduleNotFound):
        await load_schedule(db, OrgId(new_id()), (await every_minute(db, campaign)).id)


async def test_a_running_campaign_is_started_again_without_harm(db: Database, campaign: Campaign) -> None:
    await start_campaign(db, campaign.org_id, campaign.id)
    schedule = await every_minute(db, campaign, action=Action.START)
    await strike_due(db, now=first_time(schedule))
    assert [run.outcome for run in await runs_of(db, schedule)] == ["done"]
