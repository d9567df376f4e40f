"""The SQL of evidence: everything that is known of some attempts, a query for each kind of thing. Every function takes
the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.db import Connection, Row


async def select_attempt_ids(
    connection: Connection, org_id: UUID, campaign_id: UUID, *, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Row]:
    """A page of the attempts that went as far as the intent to dial, oldest first → id, claimed_at."""
    return await connection.fetch(
        """
        select id, claimed_at from attempts
        where org_id = $1 and campaign_id = $2 and dialed_at is not null
          and ($3::timestamptz is null or (claimed_at, id) > ($3, $4::uuid))
        order by claimed_at, id limit $5
        """,
        org_id,
        campaign_id,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )


async def select_attempts(
    connection: Connection, org_id: UUID, campaign_id: UUID, attempt_ids: Sequence[UUID]
) -> Sequence[Row]:
    """Each attempt with its campaign, contact, the import that brought the contact, and its call."""
    return await connection.fetch(
        """
        select a.id, a.claimed_at, a.ordinal, a.status, a.disposition, a.detail, a.dialed_at, a.settled_at, a.phone,
               a.gates, a.call_id, g.id as campaign_id, g.name as campaign_name, o.name as organization,
               c.id as contact_id, c.line, c.phone as contact_phone,
               coalesce(c.name, c.variables ->> 'name') as contact_name, c.time_zone, c.consent_at,
               c.consent_expires_at, c.consent_source, c.created_at as contact_created_at, i.id as import_id,
               i.file_name, i.sha256 as file_sha256, i.created_at as imported_at,
               k.carrier, k.carrier_call_id, k.carrier_status, k.sip_code, k.from_number, k.to_number, k.end_result,
               k.end_reason, k.end_at_fault, k.created_at as intent_at, k.dialed_at as requested_at, k.ringing_at,
               k.answered_at, k.ended_at, k.hint, k.answered_by, k.answered_by_evidence, v.version as team_version,
               t.slug as team
        from attempts a
        join campaigns g on g.id = a.campaign_id
        join organizations o on o.id = a.org_id
        join contacts c on c.id = a.contact_id
        left join imports i on i.id = c.import_id and i.org_id = a.org_id
        left join calls k on k.id = a.call_id
        left join team_versions v on v.id = k.team_version_id
        left join teams t on t.id = v.team_id
        where a.org_id = $1 and a.campaign_id = $2 and a.id = any($3::uuid[]) order by a.claimed_at, a.id
        """,
        org_id,
        campaign_id,
        list(attempt_ids),
    )


async def select_first_words(connection: Connection, org_id: UUID, call_ids: Sequence[UUID]) -> Sequence[Row]:
    """What the agent said first in each call → call_id, agent, text, started_at, interrupted."""
    return await connection.fetch(
        """
        select distinct on (call_id) call_id, agent, text, started_at, interrupted from turns
        where org_id = $1 and call_id = any($2::uuid[]) and role = 'agent' order by call_id, started_at, id
        """,
        org_id,
        list(call_ids),
    )


async def select_recordings(connection: Connection, org_id: UUID, call_ids: Sequence[UUID]) -> Sequence[Row]:
    """→ call_id, id, path, format, sha256, duration_seconds, started_at, finished_at; oldest first."""
    return await connection.fetch(
        """
        select call_id, id, path, format, sha256, duration_seconds, started_at, finished_at from recordings
        where org_id = $1 and call_id = any($2::uuid[]) order by call_id, started_at, id
        """,
        org_id,
        list(call_ids),
    )


async def select_call_events(connection: Connection, org_id: UUID, call_ids: Sequence[UUID]) -> Sequence[Row]:
    """What happened on the calls, words and tools aside → call_id, kind, at; in order."""
    return await connection.fetch(
        """
        select call_id, kind, at from call_events
        where org_id = $1 and call_id = any($2::uuid[]) and kind not in ('turn.added', 'tool.called')
        order by call_id, id
        """,
        org_id,
        list(call_ids),
    )


async def select_listings(
    connection: Connection, org_id: UUID, campaign_id: UUID, phones: Sequence[str]
) -> Sequence[Row]:
    """Entries of the do-not-call lists that hold for the campaign, as of now → phone, source, reason, created_at."""
    return await connection.fetch(
        """
        select phone, source, reason, created_at, campaign_id from do_not_call
        where org_id = $1 and phone = any($3::text[]) and (campaign_id is null or campaign_id = $2)
        order by phone, created_at
        """,
        org_id,
        campaign_id,
        list(phones),
    )
