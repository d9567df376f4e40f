"""The SQL of outbound calls, many at a time, and of who must not be called. Every function takes the caller's
transaction."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import Connection, Row
from app.ids import new_id


async def insert_outbound_calls(
    connection: Connection,
    *,
    org_id: UUID,
    carrier: str,
    from_number: str,
    number_id: UUID,
    team_version_id: UUID,
    call_ids: Sequence[UUID],
    to_numbers: Sequence[str],
    attempt_ids: Sequence[UUID | None],
    variables: Sequence[Mapping[str, Any]],
    created_at: datetime,
) -> Sequence[Row]:
    """Queued calls from one number, and the events that they were opened. An attempt that has its call gets none."""
    return await connection.fetch(
        """
        with opened as (
          insert into calls (id, org_id, channel, direction, status, room_name, carrier, from_number, to_number,
                             number_id, team_version_id, attempt_id, variables, created_at)
          select c.id, $1, 'phone', 'outbound', 'queued', 'call-' || c.id, $2, $3, c.phone, $4, $5, c.attempt_id,
                 c.variables::jsonb, $6
          from unnest($7::uuid[], $8::text[], $9::uuid[], $10::text[]) c (id, phone, attempt_id, variables)
          on conflict do nothing returning *
        ), told as (
          insert into call_events (org_id, call_id, kind, data)
          select $1, o.id, $11, jsonb_build_object('direction', 'outbound', 'channel', 'phone', 'from', o.from_number,
                                                   'to', o.to_number)
          from opened o
        )
        select * from opened
        """,
        org_id,
        carrier,
        from_number,
        number_id,
        team_version_id,
        created_at,
        list(call_ids),
        list(to_numbers),
        list(attempt_ids),
        [json.dumps(dict(one)) for one in variables],
        "call.opened",
    )


async def set_carrier_call_ids(
    connection: Connection, call_ids: Sequence[UUID], carrier_call_ids: Sequence[str]
) -> None:
    """What the carrier calls each of these calls; one that has its id already keeps it."""
    await connection.execute(
        """
        with held as materialized (
          select k.id, n.theirs from calls k join unnest($1::uuid[], $2::text[]) n (id, theirs) on n.id = k.id
          where k.carrier_call_id is distinct from n.theirs
          order by k.id for no key update of k
        )
        update calls k set carrier_call_id = held.theirs from held where k.id = held.id
        """,
        list(call_ids),
        list(carrier_call_ids),
    )


async def is_do_not_call(connection: Connection, org_id: UUID, phone: str) -> bool:
    return bool(
        await connection.fetchval(
            "select exists (select from do_not_call where org_id = $1 and phone = $2 and campaign_id is null)",
            org_id,
            phone,
        )
    )


async def insert_do_not_call(connection: Connection, entries: Iterable[tuple[UUID, str, str, str]]) -> None:
    """(organization, number, reason, source) each, onto the organizations' lists; the first reason of a number stays.
    In the order of the numbers, as imports are: two at a time then wait for each other and not in a circle."""
    entries = sorted(entries, key=lambda entry: (str(entry[0]), entry[1]))
    if not entries:
        return
    await connection.execute(
        """
        insert into do_not_call (id, org_id, phone, reason, source)
        select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[])
        on conflict do nothing
        """,
        [new_id() for _ in entries],
        *(list(column) for column in zip(*entries, strict=True)),
    )
