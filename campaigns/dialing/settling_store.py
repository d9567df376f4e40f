"""The SQL of the end of attempts. Every function takes the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.db import Connection, Row

FLOOR_SECONDS = 5.0
"""Who keeps the floor (`telephony/floor/answered.py::keep_floor`) is late by less: what an operator may still write up
is never settled meanwhile."""


async def select_ended(connection: Connection, *, last_words_seconds: float, limit: int) -> Sequence[Row]:
    """Attempts whose call is over, for a while already if it was answered, held together with their contacts. Not while
    an operator writes the call up; where nobody keeps the floor, that ends FLOOR_SECONDS after its time."""
    return await connection.fetch(
        """
        select a.id, a.fence, a.org_id, a.campaign_id, a.contact_id, a.call_id, a.ordinal, a.status,
               coalesce(a.phone, c.phone) as dialed, c.attempts_made, c.phone, c.phones, c.phone_index, c.time_zone,
               c.memory, g.retry, g.outcomes, k.end_result, k.end_reason, k.end_at_fault, k.hint, k.answered_at,
               k.answered_by, k.carrier, k.sip_code,
               a.status = 'uncertain' and k.carrier_call_id is null and k.ringing_at is null as unknown_to_carrier
        from attempts a
        join calls k on k.id = a.call_id
        join contacts c on c.id = a.contact_id
        join campaigns g on g.id = a.campaign_id
        where a.status in ('placed', 'uncertain') and k.ended_at is not null
          and (k.answered_at is null or k.ended_at <= clock_timestamp() - make_interval(secs => $1))
          and not exists (
            select from operators o
            where o.call_id = k.id and (
              o.state = 'on_call' and k.ended_at > clock_timestamp() - make_interval(secs => $3)
              or o.state = 'wrap_up' and o.since > clock_timestamp() - make_interval(secs => o.wrap_up_seconds + $3)
            )
          )
        order by k.ended_at limit $2 for update of a, c skip locked
        """,
        last_words_seconds,
        limit,
        FLOOR_SECONDS,
    )


async def select_refused(connection: Connection, *, ids: Sequence[UUID], fences: Sequence[int]) -> Sequence[Row]:
    """Attempts whose dial the carrier refused, those that are still open under that fence, held together with their
    contacts: what of `select_ended` is known of them."""
    return await connection.fetch(
        """
        select a.id, a.fence, a.org_id, a.campaign_id, a.contact_id, a.call_id, a.ordinal,
               coalesce(a.phone, c.phone) as dialed, c.attempts_made, c.phones, c.phone_index, c.time_zone, c.memory,
               g.retry, g.outcomes, k.carrier, k.sip_code
        from attempts a
        join unnest($1::uuid[], $2::bigint[]) n (id, fence) on n.id = a.id and n.fence = a.fence
        join calls k on k.id = a.call_id
        join contacts c on c.id = a.contact_id
        join campaigns g on g.id = a.campaign_id
        where a.status in ('claimed', 'dialing', 'placed', 'uncertain')
        order by a.id for update of a, c
        """,
        list(ids),
        list(fences),
    )


async def set_settled(
    connection: Connection,
    *,
    ids: Sequence[UUID],
    fences: Sequence[int],
    dispositions: Sequence[str],
    details: Sequence[str | None],
) -> set[UUID]:
    """Over, with its outcome; those that were still open under that fence."""
    rows = await connection.fetch(
        """
        update attempts a set status = 'settled', disposition = n.disposition, detail = n.detail, settled_at = now()
        from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[]) n (id, fence, disposition, detail)
        where a.id = n.id and a.fence = n.fence and a.status in ('claimed', 'dialing', 'placed', 'uncertain')
        returning a.id
        """,
        list(ids),
        list(fences),
        list(dispositions),
        list(details),
    )
    return {row["id"] for row in rows}


async def set_contacts_dialed(
    connection: Connection,
    *,
    contact_ids: Sequence[UUID],
    dispositions: Sequence[str],
    due_at: Sequence[datetime | None],
    phone_index: Sequence[int | None],
    callback_at: Sequence[datetime | None] | None = None,
    memories: Sequence[str] | None = None,
) -> None:
    """One dial more each; due again then, on that number of theirs, or finished where `due_at` is None. `memories`:
    JSON; None leaves them."""
    await connection.execute(
        """
        update contacts c set status = case when n.due_at is null then 'finished' else 'waiting' end,
                              due_at = coalesce(n.due_at, c.due_at), attempts_made = c.attempts_made + 1,
                              disposition = n.disposition, phone_index = coalesce(n.phone_index, c.phone_index),
                              finished_at = case when n.due_at is null then now() end,
                              callback_at = n.callback_at, memory = coalesce(n.memory::jsonb, c.memory)
        from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::int[], $5::timestamptz[], $6::text[])
          n (id, disposition, due_at, phone_index, callback_at, memory)
        where c.id = n.id and c.status = 'in-flight'
        """,
        list(contact_ids),
        list(dispositions),
        list(due_at),
        list(phone_index),
        list(callback_at or [None] * len(contact_ids)),
        list(memories or [None] * len(contact_ids)),
    )
