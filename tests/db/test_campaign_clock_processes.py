"""The clock among real dialer processes: one that freezes or dies loses it, and nothing happens twice."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from app.db import Database
from app.ids import OrgId
from campaigns.campaigns import Campaign, Plan
from campaigns.creating import create_campaign
from campaigns.schedules.clock import NAME
from campaigns.schedules.schedules import Schedule, create_schedule, list_runs
from tests.db.campaign_world import column, until
from tests.db.lifecycle_world import add_team
from tests.db.outcome_world import add_contacts

pytestmark = pytest.mark.db

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def dialer(database_url: str, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A dialer as it runs in earnest, but for LiveKit and a carrier."""
    environment = {
        **os.environ,
        "TRUNKLINE_HOME": str(home),
        "DATABASE_URL": database_url,
        "TRUNKLINE_SECRET_KEY": "seal",
        "LIVEKIT_URL": "ws://127.0.0.1:9",
        "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": "livekit-secret-of-the-tests-long-enough",
    }
    with (home / "dialer.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "dialer"], env=environment, cwd=ROOT, stderr=log, stdout=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)


async def leader_port(db: Database) -> int | None:
    """The TCP port from which the leader talks to Postgres."""
    async with db.system() as connection:
        return await connection.fetchval(
            """
            select a.client_port from pg_locks l join pg_stat_activity a on a.pid = l.pid
            where l.locktype = 'advisory' and l.granted and a.application_name = $1
            """,
            f"trunkline {NAME}",
        )


def has_port(process: subprocess.Popen[bytes], port: int | None) -> bool:
    return any(one.laddr.port == port for one in psutil.Process(process.pid).net_connections(kind="tcp") if one.laddr)


async def strike_now(db: Database, schedule: Schedule, runs: int) -> None:
    """Its time has come; wait until so many of its times are over."""
    async with db.system() as connection:
        await connection.execute("update schedules set next_at = clock_timestamp()")

    async def over() -> bool:
        return len(await list_runs(db, schedule.org_id, schedule.id)) >= runs

    await until(over, seconds=60)


async def make_schedule(db: Database, org: OrgId) -> tuple[Campaign, Schedule]:
    """A copy once a year, unless the time is brought forward. No carrier is set up, so nobody is called."""
    await add_team(db, org)
    campaign = await create_campaign(db, org, Plan(name="Recall", team="reception"))
    async with db.system() as connection:
        await add_contacts(connection, org, campaign.id, 3)
    schedule = await create_schedule(db, org, name="Yearly", campaign_id=campaign.id, cron="0 0 1 1 *", time_zone="UTC")
    return campaign, schedule


async def test_a_leader_that_freezes_or_dies_is_replaced_and_each_time_comes_once(
    database_url: str, db: Database, org: OrgId, tmp_path: Path
) -> None:
    _, schedule = await make_schedule(db, org)
    with ExitStack() as stack:
        dialers = [stack.enter_context(dialer(database_url, tmp_path)) for _ in range(2)]

        async def led() -> bool:
            return await leader_port(db) is not None

        await until(led, seconds=60)
        await strike_now(db, schedule, runs=1)
        port = await leader_port(db)
        [first] = [one for one in dialers if has_port(one, port)]
        [second] = [one for one in dialers if one is not first]

        first.send_signal(signal.SIGSTOP)
        await strike_now(db, schedule, runs=2)
        assert has_port(second, await leader_port(db))
        first.send_signal(signal.SIGCONT)
        await strike_now(db, schedule, runs=3)

        second.kill()
        await strike_now(db, schedule, runs=4)
        assert has_port(first, await leader_port(db))

        async def all_started() -> bool:
            query = "select count(*) from campaigns where parent_id is not null and status <> 'draft'"
            return await column(db, query) == [4]

        await until(all_started, seconds=60)
    runs = await list_runs(db, org, schedule.id)
    assert [run.outcome for run in runs] == ["done"] * 4
    async with db.system() as connection:
        copies = await connection.fetchval("select count(*) from campaigns where parent_id is not null")
        contacts = await connection.fetchval("select count(*) from contacts")
    assert (copies, contacts) == (4, 3 + 4 * 3)
