"""A reader of live events, on a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import uvicorn

from app.db import Database
from app.ids import OrgId
from tests.conftest import free_port
from tests.db.api_world import Api, until

EVENTS = "/api/v1/events"


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
    client: httpx.AsyncClient, headers: dict[str, str], *, after: str = "", query: str = "", path: str = EVENTS
) -> AsyncIterator[AsyncIterator[Event]]:
    """The events of a stream, after its `stream.ready`."""
    extra = {"Last-Event-ID": after} if after else {}
    async with client.stream("GET", path + query, headers=headers | extra) as response:
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
