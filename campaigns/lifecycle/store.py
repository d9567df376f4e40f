"""The SQL of a campaign's life. Every function takes the caller's transaction; every change is compare-and-set."""

from collections.abc import Sequence
from uuid import UUID

from app.db import Connection, Row


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
