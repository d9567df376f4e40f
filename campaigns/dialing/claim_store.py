"""The SQL of claiming. Every function takes the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.db import Connection, Row
from app.ids import OrgId, new_id
from campaigns.store import CANARY_LEFT


async def is_any_work(connection: Connection) -> bool:
    """Whether a campaign runs, or an attempt is open: one cheap question for idle times."""
    return bool(
        await connection.fetchval(
            """
            select exists (select from campaigns where status = 'running')
                or exists (select from attempts where status in ('claimed', 'dialing', 'placed', 'uncertain'))
            """
        )
    )


async def select_dialing_organizations(connection: Connection) -> list[OrgId]:
    """Those that have a running campaign."""
    rows = await connection.fetch("select distinct org_id from campaigns where status = 'running' order by org_id")
    return [OrgId(row["org_id"]) for row in rows]


async def try_lock_claims(connection: Connection, org_id: UUID) -> bool:
    """One dialer claims for an organization at a time, so that what it counts stays true; the others do not wait."""
    return bool(
        await connection.fetchval("select pg_try_advisory_xact_lock(hashtextextended($1::text, 0))", str(org_id))
    )


async def select_dialers(connection: Connection, *, presence_seconds: float) -> Row:
    """Those that live: `count`, and `lead_seconds` of the slowest."""
    [row] = await connection.fetch(
        """
        select count(*) as count, coalesce(max(lead_seconds), 0) as lead_seconds
        from dialers where beat_at > clock_timestamp() - make_interval(secs => $1)
        """,
        presence_seconds,
    )
    return row


async def select_rooms(connection: Connection, org_id: UUID) -> Sequence[Row]:
    """What pacing needs to know of an organization's campaigns, those too that do not run, where their calls still hold
    lines: limits, `next_slot_in_seconds`, `open_attempts` and `waiting_for_slot` counted from rows, `due` up to a
    bound above a round's slots. An uncertain attempt of which the carrier shows no call holds no line. `dialable`: it
    runs, is inside its window, and its team has a published version. `canary_left`: how many more it may dial before
    its canary is judged; null where it has none."""
    return await connection.fetch(
        f"""
        with open as materialized (
          select campaign_id, count(*) filter (where status <> 'uncertain' or absent_at is null) as attempts,
                 count(*) filter (where status = 'claimed') as claimed
          from attempts where org_id = $1 and status in ('claimed', 'dialing', 'placed', 'uncertain')
          group by campaign_id
        )
        select c.id, c.org_id, c.mode, c.priority, c.share::float8 as share, c.pace, c.max_concurrent,
               coalesce(c.resumed_at, c.started_at) as running_since,
               c.calls_per_second::float8 as calls_per_second, c.from_number_id, c.ring_timeout_seconds,
               n.carrier, n.trunk_id, v.id as team_version_id, c.suppression ->> 'url' is not null as asks_for_vetoes,
               c.status = 'running' and v.id is not null and coalesce(c.starts_at <= now(), true)
                 and coalesce(c.deadline_at > now(), true) as dialable,
               case when c.next_dial_at <= clock_timestamp() then 0
                    else extract(epoch from c.next_dial_at - clock_timestamp()) end::float8 as next_slot_in_seconds,
               coalesce(o.attempts, 0) as open_attempts, coalesce(o.claimed, 0) as waiting_for_slot, d.due,
               {CANARY_LEFT} as canary_left
        from campaigns c
        join numbers n on n.id = c.from_number_id
        left join open o on o.campaign_id = c.id
        left join team_versions v on v.team_id = c.team_id and v.status = 'published'
        cross join lateral (
          select count(*) as due from (
            select from contacts
            where c.status = 'running' and campaign_id = c.id and status = 'waiting' and due_at <= now()
            order by due_at limit 1 + ceil(c.calls_per_second)::int
          ) bounded
        ) d
        where c.org_id = $1 and (c.status = 'running' or o.campaign_id is not null)
        order by c.id
        """,  # noqa: S608  # our own constant
        org_id,
    )


async def select_other_calls(connection: Connection, org_id: UUID) -> Sequence[Row]:
    """Open calls by phone that no campaign dialed, by number: number_id, carrier, trunk_id, inbound, outbound."""
    return await connection.fetch(
        """
        select k.number_id, n.carrier, n.trunk_id, count(*) filter (where k.direction = 'inbound') as inbound,
               count(*) filter (where k.direction = 'outbound') as outbound
        from calls k left join numbers n on n.id = k.number_id
        where k.ended_at is null and k.org_id = $1 and k.attempt_id is null and k.channel = 'phone'
        group by k.number_id, n.carrier, n.trunk_id
        """,
        org_id,
    )


async def count_served(connection: Connection, campaign_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Dials of the last minute, of those campaigns that had any."""
    rows = await connection.fetch(
        """
        select campaign_id, count(*) as n from attempts
        where campaign_id = any($1::uuid[]) and dialed_at > now() - interval '1 minute' group by campaign_id
        """,
        list(campaign_ids),
    )
    return {row["campaign_id"]: row["n"] for row in rows}


async def select_due(connection: Connection, campaign_id: UUID, *, limit: int, but: Sequence[UUID]) -> Sequence[Row]:
    """Due contacts, longest due first, held; `dialed`: the number that is next. Without those that `but` names."""
    return await connection.fetch(
        """
        select id, coalesce(phones[phone_index + 1], phone) as dialed, time_zone from contacts
        where campaign_id = $1 and status = 'waiting' and due_at <= now() and id <> all($3::uuid[])
        order by due_at, id limit $2 for update skip locked
        """,
        campaign_id,
        limit,
        list(but),
    )


async def postpone_contacts(connection: Connection, contact_ids: Sequence[UUID], due_at: Sequence[datetime]) -> None:
    """Not before then, by calling hours; of contacts that are held."""
    await connection.execute(
        """
        update contacts c set due_at = n.due_at, put_off_at = now()
        from unnest($1::uuid[], $2::timestamptz[]) n (id, due_at)
        where c.id = n.id and c.status = 'waiting'
        """,
        list(contact_ids),
        list(due_at),
    )


async def claim_contacts(
    connection: Connection, contact_ids: Sequence[UUID], *, dialer: str, lease_seconds: float
) -> Sequence[Row]:
    """Contacts that are held become in-flight with a claimed attempt of ours each; in their order."""
    return await connection.fetch(
        """
        with taken as (
          update contacts c set status = 'in-flight', put_off_at = null
          from unnest($1::uuid[], $2::uuid[]) with ordinality u (contact_id, attempt_id, n)
          where c.id = u.contact_id and c.status = 'waiting'
          returning c.*, u.attempt_id, u.n, coalesce(c.phones[c.phone_index + 1], c.phone) as dialed
        ), opened as (
          insert into attempts (id, org_id, campaign_id, contact_id, ordinal, status, dialer, fence, lease_until, phone)
          select t.attempt_id, t.org_id, t.campaign_id, t.id, t.attempts_made + 1, 'claimed', $3,
                 nextval('attempt_fences'), clock_timestamp() + make_interval(secs => $4), t.dialed
          from taken t
          returning id, fence, contact_id, ordinal
        )
        select o.id, o.fence, o.contact_id, o.ordinal, t.dialed, t.name, t.variables, t.memory, t.time_zone,
               t.consent_at, t.consent_expires_at
        from opened o join taken t on t.attempt_id = o.id order by t.n
        """,
        list(contact_ids),
        [new_id() for _ in contact_ids],
        dialer,
        lease_seconds,
    )
