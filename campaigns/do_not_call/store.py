"""The SQL of the do-not-call list. Every function takes the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.db import Connection, Row
from app.ids import new_id


async def insert_entry(
    connection: Connection, org_id: UUID, phone: str, *, reason: str, source: str, campaign_id: UUID | None = None
) -> bool:
    """Of the organization, or of one campaign. False where the number was on that list; its first reason stays."""
    row = await connection.fetchrow(
        """
        insert into do_not_call (id, org_id, phone, reason, source, campaign_id) values ($1, $2, $3, $4, $5, $6)
        on conflict do nothing returning id
        """,
        new_id(),
        org_id,
        phone,
        reason,
        source,
        campaign_id,
    )
    return row is not None


async def select_entry(
    connection: Connection, org_id: UUID, phone: str, *, campaign_id: UUID | None = None
) -> Row | None:
    return await connection.fetchrow(
        """
        select * from do_not_call
        where org_id = $1 and phone = $2 and campaign_id is not distinct from $3::uuid
        """,
        org_id,
        phone,
        campaign_id,
    )


async def select_entries(
    connection: Connection,
    org_id: UUID,
    *,
    campaign_id: UUID | None = None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Row]:
    """Newest first; `before`: the (created_at, id) of the last row of the page before."""
    return await connection.fetch(
        """
        select * from do_not_call
        where org_id = $1 and campaign_id is not distinct from $5::uuid
          and ($2::timestamptz is null or (created_at, id) < ($2, $3::uuid))
        order by created_at desc, id desc limit $4
        """,
        org_id,
        before[0] if before else None,
        before[1] if before else None,
        limit,
        campaign_id,
    )


async def delete_entry(
    connection: Connection, org_id: UUID, phone: str, *, campaign_id: UUID | None = None
) -> Row | None:
    return await connection.fetchrow(
        """
        delete from do_not_call
        where org_id = $1 and phone = $2 and campaign_id is not distinct from $3::uuid returning *
        """,
        org_id,
        phone,
        campaign_id,
    )


async def has_campaign(connection: Connection, org_id: UUID, campaign_id: UUID) -> bool:
    return await connection.fetchval(
        "select exists (select from campaigns where org_id = $1 and id = $2)", org_id, campaign_id
    )


# -- a list from a file


async def insert_listed(
    connection: Connection,
    org_id: UUID,
    entries: Sequence[tuple[str, str]],
    *,
    source: str,
    campaign_id: UUID | None,
) -> int:
    """(number, reason) each; how many were not on the list before. The first reason of a number stays. In the order of
    the numbers: two who add the same ones never wait for each other in a circle."""
    first = dict(sorted(dict(reversed(entries)).items()))
    return await connection.fetchval(
        """
        with added as (
          insert into do_not_call (id, org_id, phone, reason, source, campaign_id)
          select id, $1, phone, reason, $2, $3 from unnest($4::uuid[], $5::text[], $6::text[]) n (id, phone, reason)
          order by phone on conflict do nothing returning 1
        )
        select count(*) from added
        """,
        org_id,
        source,
        campaign_id,
        [new_id() for _ in first],
        list(first),
        list(first.values()),
    )


async def copy_entries(
    connection: Connection, org_id: UUID, source_id: UUID, target_id: UUID, *, after: str, limit: int
) -> str | None:
    """The next `limit` entries of one campaign's own list by number, from after `after` on, go onto another's as they
    are, unless it has the number; after which number to go on, None at the end. The source is the organization's: to
    ask for that too would let Postgres walk through all entries of the organization by another index."""
    row = await connection.fetchrow(
        """
        with page as (
          select * from do_not_call where campaign_id = $2 and phone > $4 order by phone limit $5
        ), numbered as (
          select *, row_number() over (order by phone) as n from page
        ), added as (
          insert into do_not_call (id, org_id, campaign_id, phone, reason, source, created_at)
          select ($6::uuid[])[n], $1, $3, phone, reason, source, created_at from numbered order by phone
          on conflict do nothing
        )
        select count(*) as count, max(phone) as last from page
        """,
        org_id,
        source_id,
        target_id,
        after,
        limit,
        [new_id() for _ in range(limit)],
    )
    assert row is not None  # an aggregate has one row
    return row["last"] if row["count"] == limit else None
