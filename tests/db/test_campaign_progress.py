"""Progress is the sum of few rows, and always the truth of the many."""

import asyncio
import random
from datetime import timedelta
from uuid import UUID

import pytest

from app.db import Connection, Database
from app.ids import CampaignId, OrgId
from campaigns.campaigns import CampaignNotFound
from campaigns.outcomes import progress_store
from campaigns.outcomes.pace import Sample, forecast_finish, measure_pace
from campaigns.outcomes.progress import load_progress, tend_counts
from tests.db.outcome_world import NOON, add_attempt, add_campaign, add_contacts, run

pytestmark = pytest.mark.db


async def truth(connection: Connection, campaign: CampaignId) -> set[tuple[str, str, str | None, bool, int]]:
    """What a full scan counts."""
    contacts = await connection.fetch(
        "select status, disposition, count(*) from contacts where campaign_id = $1 group by 1, 2", campaign
    )
    attempts = await connection.fetch(
        """
        select status, disposition, dialed_at is not null, count(*) from attempts
        where campaign_id = $1 and status in ('settled', 'released') group by 1, 2, 3
        """,
        campaign,
    )
    return {("contacts", *row[:2], False, row[2]) for row in contacts} | {("attempts", *row) for row in attempts}


async def summed(connection: Connection, org: OrgId, campaign: CampaignId) -> set[tuple[object, ...]]:
    return {tuple(row) for row in await progress_store.sum_counts(connection, org, campaign)}


async def change_at_random(
    connection: Connection, org: OrgId, campaign: CampaignId, contacts: list[UUID], dice: random.Random
) -> None:
    """One statement of the kinds that engine, import and people make."""
    some = dice.sample(contacts, 3)
    match dice.randrange(5):
        case 0:
            await connection.execute(
                "update contacts set status = 'in-flight' where id = any($1) and status = 'waiting'", some
            )
        case 1:
            await connection.execute(
                "update contacts set status = 'waiting', disposition = 'busy' where id = any($1)", some
            )
        case 2:
            await connection.execute("update contacts set due_at = now() where id = any($1)", some)
        case 3:
            await add_attempt(connection, org, campaign, some[0], dice.choice(["busy", "reached", "no-answer"]))
        case _:
            await connection.execute("delete from contacts where id = $1", some[0])


async def test_the_counts_are_what_a_full_scan_counts_whatever_changed_and_was_folded(db: Database, org: OrgId) -> None:
    dice = random.Random(4)
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
        contacts = await add_contacts(connection, org, campaign, 60)
    for n in range(120):
        async with db.system() as connection:
            await change_at_random(connection, org, campaign, contacts, dice)
            if n % 40 == 39:
                await progress_store.fold_counts(connection, campaign)
            assert await summed(connection, org, campaign) == await truth(connection, campaign)


async def test_what_is_rolled_back_was_never_counted(db: Database, org: OrgId) -> None:
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
        undone = connection.transaction()
        await undone.start()
        await add_contacts(connection, org, campaign, 5)
        await undone.rollback()
    assert (await load_progress(db, org, campaign)).funnel["contacts"] == 0


async def test_writers_and_folders_side_by_side_lose_no_count(db: Database, org: OrgId) -> None:
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
        contacts = await add_contacts(connection, org, campaign, 40)

    async def write(mine: list[UUID]) -> None:
        for contact in mine:
            async with db.system() as connection:
                await connection.execute("update contacts set status = 'in-flight' where id = $1", contact)

    async def fold() -> None:
        for _ in range(15):
            async with db.system() as connection:
                await progress_store.fold_counts(connection, campaign)

    await asyncio.gather(write(contacts[:20]), write(contacts[20:]), fold(), fold())
    async with db.system() as connection:
        assert await summed(connection, org, campaign) == {("contacts", "in-flight", None, False, 40)}


async def test_a_campaign_goes_with_its_counts(db: Database, org: OrgId) -> None:
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
        contacts = await add_contacts(connection, org, campaign, 3)
        await add_attempt(connection, org, campaign, contacts[0], "reached")
        await connection.execute("update attempts set call_id = null where campaign_id = $1", campaign)
        await connection.execute("delete from campaigns where id = $1", campaign)
        assert await connection.fetchval("select count(*) from campaign_counts") == 0


