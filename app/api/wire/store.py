"""The SQL of idempotency keys."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.db import Connection, Row
from app.ids import OrgId


async def forget_old_keys(connection: Connection, org_id: OrgId) -> None:
    """A key is remembered for a day."""
    await connection.execute(
        "delete from idempotency_keys where org_id = $1 and created_at < now() - interval '24 hours'", org_id
    )


async def select_key(connection: Connection, org_id: OrgId, key: str) -> Row | None:
    """→ request_hash, call_id, response_status, response_body."""
    return await connection.fetchrow(
        """
        select request_hash, call_id, response_status, response_body from idempotency_keys
        where org_id = $1 and key = $2
        """,
        org_id,
        key,
    )


async def insert_key(
    connection: Connection, org_id: OrgId, key: str, request_hash: bytes, call_id: UUID | None
) -> bool:
    """False where the key is taken; waits for a transaction that is just taking it."""
    inserted = await connection.fetchval(
        """
        insert into idempotency_keys (org_id, key, request_hash, call_id) values ($1, $2, $3, $4)
        on conflict (org_id, key) do nothing returning true
        """,
        org_id,
        key,
        request_hash,
        call_id,
    )
    return bool(inserted)


async def set_response(connection: Connection, org_id: OrgId, key: str, status: int, body: Mapping[str, Any]) -> None:
    await connection.execute(
        "update idempotency_keys set response_status = $3, response_body = $4 where org_id = $1 and key = $2",
        org_id,
        key,
        status,
        dict(body),
    )
