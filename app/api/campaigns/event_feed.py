"""The events of one campaign for one reader, with its progress in between.

Events are read as the feed of calls is (app/api/wire/event_stream.py): by a cursor "transaction.id", below the oldest
transaction still running, so nothing is skipped and nothing comes twice. Progress has no id: a reader that comes back
with Last-Event-ID misses no event, and gets the counts of that moment. They may be ahead of the events, which any older
transaction that writes holds back: who wants all of them stays until the progress is `complete`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from sse_starlette import JSONServerSentEvent, ServerSentEvent

from app.api.wire.event_stream import FeedCursor, Requests, find_start, unbroken
from app.auth.principal import Principal
from app.clock import Clock, utc_now
from app.db import Row
from app.errors import NotFound, Unavailable
from app.ids import CampaignId
from app.live import Reader
from campaigns.campaigns import CampaignStatus
from campaigns.outcomes.event_store import is_held_back, select_feed
from campaigns.outcomes.progress import Progress, read_progress
from telephony import reading_store

PAGE_SIZE = 200
POLL_SECONDS = 1.0
LEAST_SECONDS = 0.5
"""Between two looks, however much happens."""
RATES = ("at", "pace", "finishes_at")
RATES_EVERY_SECONDS = 10.0


@dataclass(frozen=True)
class _Look:
    allowed: bool
    rows: Sequence[Row]
    cursor: FeedCursor
    full: bool
    progress: Progress | None
    complete: bool = False


class CampaignFeed:
    """One reader's way through the events of a campaign."""

    def __init__(self, db: Requests, principal: Principal, campaign_id: CampaignId, *, clock: Clock = utc_now) -> None:
        self._db, self._principal, self._campaign_id, self._clock = db, principal, campaign_id, clock
        self._told: dict[str, Any] = {}
        self._told_at = 0.0

    async def stream(self, reader: Reader, last_event_id: FeedCursor | None) -> AsyncIterator[ServerSentEvent]:
        """`stream.ready` with where we start, then every event, and `progress` when its counts changed, `complete` once
        the campaign is finished and everything up to that was told before; ends when the process closes, the
        database is gone, or the credential is no longer good (`stream.ended`)."""
        try:
            cursor, reset = await unbroken(find_start(self._db, self._principal, last_event_id))
            kind = "stream.reset" if reset else "stream.ready"
            yield JSONServerSentEvent({"kind": kind}, event=kind, id=str(cursor), retry=2000)
            while not reader.closed:
                reader.clear()
                began = time.monotonic()
                look = await unbroken(self._look(cursor))
                if not look.allowed or self._expired():
                    yield JSONServerSentEvent({"kind": "stream.ended", "reason": "unauthorized"}, event="stream.ended")
                    return
                for row in look.rows:
                    yield render_campaign_event(row)
                cursor = look.cursor
                if look.progress is not None and (news := self._news(look.progress, look.complete)):
                    yield JSONServerSentEvent(news, event="progress")
                if not look.full:
                    await reader.wait(POLL_SECONDS)
                    await asyncio.sleep(max(0.0, began + LEAST_SECONDS - time.monotonic()))
        except (Unavailable, NotFound, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError):
            return

    def _news(self, progress: Progress, complete: bool) -> dict[str, Any] | None:
        """The progress, where its counts changed; rates, which change with every second, now and then besides."""
        said = {**progress.to_json(), "complete": complete}
        counts = {key: value for key, value in said.items() if key not in RATES}
        now = time.monotonic()
        if counts == self._told and (said["status"] != "running" or now - self._told_at < RATES_EVERY_SECONDS):
            return None
        self._told, self._told_at = counts, now
        return said

    async def _look(self, cursor: FeedCursor) -> _Look:
        org_id = self._principal.org_id
        async with self._db.request(self._principal.claims()) as connection:
            edge = await reading_store.select_feed_edge(connection, org_id)
            if not edge.allowed:
                return _Look(False, (), cursor, False, None)
            rows = await select_feed(
                connection,
                org_id,
                self._campaign_id,
                after=(cursor.transaction, cursor.event_id),
                horizon=edge.horizon,
                limit=PAGE_SIZE,
            )
            full = len(rows) == PAGE_SIZE
            progress = None if full else await read_progress(connection, org_id, self._campaign_id)
            # Asked after the progress: what finished it is below the horizon and among the rows, or is seen here.
            complete = (
                progress is not None
                and progress.status == CampaignStatus.FINISHED
                and not await is_held_back(connection, org_id, self._campaign_id, horizon=edge.horizon)
            )
        if full:
            return _Look(True, rows, FeedCursor(int(rows[-1]["transaction"]), rows[-1]["id"]), True, None)
        return _Look(True, rows, max(cursor, FeedCursor.before(edge.horizon)), False, progress, complete)

    def _expired(self) -> bool:
        return self._principal.expires_at is not None and self._principal.expires_at <= self._clock()


def render_campaign_event(row: Row) -> ServerSentEvent:
    """{"id", "kind", "at", "attempt_id", "contact_id", "data"}, named after its kind."""
    at: datetime = row["at"]
    cursor = FeedCursor(int(row["transaction"]), row["id"])
    body = {
        "id": str(cursor),
        "kind": row["kind"],
        "at": at.isoformat().replace("+00:00", "Z"),
        "attempt_id": str(row["attempt_id"]) if row["attempt_id"] else None,
        "contact_id": str(row["contact_id"]) if row["contact_id"] else None,
        "data": row["data"],
    }
    return JSONServerSentEvent(body, event=row["kind"], id=str(cursor))