async def test_progress_is_read_without_touching_contacts(db: Database, org: OrgId) -> None:
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
        await add_contacts(connection, org, campaign, 500)
        await connection.execute("alter table contacts rename to contacts_away")
    assert (await load_progress(db, org, campaign)).contacts["waiting"] == 500


async def test_the_funnel_tells_contacts_called_and_talked_to(db: Database, org: OrgId) -> None:
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
        contacts = await add_contacts(connection, org, campaign, 6)
        await add_attempt(connection, org, campaign, contacts[0], "confirmed")
        await add_attempt(connection, org, campaign, contacts[1], "voicemail")
        await add_attempt(connection, org, campaign, contacts[2], "busy", result="busy", answered=False)
        await connection.execute(
            "update contacts set status = 'blocked', disposition = 'do-not-call' where id = $1", contacts[3]
        )
    progress = await load_progress(db, org, campaign)
    assert progress.contacts == {"waiting": 2, "in_flight": 0, "finished": 3, "blocked": 1}
    assert progress.funnel == {"contacts": 6, "called": 3, "talked_to": 1}
    assert progress.attempts["dialed"] == 3
    assert progress.answer_rate == round(2 / 3, 4)
    assert progress.dispositions == {"busy": 1, "confirmed": 1, "do-not-call": 1, "voicemail": 1}


async def run_two_minutes(db: Database, org: OrgId, *, contacts: int) -> tuple[CampaignId, list[UUID]]:
    """A campaign that reached four of them since it started, two minutes ago."""
    async with db.system() as connection:
        campaign = await add_campaign(connection, org, calling={"defaults": False})
        added = await add_contacts(connection, org, campaign, contacts)
    await run(db, campaign)
    await tend_counts(db)
    async with db.system() as connection:
        await connection.execute("update campaign_samples set at = at - interval '120 seconds'")
        for contact in added[:4]:
            await add_attempt(connection, org, campaign, contact, "reached")
    return campaign, added


async def test_pace_and_forecast_come_from_samples_of_a_running_campaign(db: Database, org: OrgId) -> None:
    campaign, _ = await run_two_minutes(db, org, contacts=12)
    progress = await load_progress(db, org, campaign)
    assert progress.pace.dials_per_minute == pytest.approx(2, abs=0.2)
    assert progress.finishes_at is not None
    assert (progress.finishes_at - progress.at).total_seconds() == pytest.approx(240, abs=25)


async def test_a_campaign_is_not_done_before_the_last_retry_is_due(db: Database, org: OrgId) -> None:
    campaign, contacts = await run_two_minutes(db, org, contacts=8)
    async with db.system() as connection:
        tomorrow = await connection.fetchval(
            "update contacts set due_at = now() + interval '1 day' where id = $1 returning due_at", contacts[5]
        )
    assert (await load_progress(db, org, campaign)).finishes_at == tomorrow


async def test_samples_are_taken_once_however_many_dialers_take_them(db: Database, org: OrgId) -> None:
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
        await add_contacts(connection, org, campaign, 3)
    await run(db, campaign)
    await asyncio.gather(*(tend_counts(db) for _ in range(4)))
    async with db.system() as connection:
        samples = await connection.fetch("select at from campaign_samples")
    assert len(samples) == len({row["at"] for row in samples}) <= 2


async def test_another_organization_has_no_progress_to_see(db: Database, org: OrgId) -> None:
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
    with pytest.raises(CampaignNotFound):
        await load_progress(db, OrgId(UUID(int=7)), campaign)


def test_a_pace_without_a_past_and_a_forecast_without_progress_say_nothing() -> None:
    now = Sample(NOON, dialed=10, answered=5, finished=5, remaining=5)
    still = Sample(NOON - timedelta(seconds=700), dialed=10, answered=5, finished=5, remaining=5)
    assert measure_pace(now, []).dials_per_minute is None
    assert forecast_finish(now, [], []) is None
    assert forecast_finish(now, [still], []) is None
    assert forecast_finish(now, [still], [], NOON + timedelta(hours=1)) is None
    assert measure_pace(now, [still]).finished_per_minute == 0
