"""The SQL of lanes and of the dial slots on them. Every function takes the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.db import Connection, Row


async def lock_tracks(connection: Connection, org_id: UUID, campaign_id: UUID, lane_keys: Sequence[str]) -> bool:
    """Hold the campaign and its lanes until the transaction ends, always in this order; False if it does not run.

    Weaker than `for update`: attempts that refer to the campaign are inserted meanwhile.
    """
    running = await connection.fetchval(
        "select true from campaigns where id = $1 and status = 'running' for no key update", campaign_id
    )
    if running and lane_keys:
        await connection.execute(
            "select from lanes where org_id = $1 and key = any($2::text[]) order by key for no key update",
            org_id,
            list(lane_keys),
        )
    return bool(running)


async def select_tracks(
    connection: Connection, org_id: UUID, campaign_id: UUID | None, lane_keys: Sequence[str]
) -> Sequence[Row]:
    """(key, calls_per_second, next_in_seconds, now) of the campaign, if any, whose key is '', and of its lanes that
    have a row, by the database's clock at this instant: to be asked after `lock_tracks` or `hold_lanes`, not with them.
    """
    return await connection.fetch(
        """
        with clock as materialized (select clock_timestamp() as now)
        select t.key, t.calls_per_second::float8 as calls_per_second, clock.now,
               case when t.next_dial_at <= clock.now then 0
                    else extract(epoch from t.next_dial_at - clock.now) end::float8 as next_in_seconds
        from clock, (
          select '' as key, calls_per_second, next_dial_at from campaigns where id = $2
          union all
          select key, calls_per_second, next_dial_at from lanes where org_id = $1 and key = any($3::text[])
        ) t
        """,
        org_id,
        campaign_id,
        list(lane_keys),
    )


async def set_next_dials(
    connection: Connection, org_id: UUID, campaign_id: UUID, next_dials: dict[str, datetime]
) -> None:
    """The campaign's and each lane's next dial, by the keys of `select_tracks`."""
    await connection.execute("update campaigns set next_dial_at = $2 where id = $1", campaign_id, next_dials[""])
    lanes = {key: instant for key, instant in next_dials.items() if key}
    if lanes:
        await connection.execute(
            """
            update lanes l set next_dial_at = n.at from unnest($2::text[], $3::timestamptz[]) n (key, at)
            where l.org_id = $1 and l.key = n.key
            """,
            org_id,
            list(lanes),
            list(lanes.values()),
        )


async def hold_lanes(connection: Connection, org_id: UUID, lane_keys: Sequence[str]) -> None:
    """Until the transaction ends, for who may place calls; dialers wait for them in the same order (`lock_tracks`)."""
    await connection.execute("select private.hold_lanes($1, $2)", org_id, list(lane_keys))


async def move_lanes(connection: Connection, org_id: UUID, next_dials: dict[str, datetime]) -> None:
    """The next dial of each lane, never an earlier one, for who may place calls."""
    await connection.execute(
        "select private.move_lanes($1, $2, $3)", org_id, list(next_dials), list(next_dials.values())
    )


async def bound_waiting(connection: Connection, milliseconds: int) -> None:
    """A statement of this transaction that waits for a lock so long fails: asyncpg.LockNotAvailableError."""
    await connection.fetchval("select set_config('lock_timeout', $1, true)", str(milliseconds))


async def select_open_attempts(connection: Connection, org_id: UUID) -> Sequence[Row]:
    """Attempts that may hold a line, by the number they dial from, as `select_rooms` counts them: from_number_id,
    carrier, trunk_id, open_attempts; `waiting_for_slot` is 0."""
    return await connection.fetch(
        """
        with open as materialized (
          select campaign_id, count(*) as attempts from attempts
          where org_id = $1 and status in ('claimed', 'dialing', 'placed', 'uncertain')
            and (status <> 'uncertain' or absent_at is null)
          group by campaign_id
        )
        select c.from_number_id, n.carrier, n.trunk_id, sum(o.attempts)::int as open_attempts, 0 as waiting_for_slot
        from open o join campaigns c on c.id = o.campaign_id join numbers n on n.id = c.from_number_id
        group by c.from_number_id, n.carrier, n.trunk_id
        """,
        org_id,
    )


async def select_lanes(connection: Connection, org_id: UUID) -> Sequence[Row]:
    """Every lane with limits of its own, and `next_slot_in_seconds`."""
    return await connection.fetch(
        """
        select key, calls_per_second::float8 as calls_per_second, max_concurrent, created_at,
               case when next_dial_at <= clock_timestamp() then 0
                    else extract(epoch from next_dial_at - clock_timestamp()) end::float8 as next_slot_in_seconds
        from lanes where org_id = $1 order by key
        """,
        org_id,
    )


async def upsert_lane(
    connection: Connection, org_id: UUID, key: str, *, calls_per_second: float | None, max_concurrent: int | None
) -> None:
    """New limits, from the next dial on; what was dialed before still counts."""
    await connection.execute(
        """
        insert into lanes (org_id, key, calls_per_second, max_concurrent) values ($1, $2, $3::float8, $4)
        on conflict (org_id, key) do update
          set calls_per_second = excluded.calls_per_second, max_concurrent = excluded.max_concurrent
        """,
        org_id,
        key,
        calls_per_second,
        max_concurrent,
    )


async def delete_lanes(connection: Connection, org_id: UUID, *, but: Sequence[str]) -> None:
    """All of the organization that are not named."""
    await connection.execute("delete from lanes where org_id = $1 and key <> all($2::text[])", org_id, list(but))


async def select_lane_keys(connection: Connection, org_id: UUID) -> list[str]:
    """Every lane that the organization's dials can go through."""
    rows = await connection.fetch(
        """
        select 'number:' || id as key from numbers where org_id = $1
        union
        select case when trunk_id is null then 'carrier:' || carrier else 'trunk:' || trunk_id end
        from numbers where org_id = $1
        union
        select 'trunk:' || id from trunks where org_id = $1 and direction = 'outbound'
        order by key
        """,
        org_id,
    )
    return [row["key"] for row in rows]


async def select_line_settings(connection: Connection, org_id: UUID) -> Row | None:
    """→ max_concurrent_calls, inbound_share."""
    return await connection.fetchrow(
        """
        select (settings ->> 'max_concurrent_calls')::int as max_concurrent_calls,
               coalesce((settings ->> 'inbound_share')::float8, 0) as inbound_share
        from organizations where id = $1
        """,
        org_id,
    )


async def set_line_settings(
    connection: Connection, org_id: UUID, *, max_concurrent_calls: int | None, inbound_share: float
) -> None:
    await connection.execute(
        """
        update organizations set settings = (settings - 'max_concurrent_calls' - 'inbound_share')
          || jsonb_strip_nulls(jsonb_build_object('max_concurrent_calls', $2::int, 'inbound_share', $3::float8))
        where id = $1
        """,
        org_id,
        max_concurrent_calls,
        inbound_share,
    )
