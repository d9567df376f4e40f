"""A campaign that calling hours will stop is not through tonight: in its progress, and before it starts."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from app.db import Connection, Database
from app.ids import CampaignId, OrgId
from campaigns.lifecycle.preflight import run_preflight
from campaigns.outcomes import zone_store
from campaigns.outcomes.progress import load_progress, tend_counts
from campaigns.outcomes.zones import count_zones
from tests.db.outcome_world import add_attempt, add_campaign, add_contacts, run

pytestmark = pytest.mark.db

DAY = timedelta(days=1)


async def find_noon(connection: Connection) -> tuple[datetime, str]:
    """Now, to the minute, and a zone in which it is about noon: no hours of these tests go over midnight."""
    now: datetime = await connection.fetchval("select date_trunc('minute', now())")
    return now, f"Etc/GMT{now.hour - 12:+d}" if now.hour != 12 else "Etc/GMT"


def write_hours(opens: datetime, closes: datetime, zone: str) -> dict[str, object]:
    shift = timedelta(hours=-int(zone.removeprefix("Etc/GMT") or 0))
    daily = "-".join(f"{at + shift:%H:%M}" for at in (opens, closes))
    return {"defaults": False, "margin_seconds": 0, "hours": {"daily": daily}}


async def add_open_campaign(
    db: Database, org: OrgId, opens_in: int, closes_in: int, *, contacts: int
) -> tuple[CampaignId, list[UUID], datetime]:
    """Hours from and to so many minutes from now, daily → campaign, contacts, and the next opening after today's."""
    async with db.system() as connection:
        now, zone = await find_noon(connection)
        opens, closes = now + timedelta(minutes=opens_in), now + timedelta(minutes=closes_in)
        campaign = await add_campaign(
            connection,
            org,
            calling=write_hours(opens, closes, zone),
            retry={"max_attempts": 1},
            max_concurrent=1,
        )
        added = await add_contacts(connection, org, campaign, contacts)
        await connection.execute("update contacts set time_zone = $2 where campaign_id = $1", campaign, zone)
    return campaign, added, opens + DAY


async def reach_four(db: Database, org: OrgId, campaign: CampaignId, contacts: list[UUID], *, minutes: int) -> None:
    """Since a sample so many minutes ago."""
    await run(db, campaign)
    await tend_counts(db)
    async with db.system() as connection:
        await connection.execute("update campaign_samples set at = now() - make_interval(mins => $1)", minutes)
        for contact in contacts[:4]:
            await add_attempt(connection, org, campaign, contact, "reached")


async def test_what_is_left_at_closing_is_tomorrows_work(db: Database, org: OrgId) -> None:
    """Eight at two a minute are four minutes; it closes within two."""
    campaign, contacts, opens = await add_open_campaign(db, org, -60, 2, contacts=12)
    await reach_four(db, org, campaign, contacts, minutes=2)
    progress = await load_progress(db, org, campaign)
    today = (opens - DAY + timedelta(minutes=62) - progress.at).total_seconds()
    assert progress.finishes_at is not None
    assert (progress.finishes_at - opens).total_seconds() == pytest.approx(240 - today, abs=25)


async def test_at_night_the_pace_is_that_of_the_evening(db: Database, org: OrgId) -> None:
    """Closed for twenty minutes, and four in the ten minutes before: eight are twenty minutes of tomorrow."""
    campaign, contacts, opens = await add_open_campaign(db, org, -60, -20, contacts=12)
    await reach_four(db, org, campaign, contacts, minutes=30)
    progress = await load_progress(db, org, campaign)
    assert progress.pace.dials_per_minute is None
    assert progress.finishes_at is not None
    assert (progress.finishes_at - opens).total_seconds() == pytest.approx(1200, abs=150)


async def test_before_the_start_hours_that_close_are_foreseen_too(db: Database, org: OrgId) -> None:
    """One line and four minutes of dials; it closes within two."""
    campaign, _, opens = await add_open_campaign(db, org, -60, 2, contacts=6)
    found = await run_preflight(db, org, campaign)
    assert found.outlook.forecast.finish_at is not None
    assert opens < found.outlook.forecast.finish_at < opens + timedelta(minutes=4)


async def test_where_those_who_wait_are_is_counted_once_a_minute_however_many_dialers_count(
    db: Database, org: OrgId
) -> None:
    campaign, contacts, _ = await add_open_campaign(db, org, -60, 60, contacts=9)
    await run(db, campaign)

    async def count() -> None:
        async with db.system() as connection:
            await count_zones(connection)

    await asyncio.gather(count(), count(), count())
    async with db.system() as connection:
        [place] = await zone_store.select_places(connection, org, campaign)
        assert (place["country"], place["state"], place["contacts"]) == ("US", "DC", 9)
        await connection.execute("update contacts set status = 'finished' where id = $1", contacts[0])
        await count_zones(connection)
        assert (await zone_store.select_places(connection, org, campaign))[0]["contacts"] == 9
        await connection.execute("update campaign_zones set counted_at = now() - interval '61 seconds'")
        await count_zones(connection)
        assert (await zone_store.select_places(connection, org, campaign))[0]["contacts"] == 8


async def test_of_a_large_campaign_a_sample_of_pages_stands_for_all(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zone_store, "COUNTED_WHOLE", 100)
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
        await add_contacts(connection, org, campaign, 900)
        # A third of each page is in Florida.
        await connection.execute("update contacts set phone = replace(phone, '+1202', '+1305') where line % 3 = 0")
        whole = await zone_store.select_areas(connection, campaign)
        assert sum(row["contacts"] for row in whole) == 900
        monkeypatch.setattr(zone_store, "SAMPLED_PAGES", 12)
        monkeypatch.setattr(zone_store, "THIN", 1)
        sampled = [await zone_store.select_areas(connection, campaign) for _ in range(30)]
        sizes = [sum(row["contacts"] for row in rows) for rows in sampled]
        assert max(sizes) < 900
        florida = sum(row["contacts"] for rows in sampled for row in rows if row["phone"].startswith("+1305"))
        assert florida / sum(sizes) == pytest.approx(1 / 3, abs=0.05)
        # What is too thin is left for the contacts that are due first.
        monkeypatch.setattr(zone_store, "THIN", 900)
        due = await zone_store.select_areas(connection, campaign)
        assert sum(row["contacts"] for row in due) == 100
