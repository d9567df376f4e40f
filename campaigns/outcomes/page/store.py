"""The SQL of the report page: a campaign's attempts added up in one pass. Every function takes the caller's
transaction."""

from collections.abc import Sequence
from uuid import UUID

from app.db import Connection, Row

BUCKET_SECONDS = 10
LAST_BUCKET = 60
"""Talks of ten minutes and more are together in the last."""
LATENCY_BUCKET_MS = 100
LAST_LATENCY_BUCKET = 60
CALLS_HEARD = 20_000
"""Latency is taken from so many answered calls at the most: enough to tell, and bounded."""
ATTEMPTS_ASKED = 60_000
"""They are looked for among so many of the newest attempts."""
PATIENCE_SECONDS = 600.0
"""A campaign of millions takes its time."""


async def select_overview(connection: Connection, org_id: UUID, campaign_id: UUID) -> Row | None:
    """→ name, status, team, from_number, dates, pause_reason, canary_status, and what became of the file's rows."""
    return await connection.fetchrow(
        """
        select g.name, g.status, t.name as team, n.e164 as from_number, g.created_at, g.started_at, g.finished_at,
               g.pause_reason, g.canary_status, g.outcomes, o.name as organization, o.country, now() as now,
               coalesce((select jsonb_build_object('rejected', sum(l.rejected), 'duplicates', sum(l.duplicates),
                                                   'blocked', sum(l.blocked))
                         from imports i join import_lanes l on l.import_id = i.id
                         where i.org_id = g.org_id and i.campaign_id = g.id), '{}') as not_in
        from campaigns g
        join teams t on t.id = g.team_id
        join numbers n on n.id = g.from_number_id
        join organizations o on o.id = g.org_id
        where g.org_id = $1 and g.id = $2
        """,
        org_id,
        campaign_id,
    )


async def add_up_attempts(connection: Connection, org_id: UUID, campaign_id: UUID) -> Sequence[Row]:
    """One scan, four ways to add up; `kind` says which row is of which:

    hour: (zone | prefix and an example number, hour in UTC) | talk: `bucket` of BUCKET_SECONDS | outcome: disposition,
    currency | day: the UTC day. Each with dials, answered, talk_seconds, ring_seconds (of the answered) and
    cost_thousandths.
    """
    return await connection.fetch(
        """
        with dials as (
          select c.time_zone as zone,
                 case when c.time_zone is null
                      then left(c.phone, case when c.phone like '+1%' then 5 else 6 end) end as prefix,
                 c.phone, date_trunc('hour', a.dialed_at, 'UTC') as hour, date_trunc('day', a.dialed_at, 'UTC') as day,
                 coalesce(a.disposition, 'unknown') as disposition, k.answered_at is not null as answered,
                 extract(epoch from k.ended_at - k.answered_at)::float8 as talk,
                 extract(epoch from k.answered_at - coalesce(k.ringing_at, a.dialed_at))::float8 as ring,
                 m.charged, m.currency
          from attempts a
          join contacts c on c.id = a.contact_id
          left join calls k on k.id = a.call_id
          left join dial_charges m on m.call_id = a.call_id
          where a.org_id = $1 and a.campaign_id = $2 and a.status = 'settled' and a.dialed_at is not null
        ), told as (
          select *, case when talk is not null then least(floor(talk / $3)::int, $4) end as bucket from dials
        )
        select case when grouping(hour) = 0 then 'hour' when grouping(bucket) = 0 then 'talk'
                    when grouping(disposition) = 0 then 'outcome' else 'day' end as kind,
               zone, prefix, min(phone) as example, hour, day, bucket, disposition, currency, count(*) as dials,
               count(*) filter (where answered) as answered, coalesce(sum(talk), 0)::float8 as talk_seconds,
               coalesce(sum(ring) filter (where answered), 0)::float8 as ring_seconds,
               sum(charged)::float8 as cost_thousandths
        from told
        group by grouping sets ((zone, prefix, hour), (bucket), (disposition, currency), (day))
        """,
        org_id,
        campaign_id,
        float(BUCKET_SECONDS),
        LAST_BUCKET,
        timeout=PATIENCE_SECONDS,
    )


async def select_scores(connection: Connection, org_id: UUID, campaign_id: UUID) -> Row:
    """→ scored, mean_score (null without one): what the campaign's conversations were worth."""
    row = await connection.fetchrow(
        """
        select count(e.score) as scored, avg(e.score) as mean_score
        from attempts a join evaluations e on e.call_id = a.call_id where a.org_id = $1 and a.campaign_id = $2
        """,
        org_id,
        campaign_id,
        timeout=PATIENCE_SECONDS,
    )
    assert row is not None  # an aggregate has one row
    return row


async def select_latencies(connection: Connection, org_id: UUID, campaign_id: UUID) -> Sequence[Row]:
    """(bucket of LATENCY_BUCKET_MS, turns): how long people waited for the agent's voice after their own words."""
    return await connection.fetch(
        """
        with newest as (
          select call_id, claimed_at from attempts
          where org_id = $1 and campaign_id = $2 order by claimed_at desc, id desc limit $6
        ), heard as (
          select n.call_id from newest n join calls k on k.id = n.call_id
          where k.answered_at is not null order by n.claimed_at desc limit $3
        )
        select least((t.reply)::float8 / $4, $5)::int as bucket, count(*) as turns
        from heard h
        -- call by call: nobody's report reads the turns of everybody (offset 0 keeps it so)
        cross join lateral (
          select latency_ms ->> 'reply' as reply from turns
          where call_id = h.call_id and jsonb_typeof(latency_ms -> 'reply') = 'number' offset 0
        ) t
        group by 1 order by 1
        """,
        org_id,
        campaign_id,
        CALLS_HEARD,
        float(LATENCY_BUCKET_MS),
        LAST_LATENCY_BUCKET,
        ATTEMPTS_ASKED,
        timeout=PATIENCE_SECONDS,
    )
