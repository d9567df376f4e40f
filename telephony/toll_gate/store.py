"""The SQL of the toll gate. Every function takes the caller's transaction."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from app.db import Connection, Row
from app.ids import new_id


async def select_rules(connection: Connection, org_id: UUID) -> Row | None:
    """`country`, `settings`, `rules` (null where none were set) and `own_numbers` of the organization."""
    return await connection.fetchrow(
        """
        select o.country, o.settings, r.rules, r.set_by, r.created_at,
               array(select e164 from numbers where org_id = o.id) as own_numbers
        from organizations o left join lateral (
          select * from dialing_rules where org_id = o.id order by created_at desc, id desc limit 1
        ) r on true
        where o.id = $1
        """,
        org_id,
    )


async def insert_rules(connection: Connection, org_id: UUID, rules: Mapping[str, Any], *, set_by: str | None) -> None:
    """From this transaction's end on these hold; the ones before stay as history."""
    await connection.execute(
        "insert into dialing_rules (id, org_id, rules, set_by) values ($1, $2, $3, $4)",
        new_id(),
        org_id,
        dict(rules),
        set_by,
    )


async def lock_counts(connection: Connection, org_id: UUID) -> datetime:
    """Whoever else counts dials of this organization waits until this transaction ends. The database's clock, which all
    replicas share, read once the lock is ours."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended('toll gate ' || $1::text, 0))", str(org_id))
    return await connection.fetchval("select clock_timestamp()")


async def select_counts(connection: Connection, org_id: UUID, keys: Sequence[str]) -> Sequence[Row]:
    return await connection.fetch(
        "select key, bucket, dials from dial_counts where org_id = $1 and key = any($2::text[])", org_id, keys
    )


async def select_number_counts(
    connection: Connection, org_id: UUID, numbers: Sequence[str], *, since: datetime
) -> Sequence[Row]:
    """How often each number was called since then."""
    return await connection.fetch(
        """
        select to_number, count(*)::int as dials from calls
        where org_id = $1 and to_number = any($2::text[]) and direction = 'outbound' and created_at > $3
        group by to_number
        """,
        org_id,
        numbers,
        since,
    )


async def settle_charges(connection: Connection, org_id: UUID) -> None:
    """Charge what is over for its real length."""
    await connection.execute("select private.settle_dials($1)", org_id)


async def select_spend(connection: Connection, org_id: UUID, *, currency: str, today: date) -> Row:
    """`day` and `month`: thousandths of the minor unit."""
    row = await connection.fetchrow(
        """
        select coalesce(sum(charged) filter (where day = $3), 0)::bigint as day,
               coalesce(sum(charged), 0)::bigint as month
        from dial_spend
        where org_id = $1 and currency = $2 and day >= date_trunc('month', $3::date)::date
        """,
        org_id,
        currency,
        today,
    )
    assert row is not None  # an aggregate has a row
    return row


async def add_counts(
    connection: Connection,
    org_id: UUID,
    *,
    keys: Sequence[str],
    buckets: Sequence[datetime],
    dials: Sequence[int],
    oldest: Sequence[datetime],
) -> None:
    """Count, and forget the buckets that are older than `oldest` of their key."""
    await connection.execute("select private.count_dials($1, $2, $3, $4, $5)", org_id, keys, buckets, dials, oldest)


async def add_charges(
    connection: Connection,
    org_id: UUID,
    *,
    calls: Sequence[UUID],
    day: date,
    currency: str,
    rates: Sequence[int],
    charges: Sequence[int],
) -> None:
    await connection.execute(
        "select private.charge_dials($1, $2, $3, $4, $5, $6)", org_id, calls, day, currency, rates, charges
    )
