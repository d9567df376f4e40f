"""Schedules and single calls: what happens by itself happens once, whoever's clock strikes."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from app.db import Database
from app.errors import NotFound
from app.ids import CampaignId, OrgId, new_id
from campaigns.campaigns import Campaign, Plan, delete_campaign, load_campaign
from campaigns.creating import create_campaign
from campaigns.lifecycle.control import finish_campaign, pause_campaign, start_campaign
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
from tests.db.campaign_world import column
from tests.db.lifecycle_world import add_team, end_contacts
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
    await end_all(db, campaign, "reached")
    schedule = await every_minute(db, campaign, action=Action.REDIAL)
    run = await strike_next(db, schedule)
    assert (run.outcome, run.detail) == ("failed", "Nobody is left to call: nobody whom Recall did not reach.")
    async with db.system() as connection:
        assert await connection.fetchval("select count(*) from campaigns") == 1


# -- redials of redials


async def strike_next(db: Database, schedule: Schedule) -> Run:
    """What comes of its next time, which comes now."""
    await strike_due(db, now=first_time(await load_schedule(db, schedule.org_id, schedule.id)))
    return (await runs_of(db, schedule))[-1]


async def end_all(db: Database, campaign: Campaign, *dispositions: str) -> None:
    """The campaign is finished, its contacts by number with these outcomes, the last one for all the others."""
    async with db.system() as connection:
        for disposition in dispositions[:-1]:
            await end_contacts(connection, campaign.id, disposition, 1)
        await end_contacts(connection, campaign.id, dispositions[-1], 100)
    await finish_campaign(db, campaign.org_id, campaign.id)


async def made_by(db: Database, run: Run) -> Campaign:
    """With all of its contacts."""
    assert run.campaign_id is not None, run.detail
    await finish_copies(db)
    async with db.system() as connection:
        org = await connection.fetchval("select org_id from campaigns where id = $1", run.campaign_id)
    return await load_campaign(db, org, run.campaign_id)


async def phones_of(db: Database, campaign: Campaign) -> list[object]:
    return await column(db, "select right(phone, 3) from contacts where campaign_id = $1 order by phone", campaign.id)


async def test_each_redial_takes_up_whom_the_one_before_did_not_reach(db: Database, campaign: Campaign) -> None:
    await end_all(db, campaign, "reached", "no-answer")
    schedule = await every_minute(db, campaign, action=Action.REDIAL)
    first = await made_by(db, await strike_next(db, schedule))
    assert (first.status, first.parent_id, await phones_of(db, first)) == (
        "running",
        campaign.id,
        ["101", "102", "103", "104"],
    )
    await end_all(db, first, "reached", "busy", "do-not-call", "no-answer")
    second = await made_by(db, await strike_next(db, schedule))
    assert (second.parent_id, await phones_of(db, second)) == (first.id, ["102", "104"])
    await end_all(db, second, "reached")
    for _ in range(2):
        run = await strike_next(db, schedule)
        assert (run.outcome, run.campaign_id) == ("failed", None)
        assert run.detail == f"Nobody is left to call: nobody whom {second.name} did not reach."
    # Another schedule of the same campaign has redials of its own.
    other = await every_minute(db, campaign, action=Action.REDIAL, name="Other")
    assert await phones_of(db, await made_by(db, await strike_next(db, other))) == ["101", "102", "103", "104"]


async def test_a_campaign_that_is_not_over_is_not_redialed_by_the_clock_and_the_run_says_what_to_do(
    db: Database, campaign: Campaign
) -> None:
    schedule = await every_minute(db, campaign, action=Action.REDIAL)

    async def refusal() -> str:
        run = await strike_next(db, schedule)
        assert (run.outcome, run.campaign_id) == ("failed", None)
        return run.detail

    assert (await refusal()).startswith("Recall was not started: start it, or delete it.")
    await start_campaign(db, campaign.org_id, campaign.id)
    assert (await refusal()).startswith("Recall still runs. Whom it does not reach is called again when it is")
    await end_all(db, campaign, "no-answer")
    made = await strike_next(db, schedule)
    assert made.campaign_id is not None
    copying = await load_campaign(db, campaign.org_id, made.campaign_id)
    assert (await refusal()).startswith(f"{copying.name} still gets its contacts.")
    first = await made_by(db, made)
    await pause_campaign(db, campaign.org_id, first.id)
    assert (await refusal()).startswith(f"{first.name} is paused: resume it, or finish it.")
    await start_campaign(db, campaign.org_id, first.id)
    async with db.system() as connection:
        one = await connection.fetchval(
            """
            update contacts set status = 'in-flight'
            where id = (select id from contacts where campaign_id = $1 limit 1) returning id
            """,
            first.id,
        )
    assert (await refusal()).startswith(f"{first.name} still has calls under way.")
    assert (await load_campaign(db, campaign.org_id, first.id)).status == "running"
    await finish_campaign(db, campaign.org_id, first.id)
    assert (await refusal()).startswith(f"{first.name} still has calls under way.")
    async with db.system() as connection:
        await connection.execute("update contacts set status = 'finished', disposition = 'busy' where id = $1", one)
    assert (await made_by(db, await strike_next(db, schedule))).parent_id == first.id


async def test_a_redial_of_its_own_that_only_waits_is_ended_and_who_waits_in_it_comes_along(
    db: Database, campaign: Campaign
) -> None:
    await end_all(db, campaign, "no-answer")
    schedule = await every_minute(db, campaign, action=Action.REDIAL)
    first = await made_by(db, await strike_next(db, schedule))
    next_week = datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)
    async with db.system() as connection:
        await end_contacts(connection, first.id, "reached", 1)
        await end_contacts(connection, first.id, "no-answer", 2)
        await connection.execute(
            """
            update contacts set disposition = 'callback', callback_at = $2, due_at = $2
            where campaign_id = $1 and status = 'waiting'
            """,
            first.id,
            next_week,
        )
    second = await made_by(db, await strike_next(db, schedule))
    assert (await load_campaign(db, campaign.org_id, first.id)).status == "finished"
    assert (second.status, second.parent_id) == ("running", first.id)
    assert await column(db, "select callback_at from contacts where campaign_id = $1 order by line", second.id) == [
        None,
        None,
        next_week,
        next_week,
    ]


async def test_a_redial_that_was_given_up_stands_in_the_way_until_it_is_deleted(
    db: Database, campaign: Campaign
) -> None:
    await end_all(db, campaign, "no-answer")
    schedule = await every_minute(db, campaign, action=Action.REDIAL)
    broken = await strike_next(db, schedule)
    assert broken.campaign_id is not None
    async with db.system() as connection:
        await connection.execute("update campaign_copies set error = 'it broke off. Delete the draft'")
    run = await strike_next(db, schedule)
    assert "did not get all of its contacts: it broke off. Delete the draft" in run.detail
    await delete_campaign(db, campaign.org_id, broken.campaign_id)
    again = await made_by(db, await strike_next(db, schedule))
    assert (again.parent_id, len(await phones_of(db, again))) == (campaign.id, 5)


async def test_a_draft_that_is_being_deleted_is_no_part_of_the_chain(db: Database, campaign: Campaign) -> None:
    await end_all(db, campaign, "no-answer")
    schedule = await every_minute(db, campaign, action=Action.REDIAL)
    await strike_next(db, schedule)
    async with db.system() as connection:
        await connection.execute("update campaigns set deleting_at = now() where status = 'draft'")
    assert (await strike_next(db, schedule)).outcome == "done"


async def test_a_copy_by_schedule_is_of_its_own_campaign_each_time(db: Database, campaign: Campaign) -> None:
    schedule = await every_minute(db, campaign)
    made = [await made_by(db, await strike_next(db, schedule)) for _ in range(2)]
    assert [one.parent_id for one in made] == [campaign.id, campaign.id]


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
