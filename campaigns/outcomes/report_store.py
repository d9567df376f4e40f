"""The SQL of reports: rows in pages, by keys that are indexed. Every function takes the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.db import Connection, Row

LOOKED_AT_FOR_NAMES = 10_000
MOST_NAMES = 1000
"""More columns than one file brings. What has none of its own stands in the report's column for the rest."""


async def select_report_settings(connection: Connection, org_id: UUID, campaign_id: UUID) -> Row | None:
    """→ name, outcomes; None where there is no such campaign."""
    return await connection.fetchrow(
        "select name, outcomes from campaigns where org_id = $1 and id = $2", org_id, campaign_id
    )


async def select_detail_names(connection: Connection, org_id: UUID, campaign_id: UUID) -> list[str]:
    """What the newest conversations of the campaign noted, by name."""
    rows = await connection.fetch(
        """
        select distinct name from (
          select k.hint -> 'details' as details from attempts a join calls k on k.id = a.call_id
          where a.org_id = $1 and a.campaign_id = $2 order by a.claimed_at desc, a.id desc limit $3
        ) noted cross join lateral jsonb_object_keys(details) as name
        where jsonb_typeof(details) = 'object' order by name limit $4
        """,
        org_id,
        campaign_id,
        LOOKED_AT_FOR_NAMES,
        MOST_NAMES,
    )
    return [row["name"] for row in rows]


async def select_variable_names(connection: Connection, org_id: UUID, campaign_id: UUID) -> list[str]:
    """The columns of the files that went into the campaign, or into those that it is a copy of, and what its first
    contacts have besides."""
    rows = await connection.fetch(
        """
        with recursive lineage as (
          select id, parent_id from campaigns where org_id = $1 and id = $2
          union
          select p.id, p.parent_id from lineage l join campaigns p on p.org_id = $1 and p.id = l.parent_id
        )
        select name from lineage l
        join imports i on i.org_id = $1 and i.campaign_id = l.id
        cross join lateral jsonb_object_keys(i.columns -> 'variables') as name
        where exists (
          select from import_lanes f where f.org_id = $1 and f.import_id = i.id and f.accepted + f.blocked > 0
        )
        union
        select name from (
          select variables from contacts where org_id = $1 and campaign_id = $2 order by phone limit $3
        ) listed cross join lateral jsonb_object_keys(variables) as name
        order by name limit $4
        """,
        org_id,
        campaign_id,
        LOOKED_AT_FOR_NAMES,
        MOST_NAMES,
    )
    return [row["name"] for row in rows]


async def select_attempts_page(
    connection: Connection, org_id: UUID, campaign_id: UUID, *, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Row]:
    """A page of the attempts that went as far as the intent to dial, oldest first, with contact, call and cost."""
    return await connection.fetch(
        """
        select a.id, a.claimed_at, a.contact_id, c.line, c.phone,
               coalesce(c.name, c.variables ->> 'name') as name, a.phone as dialed_number, a.ordinal, a.status,
               a.disposition, a.detail, a.dialed_at, a.call_id, k.end_result, k.end_reason, k.end_at_fault,
               k.ringing_at, k.answered_at, k.ended_at, k.hint, k.answered_by, m.charged as cost_thousandths,
               m.currency, e.score
        from attempts a
        join contacts c on c.id = a.contact_id
        left join calls k on k.id = a.call_id
        left join dial_charges m on m.call_id = a.call_id
        left join evaluations e on e.call_id = a.call_id
        where a.org_id = $1 and a.campaign_id = $2 and a.dialed_at is not null
          and ($3::timestamptz is null or (a.claimed_at, a.id) > ($3, $4::uuid))
        order by a.claimed_at, a.id limit $5
        """,
        org_id,
        campaign_id,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )


async def select_contacts_page(
    connection: Connection, org_id: UUID, campaign_id: UUID, *, after: str | None, limit: int
) -> Sequence[Row]:
    """A page of the contacts in the order of their numbers, each with what its last dial came to."""
    return await connection.fetch(
        """
        select c.id, c.line, c.phone, c.phones,
               coalesce(c.name, c.variables ->> 'name') as name, c.variables, c.status, c.disposition,
               c.attempts_made, c.due_at, c.finished_at, c.time_zone, c.consent_at, c.consent_expires_at,
               c.consent_source, c.blocked_by, c.blocked_reason, c.callback_at, l.dialed_at, l.phone as dialed_number,
               k.answered_at, k.ended_at, k.hint, k.answered_by, e.score
        from contacts c
        left join lateral (
          select dialed_at, phone, call_id from attempts
          where contact_id = c.id and dialed_at is not null order by claimed_at desc, id desc limit 1
        ) l on true
        left join calls k on k.id = l.call_id
        left join evaluations e on e.call_id = l.call_id
        where c.org_id = $1 and c.campaign_id = $2 and ($3::text is null or c.phone > $3)
        order by c.phone limit $4
        """,
        org_id,
        campaign_id,
        after,
        limit,
    )
