"""The SQL of the gates. Every function takes the caller's transaction, and what it reads is what is committed now."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.db import Connection, Row
from campaigns.store import CANARY_LEFT


async def select_policy(connection: Connection, campaign_id: UUID) -> Row | None:
    return await connection.fetchrow(
        """
        select c.id, c.org_id, c.name, c.status, c.starts_at, c.deadline_at, c.calling, c.caps, c.consent,
               c.suppression, o.country
        from campaigns c join organizations o on o.id = c.org_id where c.id = $1
        """,
        campaign_id,
    )


async def select_circumstances(connection: Connection, contact_id: UUID, *, beat_seconds: float) -> Row | None:
    """What a dial depends on beside the gates: `mode` of the campaign, its rule of the `canary` and how many dials it
    has left before that is judged (`canary_left`, null without one), `idle` operators who take its calls; and the
    contact's last try: `status`, `detail` and the gate that it was `put_off_by`, None where there was none."""
    return await connection.fetchrow(
        f"""
        select c.mode, c.canary, {CANARY_LEFT} as canary_left, a.status, a.detail, a.put_off_by,
               (select count(*) from operators o
                where o.org_id = c.org_id and o.state = 'available' and (o.campaigns is null or c.id = any(o.campaigns))
                  and o.beat_at > now() - make_interval(secs => $2)) as idle
        from contacts t
        join campaigns c on c.id = t.campaign_id
        left join lateral (
          select status, detail, put_off_by from attempts where contact_id = t.id
          order by claimed_at desc, ordinal desc limit 1
        ) a on true
        where t.id = $1
        """,  # noqa: S608  # our own constant
        contact_id,
        beat_seconds,
    )


async def select_listed(
    connection: Connection, org_id: UUID, campaign_id: UUID, phones: Sequence[str]
) -> dict[str, Row]:
    """Which of the numbers are on the do-not-call list, of the organization or of the campaign; the organization's
    entry goes first."""
    rows = await connection.fetch(
        """
        select distinct on (phone) phone, campaign_id, source, reason, created_at from do_not_call
        where org_id = $1 and phone = any($2::text[]) and (campaign_id is null or campaign_id = $3)
        order by phone, campaign_id nulls first
        """,
        org_id,
        list(phones),
        campaign_id,
    )
    return {row["phone"]: row for row in rows}


async def try_lock_phones(connection: Connection, org_id: UUID, phones: Sequence[str]) -> set[str]:
    """The numbers that nobody else is about to dial: until this transaction ends, they are ours alone. Nobody waits
    here for anybody, so nobody can wait in a circle."""
    rows = await connection.fetch(
        """
        select phone from unnest($2::text[]) phone
        where pg_try_advisory_xact_lock(hashtextextended($1::text || phone, 8))
        """,
        str(org_id),
        list(phones),
    )
    return {row["phone"] for row in rows}


async def select_dials(
    connection: Connection,
    org_id: UUID,
    contacts: Sequence[tuple[UUID, str]],
    *,
    campaign_id: UUID | None,
    since: datetime,
    most: int,
) -> dict[UUID, Row]:
    """Of each (contact, number): `contact_recent`, `number_recent` (instants after `since`, newest first, at most
    `most`), `contact_in_all`, `number_in_all`. A dial counts as soon as its request may have gone out. Numbers are
    counted in one campaign, or in all where it is None."""
    rows = await connection.fetch(
        """
        select w.contact_id, c.recent as contact_recent, c.in_all as contact_in_all,
               n.recent as number_recent, n.in_all as number_in_all
        from unnest($2::uuid[], $3::text[]) w (contact_id, phone)
        cross join lateral (
          select (array_agg(dialed_at order by dialed_at desc) filter (where dialed_at > $5))[:$6] as recent,
                 count(*) as in_all
          from attempts
          where contact_id = w.contact_id and dialed_at is not null and status <> 'released'
        ) c
        cross join lateral (
          select (array_agg(dialed_at order by dialed_at desc) filter (where dialed_at > $5))[:$6] as recent,
                 count(*) as in_all
          from attempts
          where org_id = $1 and phone = w.phone and dialed_at is not null and status <> 'released'
            and ($4::uuid is null or campaign_id = $4)
        ) n
        """,
        org_id,
        [contact_id for contact_id, _ in contacts],
        [phone for _, phone in contacts],
        campaign_id,
        since,
        most,
    )
    return {row["contact_id"]: row for row in rows}


# -- gates that were changed


async def set_gates_changed(connection: Connection, org_id: UUID) -> None:
    """Now, by the clock: later than the beginning of any transaction that knew only the old ones."""
    await connection.execute(
        """
        update campaigns set gates_changed_at = clock_timestamp()
        where org_id = $1 and status in ('scheduled', 'running', 'paused')
        """,
        org_id,
    )


async def select_gates_changed(connection: Connection) -> Sequence[Row]:
    """→ id, gates_changed_at of the campaigns in which somebody may be due again."""
    return await connection.fetch(
        "select id, gates_changed_at from campaigns where gates_changed_at is not null order by id"
    )


async def make_due(connection: Connection, campaign_id: UUID, *, before: datetime, limit: int) -> int:
    """Some of those who wait, and whom a gate put off before then, are due since that; how many. Who is held by
    somebody has their turn later."""
    return await connection.fetchval(
        """
        with due as (
          update contacts set due_at = put_off_at, put_off_at = null where id = any(array(
            select id from contacts where campaign_id = $1 and status = 'waiting' and put_off_at < $2
            order by put_off_at limit $3 for update skip locked
          )) returning 1
        )
        select count(*) from due
        """,
        campaign_id,
        before,
        limit,
    )


async def settle_gates(connection: Connection, campaign_id: UUID, *, before: datetime, seconds: float) -> None:
    """Nobody is looked for any more, unless there is still somebody, the change is younger than `seconds`, or there was
    another one."""
    await connection.execute(
        """
        update campaigns set gates_changed_at = null
        where id = $1 and gates_changed_at = $2 and $2 < clock_timestamp() - make_interval(secs => $3)
          and not exists (select from contacts where campaign_id = $1 and status = 'waiting' and put_off_at < $2)
        """,
        campaign_id,
        before,
        seconds,
    )
