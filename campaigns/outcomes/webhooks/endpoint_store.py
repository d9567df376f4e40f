"""The SQL of webhook endpoints. Every function takes the caller's transaction."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from app.db import Connection, Row

_SHOWN = """
    id, org_id, campaign_id, url, description, events, enabled, disabled_reason, created_at,
    case when old_secret_until > now() then old_secret_until end as old_secret_until
"""
"""Of an endpoint; its secrets are never read back but to sign."""

_SELECT_ENDPOINTS = f"select {_SHOWN} from webhook_endpoints"  # noqa: S608 - a constant of ours


def _returning_shown(change: str) -> str:
    return f"{change} returning {_SHOWN}"


async def insert_endpoint(
    connection: Connection,
    *,
    endpoint_id: UUID,
    org_id: UUID,
    campaign_id: UUID | None,
    url: str,
    description: str,
    events: Sequence[str],
    secret_sealed: bytes,
) -> Row | None:
    return await connection.fetchrow(
        _returning_shown(
            """
            insert into webhook_endpoints (id, org_id, campaign_id, url, description, events, secret_sealed)
            values ($1, $2, $3, $4, $5, $6, $7)
            """
        ),
        endpoint_id,
        org_id,
        campaign_id,
        url,
        description,
        list(events),
        secret_sealed,
    )


async def count_endpoints(connection: Connection, org_id: UUID) -> int:
    return await connection.fetchval("select count(*) from webhook_endpoints where org_id = $1", org_id)


async def select_endpoints(connection: Connection, org_id: UUID) -> Sequence[Row]:
    """Oldest first; they are few."""
    return await connection.fetch(f"{_SELECT_ENDPOINTS} where org_id = $1 order by created_at, id", org_id)


async def select_endpoint(connection: Connection, org_id: UUID, endpoint_id: UUID) -> Row | None:
    return await connection.fetchrow(f"{_SELECT_ENDPOINTS} where org_id = $1 and id = $2", org_id, endpoint_id)


async def update_endpoint(
    connection: Connection,
    org_id: UUID,
    endpoint_id: UUID,
    *,
    url: str | None,
    description: str | None,
    events: Sequence[str] | None,
    enabled: bool | None,
) -> Row | None:
    """What is None stays. Enabled again, it has no reason to be off."""
    return await connection.fetchrow(
        _returning_shown(
            """
            update webhook_endpoints set url = coalesce($3, url), description = coalesce($4, description),
                   events = coalesce($5::text[], events), enabled = coalesce($6, enabled),
                   disabled_reason = case when $6 then null else disabled_reason end
            where org_id = $1 and id = $2
            """
        ),
        org_id,
        endpoint_id,
        url,
        description,
        None if events is None else list(events),
        enabled,
    )


async def change_secret(
    connection: Connection, org_id: UUID, endpoint_id: UUID, *, secret_sealed: bytes, both_for: timedelta
) -> Row | None:
    """The secret until now becomes the old one, for so long; one that was the old one already is gone."""
    return await connection.fetchrow(
        _returning_shown(
            """
            update webhook_endpoints set secret_sealed = $3, old_secret_sealed = secret_sealed,
                                         old_secret_until = now() + $4
            where org_id = $1 and id = $2
            """
        ),
        org_id,
        endpoint_id,
        secret_sealed,
        both_for,
    )


async def delete_endpoint(connection: Connection, org_id: UUID, endpoint_id: UUID) -> Row | None:
    return await connection.fetchrow(
        _returning_shown("delete from webhook_endpoints where org_id = $1 and id = $2"), org_id, endpoint_id
    )


async def disable_endpoint(connection: Connection, endpoint_id: UUID, *, reason: str) -> None:
    await connection.execute(
        "update webhook_endpoints set enabled = false, disabled_reason = $2 where id = $1 and enabled",
        endpoint_id,
        reason,
    )
