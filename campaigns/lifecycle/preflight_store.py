"""The SQL of a campaign's preflight. Every function takes the caller's transaction."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from app.db import Connection, Row

MOST_PLACES = 20_000
MOST_READ = 1_000_000
"""Of a larger campaign the contacts due first stand for all."""


async def select_places(connection: Connection, campaign_id: UUID) -> Sequence[Row]:
    """Waiting contacts by what their calling hours depend on: time_zone of the list, the first digits of the number
    dialed next, one such number, contacts. The largest first, at most MOST_PLACES, of MOST_READ contacts."""
    return await connection.fetch(
        """
        select time_zone, min(dialed) as phone, count(*) as contacts
        from (select time_zone, coalesce(phones[phone_index + 1], phone) as dialed
              from contacts where campaign_id = $1 and status = 'waiting' order by due_at, id limit $3) k
        group by time_zone, left(dialed, 8) order by contacts desc limit $2
        """,
        campaign_id,
        MOST_PLACES,
        MOST_READ,
    )


async def select_blocked(connection: Connection, campaign_id: UUID) -> Sequence[Row]:
    """Blocked contacts by gate and reason: gate, reason, contacts; the most frequent first."""
    return await connection.fetch(
        """
        select coalesce(blocked_by, disposition, 'blocked') as gate,
               coalesce(blocked_reason, disposition, '') as reason, count(*) as contacts
        from contacts where campaign_id = $1 and status = 'blocked' group by 1, 2 order by 3 desc limit 50
        """,
        campaign_id,
    )


async def select_first_waiting(connection: Connection, campaign_id: UUID, *, limit: int) -> Sequence[Row]:
    """The contacts that are called first."""
    return await connection.fetch(
        """
        select id, org_id, campaign_id, coalesce(phones[phone_index + 1], phone) as phone, name, time_zone,
               consent_at, consent_expires_at, variables
        from contacts where campaign_id = $1 and status = 'waiting' order by due_at, id limit $2
        """,
        campaign_id,
        limit,
    )


async def count_operators(connection: Connection, org_id: UUID, campaign_id: UUID) -> Mapping[str, int]:
    """Of those who take the campaign's calls: how many are `there`, and how many are `known`."""
    row = await connection.fetchrow(
        """
        select count(*) filter (where state <> 'offline') as there, count(*) as known
        from operators where org_id = $1 and (campaigns is null or $2 = any(campaigns))
        """,
        org_id,
        campaign_id,
    )
    return dict(row or {})


async def count_imports(connection: Connection, org_id: UUID, campaign_id: UUID) -> int:
    """Files of which not all contacts are in yet."""
    return await connection.fetchval(
        "select count(*) from imports where org_id = $1 and campaign_id = $2 and status = 'running'",
        org_id,
        campaign_id,
    )


async def is_dialer_alive(connection: Connection) -> bool:
    """Only for our own processes."""
    return bool(
        await connection.fetchval("select exists (select from dialers where beat_at > now() - interval '10 seconds')")
    )
