"""The SQL of the stack's own: what the seed looks for, and whether a process of ours has reached Postgres."""

from uuid import UUID

from app.db import Connection


async def select_organization_id(connection: Connection, slug: str) -> UUID | None:
    return await connection.fetchval("select id from organizations where slug = $1", slug)


async def is_connected(connection: Connection, application: str) -> bool:
    """Whether a process that calls itself so has a connection open."""
    return bool(
        await connection.fetchval(
            "select exists (select from pg_stat_activity where application_name = $1)", application
        )
    )
