"""One of many processes: who holds an advisory lock of Postgres, as long as its connection lives.

The connection is of its own, not of the pool, and must be a session (no transaction pooler). Postgres ends it when its
process is silent for some seconds, so a leader that died or froze is replaced; leadership is for economy only, and
what a leader does must be right even if two do it.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg

from app.logs import get_logger
from app.tasks import pause

log = get_logger(__name__)

PATIENCE_SECONDS = 1.0
SILENCE_MS = "5000"
LOSSES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Leadership:
    """Held while `holds()` says so."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def holds(self) -> bool:
        """Ask often: it also tells Postgres that this process lives."""
        try:
            return bool(await self._connection.fetchval("select true", timeout=PATIENCE_SECONDS * 2))
        except LOSSES:
            return False


@asynccontextmanager
async def lead(url: str, name: str, stopping: asyncio.Event) -> AsyncGenerator[Leadership | None]:
    """Wait until this process leads, or is told to stop (None). `url`: a session connection to Postgres."""
    connection = await _elect(url, name, stopping)
    try:
        yield Leadership(connection) if connection else None
    finally:
        if connection:
            connection.terminate()


async def _elect(url: str, name: str, stopping: asyncio.Event) -> "asyncpg.Connection[asyncpg.Record] | None":
    while not stopping.is_set():
        connection: asyncpg.Connection[asyncpg.Record] | None = None
        try:
            connection = await asyncpg.connect(
                url,
                timeout=10,
                server_settings={"application_name": f"trunkline {name}", "idle_session_timeout": SILENCE_MS},
            )
            while not stopping.is_set():
                if await connection.fetchval("select pg_try_advisory_lock(hashtextextended($1, 0))", name, timeout=10):
                    return connection
                await pause(stopping, PATIENCE_SECONDS)
        except LOSSES as error:
            log.warning("no leader can be elected for now", name=name, error=type(error).__name__)
        if connection:
            connection.terminate()
        await pause(stopping, PATIENCE_SECONDS)
    return None
