"""The SQL of the seed."""

from uuid import UUID

from app.db import Connection


async def select_organization_id(connection: Connection, slug: str) -> UUID | None:
    return await connection.fetchval("select id from organizations where slug = $1", slug)
