"""The SQL of webhook deliveries, the outbox and its log. Every function takes the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.db import Connection, Row

_SELECT_LOG = """
    select id, endpoint_id, event_id, campaign_id, attempt_id, kind, at, status, tries, next_at, last_status,
           last_error, last_try_at, last_milliseconds, delivered_at, created_at, body
    from webhook_deliveries
"""


async def select_deliveries(
    connection: Connection,
    org_id: UUID,
    endpoint_id: UUID,
    *,
    status: str | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Row]:
    """Newest first."""
    return await connection.fetch(
        f"""
        {_SELECT_LOG}
        where org_id = $1 and endpoint_id = $2 and ($3::text is null or status = $3)
          and ($4::timestamptz is null or (created_at, id) < ($4, $5::uuid))
        order by created_at desc, id desc limit $6
        """,
        org_id,
        endpoint_id,
        status,
        before[0] if before else None,
        before[1] if before else None,
        limit,
    )


async def send_again(connection: Connection, org_id: UUID, endpoint_id: UUID, delivery_id: UUID) -> Row | None:
    """Due now, whatever became of it; its tries start anew."""
    await connection.execute(
        """
        update webhook_deliveries set status = 'pending', tries = 0, next_at = now(), delivered_at = null
        where org_id = $1 and endpoint_id = $2 and id = $3
        """,
        org_id,
        endpoint_id,
        delivery_id,
    )
    return await connection.fetchrow(
        f"{_SELECT_LOG} where org_id = $1 and endpoint_id = $2 and id = $3", org_id, endpoint_id, delivery_id
    )


async def take_due(
    connection: Connection, *, limit: int, each: int, busy: Sequence[UUID], lease_seconds: float
) -> Sequence[Row]:
    """Deliveries that are ours to send until the lease is over, at most `each` of an endpoint, none of the `busy` ones;
    with the endpoint's url, its secret, and the old one while that signs too. Who takes one and dies leaves it due
    again after the lease."""
    return await connection.fetch(
        """
        with due as (
          select d.id, e.url, e.secret_sealed, e.old_secret_sealed
          from (select id, url, secret_sealed,
                       case when old_secret_until > now() then old_secret_sealed end as old_secret_sealed
                from webhook_endpoints
                where enabled and not id = any($3::uuid[]) order by random()) e
          cross join lateral (
            select w.id from webhook_deliveries w
            where w.endpoint_id = e.id and w.status = 'pending' and w.next_at <= now()
            order by w.next_at limit $2 for update skip locked
          ) d
          limit $1
        )
        update webhook_deliveries d set next_at = now() + make_interval(secs => $4), tries = tries + 1,
                                        last_try_at = now()
        from due where d.id = due.id
        returning d.id, d.org_id, d.endpoint_id, d.campaign_id, d.attempt_id, d.contact_id, d.kind, d.data, d.at,
                  d.body, d.tries, due.url, due.secret_sealed, due.old_secret_sealed
        """,
        limit,
        each,
        list(busy),
        lease_seconds,
    )


async def keep_body(connection: Connection, delivery_id: UUID, body: str) -> None:
    """As it is sent now and by every retry."""
    await connection.execute(
        "update webhook_deliveries set body = $2 where id = $1 and body is null", delivery_id, body
    )


async def set_delivered(
    connection: Connection, delivery_id: UUID, *, tries: int, status: int, milliseconds: int
) -> None:
    await connection.execute(
        """
        update webhook_deliveries set status = 'delivered', delivered_at = now(), last_status = $3, last_error = null,
                                      last_milliseconds = $4
        where id = $1 and tries = $2 and status = 'pending'
        """,
        delivery_id,
        tries,
        status,
        milliseconds,
    )


async def set_undelivered(
    connection: Connection,
    delivery_id: UUID,
    *,
    tries: int,
    error: str,
    status: int | None,
    milliseconds: int | None,
    wait_seconds: float | None,
) -> None:
    """Due again after the wait, or given up where there is none. `tries` is the fence: a later try knows better."""
    await connection.execute(
        """
        update webhook_deliveries set status = case when $6::float8 is null then 'failed' else 'pending' end,
                                      last_error = $3, last_status = $4, last_milliseconds = $5,
                                      next_at = now() + make_interval(secs => coalesce($6::float8, 0))
        where id = $1 and tries = $2 and status = 'pending'
        """,
        delivery_id,
        tries,
        error,
        status,
        milliseconds,
        wait_seconds,
    )


async def delete_old_deliveries(connection: Connection, *, days: int, limit: int) -> None:
    """The log of what is delivered or given up, some of it at a time."""
    await connection.execute(
        """
        delete from webhook_deliveries where id in (
          select id from webhook_deliveries
          where status <> 'pending' and created_at < now() - make_interval(days => $1) limit $2)
        """,
        days,
        limit,
    )


# -- what an event tells


async def select_attempt_story(connection: Connection, attempt_id: UUID) -> Row | None:
    """An attempt with its contact, campaign and call."""
    return await connection.fetchrow(
        """
        select a.id as attempt_id, a.ordinal, a.status as attempt_status, a.disposition, a.detail, a.claimed_at,
               a.dialed_at, a.phone as attempt_phone, c.id as contact_id, c.line, c.phone,
               coalesce(c.name, c.variables ->> 'name') as name, c.variables,
               c.status as contact_status, c.due_at, c.attempts_made, g.id as campaign_id, g.name as campaign_name,
               g.outcomes, k.id as call_id, k.end_result, k.end_reason, k.ringing_at, k.answered_at, k.ended_at, k.hint
        from attempts a
        join contacts c on c.id = a.contact_id
        join campaigns g on g.id = a.campaign_id
        left join calls k on k.id = a.call_id
        where a.id = $1
        """,
        attempt_id,
    )


async def select_contact_story(connection: Connection, contact_id: UUID) -> Row | None:
    """A contact with its campaign, in the words of `select_attempt_story`."""
    return await connection.fetchrow(
        """
        select c.id as contact_id, c.line, c.phone, coalesce(c.name, c.variables ->> 'name') as name, c.variables,
               c.status as contact_status, c.due_at, c.attempts_made, g.id as campaign_id, g.name as campaign_name
        from contacts c join campaigns g on g.id = c.campaign_id where c.id = $1
        """,
        contact_id,
    )


async def select_campaign_name(connection: Connection, campaign_id: UUID) -> str | None:
    return await connection.fetchval("select name from campaigns where id = $1", campaign_id)


async def insert_test(connection: Connection, org_id: UUID, endpoint_id: UUID) -> None:
    """A delivery of kind webhook.test to this endpoint alone."""
    await connection.execute(
        """
        insert into webhook_deliveries (org_id, endpoint_id, kind, data, at)
        select org_id, id, 'webhook.test', '{}', now() from webhook_endpoints where org_id = $1 and id = $2
        """,
        org_id,
        endpoint_id,
    )
