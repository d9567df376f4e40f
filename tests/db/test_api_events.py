"""Live events over SSE, from a real server: nothing skipped, nothing twice, ended when it must."""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import uvicorn

from app.accounts.api_keys import create_api_key
from app.accounts.organizations import create_organization
from app.api.wire import event_stream
from app.auth.principal import Role, Scope
from app.db import Database
from app.ids import OrgId
from app.live import MOST_READERS_PER_ORGANIZATION
from tests.conftest import free_port
from tests.db.api_world import Api, Wire, api_settings, assert_problem, make_token, open_api, until

pytestmark = pytest.mark.db

EVENTS = "/api/v1/events"
LAST = 1_000_000


class Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def served(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    """The app behind a real socket. Streams need one: the in-process transport hands over whole answers only."""
    port = free_port()
    config = uvicorn.Config(api.app, port=port, lifespan="off", log_config=None, timeout_graceful_shutdown=2)
    server = Server(config)
    task = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await until(started)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        await task


@dataclass
class Event:
    id: str
    kind: str
    data: dict[str, Any]

    @property
    def n(self) -> int:
        return int(self.data["data"]["n"])


async def read_events(response: httpx.Response) -> AsyncIterator[Event]:
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if not line:
            if "event" in fields:
                yield Event(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
            fields = {}
            continue
        name, _, value = line.partition(": ")
        fields[name] = value


@asynccontextmanager
async def listening(
    client: httpx.AsyncClient, headers: dict[str, str], *, after: str = "", query: str = ""
) -> AsyncIterator[AsyncIterator[Event]]:
    """The events of a stream, after its `stream.ready`."""
    extra = {"Last-Event-ID": after} if after else {}
    async with client.stream("GET", EVENTS + query, headers=headers | extra) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        events = read_events(response)
        assert (await anext(events)).kind == "stream.ready"
        yield events


async def insert_event(connection: Any, org_id: OrgId, call_id: UUID, n: int) -> None:
    await connection.execute(
        "insert into call_events (org_id, call_id, kind, data) values ($1, $2, 'dtmf.received', $3)",
        org_id,
        call_id,
        {"n": n},
    )


async def add_event(db: Database, org_id: OrgId, call_id: UUID, n: int) -> None:
    async with db.system() as connection:
        await insert_event(connection, org_id, call_id, n)


async def next_n(events: AsyncIterator[Event], timeout_seconds: float = 10) -> int:
    return (await asyncio.wait_for(anext(events), timeout_seconds)).n


async def test_an_event_arrives_when_it_commits_with_its_kind_id_and_call(api: Api) -> None:
    call_id = await api.add_call()
    async with served(api) as client, listening(client, await api.key(Role.VIEWER)) as events:
        await asyncio.wait_for(api.state.live.listening.wait(), 5)
        started_at = time.monotonic()
        await add_event(api.db, api.org_id, call_id, 1)
        event = await asyncio.wait_for(anext(events), 10)
        assert time.monotonic() - started_at < event_stream.POLL_SECONDS - 1
        assert event.kind == event.data["kind"] == "dtmf.received"
        assert event.data["call_id"] == str(call_id)
        assert event.data["id"] == event.id
        assert event.data["data"] == {"n": 1}
        assert datetime.fromisoformat(event.data["at"]).tzinfo is not None


async def test_what_commits_late_is_waited_for_so_that_order_and_cursor_hold(api: Api, database_url: str) -> None:
    call_id = await api.add_call()
    slow = await Database.connect(database_url)
    async with served(api) as client, listening(client, await api.key(Role.VIEWER)) as events:
        async with slow.system() as connection:
            await insert_event(connection, api.org_id, call_id, 1)
            await add_event(api.db, api.org_id, call_id, 2)
            waiting = asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait([waiting], timeout=1.5)
            assert not done
        assert (await asyncio.wait_for(waiting, 10)).n == 1
        assert await next_n(events) == 2
    await slow.close()


async def test_a_reader_that_comes_back_with_its_last_event_id_misses_nothing(api: Api) -> None:
    call_id = await api.add_call()
    headers = await api.key(Role.VIEWER)
    async with served(api) as client:
        async with listening(client, headers) as events:
            await add_event(api.db, api.org_id, call_id, 1)
            last = await asyncio.wait_for(anext(events), 10)
        for n in (2, 3, 4):
            await add_event(api.db, api.org_id, call_id, n)
        async with listening(client, headers, after=last.id) as events:
            assert [await next_n(events) for _ in range(3)] == [2, 3, 4]


async def test_a_reader_that_comes_back_before_any_event_goes_on_from_stream_ready(api: Api) -> None:
    call_id = await api.add_call()
    headers = await api.key(Role.VIEWER)
    async with served(api) as client:
        async with client.stream("GET", EVENTS, headers=headers) as response:
            ready = await anext(read_events(response))
        await add_event(api.db, api.org_id, call_id, 1)
        async with listening(client, headers, after=ready.id) as events:
            assert await next_n(events) == 1


async def test_under_writers_that_commit_out_of_order_and_a_reader_that_breaks_off_every_event_comes_once(
    api: Api, database_url: str
) -> None:
    call_id = await api.add_call()
    headers = await api.key(Role.VIEWER)
    chance = random.Random(20261120)
    writers_db = await Database.connect(database_url, max_size=8)
    committed: list[int] = []

    async def write(numbers: range) -> None:
        for n in numbers:
            with suppress(ZeroDivisionError):
                async with writers_db.system() as connection:
                    await insert_event(connection, api.org_id, call_id, n)
                    await asyncio.sleep(chance.random() * 0.03)
                    if n % 7 == 0:
                        raise ZeroDivisionError
                committed.append(n)

    async def write_all() -> None:
        await asyncio.gather(*(write(range(start, start + 40)) for start in range(0, 320, 40)))
        await add_event(writers_db, api.org_id, call_id, LAST)

    seen: list[Event] = []

    async def read(client: httpx.AsyncClient, after: str) -> None:
        while not seen or seen[-1].n != LAST:
            async with listening(client, headers, after=after) as events:
                for _ in range(chance.randint(1, 12)):
                    event = await asyncio.wait_for(anext(events), 10)
                    seen.append(event)
                    after = event.id
                    if event.n == LAST:
                        break

    async with served(api) as client:
        async with client.stream("GET", EVENTS, headers=headers) as response:
            ready = await anext(read_events(response))
        async with asyncio.timeout(60):
            await asyncio.gather(write_all(), read(client, ready.id))
    await writers_db.close()
    assert seen.pop().n == LAST
    assert sorted(event.n for event in seen) == sorted(committed)
    places = [tuple(map(int, event.id.split("."))) for event in seen]
    assert places == sorted(places)


async def test_transactions_are_ordered_as_numbers(api: Api) -> None:
    call_id = await api.add_call()
    async with api.db.system() as connection:
        for n in (100, 9, 10, 99, 101):
            await connection.execute(
                "insert into call_events (tx, org_id, call_id, kind, data) values ($1::text::xid8, $2, $3, 'x', $4)",
                str(n),
                api.org_id,
                call_id,
                {"n": n},
            )
    async with served(api) as client, listening(client, await api.key(Role.VIEWER), after="9.0") as events:
        assert [await next_n(events) for _ in range(5)] == [9, 10, 99, 100, 101]


async def test_the_page_of_a_burst_is_followed_by_the_rest_of_it(api: Api) -> None:
    call_id = await api.add_call()
    many = event_stream.PAGE_SIZE * 2 + 17
    async with served(api) as client, listening(client, await api.key(Role.VIEWER)) as events:
        async with api.db.system() as connection:
            for n in range(many):
                await insert_event(connection, api.org_id, call_id, n)
        assert [await next_n(events) for _ in range(many)] == list(range(many))


async def test_a_stream_holds_the_own_organizations_events_only_and_one_calls_if_asked(api: Api) -> None:
    other = await api.other_organization()
    theirs = await api.add_call(other)
    first, second = await api.add_call(), await api.add_call()
    headers = await api.key(Role.VIEWER)
    async with (
        served(api) as client,
        listening(client, headers) as all_of_them,
        listening(client, headers, query=f"?call_id={second}") as of_second,
        listening(client, headers, query=f"?call_id={theirs}") as of_theirs,
    ):
        silent = asyncio.ensure_future(anext(of_theirs))
        for n, (org_id, call_id) in enumerate([(other, theirs), (api.org_id, first), (api.org_id, second)]):
            await add_event(api.db, org_id, call_id, n)
        assert [await next_n(all_of_them), await next_n(all_of_them)] == [1, 2]
        assert await next_n(of_second) == 2
        assert not silent.done()
        silent.cancel()
        with suppress(asyncio.CancelledError):
            await silent


@pytest.mark.parametrize("how", ["revoked", "expired key", "expired token", "membership lost"])
async def test_a_stream_ends_when_its_credential_is_no_longer_good(
    api: Api, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "POLL_SECONDS", 0.2)
    soon = datetime.now(UTC) + timedelta(seconds=2)
    user_id = await api.user((api.org_id, Role.VIEWER))
    if how in ("revoked", "expired key"):
        _, text = await create_api_key(
            api.db,
            api.org_id,
            name="k",
            role=Role.VIEWER,
            scopes=[Scope.CALLS_READ],
            expires_at=soon if how == "expired key" else None,
        )
    else:
        text = make_token(user_id, exp=soon) if how == "expired token" else make_token(user_id)
    # A token is good for a few seconds past its expiry when it comes; a stream ends at the expiry itself.
    async with served(api) as client, listening(client, {"Authorization": f"Bearer {text}"}) as events:
        async with api.db.system() as connection:
            if how == "revoked":
                await connection.execute("update api_keys set revoked_at = now()")
            if how == "membership lost":
                await connection.execute("delete from members")
        event = await asyncio.wait_for(anext(events), 10)
        assert event.data == {"kind": "stream.ended", "reason": "unauthorized"}
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(events), 10)


@pytest.mark.parametrize("cursor", ["abc", "1", "1.", ".1", "-1.2", "1.2.3", "٣.٣"])
async def test_a_last_event_id_that_we_never_sent_is_refused(api: Api, cursor: str) -> None:
    headers = await api.key() | {"Last-Event-ID": cursor.encode()}  # type: ignore[dict-item]
    response = await api.client.get(EVENTS, headers=headers)
    document = assert_problem(response, 422, "invalid_input")
    assert document["errors"][0]["path"] == "header.Last-Event-ID"


async def test_a_cursor_of_a_database_that_was_there_before_starts_anew_and_says_so(api: Api) -> None:
    call_id = await api.add_call()
    headers = await api.key() | {"Last-Event-ID": f"{2**62}.1"}
    async with served(api) as client, client.stream("GET", EVENTS, headers=headers) as response:
        events = read_events(response)
        assert (await asyncio.wait_for(anext(events), 10)).kind == "stream.reset"
        await add_event(api.db, api.org_id, call_id, 1)
        assert await next_n(events) == 1


async def test_without_the_scope_there_is_no_stream(api: Api) -> None:
    headers = await api.key(scopes=[Scope.CAMPAIGNS_READ])
    assert_problem(await api.client.get(EVENTS, headers=headers), 403, "forbidden")


async def test_a_reader_that_leaves_leaves_nothing_behind(api: Api) -> None:
    headers = await api.key(Role.VIEWER)
    async with served(api) as client:
        for _ in range(30):
            async with listening(client, headers):
                pass

        async def all_gone() -> bool:
            return api.state.live.reader_count == 0

        await until(all_gone)
        assert (await client.get("/api/v1/calls", headers=headers)).status_code == 200


async def test_an_organization_has_only_so_many_streams(api: Api) -> None:
    with ExitStack() as open_streams:
        for _ in range(MOST_READERS_PER_ORGANIZATION):
            open_streams.enter_context(api.state.live.reader(api.org_id))
        response = await api.client.get(EVENTS, headers=await api.key())
        assert_problem(response, 429, "too_many_streams")
        assert response.headers["retry-after"] == "30"
    assert api.state.live.reader_count == 0


async def test_a_lost_listen_connection_costs_no_event(database_url: str, tmp_path: Path) -> None:
    """It is killed in the database; readers go on by polling, and notifications come back."""
    async with open_api(api_settings(database_url, tmp_path)) as api:
        call_id = await api.add_call()
        async with served(api) as client, listening(client, await api.key(Role.VIEWER)) as events:
            await asyncio.wait_for(api.state.live.listening.wait(), 5)
            async with api.db.system() as connection:
                await connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'trunkline-live'"
                    " and datname = current_database()"
                )
            await add_event(api.db, api.org_id, call_id, 1)
            assert await next_n(events) == 1

            async def heard_again() -> bool:
                return api.state.live.listening.is_set()

            await until(heard_again)
            await add_event(api.db, api.org_id, call_id, 2)
            assert await next_n(events) == 2


