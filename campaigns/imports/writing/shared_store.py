"""The SQL of numbers that several contacts of a campaign have. Every function takes the caller's transaction.

Each statement looks at a page of the campaign's contacts, and asks for one number at a time in an index: as subqueries,
because of a join Postgres may make one over the whole campaign, for every page anew. Nor may it go by what it knows of
tables that have just grown from nothing to millions of rows (`keep_lane`).
"""

from uuid import UUID

from app.db import Connection, Row
from campaigns.store import read_by_index

_TELL = """
  told as (
    insert into import_faults (org_id, import_id, line, ordinal, kind, value, reason)
    select $1, $3, s.line, coalesce(l.last, -1) + row_number() over (partition by s.line order by s.phone, s.reason),
      'warning', s.phone, s.reason
    from shared s cross join lateral (
      select max(f.ordinal) as last, bool_or(f.value = s.phone and f.reason = s.reason) as known
      from import_faults f where f.import_id = $3 and f.line = s.line
    ) l where l.known is not true
    returning 1
  ), counted as (
    update import_lanes set warned = warned + (select count(*) from told) where import_id = $3 and lane = 0
  )
"""
"""What of `shared` (line, phone, reason) is not said yet; counted in the first lane, which the caller holds."""


async def keep_lane(connection: Connection, import_id: UUID, *, fence: int, lease_seconds: float) -> bool:
    """The first lane stays the caller's till the end of the transaction, in which everything is read by an index. False
    where another worker took over."""
    await read_by_index(connection)
    held = await connection.fetchval(
        """
        update import_lanes set lease_until = now() + make_interval(secs => $3)
        where import_id = $1 and lane = 0 and fence = $2 returning true
        """,
        import_id,
        fence,
        lease_seconds,
    )
    return bool(held)


async def insert_shared(
    connection: Connection, org_id: UUID, campaign_id: UUID, import_id: UUID, *, after: str, limit: int
) -> Row:
    """Of the import's contacts with numbers above `after`: warnings of further numbers that are another contact's own,
    or that a contact of the import before them has too; what nobody before them has is kept for those that come.

    → `last`: where to go on, None at the end; `others`: whether somebody of another import has several numbers."""
    row = await connection.fetchrow(
        f"""
        with page as (
          select id, import_id, line, phone, phones, status from contacts
          where campaign_id = $2 and phone > $4 order by phone limit $5
        ), further as (
          select distinct p.line, p.phone as own, f.phone from page p cross join lateral unnest(p.phones[2:]) f (phone)
          where p.import_id = $3 and p.status <> 'blocked' and f.phone <> p.phone
        ), asked as (
          select n.line, n.phone, first_value(n.line) over (partition by n.phone order by n.own) as first, (
            select case when k.import_id = $3 then 'line ' || k.line else 'another contact' end from contacts k
            where k.campaign_id = $2 and k.phone = n.phone and k.status <> 'blocked'
          ) as owner, (
            select h.line from import_numbers h where h.import_id = $3 and h.phone = n.phone
          ) as held
          from further n
        ), kept as (
          insert into import_numbers (import_id, phone, line)
          select $3, a.phone, a.line from asked a where a.owner is null and a.held is null and a.first = a.line
        ), shared as (
          select a.line, a.phone, a.owner || ' has this number as its own: both are called' as reason
          from asked a where a.owner is not null
          union all
          select a.line, a.phone, 'line ' || coalesce(a.held, a.first) || ' has this number too: both are called'
          from asked a where a.owner is null and coalesce(a.held, a.first) <> a.line
        ), {_TELL}
        select max(phone) as last,
               coalesce(bool_or(import_id is distinct from $3 and phones <> '{{}}'), false) as others
        from page
        """,  # noqa: S608 - a constant
        org_id,
        campaign_id,
        import_id,
        after,
        limit,
    )
    assert row is not None  # an aggregate has one row
    return row


async def insert_shared_with_others(
    connection: Connection, org_id: UUID, campaign_id: UUID, import_id: UUID, *, after: str, limit: int
) -> str | None:
    """Of the campaign's other contacts with numbers above `after`: warnings of their further numbers that one of the
    import's contacts has, for that one. All of the import's are kept by now. → where to go on, None at the end."""
    return await connection.fetchval(
        f"""
        with page as (
          select import_id, phone, phones, status from contacts
          where campaign_id = $2 and phone > $4 order by phone limit $5
        ), further as (
          select distinct f.phone from page p cross join lateral unnest(p.phones[2:]) f (phone)
          where p.import_id is distinct from $3 and p.status <> 'blocked' and f.phone <> p.phone
        ), asked as (
          select n.phone, (
            select k.line from contacts k
            where k.campaign_id = $2 and k.phone = n.phone and k.status <> 'blocked' and k.import_id = $3
          ) as owner, (
            select h.line from import_numbers h where h.import_id = $3 and h.phone = n.phone
          ) as held
          from further n
        ), shared as (
          select coalesce(a.owner, a.held) as line, a.phone, 'another contact has this number '
            || case when a.owner is null then 'too' else 'as a further one' end || ': both are called' as reason
          from asked a where a.owner is not null or a.held is not null
        ), {_TELL}
        select max(phone) from page
        """,  # noqa: S608 - a constant
        org_id,
        campaign_id,
        import_id,
        after,
        limit,
    )


async def delete_numbers(connection: Connection, import_id: UUID, *, after: str, limit: int) -> str | None:
    """What is kept of the import, the next numbers above `after`. → where to go on, None at the end."""
    return await connection.fetchval(
        """
        with gone as (
          delete from import_numbers where import_id = $1 and phone > $2 and phone <= (
            select max(n.phone) from (
              select phone from import_numbers where import_id = $1 and phone > $2 order by phone limit $3) n)
          returning phone
        ) select max(phone) from gone
        """,
        import_id,
        after,
        limit,
    )
