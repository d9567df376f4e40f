"""The SQL of what dead, frozen or badly informed dialers leave behind. Taking an attempt over gives it a new fence."""

from collections.abc import Sequence
from uuid import UUID

from app.db import Connection, Row


async def release_expired_claims(connection: Connection) -> int:
    """Claims whose dialer let the lease run out: nothing was dialed, the contact waits again."""
    return await connection.fetchval(
        """
        with gone as (
          select id from attempts where status = 'claimed' and lease_until < clock_timestamp() for update skip locked
        ), released as (
          update attempts a set status = 'released', settled_at = now(), fence = nextval('attempt_fences'),
                                detail = 'the dialer that had it is gone'
          from gone where a.id = gone.id returning a.contact_id
        ), back as (
          update contacts c set status = 'waiting' from released r
          where c.id = r.contact_id and c.status = 'in-flight' returning c.id
        )
        select count(*) from back
        """
    )


async def park_expired_dials(connection: Connection, *, grace_seconds: float) -> int:
    """Dials whose dialer let the lease run out: uncertain, and where the request did go out, nobody asks the carrier
    before the grace is over."""
    return await connection.fetchval(
        """
        with gone as (
          select a.id, k.dialed_at is not null as sent from attempts a join calls k on k.id = a.call_id
          where a.status = 'dialing' and a.lease_until < clock_timestamp() for update of a skip locked
        ), parked as (
          update attempts a set status = 'uncertain', fence = nextval('attempt_fences'),
                                lease_until = clock_timestamp()
                                  + make_interval(secs => case when gone.sent then $1::float8 else 0 end)
          from gone where a.id = gone.id returning a.id
        )
        select count(*) from parked
        """,
        grace_seconds,
    )


async def resume_known_calls(connection: Connection, *, look_again_seconds: float) -> int:
    """Uncertain attempts whose call the carrier has told us of: placed after all."""
    return await connection.fetchval(
        """
        with known as (
          select a.id from attempts a join calls k on k.id = a.call_id
          where a.status = 'uncertain' and k.ended_at is null
            and (k.carrier_call_id is not null or k.ringing_at is not null or k.answered_at is not null)
          for update of a skip locked
        ), resumed as (
          update attempts a set status = 'placed', fence = nextval('attempt_fences'),
                                lease_until = clock_timestamp() + make_interval(secs => $1)
          from known where a.id = known.id returning a.id
        )
        select count(*) from resumed
        """,
        look_again_seconds,
    )


async def take_over_unclear(connection: Connection, *, dialer: str, lease_seconds: float, limit: int) -> Sequence[Row]:
    """Placed and uncertain attempts that someone must ask the carrier about now become ours."""
    return await connection.fetch(
        """
        with unclear as (
          select a.id from attempts a join calls k on k.id = a.call_id
          where a.status in ('placed', 'uncertain') and a.lease_until < clock_timestamp() and k.ended_at is null
          order by a.lease_until limit $3 for update of a skip locked
        )
        update attempts a set dialer = $1, fence = nextval('attempt_fences'),
                              lease_until = clock_timestamp() + make_interval(secs => $2)
        from unclear where a.id = unclear.id
        returning a.id, a.fence, a.org_id, a.campaign_id, a.contact_id, a.call_id, a.status
        """,
        dialer,
        lease_seconds,
        limit,
    )


async def lock_call(connection: Connection, call_id: UUID) -> Row | None:
    """What is known of the call, held: whether its request went out, and whether the carrier told us of it."""
    return await connection.fetchrow(
        """
        select dialed_at is not null as sent, ended_at is not null as ended,
               carrier_call_id is not null or ringing_at is not null or answered_at is not null as known
        from calls where id = $1 for update
        """,
        call_id,
    )
