"""The SQL of watching running campaigns: what their calls came to lately. Bounded, however large a campaign is."""

from collections.abc import Sequence
from uuid import UUID

from app.db import Connection, Row

MOST_LOOKED_AT = 20_000
"""Attempts read to find the last calls among them: many may be released without a dial."""
UNTOLD_SECONDS = 10.0
"""So long after its dial the carrier's list has shown a call whose answer was lost, if there is one."""


async def select_on_canary(connection: Connection) -> Sequence[Row]:
    """Running campaigns whose first dials are being judged: org_id, id, canary."""
    return await connection.fetch(
        "select org_id, id, canary from campaigns where status = 'running' and canary_status = 'dialing' order by id"
    )


async def select_off_canary(connection: Connection) -> Sequence[Row]:
    """All other running campaigns: org_id, id, breaker."""
    return await connection.fetch(
        """
        select org_id, id, breaker from campaigns
        where status = 'running' and canary_status is distinct from 'dialing' order by id
        """
    )


async def count_canary(connection: Connection, campaign_id: UUID, *, first: int) -> Row:
    """The `first` dials since the campaign was started: dialed (claimed ones too), settled, answered, failed, judged,
    scored, mean_score, quiet_seconds since the last one was over, and waiting: contacts that still could be dialed, no
    more than `first`. A dial that the carrier failed to take is failed, and its contact waits for another one."""
    row = await connection.fetchrow(
        """
        with dials as (
          select case when a.status = 'released' then 'settled' else a.status end as status, a.settled_at,
                 k.answered_at is not null as answered,
                 case a.status
                   when 'settled' then coalesce(k.end_result = 'failed' and k.end_at_fault in ('carrier', 'us'), false)
                   when 'released' then true
                   when 'uncertain' then a.carrier_failed
                     and a.dialed_at < clock_timestamp() - make_interval(secs => $3)
                   else false end as failed,
                 e.call_id is not null as judged, e.score
          from campaigns c
          join attempts a on a.campaign_id = c.id and a.claimed_at >= c.resumed_at
            and (a.status <> 'released' or a.carrier_failed)
          left join calls k on k.id = a.call_id
          left join evaluations e on e.call_id = k.id
          where c.id = $1 and (a.status <> 'settled' or a.dialed_at is not null)
          order by a.claimed_at, a.id limit $2
        )
        select count(*) as dialed, count(*) filter (where status = 'settled') as settled,
               count(*) filter (where status = 'settled' and answered) as answered,
               count(*) filter (where failed) as failed,
               count(*) filter (where status = 'settled' and answered and judged) as judged,
               count(score) filter (where status = 'settled' and answered) as scored,
               avg(score) filter (where status = 'settled' and answered) as mean_score,
               coalesce(extract(epoch from clock_timestamp() - max(settled_at)), 0)::float8 as quiet_seconds,
               (select count(*) from (select from contacts where campaign_id = $1 and status = 'waiting'
                                      order by due_at, id limit $2) w) as waiting
        from dials
        """,
        campaign_id,
        first,
        UNTOLD_SECONDS,
    )
    assert row is not None  # an aggregate has one row
    return row


async def count_recent_calls(
    connection: Connection, campaign_id: UUID, *, window_seconds: float, window_calls: int, calls: int
) -> Sequence[Row]:
    """The last calls since the campaign was started, in two rows at most: `recent`, of the window (no more than
    `window_calls`), and those before it. Each: calls, answered, by_people, abandoned, carrier_errors, our_failures.
    Calls and carrier errors are also the dials that the carrier failed to take."""
    return await connection.fetch(
        """
        with latest as (
          select a.disposition, k.answered_at is not null as answered, k.end_result, k.end_at_fault,
                 a.status <> 'settled' as untaken,
                 coalesce(a.settled_at, a.dialed_at) > now() - make_interval(secs => $2)
                   and row_number() over (order by a.claimed_at desc, a.id desc) <= $3 as recent
          from campaigns c
          join lateral (
            select * from (
              select * from attempts a
              where a.campaign_id = c.id and a.claimed_at >= coalesce(c.resumed_at, '-infinity')
              order by a.claimed_at desc, a.id desc limit $5
            ) a
            where a.dialed_at is not null
              and (a.status = 'settled' or (a.carrier_failed and (a.status = 'released' or (a.status = 'uncertain'
                     and a.dialed_at < clock_timestamp() - make_interval(secs => $6)))))
            order by a.claimed_at desc, a.id desc limit $4
          ) a on true
          join calls k on k.id = a.call_id
          where c.id = $1
        )
        select recent, count(*) as calls, count(*) filter (where answered) as answered,
               count(*) filter (where answered and disposition not in ('voicemail', 'voicemail-left')) as by_people,
               count(*) filter (where disposition = 'abandoned') as abandoned,
               count(*) filter (where untaken or (end_result = 'failed' and end_at_fault = 'carrier'))
                 as carrier_errors,
               count(*) filter (where not untaken and end_result in ('failed', 'indeterminate') and end_at_fault = 'us')
                 as our_failures
        from latest group by recent
        """,
        campaign_id,
        window_seconds,
        window_calls,
        calls,
        MOST_LOOKED_AT,
        UNTOLD_SECONDS,
    )


async def settle_canary(connection: Connection, campaign_id: UUID, *, status: str) -> bool:
    """dialing → passed or stopped, while it runs. False where somebody was faster."""
    row = await connection.fetchrow(
        """
        update campaigns set canary_status = $2
        where id = $1 and status = 'running' and canary_status = 'dialing' returning id
        """,
        campaign_id,
        status,
    )
    return row is not None
