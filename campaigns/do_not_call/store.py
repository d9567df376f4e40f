"""The SQL of the do-not-call list. Every function takes the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.db import Connection, Row
from app.ids import new_id


async def insert_entry(connection: Connection, org_id: UUID, phone: str, *, reason: str, source: str) -> bool:
    """False where the number was on the list; its first reason stays."""
    row = await connection.fetchrow(
        """
        insert into do_not_call (id, org_id, phone, reason, source) values ($1, $2, $3, $4, $5)
        on conflict do nothing returning id
        """,
        new_id(),
        org_id,
        phone,
        reason,
        source,
    )
    return row is not None


async def select_entry(connection: Connection, org_id: UUID, phone: str) -> Row | None:
    return await connection.fetchrow(
        "select * from do_not_call where org_id = $1 and phone = $2 and campaign_id is null", org_id, phone
    )


async def select_entries(
    connection: Connection, org_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Row]:
    """Newest first; `before`: the (created_at, id) of the last row of the page before."""
    return await connection.fetch(
        """
        select * from do_not_call
        where org_id = $1 and campaign_id is null and ($2::timestamptz is null or (created_at, id) < ($2, $3::uuid))
        order by created_at desc, id desc limit $4
        """,
        org_id,
        before[0] if before else None,
        before[1] if before else None,
        limit,
    )


async def delete_entry(connection: Connection, org_id: UUID, phone: str) -> Row | None:
    return await connection.fetchrow(
        "delete from do_not_call where org_id = $1 and phone = $2 and campaign_id is null returning *", org_id, phone
    )
