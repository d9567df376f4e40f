"""The SQL of contacts that go in, and of what is said of rows. Every function takes the caller's transaction."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import uuid_utils

from app.db import Connection, Row
from campaigns.imports.contacts import Contact


@dataclass(frozen=True)
class NewFault:
    """A row of import_faults, but for whose."""

    line: int
    ordinal: int
    kind: str
    column: str
    value: str
    reason: str
    cells: str


@dataclass(frozen=True)
class Added:
    """How many contacts went in, and the lines of those that are on the do-not-call list."""

    count: int
    blocked_lines: list[int]


_WRITTEN = """
    on conflict (campaign_id, phone) do nothing
    returning status, line
  )
  select count(*) as count, array_agg(line) filter (where status = 'blocked') as blocked from added
"""
_STATE = """
    case when d.listed then 'blocked' else 'waiting' end,
    case when d.listed then 'do-not-call' end,
    case when d.listed then now() end,
    case when d.listed then 'do-not-call' end,
    case when d.listed then 'on the do-not-call list when it was imported' end
"""
_INSERT = f"""
  with added as (
    insert into contacts (id, org_id, campaign_id, import_id, line, phone, name, variables, status, disposition,
                          finished_at, blocked_by, blocked_reason)
    select s.id, $1, $2, $3, s.line, s.phone, s.name, s.variables::jsonb, {_STATE}
    from unnest($4::uuid[], $5::int[], $6::text[], $7::text[], $8::text[]) s (id, line, phone, name, variables)
    cross join lateral (
      select exists (
        select from do_not_call d
        where d.org_id = $1 and d.phone = s.phone and (d.campaign_id is null or d.campaign_id = $2)
      ) as listed
    ) d {_WRITTEN}
"""  # noqa: S608 - both are constants
"""What most lists need. A column that nobody gives costs Postgres a fifth of a row all the same."""
_INSERT_FULL = f"""
  with added as (
    insert into contacts (id, org_id, campaign_id, import_id, line, phone, phones, name, variables, time_zone,
                          consent_at, consent_expires_at, consent_source, status, disposition, finished_at,
                          blocked_by, blocked_reason)
    select s.id, $1, $2, $3, s.line, s.phone, s.phones::text[], s.name, s.variables::jsonb, s.time_zone,
           s.consent_at, s.consent_expires_at, s.consent_source, {_STATE}
    from unnest($4::uuid[], $5::int[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
                $11::timestamptz[], $12::timestamptz[], $13::text[])
         s (id, line, phone, phones, name, variables, time_zone, consent_at, consent_expires_at, consent_source)
    cross join lateral (
      select exists (
        select from do_not_call d where d.org_id = $1 and (d.campaign_id is null or d.campaign_id = $2)
          and (d.phone = s.phone or s.phones <> '{{}}' and d.phone = any(s.phones::text[]))
      ) as listed
    ) d {_WRITTEN}
"""  # noqa: S608 - both are constants


async def insert_contacts(
    connection: Connection, org_id: UUID, campaign_id: UUID, import_id: UUID, contacts: Sequence[Contact]
) -> Added:
    """Contacts of numbers that the campaign does not have yet; of several with one number the first in order. Who has
    a number on the do-not-call list goes in as blocked."""
    lines, phones, lists, names, variables, *facts, _ = zip(*contacts, strict=True)
    ids = [uuid_utils.uuid7() for _ in contacts]
    if any(map(any, facts)) or any(phones != "{}" for phones in lists):
        given = (ids, lines, phones, lists, names, variables, *facts)
        row = await connection.fetchrow(_INSERT_FULL, org_id, campaign_id, import_id, *given)
    else:
        row = await connection.fetchrow(_INSERT, org_id, campaign_id, import_id, ids, lines, phones, names, variables)
    assert row is not None  # an aggregate always has one
    return Added(row["count"], row["blocked"] or [])


async def copy_contacts(connection: Connection, columns: Sequence[str], data: bytes) -> None:
    """`data`: in COPY's binary format. Raises UniqueViolationError where the campaign has one of the numbers."""

    async def in_one_piece() -> AsyncIterator[bytes]:
        yield data

    await connection.copy_to_table("contacts", source=in_one_piece(), columns=columns, format="binary")


async def has_contacts(connection: Connection, campaign_id: UUID) -> bool:
    return await connection.fetchval("select exists (select from contacts where campaign_id = $1)", campaign_id)


async def select_known(connection: Connection, campaign_id: UUID, phones: Sequence[str]) -> dict[str, Row]:
    """The numbers that the campaign has, each with its contact's `import_id` and `line`."""
    rows = await connection.fetch(
        "select phone, import_id, line from contacts where campaign_id = $1 and phone = any($2::text[])",
        campaign_id,
        phones,
    )
    return {row["phone"]: row for row in rows}


async def select_repeats(
    connection: Connection, campaign_id: UUID, import_id: UUID | None, contacts: Sequence[Contact]
) -> dict[int, int | None]:
    """The lines of those that did not go in → the line of this import that has the number, or None where the campaign
    had it before."""
    rows = await connection.fetch(
        """
        select s.line, case when c.import_id = $2 then c.line end as first_line
        from unnest($3::int[], $4::text[]) s (line, phone)
        join contacts c on c.campaign_id = $1 and c.phone = s.phone
        where c.import_id is distinct from $2 or c.line is distinct from s.line
        """,
        campaign_id,
        import_id,
        [c.line for c in contacts],
        [c.phone for c in contacts],
    )
    return {row["line"]: row["first_line"] for row in rows}


async def select_other_running(connection: Connection, org_id: UUID, campaign_id: UUID) -> dict[UUID, str]:
    """The other campaigns of the organization that dial or are about to: id → name."""
    rows = await connection.fetch(
        "select id, name from campaigns where org_id = $1 and id <> $2 and status in ('running', 'scheduled')",
        org_id,
        campaign_id,
    )
    return {row["id"]: row["name"] for row in rows}


async def select_elsewhere(
    connection: Connection, campaign_ids: Sequence[UUID], phones: Sequence[str]
) -> dict[str, UUID]:
    """Numbers whose own contact waits to be called by one of these campaigns; no index knows further numbers there."""
    rows = await connection.fetch(
        """
        select c.phone, c.campaign_id from unnest($1::uuid[]) k (id) cross join unnest($2::text[]) s (phone)
        join contacts c on c.campaign_id = k.id and c.phone = s.phone and c.status in ('waiting', 'in-flight')
        """,
        campaign_ids,
        phones,
    )
    return {row["phone"]: row["campaign_id"] for row in rows}


async def insert_faults(connection: Connection, org_id: UUID, import_id: UUID, faults: Sequence[NewFault]) -> None:
    await connection.execute(
        """
        insert into import_faults (org_id, import_id, line, ordinal, kind, column_name, value, reason, cells)
        select $1, $2, f.line, f.ordinal, f.kind, f.column_name, f.value, f.reason, f.cells::jsonb
        from unnest($3::int[], $4::int[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
             f (line, ordinal, kind, column_name, value, reason, cells)
        """,
        org_id,
        import_id,
        [f.line for f in faults],
        [f.ordinal for f in faults],
        [f.kind for f in faults],
        [f.column for f in faults],
        [f.value for f in faults],
        [f.reason for f in faults],
        [f.cells for f in faults],
    )
