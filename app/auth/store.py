"""The SQL of signing in."""

from typing import Any

from app.db import Connection, Row
from app.ids import ApiKeyId, UserId


async def find_api_key(connection: Connection, key_hash: bytes) -> Row | None:
    """→ id, org_id, hash, role, scopes, expires_at, revoked_at, expired (bool), stale (bool: note its use again)."""
    return await connection.fetchrow(
        """
        select id, org_id, hash, role, scopes, expires_at, revoked_at,
               coalesce(expires_at <= now(), false) as expired,
               coalesce(last_used_at < now() - interval '1 minute', true) as stale
        from public.api_keys where hash = $1
        """,
        key_hash,
    )


async def note_api_key_use(connection: Connection, key_id: ApiKeyId) -> None:
    """At most once a minute; whoever comes second in that minute, or finds the row locked, leaves it."""
    await connection.execute(
        """
        update public.api_keys set last_used_at = now()
        where id = (
          select id from public.api_keys
          where id = $1 and coalesce(last_used_at < now() - interval '1 minute', true)
          for update skip locked
        )
        """,
        key_id,
    )


async def find_memberships(connection: Connection, user_id: UserId) -> list[Row]:
    """→ org_id, role of every organization that the user belongs to."""
    rows: list[Any] = await connection.fetch(
        "select org_id, role from public.members where user_id = $1 order by created_at, org_id", user_id
    )
    return rows
