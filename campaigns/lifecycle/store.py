"""The SQL of a campaign's life. Every function takes the caller's transaction; every change is compare-and-set."""

from collections.abc import Sequence
from uuid import UUID

from app.db import Connection, Row
from app.ids import new_id


async def is_anyone_left(connection: Connection, campaign_id: UUID) -> bool:
    """Whether a contact waits, is being called, or may still come of a file that is imported; however many there are.
    The order asks for the index of who is due: without it Postgres may read contacts until one waits, and where none
    does, all of them."""
    return bool(
        await connection.fetchval(
            """
            select (select true from contacts where campaign_id = $1 and status = 'waiting' order by due_at, id limit 1)
                     is not null
                or exists (select from attempts where campaign_id = $1
                           and status in ('claimed', 'dialing', 'placed', 'uncertain'))
                or exists (select from imports where campaign_id = $1 and status = 'running')
            """,
            campaign_id,
        )
    )


async def set_started(connection: Connection, org_id: UUID, campaign_id: UUID) -> bool:
    """draft, paused or scheduled → running, or scheduled while `starts_at` lies ahead. A canary that has not passed
    begins anew. False where the deadline has passed, contacts are still copied into it, or it is running or
    finished."""
    row = await connection.fetchrow(
        """
        update campaigns set
          status = case when starts_at > now() then 'scheduled' else 'running' end,
          started_at = case when starts_at > now() then started_at else coalesce(started_at, now()) end,
          resumed_at = now(), pause_reason = null,
          canary_status = case when canary_status = 'passed' or coalesce((canary ->> 'contacts')::int, 0) = 0
                               then canary_status else 'dialing' end
        where org_id = $1 and id = $2 and status in ('draft', 'paused', 'scheduled') and deleting_at is null
          and (deadline_at is null or deadline_at > now())
          and not exists (select from campaign_copies k where k.campaign_id = campaigns.id)
        returning id
        """,
        org_id,
        campaign_id,
    )
    return row is not None


async def set_paused(connection: Connection, org_id: UUID, campaign_id: UUID, *, reason: str | None) -> bool:
    """running or scheduled → paused."""
    row = await connection.fetchrow(
        """
        update campaigns set status = 'paused', pause_reason = $3
        where org_id = $1 and id = $2 and status in ('running', 'scheduled') returning id
        """,
        org_id,
        campaign_id,
        reason,
    )
    return row is not None


async def set_finished(connection: Connection, org_id: UUID, campaign_id: UUID) -> bool:
    """Any status but finished → finished."""
    row = await connection.fetchrow(
        """
        update campaigns set status = 'finished', finished_at = now(), finish_reason = 'stopped'
        where org_id = $1 and id = $2 and status <> 'finished' returning id
        """,
        org_id,
        campaign_id,
    )
    return row is not None


async def set_canary_passed(connection: Connection, org_id: UUID, campaign_id: UUID) -> bool:
    row = await connection.fetchrow(
        """
        update campaigns set canary_status = 'passed'
        where org_id = $1 and id = $2 and canary_status in ('dialing', 'stopped') and status <> 'finished'
        returning id
        """,
        org_id,
        campaign_id,
    )
    return row is not None


# -- what happens by itself


async def start_scheduled(connection: Connection) -> Sequence[Row]:
    """Scheduled campaigns whose start has come run now: (org_id, id)."""
    return await connection.fetch(
        """
        update campaigns set status = 'running', started_at = coalesce(started_at, now()), resumed_at = now()
        where status = 'scheduled' and (starts_at is null or starts_at <= now()) returning org_id, id
        """
    )


async def finish_overdue(connection: Connection) -> Sequence[Row]:
    """Campaigns whose deadline has passed are over; who waits was not called in time: (org_id, id)."""
    return await connection.fetch(
        """
        update campaigns set status = 'finished', finished_at = now(), finish_reason = 'deadline'
        where status in ('scheduled', 'running', 'paused') and deadline_at <= now() returning org_id, id
        """
    )


# -- one campaign like another


async def count_to_copy(
    connection: Connection, org_id: UUID, source_id: UUID, *, outcomes: Sequence[str] | None, with_waiting: bool
) -> int:
    """How many contacts `copy_contacts` would copy; summed from few rows, however many they are."""
    return await connection.fetchval(
        """
        select coalesce(sum(count), 0)::bigint from campaign_counts
        where org_id = $1 and campaign_id = $2 and what = 'contacts'
          and (case when $3::text[] is null then status <> 'blocked'
                    else (status = 'finished' and disposition = any($3)) or ($4 and status = 'waiting') end)
        """,
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
          stuck = case when stuck_at = position then stuck + 1 else 0 end, stuck_at = position
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

    `outcomes` None: every one that is not blocked; else those finished with one of these, and with `with_waiting`
    those that wait. What the last call left for the next comes along.
    """
    row = await connection.fetchrow(
        """
        with page as (
          select * from contacts where org_id = $8 and campaign_id = $1 and phone > $5 order by phone limit $6
        ), wanted as (
          select p.*, row_number() over (order by p.phone) as n from page p
          where case when $3::text[] is null then p.status <> 'blocked'
                     else (p.status = 'finished' and p.disposition = any($3)) or ($4 and p.status = 'waiting') end
        ), added as (
          insert into contacts (id, org_id, campaign_id, line, phone, name, variables, phones, time_zone, consent_at,
                                consent_expires_at, consent_source, memory)
          select ($7::uuid[])[p.n], p.org_id, $2, p.line, p.phone, p.name, p.variables, p.phones, p.time_zone,
                 p.consent_at, p.consent_expires_at, p.consent_source, p.memory
          from wanted p
          on conflict (campaign_id, phone) do nothing
        )
        select count(*) as count, max(phone) as last from page
        """,
        source_id,
        target_id,
        outcomes,
        with_waiting,
        after,
        limit,
        [new_id() for _ in range(limit)],
        org_id,
    )
    assert row is not None  # an aggregate has one row
    return row["last"] if row["count"] == limit else None


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
