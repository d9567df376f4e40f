"""Live events over SSE, from a real server: nothing skipped, nothing twice, in order."""

import asyncio
import random
import time
from contextlib import suppress
from datetime import datetime
from typing import Any

import httpx
import pytest

from app.api.wire import event_stream
from app.auth.principal import ROLE_SCOPES, Principal, Role
from app.db import Database
from app.live import Reader
from tests.db.api_world import Api
from tests.db.event_reader import EVENTS, Event, add_event, insert_event, listening, next_n, read_events, served

pytestmark = pytest.mark.db

LAST = 1_000_000


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


async def test_a_reader_that_does_not_read_costs_one_page(api: Api) -> None:
    """Pages are read when the one before was taken: nothing piles up for somebody slow."""
    call_id = await api.add_call()
    async with api.db.system() as connection:
        for n in range(event_stream.PAGE_SIZE * 5):
            await insert_event(connection, api.org_id, call_id, n)
    asked = 0

    class Counting:
        def request(self, claims: dict[str, Any]) -> Any:
            nonlocal asked
            asked += 1
            return api.db.request(claims)

    user_id = await api.user((api.org_id, Role.VIEWER))
    principal = Principal(api.org_id, user_id, None, ROLE_SCOPES[Role.VIEWER], Role.VIEWER)
    stream = event_stream.EventFeed(Counting(), principal).stream(Reader(), event_stream.FeedCursor(0, 0))
    opened = [await anext(stream) for _ in range(1 + event_stream.PAGE_SIZE)]
    assert opened[0].event == "stream.ready"
    assert asked == 2
    await anext(stream)
    assert asked == 3
    await stream.aclose()  # type: ignore[attr-defined]
