"""The SQL of attempts. Every function takes the caller's transaction; what is zero rows there is False or None here.

Whoever works on an attempt has its fence, a number that only grows. Taking an attempt over gives it a new one, so the
writes of a dialer that was frozen, or cut off, find no row.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.db import Connection, Row
from app.ids import new_id

IDLE_LIMIT_MS = "10000"


async def bound_idle(connection: Connection) -> None:
    """A dialer frozen inside this transaction must not hold its locks: Postgres ends the transaction after this."""
    await connection.fetchval("select set_config('idle_in_transaction_session_timeout', $1, true)", IDLE_LIMIT_MS)


async def is_any_work(connection: Connection) -> bool:
    """Whether a campaign runs, or an attempt is open: one cheap question for idle times."""
    return bool(
        await connection.fetchval(
            """
            select exists (select from campaigns where status = 'running')
                or exists (select from attempts where status in ('claimed', 'dialing', 'placed', 'uncertain'))
            """
        )
    )


# -- claiming


async def try_lock_claims(connection: Connection, campaign_id: UUID) -> bool:
    """One dialer claims for a campaign at a time, so that what it counts stays true; the others do not wait."""
    return bool(
        await connection.fetchval("select pg_try_advisory_xact_lock(hashtextextended($1::text, 0))", str(campaign_id))
    )


async def select_room_to_claim(connection: Connection, campaign_id: UUID) -> Row | None:
    """What pacing needs to know of a running campaign with a published team: its limits, `next_slot_in_seconds`, and
    `open_attempts` and `waiting_for_slot` counted from rows."""
    return await connection.fetchrow(
        """
        select c.org_id, c.max_concurrent, c.calls_per_second::float8 as calls_per_second, c.from_number_id,
               c.ring_timeout_seconds, v.id as team_version_id,
               case when c.next_dial_at <= clock_timestamp() then 0
                    else extract(epoch from c.next_dial_at - clock_timestamp()) end::float8 as next_slot_in_seconds,
               o.open_attempts, o.waiting_for_slot
        from campaigns c
        join team_versions v on v.team_id = c.team_id and v.status = 'published'
        cross join lateral (
          select count(*) as open_attempts, count(*) filter (where status = 'claimed') as waiting_for_slot
          from attempts where campaign_id = c.id and status in ('claimed', 'dialing', 'placed', 'uncertain')
        ) o
        where c.id = $1 and c.status = 'running'
        """,
        campaign_id,
    )


async def claim_contacts(
    connection: Connection, campaign_id: UUID, *, limit: int, dialer: str, lease_seconds: float
) -> Sequence[Row]:
    """Due contacts, longest due first, become in-flight with a claimed attempt of ours each."""
    return await connection.fetch(
        """
        with due as (
          select id from contacts where campaign_id = $1 and status = 'waiting' and due_at <= now()
          order by due_at, id limit $2 for update skip locked
        ), taken as (
          update contacts c set status = 'in-flight' from due where c.id = due.id returning c.*
        ), numbered as (
          select *, row_number() over (order by due_at, id) as n from taken
        ), opened as (
          insert into attempts (id, org_id, campaign_id, contact_id, ordinal, status, dialer, fence, lease_until)
          select u.id, t.org_id, t.campaign_id, t.id, t.attempts_made + 1, 'claimed', $3, nextval('attempt_fences'),
                 clock_timestamp() + make_interval(secs => $4)
          from numbered t join unnest($5::uuid[]) with ordinality u (id, n) on u.n = t.n
          returning id, fence, contact_id
        )
        select o.id, o.fence, o.contact_id, t.phone, t.name, t.variables
        from opened o join numbered t on t.id = o.contact_id order by t.n
        """,
        campaign_id,
        limit,
        dialer,
        lease_seconds,
        [new_id() for _ in range(limit)],
    )


# -- dialing


async def select_slot_wait(connection: Connection, campaign_id: UUID) -> float | None:
    """Seconds until the campaign's next dial slot, 0 for now; None if it does not run any more."""
    return await connection.fetchval(
        """
        select case when next_dial_at <= clock_timestamp() then 0
                    else extract(epoch from next_dial_at - clock_timestamp()) end::float8
        from campaigns where id = $1 and status = 'running'
        """,
        campaign_id,
    )


async def take_slot(connection: Connection, campaign_id: UUID, *, spacing_seconds: float) -> datetime | None:
    """The instant of a dial slot that is now ours, by the database's clock; None if another dialer has it, or the
    campaign was paused. The next slot opens `spacing_seconds` after it, for every dialer, also after a restart."""
    return await connection.fetchval(
        """
        update campaigns set next_dial_at = clock_timestamp() + make_interval(secs => $2)
        where id = $1 and status = 'running' and next_dial_at <= clock_timestamp()
        returning next_dial_at - make_interval(secs => $2)
        """,
        campaign_id,
        spacing_seconds,
    )


