"""The SQL of schedules and of single calls in the future. Every function takes the caller's transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import Connection, Row


async def insert_schedule(connection: Connection, row: Mapping[str, Any]) -> None:
    """`row`: every column but created_at."""
    await connection.execute(
        """
        insert into schedules (id, org_id, name, campaign_id, action, cron, time_zone, missed, enabled, next_at,
                               ends_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        *(row[name] for name in ("id", "org_id", "name", "campaign_id", "action", "cron", "time_zone", "missed")),
        *(row[name] for name in ("enabled", "next_at", "ends_at")),
    )


async def update_schedule(connection: Connection, row: Mapping[str, Any]) -> None:
    """By `id` and `org_id`; all that may be changed."""
    await connection.execute(
        """
        update schedules set name = $3, action = $4, cron = $5, time_zone = $6, missed = $7, enabled = $8, next_at = $9,
                             ends_at = $10
        where org_id = $1 and id = $2
        """,
        *(row[name] for name in ("org_id", "id", "name", "action", "cron", "time_zone", "missed", "enabled")),
        *(row[name] for name in ("next_at", "ends_at")),
    )


async def select_schedule(connection: Connection, org_id: UUID, schedule_id: UUID, *, lock: bool = False) -> Row | None:
    """`lock`: nobody's clock strikes it, and nobody else changes it, until this transaction is over."""
    query = "select * from schedules where org_id = $1 and id = $2"
    return await connection.fetchrow(query + (" for update" if lock else ""), org_id, schedule_id)


async def select_schedules(
    connection: Connection, org_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Row]:
    """Newest first, from after `before` on."""
    return await connection.fetch(
        """
        select * from schedules
        where org_id = $1 and ($2::timestamptz is null or (created_at, id) < ($2, $3::uuid))
        order by created_at desc, id desc limit $4
        """,
        org_id,
        before[0] if before else None,
        before[1] if before else None,
        limit,
    )


async def delete_schedule(connection: Connection, org_id: UUID, schedule_id: UUID) -> bool:
    row = await connection.fetchrow(
        "delete from schedules where org_id = $1 and id = $2 returning id", org_id, schedule_id
    )
    return row is not None


async def select_runs(connection: Connection, org_id: UUID, schedule_id: UUID, *, limit: int) -> Sequence[Row]:
    """The latest first."""
    return await connection.fetch(
        "select * from schedule_runs where org_id = $1 and schedule_id = $2 order by planned_at desc limit $3",
        org_id,
        schedule_id,
        limit,
    )


async def select_last_made(
    connection: Connection, org_id: UUID, schedule_id: UUID, *, original_id: UUID
) -> UUID | None:
    """The campaign that this schedule made last, of those that are still there; `original_id`: its own campaign, which
    it only starts or pauses."""
    return await connection.fetchval(
        """
        select r.campaign_id from schedule_runs r join campaigns c on c.id = r.campaign_id
        where r.org_id = $1 and r.schedule_id = $2 and r.outcome = 'done' and r.campaign_id <> $3
          and c.deleting_at is null
        order by r.planned_at desc limit 1
        """,
        org_id,
        schedule_id,
        original_id,
    )


# -- the clock


async def take_due(connection: Connection, *, now: datetime) -> Row | None:
    """The schedule that is due longest, held until this transaction is over; one that somebody has is left to them."""
    return await connection.fetchrow(
        """
        select * from schedules where enabled and next_at <= $1 order by next_at, id limit 1 for update skip locked
        """,
        now,
    )


async def set_next(connection: Connection, schedule_id: UUID, next_at: datetime | None) -> None:
    await connection.execute("update schedules set next_at = $2 where id = $1", schedule_id, next_at)


async def insert_run(
    connection: Connection,
    *,
    run_id: UUID,
    org_id: UUID,
    schedule_id: UUID,
    planned_at: datetime,
    outcome: str,
    detail: str,
    campaign_id: UUID | None,
) -> None:
    await connection.execute(
        """
        insert into schedule_runs (id, org_id, schedule_id, planned_at, outcome, detail, campaign_id)
        values ($1, $2, $3, $4, $5, $6, $7)
        """,
        run_id,
        org_id,
        schedule_id,
        planned_at,
        outcome,
        detail,
        campaign_id,
    )


# -- single calls


async def insert_contact(
    connection: Connection,
    *,
    contact_id: UUID,
    org_id: UUID,
    campaign_id: UUID,
    phone: str,
    name: str | None,
    variables: Mapping[str, Any],
    time_zone: str | None,
    due_at: datetime,
    consent_at: datetime | None,
    consent_source: str | None,
) -> None:
    await connection.execute(
        """
        insert into contacts (id, org_id, campaign_id, phone, phones, name, variables, time_zone, due_at, consent_at,
                              consent_source)
        values ($1, $2, $3, $4, array[$4], $5, $6, $7, $8, $9, $10)
        """,
        contact_id,
        org_id,
        campaign_id,
        phone,
        name,
        dict(variables),
        time_zone,
        due_at,
        consent_at,
        consent_source,
    )


async def select_single_calls(connection: Connection, org_id: UUID, campaign_ids: Sequence[UUID]) -> Sequence[Row]:
    """→ the contacts of those campaigns that are of kind `call`."""
    return await connection.fetch(
        """
        select k.* from contacts k join campaigns c on c.id = k.campaign_id
        where c.org_id = $1 and c.id = any($2) and c.kind = 'call'
        """,
        org_id,
        list(campaign_ids),
    )
