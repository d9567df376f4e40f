"""The SQL of operators. Every function takes the caller's transaction."""

from collections.abc import Sequence
from uuid import UUID

from app.db import Connection, Row
from app.ids import new_id

BEAT_LOST_SECONDS = 12.0
"""Whose screen gave no sign of life for so long is not there."""
JOIN_AT_MOST_SECONDS = 30.0
"""A reservation that is older was left by a worker that died over it."""

OPERATOR = """
  o.id, o.org_id, o.name, o.user_id, o.since, o.campaigns, o.call_id, o.wrap_up_seconds, o.missed,
  o.state, k.room_name, k.to_number, f.campaign_id, k.attempt_id, k.variables
  from operators o left join calls k on k.id = o.call_id left join floor_calls f on f.call_id = o.call_id
"""
"""What `read_operator` reads."""


async def select_operators(connection: Connection, org_id: UUID) -> Sequence[Row]:
    return await connection.fetch(f"select {OPERATOR} where o.org_id = $1 order by o.name", org_id)


async def select_operator(connection: Connection, org_id: UUID, operator_id: UUID) -> Row | None:
    return await connection.fetchrow(
        f"select {OPERATOR} where o.org_id = $1 and o.id = $2",
        org_id,
        operator_id,
    )


async def insert_operator(
    connection: Connection,
    org_id: UUID,
    *,
    name: str,
    user_id: UUID | None,
    campaigns: Sequence[UUID] | None,
    wrap_up_seconds: int,
) -> UUID | None:
    """The new id; None where the name, or this user's operator, is there already."""
    found: UUID | None = await connection.fetchval(
        """
        insert into operators (id, org_id, name, user_id, campaigns, wrap_up_seconds) values ($1, $2, $3, $4, $5, $6)
        on conflict do nothing returning id
        """,
        new_id(),
        org_id,
        name,
        user_id,
        list(campaigns) if campaigns is not None else None,
        wrap_up_seconds,
    )
    return found


async def count_campaigns(connection: Connection, org_id: UUID, campaign_ids: Sequence[UUID]) -> int:
    return int(
        await connection.fetchval(
            "select count(*) from campaigns where org_id = $1 and id = any($2::uuid[])", org_id, list(campaign_ids)
        )
    )


async def set_campaigns(connection: Connection, operator_id: UUID, campaigns: Sequence[UUID] | None) -> None:
    await connection.execute(
        "update operators set campaigns = $2 where id = $1",
        operator_id,
        list(campaigns) if campaigns is not None else None,
    )


async def set_wrap_up_seconds(connection: Connection, operator_id: UUID, seconds: int) -> None:
    await connection.execute("update operators set wrap_up_seconds = $2 where id = $1", operator_id, seconds)


async def set_available(connection: Connection, operator_id: UUID) -> bool:
    """From offline, or from writing up; False where a call is theirs at this moment."""
    row = await connection.fetchrow(
        """
        update operators set state = 'available', beat_at = clock_timestamp(), call_id = null,
                             since = case when state = 'available' then since else clock_timestamp() end
        where id = $1 and state in ('offline', 'available', 'wrap_up') returning id
        """,
        operator_id,
    )
    return row is not None


async def set_offline(connection: Connection, operator_id: UUID) -> bool:
    """False where a call is theirs at this moment."""
    row = await connection.fetchrow(
        """
        update operators set state = 'offline', since = clock_timestamp(), call_id = null
        where id = $1 and state in ('offline', 'available', 'wrap_up') returning id
        """,
        operator_id,
    )
    return row is not None


async def beat(connection: Connection, org_id: UUID, operator_id: UUID) -> Row | None:
    """A sign of life → the operator."""
    return await connection.fetchrow(
        f"""
        with beaten as (
          update operators set beat_at = clock_timestamp() where org_id = $1 and id = $2 returning id
        )
        select {OPERATOR} where o.id = (select id from beaten)
        """,  # noqa: S608 - a constant
        org_id,
        operator_id,
    )


async def hold_writer(connection: Connection, operator_id: UUID, call_id: UUID) -> bool:
    """Until the transaction ends the call stays theirs, to talk or to write up; False where it is not."""
    row = await connection.fetchrow(
        """
        select id from operators
        where id = $1 and call_id = $2
          and (state = 'on_call'
               or state = 'wrap_up' and since > clock_timestamp() - make_interval(secs => wrap_up_seconds))
        for no key update
        """,
        operator_id,
        call_id,
    )
    return row is not None


async def end_wrap_up(connection: Connection, operator_id: UUID, call_id: UUID) -> None:
    """They have written this call up, and are available; nothing changes while they still talk."""
    await connection.execute(
        """
        update operators set state = 'available', since = clock_timestamp(), call_id = null
        where id = $1 and call_id = $2 and state = 'wrap_up'
        """,
        operator_id,
        call_id,
    )


async def end_wrap_ups(connection: Connection) -> None:
    """Whose time to write up is over is available; so is who was reserved by a worker that died over it."""
    await connection.execute(
        """
        update operators set state = 'available', since = clock_timestamp(), call_id = null
        where (state = 'wrap_up' and since <= clock_timestamp() - make_interval(secs => wrap_up_seconds))
           or (state = 'reserved' and since <= clock_timestamp() - make_interval(secs => $1))
        """,
        JOIN_AT_MOST_SECONDS,
    )


async def put_vanished_offline(connection: Connection) -> None:
    await connection.execute(
        """
        update operators set state = 'offline', since = clock_timestamp(), call_id = null
        where state in ('available', 'wrap_up') and beat_at <= clock_timestamp() - make_interval(secs => $1)
        """,
        BEAT_LOST_SECONDS,
    )
