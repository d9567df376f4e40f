"""The SQL of progress: counts that are summed, never scanned for. Every function takes the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.db import Connection, Row

ROWS_WORTH_FOLDING = 50
FINE_SECONDS = 10
"""Between two samples; after an hour only those of whole minutes stay."""


async def select_campaign_state(connection: Connection, org_id: UUID, campaign_id: UUID) -> Row | None:
    """→ id, org_id, name, status, pause_reason, calling, started_at, finished_at, deadline_at, now (the database's)."""
    return await connection.fetchrow(
        """
        select id, org_id, name, status, pause_reason, calling, started_at, finished_at, deadline_at, now() as now
        from campaigns where org_id = $1 and id = $2
        """,
        org_id,
        campaign_id,
    )


async def sum_counts(connection: Connection, org_id: UUID, campaign_id: UUID) -> Sequence[Row]:
    """(what, status, disposition, dialed, count): contacts, and attempts that are over."""
    return await connection.fetch(
        """
        select what, status, disposition, dialed, sum(count)::bigint as count from campaign_counts
        where org_id = $1 and campaign_id = $2 group by what, status, disposition, dialed having sum(count) <> 0
        """,
        org_id,
        campaign_id,
    )


async def count_open_attempts(connection: Connection, org_id: UUID, campaign_id: UUID) -> Sequence[Row]:
    """(status, dialed, count) of the attempts that are not over: as many as there are calls, by their own index."""
    return await connection.fetch(
        """
        select status, dialed_at is not null as dialed, count(*) as count from attempts
        where org_id = $1 and campaign_id = $2 and status in ('claimed', 'dialing', 'placed', 'uncertain')
        group by 1, 2
        """,
        org_id,
        campaign_id,
    )


async def select_last_due(connection: Connection, org_id: UUID, campaign_id: UUID) -> datetime | None:
    """When the last of those who wait is due: the end of the index of who is due, however many there are."""
    return await connection.fetchval(
        """
        select due_at from contacts where org_id = $1 and campaign_id = $2 and status = 'waiting'
        order by campaign_id desc, due_at desc, id desc limit 1
        """,
        org_id,
        campaign_id,
    )


async def select_samples(
    connection: Connection, org_id: UUID, campaign_id: UUID, *, since: datetime | None, limit: int
) -> Sequence[Row]:
    """Newest first → at, dialed, answered, finished, remaining."""
    return await connection.fetch(
        """
        select at, dialed, answered, finished, remaining from campaign_samples
        where org_id = $1 and campaign_id = $2 and ($3::timestamptz is null or at >= $3) order by at desc limit $4
        """,
        org_id,
        campaign_id,
        since,
        limit,
    )


async def select_sample_of(connection: Connection, org_id: UUID, campaign_id: UUID, at: datetime) -> Row | None:
    """The last sample that was taken by then, not long before it; else the first after it."""
    return await connection.fetchrow(
        """
        (select at, dialed, answered, finished, remaining from campaign_samples
         where org_id = $1 and campaign_id = $2 and at between $3::timestamptz - interval '2 minutes' and $3
         order by at desc limit 1)
        union all
        (select at, dialed, answered, finished, remaining from campaign_samples
         where org_id = $1 and campaign_id = $2 and at > $3 order by at limit 1)
        limit 1
        """,
        org_id,
        campaign_id,
        at,
    )


async def select_unfolded(connection: Connection) -> list[UUID]:
    """Campaigns whose counts lie in many rows."""
    rows = await connection.fetch(
        "select campaign_id from campaign_counts group by campaign_id having count(*) > $1", ROWS_WORTH_FOLDING
    )
    return [row["campaign_id"] for row in rows]


async def fold_counts(connection: Connection, campaign_id: UUID) -> None:
    """Many rows become few; their sum stays. Two at once do no harm: each adds up what it removed itself."""
    await connection.execute(
        """
        with folded as (
          delete from campaign_counts where campaign_id = $1 returning org_id, what, status, disposition, dialed, count
        )
        insert into campaign_counts (org_id, campaign_id, what, status, disposition, dialed, count)
        select org_id, $1, what, status, disposition, dialed, sum(count) from folded
        group by org_id, what, status, disposition, dialed having sum(count) <> 0
        """,
        campaign_id,
    )


async def insert_samples(connection: Connection, *, unanswered: Sequence[str]) -> None:
    """One of every campaign that runs or has attempts open, unless this ten-second has its own. `unanswered`: the
    dispositions of a dial that nobody and nothing answered."""
    await connection.execute(
        """
        insert into campaign_samples (org_id, campaign_id, at, dialed, answered, finished, remaining)
        select c.org_id, c.id, date_bin(make_interval(secs => $2), now(), 'epoch'),
               n.dialed + (select count(*) from attempts a where a.campaign_id = c.id and a.dialed_at is not null
                           and a.status in ('dialing', 'placed', 'uncertain')),
               n.answered, n.finished, n.remaining
        from campaigns c
        cross join lateral (
          select coalesce(sum(count) filter (where what = 'attempts' and status = 'settled' and dialed), 0) as dialed,
                 coalesce(sum(count) filter (where what = 'attempts' and status = 'settled' and dialed
                                             and not disposition = any($1::text[])), 0) as answered,
                 coalesce(sum(count) filter (where what = 'contacts' and status in ('finished', 'blocked')), 0)
                   as finished,
                 coalesce(sum(count) filter (where what = 'contacts' and status in ('waiting', 'in-flight')), 0)
                   as remaining
          from campaign_counts where campaign_id = c.id
        ) n
        where c.status = 'running'
           or exists (select from attempts a where a.campaign_id = c.id
                      and a.status in ('claimed', 'dialing', 'placed', 'uncertain'))
        on conflict do nothing
        """,
        list(unanswered),
        float(FINE_SECONDS),
    )


async def thin_samples(connection: Connection) -> None:
    """Of samples older than an hour, one a minute stays. Worded as the index `campaign_samples_fine` is."""
    await connection.execute(
        "delete from campaign_samples where at < now() - interval '1 hour' and date_bin('1 minute', at, 'epoch') <> at"
    )
