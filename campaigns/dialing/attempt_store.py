"""The SQL of attempts on their way out. Every function takes the caller's transaction.

Whoever works on an attempt has its fence, a number that only grows. Taking an attempt over gives it a new one, so the
writes of a dialer that was frozen, or cut off, find no row.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import Connection

HELD_AT_MOST_MS = "10000"


async def bound_idle(connection: Connection) -> None:
    """A dialer frozen inside this transaction must not hold its locks: Postgres ends the transaction after this.

    Who freezes between two messages of one statement is not idle to Postgres; only the limit of the whole transaction,
    which Postgres has from 17 on, ends that too.
    """
    await connection.fetchval(
        """
        select set_config('idle_in_transaction_session_timeout', $1, true),
               case when current_setting('transaction_timeout', true) is not null
                    then set_config('transaction_timeout', $1, true) end
        """,
        HELD_AT_MOST_MS,
    )


async def lock_claims(connection: Connection, fences: Mapping[UUID, int]) -> set[UUID]:
    """Which of these claims are still ours, held: not taken over, their lease not over."""
    rows = await connection.fetch(
        """
        select a.id from attempts a join unnest($1::uuid[], $2::bigint[]) n (id, fence) on n.id = a.id
        where a.fence = n.fence and a.status = 'claimed' and a.lease_until > clock_timestamp()
        order by a.id for update of a
        """,
        list(fences),
        list(fences.values()),
    )
    return {row["id"] for row in rows}


async def set_dialing(
    connection: Connection,
    *,
    ids: Sequence[UUID],
    call_ids: Sequence[UUID],
    slots: Sequence[datetime],
    gates: Sequence[Sequence[Mapping[str, Any]]],
) -> None:
    """claimed → dialing, of claims that are held."""
    await connection.execute(
        """
        update attempts a set status = 'dialing', call_id = n.call_id, dialed_at = n.slot, gates = n.gates::jsonb
        from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[]) n (id, call_id, slot, gates)
        where a.id = n.id and a.status = 'claimed'
        """,
        list(ids),
        list(call_ids),
        list(slots),
        [json.dumps([dict(one) for one in verdicts]) for verdicts in gates],
    )


async def mark_sent(
    connection: Connection,
    *,
    ids: Sequence[UUID],
    fences: Sequence[int],
    slots: Sequence[datetime],
    earlier: Sequence[datetime | None],
) -> set[UUID]:
    """Write into the calls that their one request goes out at its slot; the attempts for which that is true. `earlier`:
    the slot that an earlier mark named and that we let pass. Nothing for an attempt that somebody else has, whose call
    is over or was sent, or whose number came onto a list since its intent: slots may be seconds away."""
    rows = await connection.fetch(
        """
        with going as (
          update calls k set dialed_at = n.slot
          from unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::timestamptz[]) n (id, fence, slot, earlier)
          join attempts a on a.id = n.id and a.fence = n.fence and a.status = 'dialing'
          where k.id = a.call_id and k.status = 'queued' and k.dialed_at is not distinct from n.earlier
            and not exists (
              select from do_not_call d
              where d.org_id = a.org_id and d.phone = k.to_number
                and (d.campaign_id is null or d.campaign_id = a.campaign_id)
            )
          returning a.id, k.dialed_at
        ), moved as (
          update attempts a set dialed_at = going.dialed_at from going
          where a.id = going.id and a.dialed_at <> going.dialed_at
        )
        select id from going
        """,
        list(ids),
        list(fences),
        list(slots),
        list(earlier),
    )
    return {row["id"] for row in rows}


async def select_listed(connection: Connection, attempt_ids: Sequence[UUID]) -> set[UUID]:
    """The attempts whose number is on a do-not-call list that holds for them."""
    rows = await connection.fetch(
        """
        select a.id from attempts a join do_not_call d on d.org_id = a.org_id and d.phone = a.phone
        where a.id = any($1::uuid[]) and (d.campaign_id is null or d.campaign_id = a.campaign_id)
        """,
        list(attempt_ids),
    )
    return {row["id"] for row in rows}


async def set_placed(
    connection: Connection, *, ids: Sequence[UUID], fences: Sequence[int], look_again_seconds: Sequence[float]
) -> set[UUID]:
    """dialing, uncertain or placed → placed; from now on the lease says when someone must ask what became of it."""
    rows = await connection.fetch(
        """
        update attempts a set status = 'placed', lease_until = clock_timestamp() + make_interval(secs => n.look_again)
        from unnest($1::uuid[], $2::bigint[], $3::float8[]) n (id, fence, look_again)
        where a.id = n.id and a.fence = n.fence and a.status in ('dialing', 'uncertain', 'placed') returning a.id
        """,
        list(ids),
        list(fences),
        list(look_again_seconds),
    )
    return {row["id"] for row in rows}


async def set_uncertain(
    connection: Connection, *, ids: Sequence[UUID], fences: Sequence[int], wait_seconds: float
) -> set[UUID]:
    """dialing → uncertain; the carrier is asked about it after the wait, and has failed unless it has the call."""
    rows = await connection.fetch(
        """
        update attempts a set status = 'uncertain', carrier_failed = true,
                              lease_until = clock_timestamp() + make_interval(secs => $3)
        from unnest($1::uuid[], $2::bigint[]) n (id, fence)
        where a.id = n.id and a.fence = n.fence and a.status = 'dialing' returning a.id
        """,
        list(ids),
        list(fences),
        wait_seconds,
    )
    return {row["id"] for row in rows}


async def set_released(
    connection: Connection,
    *,
    ids: Sequence[UUID],
    fences: Sequence[int],
    disposition: str | None,
    detail: str,
    put_off_by: str | None = None,
    carrier_failed: bool = False,
) -> set[UUID]:
    """Given up without a dial. `disposition`: "not-dialed" where the intent had been committed. `put_off_by`: the gate
    that said not now."""
    rows = await connection.fetch(
        """
        update attempts a set status = 'released', disposition = $3, detail = $4, settled_at = now(),
                              carrier_failed = a.carrier_failed or $5, put_off_by = $6
        from unnest($1::uuid[], $2::bigint[]) n (id, fence)
        where a.id = n.id and a.fence = n.fence and a.status in ('claimed', 'dialing', 'uncertain') returning a.id
        """,
        list(ids),
        list(fences),
        disposition,
        detail,
        carrier_failed,
        put_off_by,
    )
    return {row["id"] for row in rows}


async def set_contacts_waiting(
    connection: Connection, contact_ids: Sequence[UUID], *, due_at: Sequence[datetime | None], by_gate: bool = False
) -> None:
    """Back to the queue, undialed; `due_at` None leaves a contact's place. `by_gate`: the others are put off by what
    somebody may change."""
    await connection.execute(
        """
        update contacts c set status = 'waiting', due_at = coalesce(n.due_at, c.due_at),
                              put_off_at = case when $3 and n.due_at is not null then now() end
        from unnest($1::uuid[], $2::timestamptz[]) n (id, due_at)
        where c.id = n.id and c.status = 'in-flight'
        """,
        list(contact_ids),
        list(due_at),
        by_gate,
    )


async def set_contacts_blocked(
    connection: Connection,
    contact_ids: Sequence[UUID],
    *,
    dispositions: Sequence[str],
    by: Sequence[str],
    reasons: Sequence[str],
) -> None:
    """A gate said never: it is not dialed by this campaign any more."""
    await connection.execute(
        """
        update contacts c set status = 'blocked', disposition = n.disposition, blocked_by = n.by,
                              blocked_reason = n.reason, finished_at = now()
        from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) n (id, disposition, by, reason)
        where c.id = n.id and c.status = 'in-flight'
        """,
        list(contact_ids),
        list(dispositions),
        list(by),
        list(reasons),
    )


async def count_undialed(connection: Connection, contact_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many tries for each of these contacts reached no carrier; contacts without any are left out."""
    rows = await connection.fetch(
        """
        select contact_id, count(*) as n from attempts
        where contact_id = any($1::uuid[]) and status = 'released' and disposition = 'not-dialed' group by contact_id
        """,
        list(contact_ids),
    )
    return {row["contact_id"]: row["n"] for row in rows}
