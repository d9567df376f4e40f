"""The SQL of what dead, frozen or badly informed dialers leave behind. Taking an attempt over gives it a new fence."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from app.db import Connection, Row


async def set_beat(connection: Connection, name: str, *, lead_seconds: float) -> None:
    """The dialer lives, and takes its slots so long before their time. Not synced to disk: a beat that is
    lost in a crash is as good as late."""
    await connection.fetchval("select set_config('synchronous_commit', 'off', true)")
    await connection.execute(
        """
        insert into dialers (name, lead_seconds) values ($1, $2)
        on conflict (name) do update set beat_at = clock_timestamp(), lead_seconds = excluded.lead_seconds
        """,
        name,
        lead_seconds,
    )


async def select_now(connection: Connection) -> datetime:
    return await connection.fetchval("select clock_timestamp()")


async def delete_dialer(connection: Connection, name: str) -> None:
    """And those that have been silent for a day."""
    await connection.execute("delete from dialers where name = $1 or beat_at < now() - interval '1 day'", name)


async def select_gone(
    connection: Connection, *, presence_seconds: float, dialer: str, in_hand: Collection[UUID]
) -> Sequence[Row]:
    """Claims and dials that nobody works on any more, held: (id, status). As seen by `dialer`, who has `in_hand`;
    a silence of `presence_seconds` means death, but for as long after a start of Postgres everyone is silent."""
    return await connection.fetch(
        """
        select a.id, a.status from attempts a
        where a.status in ('claimed', 'dialing') and (
          a.lease_until < clock_timestamp()
          or (pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => $1)
              and not exists (select from dialers d
                              where d.name = a.dialer and d.beat_at > clock_timestamp() - make_interval(secs => $1)))
          -- Ours by the row, but nothing that we know of: the answer to a commit was lost.
          or (a.dialer = $2 and a.id <> all($3::uuid[])))
        for update of a skip locked
        """,
        presence_seconds,
        dialer,
        list(in_hand),
    )


async def release_gone_claims(connection: Connection, ids: Sequence[UUID]) -> None:
    """Nothing was dialed: the contacts wait again."""
    await connection.execute(
        """
        with released as (
          update attempts set status = 'released', settled_at = now(), fence = nextval('attempt_fences'),
                              detail = 'the dialer that had it is gone'
          where id = any($1::uuid[]) and status = 'claimed' returning contact_id
        )
        update contacts c set status = 'waiting' from released r where c.id = r.contact_id and c.status = 'in-flight'
        """,
        list(ids),
    )


async def park_gone_dials(connection: Connection, ids: Sequence[UUID]) -> None:
    """Uncertain now, and asked about at once: the carrier's yes is a call that goes on, its no frees the slot."""
    await connection.execute(
        """
        update attempts a set status = 'uncertain', fence = nextval('attempt_fences'),
                              lease_until = clock_timestamp()
        where a.id = any($1::uuid[]) and a.status = 'dialing'
        """,
        list(ids),
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


async def take_over_unclear(
    connection: Connection, *, dialer: str, lease_seconds: float, presence_seconds: float, limit: int
) -> Sequence[Row]:
    """Placed and uncertain attempts that someone must ask the carrier about now become ours; uncertain ones that hold a
    slot also from a dialer that died while it asked."""
    return await connection.fetch(
        """
        with unclear as (
          select a.id from attempts a join calls k on k.id = a.call_id
          where a.status in ('placed', 'uncertain') and k.ended_at is null
            and (a.lease_until < clock_timestamp()
                 or (a.status = 'uncertain' and a.absent_at is null
                     and pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => $4)
                     and not exists (
                       select from dialers d
                       where d.name = a.dialer and d.beat_at > clock_timestamp() - make_interval(secs => $4))))
          order by a.status = 'placed', a.lease_until limit $3 for update of a skip locked
        )
        update attempts a set dialer = $1, fence = nextval('attempt_fences'),
                              lease_until = clock_timestamp() + make_interval(secs => $2)
        from unclear where a.id = unclear.id
        returning a.id, a.fence, a.org_id, a.campaign_id, a.contact_id, a.call_id, a.status
        """,
        dialer,
        lease_seconds,
        limit,
        presence_seconds,
    )


async def set_next_look(
    connection: Connection, attempt_id: UUID, fence: int, *, seconds: float, absent: bool = False
) -> None:
    """Nobody asks about this uncertain attempt before then. `absent`: the carrier has no such call so far, and it holds
    no slot."""
    await connection.execute(
        """
        update attempts set lease_until = clock_timestamp() + make_interval(secs => $3),
                            absent_at = case when $4 then coalesce(absent_at, clock_timestamp()) end
        where id = $1 and fence = $2 and status = 'uncertain'
        """,
        attempt_id,
        fence,
        seconds,
        absent,
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


async def has_unnamed_twin(connection: Connection, call_id: UUID, *, skew: timedelta) -> bool:
    """Whether another call of ours between the same two numbers, sent about the same time, has no carrier's id either,
    and was not surely left undialed: what the carrier lists may be either of them."""
    return await connection.fetchval(
        """
        select exists (
          select from calls k
          join calls t on t.org_id = k.org_id and t.to_number = k.to_number and t.from_number = k.from_number
          where k.id = $1 and t.id <> k.id and t.direction = 'outbound' and t.carrier_call_id is null
            and (t.ended_at is null or t.end_result = 'indeterminate')
            and t.dialed_at >= coalesce(k.dialed_at, k.created_at) - $2::interval
        )
        """,
        call_id,
        skew,
    )
