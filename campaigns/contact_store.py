"""The SQL of contacts as people read them. Every function takes the caller's transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import Connection, Row

_CONTACTS = """
    select * from contacts
    where org_id = $1 and campaign_id = $2 and phone > $4 and ($3::text is null or status = $3)
"""
_IN_FLIGHT = """
    and id = any(array(select contact_id from attempts where org_id = $1 and campaign_id = $2
                       and status in ('claimed', 'dialing', 'placed', 'uncertain')))
"""


async def select_contact(connection: Connection, org_id: UUID, contact_id: UUID, *, lock: bool = False) -> Row | None:
    """`lock`: nobody claims it until the transaction ends."""
    query = "select * from contacts where org_id = $1 and id = $2"
    return await connection.fetchrow(query + " for update" if lock else query, org_id, contact_id)


async def select_called(connection: Connection, call_id: UUID) -> Row | None:
    """Of the contact that this call is to: their own `time_zone`, and the number that was called as `phone`. None where
    no campaign dialed it."""
    return await connection.fetchrow(
        """
        select c.time_zone, coalesce(a.phone, c.phone) as phone
        from calls k join attempts a on a.id = k.attempt_id join contacts c on c.id = a.contact_id where k.id = $1
        """,
        call_id,
    )


async def update_contact(
    connection: Connection,
    org_id: UUID,
    contact_id: UUID,
    *,
    name: str | None,
    time_zone: str | None,
    variables: Mapping[str, Any],
    callback_at: datetime | None,
    due_at: datetime | None,
    ask_again: bool,
) -> None:
    """One that waits. `due_at`: None leaves it, and with `ask_again` makes one due that a gate had put off."""
    await connection.execute(
        """
        update contacts set name = $3, time_zone = $4, variables = $5, callback_at = $6,
          due_at = coalesce($7, case when $8 then put_off_at end, due_at),
          put_off_at = case when $7::timestamptz is null and not $8 then put_off_at end
        where org_id = $1 and id = $2 and status = 'waiting'
        """,
        org_id,
        contact_id,
        name,
        time_zone,
        dict(variables),
        callback_at,
        due_at,
        ask_again,
    )


async def set_removed(
    connection: Connection, org_id: UUID, contact_id: UUID, *, disposition: str, by: str, reason: str
) -> None:
    """One that waits is never called by this campaign; its row and its calls stay."""
    await connection.execute(
        """
        update contacts set status = 'blocked', disposition = $3, blocked_by = $4, blocked_reason = $5,
                            callback_at = null, finished_at = now()
        where org_id = $1 and id = $2 and status = 'waiting'
        """,
        org_id,
        contact_id,
        disposition,
        by,
        reason,
    )


async def select_contacts(
    connection: Connection, org_id: UUID, campaign_id: UUID, *, status: str | None, after: str, limit: int
) -> Sequence[Row]:
    """By first number, which is unique in a campaign and so needs no index of its own. Those in flight are found by
    their open attempts: they are few among millions."""
    few = _IN_FLIGHT if status == "in-flight" else ""
    return await connection.fetch(
        f"{_CONTACTS} {few} order by phone limit $5",
        org_id,
        campaign_id,
        status,
        after,
        limit,
    )


async def select_contacts_of(
    connection: Connection,
    org_id: UUID,
    phone: str,
    *,
    campaign_id: UUID | None,
    status: str | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Row]:
    """By first number in each campaign of the organization, by further numbers, and by those that were dialed; the
    newest first, from before (created_at, id) on."""
    return await connection.fetch(
        """
        select c.* from contacts c
        where c.org_id = $1 and c.id in (
          select f.id from campaigns g join contacts f on f.campaign_id = g.id and f.phone = $2 where g.org_id = $1
          union
          select private.contacts_with_number($1, $2)
          union
          select a.contact_id from attempts a where a.org_id = $1 and a.phone = $2 and a.dialed_at is not null
        )
          and ($3::uuid is null or c.campaign_id = $3)
          and ($4::text is null or c.status = $4)
          and ($5::timestamptz is null or (c.created_at, c.id) < ($5, $6::uuid))
        order by c.created_at desc, c.id desc limit $7
        """,
        org_id,
        phone,
        campaign_id,
        status,
        before[0] if before else None,
        before[1] if before else None,
        limit,
    )
