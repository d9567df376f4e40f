"""The SQL of calls, their legs and their events. Every function takes the caller's transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.db import Connection, Row
from app.ids import new_id


async def select_call(connection: Connection, call_id: UUID) -> Row | None:
    return await connection.fetchrow("select * from calls where id = $1", call_id)


async def select_call_by_room(connection: Connection, room_name: str) -> Row | None:
    return await connection.fetchrow("select * from calls where room_name = $1", room_name)


async def select_call_by_carrier_id(connection: Connection, carrier: str, carrier_call_id: str) -> Row | None:
    return await connection.fetchrow(
        "select * from calls where carrier = $1 and carrier_call_id = $2", carrier, carrier_call_id
    )


async def insert_call(
    connection: Connection,
    *,
    call_id: UUID,
    org_id: UUID,
    channel: str,
    direction: str,
    status: str,
    room_name: str,
    carrier: str | None,
    carrier_call_id: str | None,
    from_number: str | None,
    to_number: str | None,
    number_id: UUID | None,
    team_version_id: UUID | None,
    attempt_id: UUID | None,
    variables: Mapping[str, Any],
    created_at: datetime | None = None,
) -> Row | None:
    """The new row, or None where this carrier call, room or attempt has a call already."""
    return await connection.fetchrow(
        """
        insert into calls (id, org_id, channel, direction, status, room_name, carrier, carrier_call_id, from_number,
                           to_number, number_id, team_version_id, attempt_id, variables, ringing_at, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
                case when $15 then now() end, coalesce($16, now()))
        on conflict do nothing
        returning *
        """,
        call_id,
        org_id,
        channel,
        direction,
        status,
        room_name,
        carrier,
        carrier_call_id,
        from_number,
        to_number,
        number_id,
        team_version_id,
        attempt_id,
        dict(variables),
        status == "ringing",
        created_at,
    )


async def claim_dial(connection: Connection, call_id: UUID) -> Row | None:
    """Mark that the one dial request of this call goes out now; None if it went out, or the call ended, before."""
    return await connection.fetchrow(
        "update calls set dialed_at = now() where id = $1 and dialed_at is null and status = 'queued' returning *",
        call_id,
    )


async def set_ringing(connection: Connection, call_id: UUID) -> Row | None:
    return await connection.fetchrow(
        """
        update calls set status = 'ringing', ringing_at = now()
        where id = $1 and status = 'queued' returning *
        """,
        call_id,
    )


async def set_answered(connection: Connection, call_id: UUID) -> Row | None:
    return await connection.fetchrow(
        """
        update calls set status = 'in-progress', answered_at = now()
        where id = $1 and status in ('queued', 'ringing') returning *
        """,
        call_id,
    )


async def set_ended(
    connection: Connection, call_id: UUID, *, status: str, result: str, reason: str, at_fault: str
) -> Row | None:
    return await connection.fetchrow(
        """
        update calls set status = $2, end_result = $3, end_reason = $4, end_at_fault = $5, ended_at = now()
        where id = $1 and ended_at is null returning *
        """,
        call_id,
        status,
        result,
        reason,
        at_fault,
    )


async def set_carrier_call_id(connection: Connection, call_id: UUID, carrier_call_id: str) -> None:
    await connection.execute("update calls set carrier_call_id = $2 where id = $1", call_id, carrier_call_id)


async def set_carrier_status(connection: Connection, call_id: UUID, carrier_status: str, sip_code: int | None) -> None:
    await connection.execute(
        "update calls set carrier_status = $2, sip_code = coalesce($3, sip_code) where id = $1",
        call_id,
        carrier_status,
        sip_code,
    )


async def set_answered_by(
    connection: Connection, call_id: UUID, answered_by: str, evidence: Mapping[str, Any]
) -> Row | None:
    """None where there is no such call."""
    return await connection.fetchrow(
        "update calls set answered_by = $2, answered_by_evidence = $3 where id = $1 returning id, org_id",
        call_id,
        answered_by,
        dict(evidence),
    )


async def hold_call(connection: Connection, call_id: UUID) -> Row | None:
    """Nobody else changes it until the transaction ends."""
    return await connection.fetchrow("select * from calls where id = $1 for no key update", call_id)


async def set_hint(connection: Connection, call_id: UUID, hint: Mapping[str, Any]) -> None:
    await connection.execute("update calls set hint = $2 where id = $1", call_id, dict(hint))


async def claim_rescue(connection: Connection, call_id: UUID, *, rescues_seen: int, most: int) -> Row | None:
    """Count one more rescue, if nobody counted it since `rescues_seen` was read and `most` is not reached."""
    return await connection.fetchrow(
        """
        update calls set rescues = rescues + 1
        where id = $1 and ended_at is null and rescues = $2 and rescues < $3 returning *
        """,
        call_id,
        rescues_seen,
        most,
    )


async def insert_leg(connection: Connection, *, org_id: UUID, call_id: UUID, kind: str, identity: str) -> Row | None:
    """The new leg, or None if this identity is in the call already or the call is over."""
    return await connection.fetchrow(
        """
        insert into legs (id, org_id, call_id, kind, identity)
        select $1, $2, $3, $4, $5 where exists (select from calls where id = $3 and ended_at is null)
        on conflict (call_id, identity) where left_at is null do nothing
        returning *
        """,
        new_id(),
        org_id,
        call_id,
        kind,
        identity,
    )


async def set_leg_left(connection: Connection, call_id: UUID, identity: str) -> Row | None:
    return await connection.fetchrow(
        "update legs set left_at = now() where call_id = $1 and identity = $2 and left_at is null returning *",
        call_id,
        identity,
    )


async def close_legs(connection: Connection, call_id: UUID) -> None:
    await connection.execute("update legs set left_at = now() where call_id = $1 and left_at is null", call_id)


async def select_legs(connection: Connection, call_id: UUID) -> Sequence[Row]:
    return await connection.fetch("select * from legs where call_id = $1 order by joined_at, id", call_id)


async def insert_event(connection: Connection, org_id: UUID, call_id: UUID, kind: str, data: Mapping[str, Any]) -> None:
    await connection.execute(
        "insert into call_events (org_id, call_id, kind, data) values ($1, $2, $3, $4)",
        org_id,
        call_id,
        kind,
        dict(data),
    )


async def select_events(connection: Connection, call_id: UUID) -> Sequence[Row]:
    return await connection.fetch("select * from call_events where call_id = $1 order by id", call_id)


async def beat_leg(connection: Connection, call_id: UUID, identity: str) -> bool:
    """True if this leg is open, and now seen."""
    row = await connection.fetchrow(
        "update legs set seen_at = now() where call_id = $1 and identity = $2 and left_at is null returning id",
        call_id,
        identity,
    )
    return row is not None


async def has_leg(connection: Connection, call_id: UUID, identity: str) -> bool:
    """Whether this identity is or was in the call."""
    return bool(
        await connection.fetchval(
            "select exists (select from legs where call_id = $1 and identity = $2)", call_id, identity
        )
    )


async def was_given_up(connection: Connection, call_id: UUID, identity: str) -> bool:
    """Whether this identity was in the call, left, and did not come back."""
    return bool(
        await connection.fetchval(
            "select coalesce(bool_and(left_at is not null), false) from legs where call_id = $1 and identity = $2",
            call_id,
            identity,
        )
    )


async def select_silent_agents(connection: Connection, silent_for: timedelta) -> Sequence[Row]:
    """Open calls with an agent leg without a sign of life for `silent_for`: its `identity`, `silent_seconds`. Joining
    is one, too: an agent may be killed before its first beat."""
    return await connection.fetch(
        """
        select c.*, l.identity, extract(epoch from now() - coalesce(l.seen_at, l.joined_at)) as silent_seconds
        from calls c join legs l on l.call_id = c.id
        where c.ended_at is null and l.kind = 'agent' and l.left_at is null
          and coalesce(l.seen_at, l.joined_at) < now() - $1::interval
        order by coalesce(l.seen_at, l.joined_at)
        """,
        silent_for,
    )


async def select_abandoned_calls(connection: Connection, since: timedelta) -> Sequence[Row]:
    """Open calls whose last agent left at least `since` ago and that nobody, person or machine, took over."""
    return await connection.fetch(
        """
        select c.* from calls c
        where c.ended_at is null
          and exists (select from legs l where l.call_id = c.id and l.kind = 'agent')
          and not exists (
            select from legs l where l.call_id = c.id and l.kind in ('agent', 'operator')
              and (l.left_at is null or l.left_at > now() - $1::interval))
        order by c.created_at
        """,
        since,
    )


async def select_quiet_calls(connection: Connection, older_than: timedelta) -> Sequence[Row]:
    """Open calls that nothing happened to for `older_than`: the ones whose end we may have missed."""
    return await connection.fetch(
        """
        select c.* from calls c
        where c.ended_at is null
          and greatest(c.created_at, c.dialed_at, c.ringing_at, c.answered_at) < now() - $1::interval
        order by c.created_at
        """,
        older_than,
    )
