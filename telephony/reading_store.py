"""The SQL behind the pages that people read: calls, their turns, events and recordings, and the live event feed.

Every function takes the caller's transaction, which runs under row-level security as whoever asks; `org_id` is
named all the same, because a user may belong to several organizations and asks for one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.db import Connection, Row
from app.ids import OrgId


async def select_calls(
    connection: Connection,
    org_id: OrgId,
    *,
    statuses: Sequence[str],
    direction: str | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Row]:
    """Newest first; no `statuses` means all; `before` is the (created_at, id) of the last row of the page before."""
    return await connection.fetch(
        """
        select * from calls
        where org_id = $1
          and (cardinality($2::text[]) = 0 or status = any($2))
          and ($3::text is null or direction = $3)
          and ($4::timestamptz is null or (created_at, id) < ($4, $5::uuid))
        order by created_at desc, id desc limit $6
        """,
        org_id,
        list(statuses),
        direction,
        before[0] if before else None,
        before[1] if before else None,
        limit,
    )


async def select_call(connection: Connection, org_id: OrgId, call_id: UUID) -> Row | None:
    return await connection.fetchrow("select * from calls where org_id = $1 and id = $2", org_id, call_id)


async def select_evaluation(connection: Connection, org_id: OrgId, call_id: UUID) -> Row | None:
    """→ score, reason, judge, criteria, created_at; None while there is none."""
    return await connection.fetchrow(
        "select score, reason, judge, criteria, created_at from evaluations where org_id = $1 and call_id = $2",
        org_id,
        call_id,
    )


async def select_turns(
    connection: Connection, org_id: OrgId, call_id: UUID, *, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Row]:
    """In the order they were spoken; `after` is the (started_at, id) of the last row of the page before."""
    return await connection.fetch(
        """
        select id, call_id, role, agent, text, tool, interrupted, latency_ms, started_at, ended_at from turns
        where org_id = $1 and call_id = $2
          and ($3::timestamptz is null or (started_at, id) > ($3, $4::uuid))
        order by started_at, id limit $5
        """,
        org_id,
        call_id,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )


async def select_events(
    connection: Connection, org_id: OrgId, call_id: UUID, *, after: int, limit: int
) -> Sequence[Row]:
    """In the order of their ids; for an open call the live feed is the one that skips nothing."""
    return await connection.fetch(
        """
        select id, call_id, kind, data, at from call_events
        where org_id = $1 and call_id = $2 and id > $3 order by id limit $4
        """,
        org_id,
        call_id,
        after,
        limit,
    )


async def select_recording(connection: Connection, org_id: OrgId, call_id: UUID) -> Row | None:
    """The newest recording of the call → path, format, finished_at."""
    return await connection.fetchrow(
        """
        select path, format, finished_at from recordings
        where org_id = $1 and call_id = $2 order by started_at desc, id desc limit 1
        """,
        org_id,
        call_id,
    )


async def count_open_calls(connection: Connection) -> int:
    return int(await connection.fetchval("select count(*) from calls where ended_at is null"))


async def select_published_version(connection: Connection, org_id: OrgId, team_slug: str) -> Row | None:
    """→ team_id, team_version_id (null while nothing is published); None where there is no such team."""
    return await connection.fetchrow(
        """
        select t.id as team_id, v.id as team_version_id
        from teams t left join team_versions v on v.team_id = t.id and v.status = 'published'
        where t.org_id = $1 and t.slug = $2
        """,
        org_id,
        team_slug,
    )


async def select_first_number(connection: Connection, org_id: OrgId) -> Row | None:
    """The number to call from by default: the oldest, those before that have no trunk of their own → id, e164."""
    return await connection.fetchrow(
        """
        select id, e164 from numbers where org_id = $1
        order by (carrier = 'sip' and trunk_id is null), created_at, id limit 1
        """,
        org_id,
    )


async def select_country(connection: Connection, org_id: OrgId) -> str:
    """How local phone numbers are read here: ISO 3166."""
    return str(await connection.fetchval("select country from organizations where id = $1", org_id))


@dataclass(frozen=True)
class FeedEdge:
    """How far the feed may be read now. Every transaction below `horizon` is over, so nothing below it will still
    appear. `held_back`: events above it exist, and come when the transactions still running are over."""

    allowed: bool
    horizon: int
    next_transaction: int
    held_back: bool


async def select_feed_edge(connection: Connection, org_id: OrgId) -> FeedEdge:
    row = await connection.fetchrow(
        """
        with edge as (
          select pg_snapshot_xmin(pg_current_snapshot()) as xmin, pg_snapshot_xmax(pg_current_snapshot()) as xmax
        )
        select $1::uuid in (select private.orgs_with_role('viewer')) as allowed,
               edge.xmin::text as horizon, edge.xmax::text as next_transaction,
               exists (select from call_events e where e.org_id = $1 and e.tx >= edge.xmin) as held_back
        from edge
        """,
        org_id,
    )
    assert row is not None  # one row, always
    return FeedEdge(row["allowed"], int(row["horizon"]), int(row["next_transaction"]), row["held_back"])


async def select_feed(
    connection: Connection,
    org_id: OrgId,
    *,
    after: tuple[int, int],
    horizon: int,
    call_id: UUID | None,
    limit: int,
) -> Sequence[Row]:
    """Events after the cursor (transaction, id) and below `horizon` → transaction, id, call_id, kind, data, at.

    `transaction` is text, and not called `tx`: `order by` would take it for the column and sort 1000 before 999.
    """
    return await connection.fetch(
        """
        select tx::text as transaction, id, call_id, kind, data, at from call_events
        where org_id = $1 and (tx, id) > ($2::text::xid8, $3::bigint) and tx < $4::text::xid8
          and ($5::uuid is null or call_id = $5)
        order by tx, id limit $6
        """,
        org_id,
        str(after[0]),
        after[1],
        str(horizon),
        call_id,
        limit,
    )
