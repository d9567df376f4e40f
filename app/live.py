"""News from Postgres as it happens: one LISTEN connection a process, and the readers that it wakes.

A notification says only *whose* calls changed; readers then read what is new from the table by their own cursor.
So a lost notification costs time (until the next poll), never an event, and a slow reader costs no memory.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import asyncpg

from app.errors import TrunklineError
from app.ids import OrgId
from app.logs import get_logger

CHANNEL = "call_events"
MOST_READERS_PER_ORGANIZATION = 200
_PING_SECONDS = 20
_FIRST_RETRY_SECONDS = 0.5
_LAST_RETRY_SECONDS = 10

log = get_logger(__name__)


class TooManyReaders(TrunklineError):
    """The organization holds all the event streams that it may have on this process."""

    status = 429
    code = "too_many_streams"
    title = "Too many event streams"


class Reader:
    """One waiting reader. Use: `clear()`, read the table, then `wait()`."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self.closed = False

    def wake(self) -> None:
        self._news.set()

    def clear(self) -> None:
        self._news.clear()

    async def wait(self, timeout_seconds: float) -> None:
        """Return when there may be something new, when the process closes, or after the timeout."""
        if not self.closed:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), timeout_seconds)


class LiveEvents:
    """Owns the LISTEN connection while `running()`."""

    def __init__(self, url: str) -> None:
        """`url`: a session connection; LISTEN does not work through a transaction pooler."""
        self._url = url
        self._readers: defaultdict[str, set[Reader]] = defaultdict(set)
        self._closed = False
        self.listening = asyncio.Event()
        """Set while notifications arrive; readers poll anyway."""

    @property
    def reader_count(self) -> int:
        return sum(len(readers) for readers in self._readers.values())

    @contextmanager
    def reader(self, org_id: OrgId) -> Generator[Reader]:
        """Raises TooManyReaders."""
        readers = self._readers[str(org_id)]
        if len(readers) >= MOST_READERS_PER_ORGANIZATION:
            raise TooManyReaders("Too many event streams are open; close some.", retry_after_seconds=30)
        reader = Reader()
        reader.closed = self._closed
        readers.add(reader)
        try:
            yield reader
        finally:
            readers.discard(reader)
            if not readers:
                self._readers.pop(str(org_id), None)

    def close(self) -> None:
        """The process shuts down: every reader returns from its wait and finds itself closed."""
        self._closed = True
        for readers in self._readers.values():
            for reader in readers:
                reader.closed = True
                reader.wake()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["LiveEvents"]:
        """Listen in the background until the block ends."""
        task = asyncio.create_task(self._listen_for_ever(), name="live-events")
        try:
            yield self
        finally:
            self.close()
            task.cancel()
            await asyncio.wait({task})

    async def _listen_for_ever(self) -> None:
        retry_seconds = _FIRST_RETRY_SECONDS
        while True:
            try:
                await self._listen_once()
                retry_seconds = _FIRST_RETRY_SECONDS
                log.warning("live_connection_lost")
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("live_connection_failed", error=type(error).__name__, retry_seconds=retry_seconds)
            # The outermost loop: whatever else it was, events go on (readers poll meanwhile) and the log tells.
            except Exception:
                log.exception("live_connection_failed", retry_seconds=retry_seconds)
            await asyncio.sleep(retry_seconds)
            retry_seconds = min(retry_seconds * 2, _LAST_RETRY_SECONDS)

    async def _listen_once(self) -> None:
        """Listen until the connection is gone."""
        connection = await asyncpg.connect(
            self._url, timeout=10, server_settings={"application_name": "trunkline-live"}
        )
        try:
            gone = asyncio.Event()
            connection.add_termination_listener(lambda _connection: gone.set())
            await connection.add_listener(CHANNEL, self._on_notification)
            self.listening.set()
            # What happened while nobody listened came without a notification.
            self._wake_all()
            while not gone.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(gone.wait(), _PING_SECONDS)
                if not gone.is_set():
                    # A connection that died without a word (a firewall, a moved host) shows itself only here.
                    await connection.execute("select 1", timeout=10)
        finally:
            self.listening.clear()
            connection.terminate()

    def _on_notification(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        for reader in self._readers.get(str(payload), ()):
            reader.wake()

    def _wake_all(self) -> None:
        for readers in self._readers.values():
            for reader in readers:
                reader.wake()
