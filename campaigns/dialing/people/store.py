"""The SQL of the people who take a campaign's calls, as claiming needs to know them, in one statement."""

from collections.abc import Sequence
from uuid import UUID

from app.db import Connection, Row
from telephony.floor.operator_store import BEAT_LOST_SECONDS

RECENT_ANSWERS = 1000

_FLOORS = """
with open as materialized (
  select a.campaign_id, count(*) filter (where k.answered_at is null) as ringing,
         count(*) filter (where k.answered_at is not null
                            and coalesce(f.outcome, 'waiting') = 'waiting') as waiting
  from attempts a left join calls k on k.id = a.call_id left join floor_calls f on f.call_id = a.call_id
  where a.campaign_id = any($2::uuid[]) and a.status in ('claimed', 'dialing', 'placed', 'uncertain')
    and k.ended_at is null
  group by a.campaign_id
)
select c.id as campaign_id, coalesce(o.ringing, 0) as ringing, coalesce(o.waiting, 0) as waiting, d.cohorts,
       r.answered, r.abandoned, r.rings, r.busy_seconds, m.month_answered, m.month_abandoned,
       n.ever_dialed, n.ever_unanswered, p.people
from unnest($2::uuid[]) c (id)
left join open o on o.campaign_id = c.id
cross join lateral (
  select coalesce(jsonb_agg(jsonb_build_array(s.age, s.dialed, s.answered, s.ringing)), '[]') as cohorts from (
    select floor(extract(epoch from clock_timestamp() - a.dialed_at))::int as age, count(*) as dialed,
           count(*) filter (where f.outcome <> 'machine') as answered,
           count(*) filter (where k.answered_at is null and k.ended_at is null) as ringing
    from attempts a left join calls k on k.id = a.call_id left join floor_calls f on f.call_id = a.call_id
    where a.campaign_id = c.id and a.claimed_at > now() - interval '4 minutes'
      and a.dialed_at > now() - interval '3 minutes'
    group by 1
  ) s
) d
cross join lateral (
  select count(*) as answered, count(*) filter (where f.outcome = 'abandoned') as abandoned,
         coalesce(array_agg(f.ring_seconds), '{}') as rings,
         (avg(extract(epoch from f.ended_at - f.connected_at))
          + (select avg(wrap_up_seconds) from operators where org_id = $1))::float8 as busy_seconds
  from (
    select f.outcome, f.ring_seconds::float8 as ring_seconds, f.ended_at, f.connected_at
    from floor_calls f where f.campaign_id = c.id and f.answered_at > now() - interval '30 days'
    order by f.answered_at desc limit $3
  ) f
  where f.outcome in ('connected', 'abandoned', 'gone')
) r
cross join lateral (
  select coalesce(sum(answered), 0) as month_answered, coalesce(sum(abandoned), 0) as month_abandoned
  from floor_days
  where campaign_id = c.id and day > (now() at time zone 'utc')::date - 30
) m
cross join lateral (
  select coalesce(sum(count), 0)::bigint as ever_dialed,
         coalesce(sum(count) filter (where disposition = any($4::text[])), 0)::bigint as ever_unanswered
  from campaign_counts where campaign_id = c.id and what = 'attempts' and status = 'settled' and dialed
) n
cross join lateral (
  select coalesce(jsonb_agg(jsonb_build_object(
           'state', p.state, 'campaigns', p.campaigns, 'campaign_id', f.campaign_id)), '[]') as people
  from operators p left join floor_calls f on f.call_id = p.call_id
  where p.org_id = $1 and (p.state in ('reserved', 'on_call')
    or (p.state in ('available', 'wrap_up') and p.beat_at > now() - make_interval(secs => $5)))
) p
"""


async def select_floors(
    connection: Connection, org_id: UUID, campaign_ids: Sequence[UUID], *, nobody_there: Sequence[str]
) -> Sequence[Row]:
    """A row for each campaign: `ringing` and `waiting` of its open attempts (a call that has an operator, or surely
    none, is neither), `cohorts` [[age, dialed, answered, ringing]] of the last three minutes, of the newest answers
    `answered`, `abandoned`, `rings` and `busy_seconds`, `month_answered` and `month_abandoned` of 30 UTC days,
    `ever_dialed` and of these `ever_unanswered`, which came to a word of `nobody_there`; and, the same in every row,
    `people` [{state, campaigns, campaign_id}].

    Times are compared with now(), which an index can be asked for, and not with the clock. What is read grows with
    what is under way and with the newest answers, never with what the campaign has dialed.
    """
    return await connection.fetch(
        _FLOORS,
        org_id,
        list(campaign_ids),
        RECENT_ANSWERS,
        list(nobody_there),
        BEAT_LOST_SECONDS,
    )