async def set_dialing(connection: Connection, attempt_id: UUID, fence: int, *, call_id: UUID, slot: datetime) -> bool:
    """claimed → dialing, only while the lease holds."""
    return await _changed(
        connection,
        """
        update attempts set status = 'dialing', call_id = $3, dialed_at = $4
        where id = $1 and fence = $2 and status = 'claimed' and lease_until > clock_timestamp() returning id
        """,
        attempt_id,
        fence,
        call_id,
        slot,
    )


async def set_placed(connection: Connection, attempt_id: UUID, fence: int, *, look_again_seconds: float) -> bool:
    """dialing, uncertain or placed → placed; from now on the lease says when someone must ask what became of it."""
    return await _changed(
        connection,
        """
        update attempts set status = 'placed', lease_until = clock_timestamp() + make_interval(secs => $3)
        where id = $1 and fence = $2 and status in ('dialing', 'uncertain', 'placed') returning id
        """,
        attempt_id,
        fence,
        look_again_seconds,
    )


async def set_uncertain(connection: Connection, attempt_id: UUID, fence: int, *, grace_seconds: float) -> bool:
    """dialing → uncertain; nobody asks the carrier before the grace is over."""
    return await _changed(
        connection,
        """
        update attempts set status = 'uncertain', lease_until = clock_timestamp() + make_interval(secs => $3)
        where id = $1 and fence = $2 and status = 'dialing' returning id
        """,
        attempt_id,
        fence,
        grace_seconds,
    )


# -- the end of an attempt


async def select_ended(connection: Connection, *, last_words_seconds: float, limit: int) -> Sequence[Row]:
    """Attempts whose call is over, for a while already if it was answered, held together with their contacts."""
    return await connection.fetch(
        """
        select a.id, a.fence, a.org_id, a.contact_id, a.status, c.attempts_made, c.phone, g.retry,
               k.end_result, k.end_reason, k.end_at_fault, k.hint, k.answered_at,
               a.status = 'uncertain' and k.carrier_call_id is null and k.ringing_at is null as unknown_to_carrier
        from attempts a
        join calls k on k.id = a.call_id
        join contacts c on c.id = a.contact_id
        join campaigns g on g.id = a.campaign_id
        where a.status in ('placed', 'uncertain') and k.ended_at is not null
          and (k.answered_at is null or k.ended_at <= clock_timestamp() - make_interval(secs => $1))
        order by k.ended_at limit $2 for update of a, c skip locked
        """,
        last_words_seconds,
        limit,
    )


async def set_settled(
    connection: Connection, attempt_id: UUID, fence: int, *, disposition: str, detail: str | None
) -> bool:
    return await _changed(
        connection,
        """
        update attempts set status = 'settled', disposition = $3, detail = $4, settled_at = now()
        where id = $1 and fence = $2 and status in ('claimed', 'dialing', 'placed', 'uncertain') returning id
        """,
        attempt_id,
        fence,
        disposition,
        detail,
    )


async def set_released(
    connection: Connection, attempt_id: UUID, fence: int, *, disposition: str | None, detail: str
) -> bool:
    """Given up without a dial. `disposition`: "not-dialed" where the intent had been committed."""
    return await _changed(
        connection,
        """
        update attempts set status = 'released', disposition = $3, detail = $4, settled_at = now()
        where id = $1 and fence = $2 and status in ('claimed', 'dialing', 'uncertain') returning id
        """,
        attempt_id,
        fence,
        disposition,
        detail,
    )


async def set_contact_waiting(connection: Connection, contact_id: UUID, *, due_at: datetime | None) -> None:
    """Back to the queue, undialed; `due_at` None leaves its place."""
    await connection.execute(
        "update contacts set status = 'waiting', due_at = coalesce($2, due_at) where id = $1 and status = 'in-flight'",
        contact_id,
        due_at,
    )


async def set_contact_dialed(
    connection: Connection, contact_id: UUID, *, disposition: str, due_at: datetime | None
) -> None:
    """One dial more; due again then, or finished where `due_at` is None."""
    await connection.execute(
        """
        update contacts set status = case when $3::timestamptz is null then 'finished' else 'waiting' end,
                            due_at = coalesce($3, due_at), attempts_made = attempts_made + 1, disposition = $2,
                            finished_at = case when $3::timestamptz is null then now() end
        where id = $1 and status = 'in-flight'
        """,
        contact_id,
        disposition,
        due_at,
    )


async def set_contact_blocked(connection: Connection, contact_id: UUID, *, disposition: str) -> None:
    await connection.execute(
        """
        update contacts set status = 'blocked', disposition = $2, finished_at = now()
        where id = $1 and status = 'in-flight'
        """,
        contact_id,
        disposition,
    )


async def count_undialed(connection: Connection, contact_id: UUID) -> int:
    """How many tries for this contact reached no carrier."""
    return await connection.fetchval(
        "select count(*) from attempts where contact_id = $1 and status = 'released' and disposition = 'not-dialed'",
        contact_id,
    )


async def _changed(connection: Connection, query: str, *arguments: object) -> bool:
    return await connection.fetchrow(query, *arguments) is not None
