"""The SQL of one campaign like another. Every function takes the caller's transaction."""

from collections.abc import Sequence
from uuid import UUID

from app.db import Connection, Row
from app.ids import new_id

_WANTED = """
    disposition is distinct from 'do-not-call'
    and case when $3::text[] is null then status <> 'blocked'
             else (status = 'finished' and disposition = any($3)) or ($4 and status = 'waiting') end
"""
"""Which contacts of a source are copied. $3 null: every one that is not blocked; else those finished with one of these
outcomes and, with $4, those that wait. Nobody who asked never to be called again."""
_GOOD_NUMBERS = """
    unnest(case when cardinality(p.phones) = 0 then array[p.phone] else p.phones end) with ordinality g (phone, n)
    where not coalesce(p.memory -> 'wrong_numbers' ? g.phone, false)
"""
"""Of a contact p the numbers that no call found to be somebody else's."""


async def lock_list(connection: Connection, source_id: UUID) -> None:
    """Until this transaction ends nobody puts a number on this campaign's own do-not-call list, and what others have
    put on it is there: an entry is seen by the copy that begins here, or sees it (private.list_in_copies)."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 13))", str(source_id))


async def count_to_copy(
    connection: Connection, org_id: UUID, source_id: UUID, *, outcomes: Sequence[str] | None, with_waiting: bool
) -> int:
    """How many contacts `copy_contacts` would copy; summed from few rows, however many they are. The last call of whose
    numbers are all wrong ended so: only those who ended so are looked at one by one."""
    return await connection.fetchval(
        f"""
        select (
          select coalesce(sum(count), 0)::bigint from campaign_counts
          where org_id = $1 and campaign_id = $2 and what = 'contacts' and {_WANTED}
        ) - (
          select count(*) from contacts p
          where org_id = $1 and campaign_id = $2 and status = 'finished' and disposition = 'wrong-number'
            and ($3::text[] is null or 'wrong-number' = any($3)) and {_WANTED}
            and not exists (select from {_GOOD_NUMBERS})
        )
        """,  # noqa: S608 - both are constants
        org_id,
        source_id,
        outcomes,
        with_waiting,
    )


async def insert_copy(
    connection: Connection,
    org_id: UUID,
    campaign_id: UUID,
    source_id: UUID,
    *,
    outcomes: Sequence[str] | None,
    with_waiting: bool,
    contacts: int,
    starts: bool,
    lease_seconds: float,
) -> UUID:
    """Under the first fence, 1."""
    copy_id = new_id()
    await connection.execute(
        """
        insert into campaign_copies (id, org_id, campaign_id, source_id, outcomes, with_waiting, contacts, starts,
                                     lease_until)
        values ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9))
        """,
        copy_id,
        org_id,
        campaign_id,
        source_id,
        outcomes,
        with_waiting,
        contacts,
        starts,
        lease_seconds,
    )
    return copy_id


async def select_planned(connection: Connection, org_id: UUID, campaign_id: UUID) -> int | None:
    """How many contacts a draft gets into which they are still copied; None where all are there."""
    return await connection.fetchval(
        "select sum(contacts)::bigint from campaign_copies where org_id = $1 and campaign_id = $2", org_id, campaign_id
    )


async def select_copy_error(connection: Connection, org_id: UUID, campaign_id: UUID) -> str | None:
    """Why not all contacts came into the draft, where nobody goes on with it."""
    return await connection.fetchval(
        "select max(error) from campaign_copies where org_id = $1 and campaign_id = $2", org_id, campaign_id
    )


async def take_over_copy(connection: Connection, *, lease_seconds: float) -> Row | None:
    """A copy that nobody works on any more, the caller's from now on, under a new `fence`; `stuck`: how often before it
    was taken over at this very place."""
    return await connection.fetchrow(
        """
        update campaign_copies set fence = fence + 1, lease_until = now() + make_interval(secs => $1),
          stuck = case when stuck_at = concat_ws(' ', position, list_position) then stuck + 1 else 0 end,
          stuck_at = concat_ws(' ', position, list_position)
        where id = (
          select id from campaign_copies where lease_until <= now() and error is null
          order by id limit 1 for update skip locked
        ) returning *
        """,
        lease_seconds,
    )


async def lock_copy(connection: Connection, copy_id: UUID, *, fence: int, lease_seconds: float) -> Row | None:
    """The caller's until the transaction ends, and leased after it. None where somebody else has it, it is done, or its
    draft is none any more."""
    return await connection.fetchrow(
        """
        update campaign_copies k set lease_until = now() + make_interval(secs => $3)
        from campaigns c where k.id = $1 and k.fence = $2 and c.id = k.campaign_id and c.status = 'draft'
        returning k.*
        """,
        copy_id,
        fence,
        lease_seconds,
    )


async def copy_contacts(
    connection: Connection,
    org_id: UUID,
    source_id: UUID,
    target_id: UUID,
    *,
    outcomes: Sequence[str] | None,
    with_waiting: bool,
    after: str,
    limit: int,
) -> str | None:
    """Of the source's next `limit` contacts by number, from after `after` on, the right ones go in as new ones, unless
    the target has their number; after which number to go on, None at the end.

    What the last call left for the next comes along: a callback that lies ahead, with an instant of its own or without,
    is due then, on the number on which it was promised; everybody else at once, on the first number that is not wrong.
    Whose numbers are all wrong stays behind.
    """
    row = await connection.fetchrow(
        f"""
        with page as (
          select *, case when callback_at > now() then callback_at
                         when status = 'waiting' and disposition = 'callback' and due_at > now() then due_at
                    end as promised_at
          from contacts where org_id = $1 and campaign_id = $2 and phone > $6 order by phone limit $7
        ), wanted as (
          select p.*, first.n - 1 as first_index, row_number() over (order by p.phone) as n
          from page p cross join lateral (
            select g.n from {_GOOD_NUMBERS}
            order by p.promised_at is not null and g.n = p.phone_index + 1 desc, g.n limit 1
          ) first
          where {_WANTED}
        ), added as (
          insert into contacts (id, org_id, campaign_id, line, phone, name, variables, phones, time_zone, consent_at,
                                consent_expires_at, consent_source, memory, import_id, phone_index, due_at,
                                callback_at)
          select ($8::uuid[])[w.n], w.org_id, $5, w.line, w.phone, w.name, w.variables, w.phones, w.time_zone,
                 w.consent_at, w.consent_expires_at, w.consent_source, w.memory, w.import_id, w.first_index,
                 coalesce(w.promised_at, now()), case when w.callback_at > now() then w.callback_at end
          from wanted w
          on conflict (campaign_id, phone) do nothing
        )
        select count(*) as count, max(phone) as last from page
        """,  # noqa: S608 - both are constants
        org_id,
        source_id,
        outcomes,
        with_waiting,
        target_id,
        after,
        limit,
        [new_id() for _ in range(limit)],
    )
    assert row is not None  # an aggregate has one row
    return row["last"] if row["count"] == limit else None


async def set_list_copied(connection: Connection, copy_id: UUID, position: str | None) -> None:
    """The source's do-not-call list as far as this number, all of it where it is None; of a copy that is locked."""
    await connection.execute("update campaign_copies set list_position = $2 where id = $1", copy_id, position)


async def set_copied(connection: Connection, copy_id: UUID, position: str) -> None:
    """As far as this; of a copy that is locked."""
    await connection.execute("update campaign_copies set position = $2 where id = $1", copy_id, position)


async def delete_copy(connection: Connection, copy_id: UUID) -> None:
    """All contacts are there; of a copy that is locked."""
    await connection.execute("delete from campaign_copies where id = $1", copy_id)


async def release_copy(connection: Connection, copy_id: UUID, *, fence: int) -> None:
    """Whoever comes next need not wait for the lease."""
    await connection.execute(
        "update campaign_copies set lease_until = now() where id = $1 and fence = $2", copy_id, fence
    )


async def fail_copy(connection: Connection, copy_id: UUID, *, fence: int, error: str) -> None:
    await connection.execute(
        "update campaign_copies set error = $3 where id = $1 and fence = $2", copy_id, fence, error
    )


async def drop_stale_copies(connection: Connection) -> None:
    """Of campaigns that are no drafts any more: somebody ended them before all contacts were there."""
    await connection.execute(
        """
        delete from campaign_copies k using campaigns c
        where c.id = k.campaign_id and c.status <> 'draft' and k.lease_until <= now()
        """
    )
