"""Postgres closes a connection while it is used: one named error, which hides no other, and then it goes on."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import SimpleNamespace

import asyncpg
import pytest

from agents.course import company
from agents.course.ending import Ending
from agents.record.transcript import Transcript, Turn
from app.clock import utc_now
from app.db import Connection, Database, DatabaseUnavailable
from app.ids import E164, OrgId
from telephony.calls import Call, EventKind
from telephony.carriers.base import CarrierName
from telephony.inbound import Arrival, answer_inbound
from tests.db.world import make_number

pytestmark = pytest.mark.db

OURS = E164("+12025550100")
WAYS_IN = ["system", "request"]
BUSY = "select count(*) from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'"


def enter(db: Database, way: str) -> AbstractAsyncContextManager[Connection]:
    return db.system() if way == "system" else db.request({"role": "authenticated"})


@asynccontextmanager
async def an_executioner(database_url: str) -> AsyncGenerator[Connection]:
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()


async def kill_when_asleep(executioner: Connection, pid: int) -> None:
    async with asyncio.timeout(10):
        while not await executioner.fetchval(BUSY, pid):
            pause = 0.01
            await asyncio.sleep(pause)
    await executioner.execute("select pg_terminate_backend($1, 5000)", pid)


@pytest.mark.parametrize("way", WAYS_IN)
async def test_a_connection_killed_in_a_query_is_a_database_that_is_unavailable(
    db: Database, database_url: str, way: str
) -> None:
    async with an_executioner(database_url) as executioner:
        with pytest.raises(DatabaseUnavailable):  # noqa: PT012  # the block is what raises
            async with enter(db, way) as connection:
                killing = asyncio.create_task(kill_when_asleep(executioner, connection.get_server_pid()))
                await connection.execute("select pg_sleep(20)")
        await killing
        async with enter(db, way) as connection:
            assert await connection.fetchval("select 1") == 1


@pytest.mark.parametrize("way", WAYS_IN)
async def test_a_connection_killed_between_two_queries_is_a_database_that_is_unavailable(
    db: Database, database_url: str, way: str
) -> None:
    async with an_executioner(database_url) as executioner:
        with pytest.raises(DatabaseUnavailable):  # noqa: PT012  # the block is what raises
            async with enter(db, way) as connection:
                await executioner.execute("select pg_terminate_backend($1, 5000)", connection.get_server_pid())
                await connection.execute("select 1")


@pytest.mark.parametrize("way", WAYS_IN)
async def test_a_connection_killed_before_the_commit_is_a_database_that_is_unavailable(
    db: Database, database_url: str, way: str
) -> None:
    async with an_executioner(database_url) as executioner:
        with pytest.raises(DatabaseUnavailable):  # the block is what raises
            async with enter(db, way) as connection:
                await executioner.execute("select pg_terminate_backend($1, 5000)", connection.get_server_pid())


async def test_a_mistake_stays_the_mistake_that_it_is(db: Database) -> None:
    with pytest.raises(asyncpg.NotNullViolationError):
        async with db.system() as connection:
            await connection.execute("insert into organizations (id) values (null)")
    with pytest.raises(asyncpg.InterfaceError):
        async with db.system() as connection:
            await connection.execute("select $1::int", 1, 2)
    with pytest.raises(asyncpg.QueryCanceledError):  # noqa: PT012
        async with db.system() as connection:
            await connection.execute("set local statement_timeout = 20")
            await connection.execute("select pg_sleep(20)")


async def test_who_is_cancelled_in_a_query_is_cancelled(db: Database) -> None:
    asked = asyncio.Event()

    async def ask() -> None:
        async with db.system() as connection:
            asked.set()
            await connection.execute("select pg_sleep(20)")

    asking = asyncio.create_task(ask())
    await asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


@pytest.fixture
async def call(db: Database, org: OrgId) -> Call:
    await make_number(db, org, OURS)
    return await answer_inbound(db, Arrival(CarrierName.SIP, "SCL_1", "call-room", OURS, "+12025550123"))


async def kill_everybody_else(executioner: Connection) -> int:
    """How many connections of this database were closed."""
    return await executioner.fetchval(
        "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )


async def test_turns_after_a_lost_connection_are_stored_and_so_is_the_one_in_it(
    db: Database, call: Call, database_url: str
) -> None:
    transcript = Transcript(db, call)
    async with an_executioner(database_url) as executioner:
        # The writer waits for this lock in the middle of its transaction, and is killed there.
        async with executioner.transaction():
            await executioner.execute("lock table turns in access exclusive mode")
            transcript.add_turn(say("One."))
            async with asyncio.timeout(10):
                while not await executioner.fetchval("select count(*) from pg_locks where not granted"):
                    pause = 0.01
                    await asyncio.sleep(pause)
            assert await kill_everybody_else(executioner) >= 1
        transcript.add_turn(say("Two."))
        transcript.add_event(EventKind.HANDOFF_MADE, {"from": "a", "to": "b"})
        await transcript.close()
        stored = await executioner.fetch("select text from turns where call_id = $1 order by id", call.id)
        handoffs = await executioner.fetchval("select count(*) from call_events where kind = 'handoff.made'")
    assert [row["text"] for row in stored] == ["One.", "Two."]
    assert handoffs == 1


async def test_an_agent_whose_heartbeat_loses_its_connection_beats_on(
    db: Database, call: Call, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(company, "BEAT_SECONDS", 0.02)
    over = Ending()
    room = SimpleNamespace(local_participant=SimpleNamespace(identity="agent-1"))
    beating = asyncio.create_task(company.beat(SimpleNamespace(db=db, call=call, room=room, ending=over)))  # type: ignore[arg-type]
    last = "select max(seen_at) from legs where call_id = $1"
    async with an_executioner(database_url) as executioner, asyncio.timeout(10):
        for _ in range(3):
            seen = await executioner.fetchval(last, call.id)
            while await executioner.fetchval(last, call.id) == seen:
                pause = 0.01
                await asyncio.sleep(pause)
            await kill_everybody_else(executioner)
    assert not beating.done()
    over.end(None)
    await beating


def say(text: str) -> Turn:
    return Turn("person", None, text, utc_now())
