"""The clock of one elected leader."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import asyncpg
import pytest

from app.db import Database
from app.ids import OrgId
from campaigns.campaigns import Plan
from campaigns.creating import create_campaign
from campaigns.lifecycle.control import start_campaign
from campaigns.schedules.clock import watch_campaigns
from campaigns.schedules.leader import lead
from tests.db.campaign_world import until
from tests.db.lifecycle_world import add_team
from tests.db.outcome_world import add_contacts

pytestmark = pytest.mark.db


async def test_one_leads_and_the_next_one_takes_over_when_its_connection_is_gone(
    database_url: str, db: Database
) -> None:
    stopping = asyncio.Event()
    led: list[str] = []

    async def candidate(name: str) -> None:
        async with lead(database_url, "test clock", stopping) as leadership:
            if leadership is not None:
                led.append(name)
                while await leadership.holds():  # noqa: ASYNC110 - the lead is lost in Postgres
                    await asyncio.sleep(0.05)

    first = asyncio.create_task(candidate("first"))
    await until(lambda: _is(led == ["first"]))
    second = asyncio.create_task(candidate("second"))
    await asyncio.sleep(0.3)
    assert led == ["first"]
    async with db.system() as connection:
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted"
        )
    await asyncio.wait_for(first, 5)
    await until(lambda: _is(led == ["first", "second"]))
    stopping.set()
    second.cancel()
    with suppress(asyncio.CancelledError):
        await second


async def test_a_leader_that_says_nothing_loses_the_lead(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaigns.schedules.leader.SILENCE_MS", "300")
    stopping = asyncio.Event()
    async with lead(database_url, "test clock", stopping) as frozen:
        assert frozen is not None
        async with asyncio.timeout(10), lead(database_url, "test clock", stopping) as heir:
            assert heir is not None
            assert not await frozen.holds()


async def test_the_leaders_clock_starts_scheduled_campaigns_until_it_is_stopped(
    database_url: str, db: Database, org: OrgId
) -> None:
    await add_team(db, org)
    campaign = await create_campaign(
        db, org, Plan(name="Recall", team="reception", starts_at=datetime(2099, 1, 1, tzinfo=UTC))
    )
    async with db.system() as connection:
        await add_contacts(connection, org, campaign.id, 1)
    await start_campaign(db, org, campaign.id)
    async with db.system() as connection:
        await connection.execute("update campaigns set starts_at = now()")
    stopping = asyncio.Event()
    clocks = [asyncio.create_task(watch_campaigns(db, database_url, stopping)) for _ in range(2)]

    async def runs() -> bool:
        async with db.system() as connection:
            return await connection.fetchval("select status from campaigns") == "running"

    await until(runs)
    stopping.set()
    await asyncio.wait_for(asyncio.gather(*clocks), 5)
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("select count(*) from pg_locks where locktype = 'advisory'") == 0
    await connection.close()


async def _is(fact: bool) -> bool:
    return fact
