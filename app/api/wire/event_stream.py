"""The live events of one organization for one reader: nothing skipped, nothing twice, nothing held in memory.

A reader's place is a cursor "transaction.id". It reads only below the oldest transaction still running (see
call_events in the migrations), so what commits late is still ahead of it.
"""

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

import anyio
import asyncpg
from sse_starlette import JSONServerSentEvent, ServerSentEvent

from app.auth.principal import Principal
from app.clock import Clock, utc_now
from app.db import Connection, Row
from app.errors import InvalidInput, Unavailable
from app.live import Reader
from telephony import reading_store

PAGE_SIZE = 100
POLL_SECONDS = 5.0
"""The safety net under notifications, and how late a revoked credential ends a quiet stream."""
_FIRST_HELD_BACK_SECONDS = 0.05
_LAST_HELD_BACK_SECONDS = 1.0
_LAST_ID = 2**63 - 1
_LAST_TRANSACTION = 2**64 - 1

T = TypeVar("T")


class Requests(Protocol):
    """What a stream needs of `app.db.Database`."""

    def request(self, claims: dict[str, Any]) -> AbstractAsyncContextManager[Connection]: ...


@dataclass(frozen=True, order=True)
class FeedCursor:
    """The last event seen, as (transaction, id)."""

    transaction: int
    event_id: int

    def __str__(self) -> str:
        return f"{self.transaction}.{self.event_id}"

    @classmethod
    def parse(cls, text: str) -> "FeedCursor":
        """Raises InvalidInput for what we never sent."""
        transaction, _, event_id = text.partition(".")
        if not (transaction.isascii() and transaction.isdigit() and event_id.isascii() and event_id.isdigit()):
            fault = {"path": "header.Last-Event-ID", "message": "not an event id of this stream"}
            raise InvalidInput("Send Last-Event-ID as it was received.", errors=[fault])
        return cls(min(int(transaction), _LAST_TRANSACTION), min(int(event_id), _LAST_ID))

    @classmethod
    def before(cls, transaction: int) -> "FeedCursor":
        """Past everything of the transactions before this one."""
        return cls(max(transaction - 1, 0), _LAST_ID)


@dataclass(frozen=True)
class _Page:
    allowed: bool
    rows: Sequence[Row]
    cursor: FeedCursor
    held_back: bool
    full: bool


class EventFeed:
    """One reader's way through the feed."""

    def __init__(
        self, db: Requests, principal: Principal, *, call_id: UUID | None = None, clock: Clock = utc_now
    ) -> None:
        self._db = db
        self._principal = principal
        self._call_id = call_id
        self._clock = clock

    async def stream(self, reader: Reader, last_event_id: FeedCursor | None) -> AsyncIterator[ServerSentEvent]:
        """`stream.ready` with where we start, then every event; ends when the process closes, the database is gone
        (the client comes back with its cursor), or the credential is no longer good (`stream.ended`)."""
        try:
            cursor, reset = await unbroken(find_start(self._db, self._principal, last_event_id))
            kind = "stream.reset" if reset else "stream.ready"
            yield JSONServerSentEvent({"kind": kind}, event=kind, id=str(cursor), retry=2000)
            held_back_seconds = _FIRST_HELD_BACK_SECONDS
            while not reader.closed:
                reader.clear()
                page = await unbroken(self._read(cursor))
                if not page.allowed or self._expired():
                    yield JSONServerSentEvent({"kind": "stream.ended", "reason": "unauthorized"}, event="stream.ended")
                    return
                for row in page.rows:
                    yield render_event(row)
                cursor = page.cursor
                if page.full:
                    continue
                held_back_seconds = (
                    min(held_back_seconds * 2, _LAST_HELD_BACK_SECONDS) if page.held_back else _FIRST_HELD_BACK_SECONDS
                )
                await reader.wait(self._patience(held_back_seconds if page.held_back else POLL_SECONDS))
        except (Unavailable, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError):
            return

    async def _read(self, cursor: FeedCursor) -> _Page:
        org_id = self._principal.org_id
        after = (cursor.transaction, cursor.event_id)
        async with self._db.request(self._principal.claims()) as connection:
            edge = await reading_store.select_feed_edge(connection, org_id)
            rows = await reading_store.select_feed(
                connection, org_id, after=after, horizon=edge.horizon, call_id=self._call_id, limit=PAGE_SIZE
            )
        full = len(rows) == PAGE_SIZE
        if full:
            following = FeedCursor(int(rows[-1]["transaction"]), rows[-1]["id"])
        else:
            # All below the horizon is read, matching or not: a filtered reader does not scan it again.
            following = max(cursor, FeedCursor.before(edge.horizon))
        return _Page(edge.allowed, rows, following, edge.held_back, full)

    def _expired(self) -> bool:
        return self._principal.expires_at is not None and self._principal.expires_at <= self._clock()

    def _patience(self, seconds: float) -> float:
        if self._principal.expires_at is None:
            return seconds
        left = (self._principal.expires_at - self._clock()).total_seconds()
        return max(0.01, min(seconds, left))


async def find_start(db: Requests, principal: Principal, last_event_id: FeedCursor | None) -> tuple[FeedCursor, bool]:
    """Where to begin, and whether the client's cursor comes from a time that this database does not know (it was
    restored from a backup): then it starts anew and is told so."""
    async with db.request(principal.claims()) as connection:
        edge = await reading_store.select_feed_edge(connection, principal.org_id)
    if last_event_id is None:
        return FeedCursor.before(edge.horizon), False
    if last_event_id.transaction >= edge.next_transaction:
        return FeedCursor.before(edge.horizon), True
    return last_event_id, False


def render_event(row: Row) -> ServerSentEvent:
    """{"id", "call_id", "kind", "at", "data"}, named after its kind."""
    at: datetime = row["at"]
    cursor = FeedCursor(int(row["transaction"]), row["id"])
    body = {
        "id": str(cursor),
        "call_id": str(row["call_id"]),
        "kind": row["kind"],
        "at": at.isoformat().replace("+00:00", "Z"),
        "data": row["data"],
    }
    return JSONServerSentEvent(body, event=row["kind"], id=str(cursor))


async def unbroken(step: Awaitable[T]) -> T:
    """Finish the step even if the reader goes away meanwhile: a query cancelled half way leaves the pool a connection
    inside a transaction."""
    with anyio.CancelScope(shield=True):
        return await step
    raise AssertionError("a shielded scope that nobody cancels does not swallow")
