"""The SQL of campaigns and contacts. Every function takes the caller's transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import Connection, Row

_CAMPAIGN = """
    select c.*, t.slug as team, n.e164 as from_number, n.carrier as carrier,
           exists (select from campaign_copies k where k.campaign_id = c.id) as copying
    from campaigns c join teams t on t.id = c.team_id join numbers n on n.id = c.from_number_id
"""

CANARY_LEFT = """
    case when c.canary_status = 'dialing' then (c.canary ->> 'contacts')::int - (
      select count(*) from attempts a
      where a.campaign_id = c.id and a.claimed_at >= c.resumed_at and a.status <> 'released'
        -- whom a gate forbade is no dial, and the verdict waits for dials
        and (a.status <> 'settled' or a.dialed_at is not null)
    ) end
"""
"""Of a campaign `c`: how many more it may dial before its canary is judged; null where it has none."""


async def select_team(connection: Connection, org_id: UUID, slug: str) -> Row | None:
    """The team, `published`: whether a version of it is, and by how many `criteria` that one is judged."""
    return await connection.fetchrow(
        """
        select t.id, v.id is not null as published,
               coalesce(jsonb_array_length(v.definition -> 'evaluation'), 0) as criteria
        from teams t left join team_versions v on v.team_id = t.id and v.status = 'published'
        where t.org_id = $1 and t.slug = $2
        """,
        org_id,
        slug,
    )


async def select_caller_id(connection: Connection, org_id: UUID, e164: str | None) -> UUID | None:
    """That number of the organization; without one named, its oldest that can dial out."""
    return await connection.fetchval(
        """
        select id from numbers where org_id = $1 and ($2::text is null or e164 = $2)
        order by (carrier = 'sip' and trunk_id is null), created_at, id limit 1
        """,
        org_id,
        e164,
    )


async def insert_campaign(
    connection: Connection,
    *,
    campaign_id: UUID,
    org_id: UUID,
    name: str,
    team_id: UUID,
    from_number_id: UUID,
    kind: str,
    parent_id: UUID | None,
) -> None:
    """A draft with the usual settings."""
    await connection.execute(
        """
        insert into campaigns (id, org_id, name, team_id, from_number_id, kind, parent_id)
        values ($1, $2, $3, $4, $5, $6, $7)
        """,
        campaign_id,
        org_id,
        name,
        team_id,
        from_number_id,
        kind,
        parent_id,
    )


async def update_campaign(
    connection: Connection, org_id: UUID, campaign_id: UUID, changed: Mapping[str, Any], *, changes_gates: bool
) -> bool:
    """Set what may be edited; `changed`: JSON values by column, of which all others keep theirs. `changes_gates`: whom
    they had put off is to be asked again (`gates/again.py`). False where the campaign is running or finished, or is
    not there."""
    row = await connection.fetchrow(
        """
        update campaigns c set
          name = n.name, team_id = n.team_id, from_number_id = n.from_number_id, max_concurrent = n.max_concurrent,
          calls_per_second = n.calls_per_second, ring_timeout_seconds = n.ring_timeout_seconds, mode = n.mode,
          priority = n.priority, share = n.share, starts_at = n.starts_at, deadline_at = n.deadline_at,
          region = n.region, ends_when_done = n.ends_when_done, retry = n.retry, calling = n.calling, caps = n.caps,
          consent = n.consent, suppression = n.suppression, pace = n.pace, canary = n.canary, breaker = n.breaker,
          outcomes = n.outcomes,
          -- by the clock: later than the beginning of any transaction that dialed by the old ones
          gates_changed_at = case when $4 then clock_timestamp() else c.gates_changed_at end
        from campaigns o cross join lateral jsonb_populate_record(o, $3) n
        where o.org_id = $1 and o.id = $2 and c.id = o.id and c.status in ('draft', 'scheduled', 'paused')
        returning c.id
        """,
        org_id,
        campaign_id,
        dict(changed),
        changes_gates,
    )
    return row is not None


async def lock_request_key(connection: Connection, org_id: UUID, key: str) -> None:
    """Two requests with one key, at the same time: the second waits for the first one's end."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 11))", f"{org_id} {key}")


async def select_request(connection: Connection, org_id: UUID, key: str) -> Row | None:
    """→ id, request_hash of the campaign that was made with this key."""
    return await connection.fetchrow(
        "select id, request_hash from campaigns where org_id = $1 and request_key = $2", org_id, key
    )


async def set_request(connection: Connection, campaign_id: UUID, key: str, request_hash: bytes) -> None:
    await connection.execute(
        "update campaigns set request_key = $2, request_hash = $3 where id = $1", campaign_id, key, request_hash
    )


async def select_campaign(connection: Connection, org_id: UUID, campaign_id: UUID) -> Row | None:
    return await connection.fetchrow(f"{_CAMPAIGN} where c.org_id = $1 and c.id = $2", org_id, campaign_id)


async def select_campaigns(
    connection: Connection,
    org_id: UUID,
    *,
    kind: str | None = None,
    status: str | None = None,
    name: str | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int | None = None,
) -> Sequence[Row]:
    """Newest first, from after `before` on; all of them without a limit, every kind and status without one named.
    `name`: a part of it, in any case."""
    return await connection.fetch(
        f"""
        {_CAMPAIGN} where c.org_id = $1 and ($2::timestamptz is null or (c.created_at, c.id) < ($2, $3::uuid))
          and ($5::text is null or c.kind = $5) and ($6::text is null or c.status = $6)
          and ($7::text is null or position(lower($7) in lower(c.name)) > 0)
        order by c.created_at desc, c.id desc limit $4
        """,
        org_id,
        before[0] if before else None,
        before[1] if before else None,
        limit,
        kind,
        status,
        name,
    )