async def test_a_database_that_goes_away_ends_the_stream_and_the_cursor_resumes_it(
    database_url: str, tmp_path: Path
) -> None:
    wire = Wire(database_url)
    await wire.mend()
    direct = await Database.connect(database_url)
    async with open_api(api_settings(wire.url, tmp_path)) as api:
        call_id = await api.add_call()
        headers = await api.key(Role.VIEWER)
        async with served(api) as client:
            async with listening(client, headers) as events:
                await add_event(direct, api.org_id, call_id, 1)
                last = await asyncio.wait_for(anext(events), 10)
                await wire.cut()
                with pytest.raises(StopAsyncIteration):
                    await asyncio.wait_for(anext(events), 15)
            await add_event(direct, api.org_id, call_id, 2)
            await wire.mend()

            async def works() -> bool:
                return (await client.get("/api/v1/calls", headers=headers)).status_code == 200

            await until(works)
            async with listening(client, headers, after=last.id) as events:
                assert await next_n(events) == 2
    await direct.close()
    await wire.cut()


async def test_the_process_ends_within_5_s_of_sigterm_although_a_stream_is_open(
    database_url: str, tmp_path: Path
) -> None:
    base = free_port()
    environment = os.environ | {
        "TRUNKLINE_HOME": str(tmp_path),
        "TRUNKLINE_PORT_BASE": str(base),
        "DATABASE_URL": database_url,
        "LIVEKIT_URL": "ws://127.0.0.1:9",
        "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": "livekit-secret-of-the-tests-long-enough",
    }
    program = "import asyncio; from app.main import run_api, Settings; asyncio.run(run_api(Settings.load()))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, env=environment)
    db = await Database.connect(database_url)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{base}", trust_env=False) as client:

            async def up() -> bool:
                with suppress(httpx.TransportError):
                    return (await client.get("/healthz")).status_code == 200
                return False

            await until(up, 60)
            headers = await api_key_of_a_new_organization(db)
            async with listening(client, headers) as events:
                stopped_at = time.monotonic()
                process.send_signal(signal.SIGTERM)
                with pytest.raises(StopAsyncIteration):
                    await asyncio.wait_for(anext(events), 5)
                assert await asyncio.wait_for(process.wait(), 5) == 0
                assert time.monotonic() - stopped_at < 5
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await db.close()


async def api_key_of_a_new_organization(db: Database) -> dict[str, str]:
    org_id = await create_organization(db, slug="streams", name="Streams", country="US")
    _, text = await create_api_key(db, org_id, name="k", role=Role.VIEWER, scopes=[Scope.CALLS_READ])
    return {"Authorization": f"Bearer {text}"}
