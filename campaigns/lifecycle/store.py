"""The SQL of a campaign's life. Every function takes the caller's transaction; every change is compare-and-set."""

from collections.abc import Sequence
from uuid import UUID

from app.db import Connection, Row
from app.ids import new_id


async def is_anyone_left(connection: Connection, campaign_id: UUID) -> bool:
    """Whether a contact waits, or is being called; however many there are. The order asks for the index of who is due:
    without it Postgres may read contacts until one waits, and where none does, all of them."""
    return bool(
        await connection.fetchval(
            """
            select (select true from contacts where campaign_id = $1 and status = 'waiting' order by due_at, id limit 1)
                     is not null
                or exists (select from attempts where campaign_id = $1
                           and status in ('claimed', 'dialing', 'placed', 'uncertain'))
            """,
            campaign_id,
        )
    )


async def set_started(connection: Connection, org_id: UUID, campaign_id: UUID) -> bool:
    """draft, paused or scheduled → running, or scheduled while `starts_at` lies ahead. A canary that has not passed
    begins anew. False where the deadline has passed, or it is running or finished."""
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


async def copy_contacts(
    connection: Connection,
    source_id: UUID,
    target_id: UUID,
    *,
    outcomes: Sequence[str] | None,
    with_waiting: bool,
    after: str,
    limit: int,
) -> tuple[int, str | None]:
    """The next contacts by number, from after `after` on, go in as new ones; how many, and after which number to go
    on, None at the end.

    `outcomes` None: every one that is not blocked; else those finished with one of these, and with `with_waiting`
    those that wait. What the last call left for the next comes along.
    """
    row = await connection.fetchrow(
        """
        with page as (
          select c.*, row_number() over (order by c.phone) as n from contacts c
          where c.campaign_id = $1 and c.phone > $5
            and (case when $3::text[] is null then c.status <> 'blocked'
                      else (c.status = 'finished' and c.disposition = any($3)) or ($4 and c.status = 'waiting') end)
          order by c.phone limit $6
        ), added as (
          insert into contacts (id, org_id, campaign_id, line, phone, name, variables, phones, time_zone, consent_at,
                                consent_expires_at, consent_source, memory)
          select i.id, p.org_id, $2, p.line, p.phone, p.name, p.variables, p.phones, p.time_zone, p.consent_at,
                 p.consent_expires_at, p.consent_source, p.memory
          from page p join unnest($7::uuid[]) with ordinality i (id, n) on i.n = p.n
          returning phone
        )
        select count(*) as count, max(phone) as last from added
        """,
        source_id,
        target_id,
        outcomes,
        with_waiting,
        after,
        limit,
        [new_id() for _ in range(limit)],
    )
    assert row is not None  # an aggregate has one row
    return row["count"], row["last"] if row["count"] == limit else None


async def count_contacts_of(connection: Connection, org_id: UUID, campaign_id: UUID) -> int:
    return await connection.fetchval(
        "select count(*) from contacts where org_id = $1 and campaign_id = $2", org_id, campaign_id
    )
