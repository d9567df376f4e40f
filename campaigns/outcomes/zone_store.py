"""The SQL of where a campaign's contacts wait. Every function takes the caller's transaction."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from app.db import Connection, Row

COUNTED_WHOLE = 20_000
"""So many are read one by one; of more, a sample."""
SAMPLED_PAGES = 1_500
"""Of the table of contacts, all campaigns of it: twelve megabytes."""
THIN = 200
"""A sample of fewer contacts says too little."""
MOST_AREAS = 500

_BY_AREA = """
    select time_zone, min(dialed) as phone, count(*) as contacts
    from (select time_zone, coalesce(phones[phone_index + 1], phone) as dialed from {source}) k
    group by time_zone, left(dialed, case when dialed like '+1%' then 5 else 8 end)
    order by contacts desc limit {most}
"""
_DUE_FIRST = "contacts where campaign_id = $1 and status = 'waiting' order by due_at, id limit $2"
_SAMPLED = """
    contacts tablesample system (
      least(100, 100.0 * $2 * current_setting('block_size')::int / greatest(1, pg_relation_size('public.contacts')))
    ) where campaign_id = $1 and status = 'waiting'
"""


async def take_stale(connection: Connection, *, seconds: float) -> Sequence[Row]:
    """Of the running campaigns whose places were counted so long ago, or never: campaign_id, org_id, places as they
    were. They are the caller's now, to count and to `update_places`."""
    return await connection.fetch(
        """
        insert into campaign_zones as z (campaign_id, org_id, counted_at)
        select id, org_id, now() from campaigns c where status = 'running' and not exists (
          select from campaign_zones where campaign_id = c.id and counted_at >= now() - make_interval(secs => $1))
        on conflict (campaign_id) do update set counted_at = now()
          where z.counted_at < now() - make_interval(secs => $1)
        returning campaign_id, org_id, places
        """,
        seconds,
    )


async def select_areas(connection: Connection, campaign_id: UUID) -> Sequence[Row]:
    """Waiting contacts by time_zone of the list and area of the number dialed next: time_zone, phone (one of them),
    contacts. All, where they are few; else a sample whose cost does not grow with the campaign."""
    if await _count_waiting(connection, campaign_id) > COUNTED_WHOLE:
        sampled = await connection.fetch(
            _BY_AREA.format(source=_SAMPLED, most=MOST_AREAS), campaign_id, float(SAMPLED_PAGES)
        )
        if sum(row["contacts"] for row in sampled) >= THIN:
            return sampled
    return await connection.fetch(_BY_AREA.format(source=_DUE_FIRST, most=MOST_AREAS), campaign_id, COUNTED_WHOLE)


async def _count_waiting(connection: Connection, campaign_id: UUID) -> int:
    """By the counts that are kept."""
    return await connection.fetchval(
        """
        select coalesce(sum(count), 0)::bigint from campaign_counts
        where campaign_id = $1 and what = 'contacts' and status = 'waiting'
        """,
        campaign_id,
    )


async def update_places(connection: Connection, campaign_id: UUID, places: Sequence[dict[str, Any]]) -> None:
    """Of a campaign that was taken."""
    await connection.execute("update campaign_zones set places = $2 where campaign_id = $1", campaign_id, list(places))


async def select_places(connection: Connection, org_id: UUID, campaign_id: UUID) -> Sequence[dict[str, Any]]:
    """As they were counted last, none where they never were."""
    return (
        await connection.fetchval(
            "select places from campaign_zones where org_id = $1 and campaign_id = $2", org_id, campaign_id
        )
        or []
    )
