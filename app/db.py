"""Postgres: one pool a process, two ways in.

`system()` is for our own processes, which act for every organization. `request(claims)` is for a person or an API
key: the transaction runs as Postgres role `authenticated` with the claims set, so row-level security refuses what
the code forgot.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from app.errors import Unavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Connection = Any
    Pool = Any

Row = asyncpg.Record

_LOSSES = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.DatabaseDroppedError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    asyncpg.TooManyConnectionsError,
    asyncpg.DeadlockDetectedError,
)
"""With each of these the server says goodbye, or does not even say hello; with the last it gives our transaction up for
another's. All that was asked is undone, or its commit in doubt: to be asked again."""


class DatabaseUnavailable(Unavailable):
    """Postgres does not answer, went away in the middle, or every connection is in use for too long."""

    code = "database_unavailable"


async def prepare_connection(connection: Any) -> None:
    """jsonb goes in and comes out as Python values."""
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


class Database:
    """A pool of connections. Close it; it owns sockets."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        pooler: bool = False,
        min_size: int = 1,
        max_size: int = 10,
        application: str = "trunkline",
    ) -> "Database":
        """Open the pool. Raises DatabaseUnavailable with the host that did not answer."""
        server_settings = {"application_name": application}
        if not pooler:
            # A process frozen inside a transaction must not hold its locks against everyone else.
            server_settings["idle_in_transaction_session_timeout"] = "30s"
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=min_size,
                max_size=max_size,
                init=prepare_connection,
                command_timeout=30,
                statement_cache_size=0 if pooler else 100,
                server_settings=server_settings,
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise DatabaseUnavailable(f"Postgres does not answer: {error}. Check DATABASE_URL.") from error
        return cls(pool)

    async def close(self) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def system(self) -> AsyncGenerator[Connection]:
        """A transaction of our own process: not subject to row-level security. Never await the network in it."""
        async with self._acquire() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def request(self, claims: Mapping[str, Any]) -> AsyncGenerator[Connection]:
        """A transaction for who asks: role `authenticated`, `request.jwt.claims` set, both gone at its end."""
        async with self._acquire() as connection, connection.transaction():
            await connection.execute(
                "select set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)",
                json.dumps(dict(claims)),
            )
            yield connection

    @asynccontextmanager
    async def _acquire(self) -> AsyncGenerator[Connection]:
        """A connection for the block. Raises DatabaseUnavailable, also where it is lost in the middle of the block;
        what a lost connection was about to commit may be committed or not."""
        try:
            connection = await self._pool.acquire(timeout=10)
        except (OSError, asyncpg.InterfaceError, *_LOSSES) as error:
            raise DatabaseUnavailable("Postgres does not answer; try again in a moment.") from error
        try:
            yield connection
        except (TimeoutError, asyncpg.InternalClientError, *_LOSSES) as error:
            # InternalClientError: the driver met the goodbye in the middle of something else; it is of no use any more.
            raise DatabaseUnavailable("The database went away; try again in a moment.") from error
        except (OSError, asyncpg.InterfaceError) as error:
            # Both also come from mistakes: only a connection that is gone makes them its loss.
            if not is_gone(connection):
                raise
            raise DatabaseUnavailable("The database went away; try again in a moment.") from error
        finally:
            await self._release(connection)

    async def _release(self, connection: "PoolConnectionProxy[asyncpg.Record]") -> None:
        """Give it back. The transaction is over by now: a connection that is lost here takes nothing with it."""
        try:
            await self._pool.release(connection)
        except asyncpg.InternalClientError:
            if not is_gone(connection):
                connection.terminate()
        except (OSError, asyncpg.InterfaceError, *_LOSSES):
            if not is_gone(connection):
                raise


def is_gone(connection: Connection) -> bool:
    """Whether this connection of a pool was closed, by whomever."""
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        # The pool takes a connection that closed away from who holds it, and then not even this may be asked.
        return True