async def sum_contacts(connection: Connection, org_id: UUID, campaign_ids: Sequence[UUID]) -> Sequence[Row]:
    """(campaign_id, status, count): contacts of these campaigns, summed from few rows."""
    return await connection.fetch(
        """
        select campaign_id, status, sum(count)::bigint as count from campaign_counts
        where org_id = $1 and campaign_id = any($2) and what = 'contacts' group by 1, 2
        """,
        org_id,
        list(campaign_ids),
    )


async def mark_deleting(connection: Connection, org_id: UUID, campaign_id: UUID) -> bool:
    """A draft that can no longer be started. False where `delete_draft` would not delete it."""
    row = await connection.fetchrow(
        """
        update campaigns c set deleting_at = coalesce(deleting_at, now())
        where org_id = $1 and id = $2 and status = 'draft'
          and not exists (select from imports where campaign_id = c.id and status = 'running')
          and not exists (select from campaign_copies k where k.campaign_id = c.id and k.error is null)
          and not exists (select from campaigns where org_id = $1 and parent_id = c.id)
        returning id
        """,
        org_id,
        campaign_id,
    )
    return row is not None


async def delete_contacts(
    connection: Connection, org_id: UUID, campaign_id: UUID, *, after: str, limit: int
) -> str | None:
    """The next contacts of a draft that is being deleted, by number, from after `after` on; after which number to go
    on, None at the end."""
    return await _delete_page(connection, "contacts", org_id, campaign_id, after, limit)


async def delete_list(connection: Connection, org_id: UUID, campaign_id: UUID, *, after: str, limit: int) -> str | None:
    """The same of the do-not-call list that is its own."""
    return await _delete_page(connection, "do_not_call", org_id, campaign_id, after, limit)


async def _delete_page(
    connection: Connection, table: str, org_id: UUID, campaign_id: UUID, after: str, limit: int
) -> str | None:
    row = await connection.fetchrow(
        f"""
        with gone as (
          delete from {table} where id = any(array(
            select id from {table} where campaign_id = $2 and phone > $3
              and exists (select from campaigns where org_id = $1 and id = $2 and status = 'draft'
                          and deleting_at is not null)
            order by phone limit $4
          )) returning phone
        )
        select count(*) as count, max(phone) as last from gone
        """,  # noqa: S608 - one of two names above
        org_id,
        campaign_id,
        after,
        limit,
    )
    assert row is not None  # an aggregate has one row
    return row["last"] if row["count"] == limit else None


async def delete_draft(connection: Connection, org_id: UUID, campaign_id: UUID) -> bool:
    """With its contacts and its list, of which little should be left, and imports. False where it is no draft, contacts
    are still imported or copied into it, or a campaign was made of it."""
    row = await connection.fetchrow(
        """
        delete from campaigns c where org_id = $1 and id = $2 and status = 'draft'
          and not exists (select from imports where campaign_id = c.id and status = 'running')
          and not exists (select from campaign_copies k where k.campaign_id = c.id and k.error is null)
          and not exists (select from campaigns where org_id = $1 and parent_id = c.id)
        returning id
        """,
        org_id,
        campaign_id,
    )
    return row is not None


async def lock_open(connection: Connection, org_id: UUID, campaign_id: UUID) -> Row | None:
    """→ status, deleting_at; both stay so until the transaction ends."""
    return await connection.fetchrow(
        "select status, deleting_at from campaigns where org_id = $1 and id = $2 for share", org_id, campaign_id
    )


_DONE = """
    status = 'running' and ends_when_done
      and (select true from contacts where campaign_id = c.id and status = 'waiting' order by due_at, id limit 1)
            is null
      and not exists (select from attempts where campaign_id = c.id
                      and status in ('claimed', 'dialing', 'placed', 'uncertain'))
      and not exists (select from imports where campaign_id = c.id and status = 'running')
"""
"""The order asks for the index of who is due, campaign by campaign: where one has nobody left, Postgres would else read
the contacts of all."""


async def finish_campaigns(connection: Connection) -> Sequence[UUID]:
    """Running campaigns of which no contact waits, none is in flight (has an open attempt), and no file is still
    imported become finished; those to which contacts are still to come do not.

    Whoever adds contacts holds the campaign's row when they are in (`lock_open`). So rows are held first, and looked at
    once more by a statement that sees what was committed until then; one that somebody holds has its turn later."""
    rows = await connection.fetch(f"select id from campaigns c where {_DONE} for no key update skip locked")  # noqa: S608 - a constant
    if not rows:
        return []
    rows = await connection.fetch(
        f"""
        update campaigns c set status = 'finished', finished_at = now(), finish_reason = 'done'
        where id = any($1::uuid[]) and {_DONE} returning id
        """,  # noqa: S608 - a constant
        [row["id"] for row in rows],
    )
    return [row["id"] for row in rows]


async def read_by_index(connection: Connection) -> None:
    """Until this transaction is over: for a page of a table that has just grown by millions of rows, of which Postgres
    knows nothing yet. Else it sorts all rows that are left for the sake of a page."""
    await connection.execute(
        """
        select set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_bitmapscan', 'off', true),
               set_config('enable_seqscan', 'off', true)
        """
    )
