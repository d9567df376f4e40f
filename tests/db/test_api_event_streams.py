"""An event stream's beginning and end: credentials, cursors, lost connections, shutdown."""

import asyncio
import os
import signal
import sys
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from app.accounts.api_keys import create_api_key
from app.accounts.organizations import create_organization
from app.api.wire import event_stream
from app.auth.principal import Role, Scope
from app.db import Database
from app.live import MOST_READERS_PER_ORGANIZATION
from tests.conftest import free_port
from tests.db.api_world import Api, Wire, api_settings, assert_problem, make_token, open_api, until
from tests.db.event_reader import EVENTS, add_event, listening, next_n, read_events, served

pytestmark = pytest.mark.db


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
