"""The SQL of answered calls that people take. Every function takes the caller's transaction."""

from collections.abc import Sequence
from uuid import UUID

from app.db import Connection, Row
from telephony.floor.operator_store import BEAT_LOST_SECONDS


async def select_floor(connection: Connection, attempt_id: UUID) -> Row | None:
    """campaign_id, organization, message, connect_seconds (each null where the campaign does not say); None where
    agents take the campaign's calls."""
    return await connection.fetchrow(
        """
        select c.id as campaign_id, o.name as organization, c.pace #>> '{predictive,message}' as message,
               (c.pace #>> '{predictive,connect_seconds}')::float8 as connect_seconds
        from attempts a join campaigns c on c.id = a.campaign_id join organizations o on o.id = c.org_id
        where a.id = $1 and c.mode <> 'ai'
        """,
        attempt_id,
    )


async def count_seconds_since_answer(connection: Connection, call_id: UUID) -> float:
    """By the database's clock; 0 for a call that is not answered."""
    seconds: float | None = await connection.fetchval(
        "select extract(epoch from clock_timestamp() - answered_at)::float8 from calls where id = $1", call_id
    )
    return max(0.0, seconds or 0.0)


async def insert_floor_call(connection: Connection, call_id: UUID, campaign_id: UUID, outcome: str) -> bool:
    """The first to say that this call was answered, and by whom: `waiting`, a person, or `machine`. A person counts for
    the day."""
    row = await connection.fetchrow(
        """
        insert into floor_calls (call_id, org_id, campaign_id, outcome, ring_seconds)
        select k.id, k.org_id, $2, $3,
               greatest(0, extract(epoch from coalesce(k.answered_at, clock_timestamp()) - k.dialed_at))
        from calls k where k.id = $1
        on conflict do nothing returning org_id
        """,
        call_id,
        campaign_id,
        outcome,
    )
    if row is not None and outcome == "waiting":
        await _count(connection, row["org_id"], campaign_id, "answered")
    return row is not None


async def _count(connection: Connection, org_id: UUID, campaign_id: UUID, what: str) -> None:
    await connection.execute(
        """
        insert into floor_days (org_id, campaign_id, day, answered, abandoned)
        values ($1, $2, (clock_timestamp() at time zone 'utc')::date, ($3 = 'answered')::int, ($3 = 'abandoned')::int)
        on conflict (campaign_id, day) do update set answered = floor_days.answered + excluded.answered,
                                                     abandoned = floor_days.abandoned + excluded.abandoned
        """,
        org_id,
        campaign_id,
        what,
    )


async def reserve(connection: Connection, call_id: UUID, campaign_id: UUID) -> UUID | None:
    """The operator who is free the longest is this open call's from now on; None where nobody is. Two calls never get
    the same one: the row of a candidate is held, and rows that others hold are passed over."""
    operator_id: UUID | None = await connection.fetchval(
        """
        with free as (
          select o.id from operators o
          where o.org_id = (select org_id from calls where id = $1 and ended_at is null) and o.state = 'available'
            and o.beat_at > clock_timestamp() - make_interval(secs => $3)
            and (o.campaigns is null or $2 = any(o.campaigns))
          order by o.since, o.id limit 1 for update skip locked
        )
        update operators o set state = 'reserved', since = clock_timestamp(), call_id = $1
        from free where o.id = free.id returning o.id
        """,
        call_id,
        campaign_id,
        BEAT_LOST_SECONDS,
    )
    if operator_id is not None:
        await connection.execute(
            """
            update floor_calls set outcome = case when outcome = 'waiting' then 'reserved' else outcome end,
                                   operator_id = $2
            where call_id = $1
            """,
            call_id,
            operator_id,
        )
    return operator_id


async def select_holder(connection: Connection, call_id: UUID) -> UUID | None:
    """Whose call it is."""
    found: UUID | None = await connection.fetchval(
        "select id from operators where call_id = $1 and state in ('reserved', 'on_call')", call_id
    )
    return found


async def set_connected(connection: Connection, call_id: UUID, operator_id: UUID) -> bool:
    """False where the call is theirs no more."""
    row = await connection.fetchrow(
        """
        update operators set state = 'on_call', since = clock_timestamp()
        where id = $2 and call_id = $1 and state = 'reserved' returning id
        """,
        call_id,
        operator_id,
    )
    if row is not None:
        await connection.execute(
            """
            update floor_calls set outcome = case when outcome = 'reserved' then 'connected' else outcome end,
                                   connected_at = clock_timestamp()
            where call_id = $1
            """,
            call_id,
        )
    return row is not None


async def set_abandoned(connection: Connection, call_id: UUID) -> bool:
    """Nobody was there for the person in time. Who should have been is offline: their screen is open, and they are
    not in front of it. False where it was said before."""
    row = await connection.fetchrow(
        """
        update floor_calls set outcome = 'abandoned'
        where call_id = $1 and outcome in ('waiting', 'reserved') returning org_id, campaign_id
        """,
        call_id,
    )
    if row is None:
        return False
    await _count(connection, row["org_id"], row["campaign_id"], "abandoned")
    await connection.execute(
        """
        update operators set state = 'offline', since = clock_timestamp(), missed = missed + 1, call_id = null
        where call_id = $1 and state = 'reserved'
        """,
        call_id,
    )
    return True


async def set_machine(connection: Connection, call_id: UUID) -> None:
    """What seemed a person was a machine: it was never answered by a person, and who was on the way in is free."""
    row = await connection.fetchrow(
        """
        update floor_calls set outcome = 'machine'
        where call_id = $1 and outcome in ('waiting', 'reserved') returning campaign_id, answered_at
        """,
        call_id,
    )
    if row is None:
        return
    await connection.execute(
        "update floor_days set answered = answered - 1 where campaign_id = $1 and day = ($2 at time zone 'utc')::date",
        row["campaign_id"],
        row["answered_at"],
    )
    await _let_go(connection, [call_id])


async def finish_calls(connection: Connection, call_id: UUID | None = None) -> int:
    """Of calls that are over (this one, or all): who spoke writes up, who was still on the way in is free. How many."""
    rows = await connection.fetch(
        """
        update floor_calls f set ended_at = k.ended_at,
               outcome = case when f.outcome in ('waiting', 'reserved') then 'gone' else f.outcome end
        from calls k where k.id = f.call_id and k.ended_at is not null and f.ended_at is null
          and ($1::uuid is null or f.call_id = $1)
        returning f.call_id
        """,
        call_id,
    )
    if over := [row["call_id"] for row in rows]:
        await connection.execute(
            """
            update operators set state = 'wrap_up', since = clock_timestamp()
            where call_id = any($1::uuid[]) and state = 'on_call'
            """,
            over,
        )
        await _let_go(connection, over)
    return len(rows)


async def _let_go(connection: Connection, call_ids: Sequence[UUID]) -> None:
    await connection.execute(
        """
        update operators set state = 'available', since = clock_timestamp(), call_id = null
        where call_id = any($1::uuid[]) and state = 'reserved'
        """,
        list(call_ids),
    )


async def try_lock_floor(connection: Connection) -> bool:
    """One process at a time keeps the floor: two would wait for each other's operators."""
    return bool(await connection.fetchval("select pg_try_advisory_xact_lock(hashtext('trunkline floor'))"))
