"""The SQL of organizations, members and API keys."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.db import Connection, Row
from app.ids import ApiKeyId, OrgId, UserId

_KEY_COLUMNS = "id, org_id, name, prefix, role, scopes, expires_at, revoked_at, last_used_at, created_at"


async def insert_organization(connection: Connection, org_id: OrgId, slug: str, name: str, country: str) -> None:
    await connection.execute(
        "insert into public.organizations (id, slug, name, country) values ($1, $2, $3, $4)",
        org_id,
        slug,
        name,
        country,
    )


async def upsert_member(connection: Connection, org_id: OrgId, user_id: UserId, role: str) -> None:
    await connection.execute(
        """
        insert into public.members (org_id, user_id, role) values ($1, $2, $3)
        on conflict (org_id, user_id) do update set role = excluded.role
        """,
        org_id,
        user_id,
        role,
    )


async def select_members(connection: Connection, org_id: OrgId) -> Sequence[Row]:
    """→ org_id, user_id, role, created_at; whoever came first stands first."""
    return await connection.fetch(
        "select org_id, user_id, role, created_at from public.members where org_id = $1 order by created_at, user_id",
        org_id,
    )


async def insert_api_key(
    connection: Connection,
    key_id: ApiKeyId,
    org_id: OrgId,
    *,
    name: str,
    prefix: str,
    key_hash: bytes,
    role: str,
    scopes: Sequence[str],
    expires_at: datetime | None,
) -> Row | None:
    return await connection.fetchrow(
        f"""
        insert into public.api_keys (id, org_id, name, prefix, hash, role, scopes, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        returning {_KEY_COLUMNS}
        """,  # noqa: S608  # our own constant
        key_id,
        org_id,
        name,
        prefix,
        key_hash,
        role,
        list(scopes),
        expires_at,
    )


async def select_api_keys(
    connection: Connection, org_id: OrgId, *, before: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Row]:
    """Newest first; `before` is the (created_at, id) of the last row of the page before."""
    return await connection.fetch(
        f"""
        select {_KEY_COLUMNS} from public.api_keys
        where org_id = $1 and ($2::timestamptz is null or (created_at, id) < ($2, $3::uuid))
        order by created_at desc, id desc limit $4
        """,  # noqa: S608  # our own constant
        org_id,
        before[0] if before else None,
        before[1] if before else None,
        limit,
    )


async def revoke_api_key(connection: Connection, org_id: OrgId, key_id: ApiKeyId) -> Row | None:
    """Revoking twice keeps the first instant."""
    return await connection.fetchrow(
        f"""
        update public.api_keys set revoked_at = coalesce(revoked_at, now())
        where org_id = $1 and id = $2
        returning {_KEY_COLUMNS}
        """,  # noqa: S608  # our own constant
        org_id,
        key_id,
    )
