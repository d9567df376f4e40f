"""The SQL of imports. Every function takes the caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import uuid_utils

from app.db import Connection, Row
from app.ids import new_id
from campaigns.imports.contacts import Contact

PART_BYTES = 1 << 20


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


async def insert_import(
    connection: Connection,
    org_id: UUID,
    campaign_id: UUID,
    *,
    file_name: str,
    size: int,
    sha256: str,
    dialect: Mapping[str, Any],
    columns: Mapping[str, Any],
    options: Mapping[str, Any],
    warnings: Sequence[str],
    request_key: str | None,
    request_hash: bytes | None,
) -> UUID:
    import_id = new_id()
    await connection.execute(
        """
        insert into imports (id, org_id, campaign_id, file_name, bytes, sha256, dialect, columns, options, warnings,
                             request_key, request_hash)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """,
        import_id,
        org_id,
        campaign_id,
        file_name,
        size,
        sha256,
        dict(dialect),
        dict(columns),
        dict(options),
        list(warnings),
        request_key,
        request_hash,
    )
    return import_id


async def insert_lanes(
    connection: Connection, org_id: UUID, import_id: UUID, lanes: int, position: Mapping[str, Any], lease_seconds: float
) -> int:
    """→ the fence of whoever works on them now."""
    fence: int = await connection.fetchval("select nextval('import_fences')")
    await connection.execute(
        """
        insert into import_lanes (org_id, import_id, lane, position, fence, lease_until)
        select $1, $2, lane, $4, $5, now() + make_interval(secs => $6) from generate_series(0, $3 - 1) lane
        """,
        org_id,
        import_id,
        lanes,
        dict(position),
        fence,
        lease_seconds,
    )
    return fence


async def insert_part(connection: Connection, org_id: UUID, import_id: UUID, ordinal: int, data: bytes) -> None:
    await connection.execute(
        "insert into import_parts (org_id, import_id, ordinal, data) values ($1, $2, $3, $4)",
        org_id,
        import_id,
        ordinal,
        data,
    )


async def select_part(connection: Connection, import_id: UUID, ordinal: int) -> bytes | None:
    return await connection.fetchval(
        "select data from import_parts where import_id = $1 and ordinal = $2", import_id, ordinal
    )


async def delete_parts(connection: Connection, import_id: UUID) -> None:
    await connection.execute("delete from import_parts where import_id = $1", import_id)


async def select_import(connection: Connection, org_id: UUID, import_id: UUID) -> Row | None:
    return await connection.fetchrow("select * from imports where org_id = $1 and id = $2", org_id, import_id)


async def select_import_by_key(connection: Connection, org_id: UUID, request_key: str) -> Row | None:
    return await connection.fetchrow(
        "select * from imports where org_id = $1 and request_key = $2", org_id, request_key
    )


async def lock_key(connection: Connection, org_id: UUID, request_key: str) -> None:
    """Two requests with one key, at the same time: the second waits for the first one's end."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 12))", f"{org_id} {request_key}")


async def select_imports(
    connection: Connection, org_id: UUID, *, campaign_id: UUID | None, before: tuple[Any, UUID] | None, limit: int
) -> Sequence[Row]:
    """Newest first."""
    return await connection.fetch(
        """
        select * from imports where org_id = $1 and ($2::uuid is null or campaign_id = $2)
          and ($3::timestamptz is null or (created_at, id) < ($3, $4::uuid))
        order by created_at desc, id desc limit $5
        """,
        org_id,
        campaign_id,
        before[0] if before else None,
        before[1] if before else None,
        limit,
    )


async def select_lanes(connection: Connection, import_id: UUID) -> Sequence[Row]:
    return await connection.fetch("select * from import_lanes where import_id = $1 order by lane", import_id)


async def take_over(connection: Connection, lease_seconds: float) -> Row | None:
    """An import that nobody works on any more, and `fence`, under which the caller does now."""
    return await connection.fetchrow(
        """
        with orphan as (
          select i.* from imports i where i.status = 'running'
            and not exists (select from import_lanes l where l.import_id = i.id and l.lease_until > now())
          order by i.id limit 1 for update of i skip locked
        ), fence as materialized (select nextval('import_fences') as fence), taken as (
          update import_lanes l set fence = f.fence, lease_until = now() + make_interval(secs => $1)
          from orphan o, fence f where l.import_id = o.id returning l.fence
        )
        select o.*, (select max(fence) from taken) as fence from orphan o
        """,
        lease_seconds,
    )


async def advance_lane(
    connection: Connection,
    import_id: UUID,
    lane: int,
    *,
    fence: int,
    position: Mapping[str, Any],
    counts: Mapping[str, int],
    lease_seconds: float,
) -> bool:
    """Where the lane goes on, and what it counted, in the transaction of the rows themselves. False where another
    worker took over."""
    row = await connection.fetchrow(
        """
        update import_lanes set position = $4, lease_until = now() + make_interval(secs => $5),
          accepted = accepted + $6, rejected = rejected + $7, duplicates = duplicates + $8, blocked = blocked + $9,
          warned = warned + $10
        where import_id = $1 and lane = $2 and fence = $3 returning lane
        """,
        import_id,
        lane,
        fence,
        dict(position),
        lease_seconds,
        counts["accepted"],
        counts["rejected"],
        counts["duplicates"],
        counts["blocked"],
        counts["warned"],
    )
    return row is not None


async def release_lanes(connection: Connection, import_id: UUID, fence: int) -> None:
    """Whoever comes next need not wait for the lease."""
    await connection.execute(
        "update import_lanes set lease_until = now() where import_id = $1 and fence = $2", import_id, fence
    )


async def end_import(
    connection: Connection, import_id: UUID, *, fence: int, status: str, error: str | None = None
) -> bool:
    """False where another worker took over, or it is over already."""
    row = await connection.fetchrow(
        """
        update imports set status = $3, error = $4, finished_at = now()
        where id = $1 and status = 'running'
          and not exists (select from import_lanes l where l.import_id = $1 and l.fence <> $2)
        returning id
        """,
        import_id,
        fence,
        status,
        error,
    )
    return row is not None


async def select_needs(connection: Connection, org_id: UUID, campaign_id: UUID) -> Row | None:
    """Of a campaign: `region` of numbers without one, and the published `definition` of its team."""
    return await connection.fetchrow(
        """
        select c.region, v.definition from campaigns c
        left join team_versions v on v.team_id = c.team_id and v.status = 'published'
        where c.org_id = $1 and c.id = $2 order by v.version desc limit 1
        """,
        org_id,
        campaign_id,
    )


async def select_definition(connection: Connection, org_id: UUID, slug: str) -> Mapping[str, Any] | None:
    """Of a published team."""
    return await connection.fetchval(
        """
        select v.definition from team_versions v join teams t on t.id = v.team_id
        where t.org_id = $1 and t.slug = $2 and v.status = 'published' order by v.version desc limit 1
        """,
        org_id,
        slug,
    )


async def insert_contacts(
    connection: Connection, org_id: UUID, campaign_id: UUID, import_id: UUID | None, contacts: Sequence[Contact]
) -> Added:
    """Contacts of numbers that the campaign does not have yet; of several with one number the first in order. Who has
    a number on the do-not-call list goes in as blocked."""
    row = await connection.fetchrow(
        """
        with added as (
          insert into contacts (id, org_id, campaign_id, import_id, line, phone, phones, name, variables, time_zone,
                                consent_at, consent_expires_at, consent_source, status, disposition, finished_at,
                                blocked_by, blocked_reason)
          select s.id, $1, $2, $3, s.line, s.phone, s.phones::text[], s.name, s.variables::jsonb, s.time_zone,
                 s.consent_at, s.consent_expires_at, s.consent_source,
                 case when d.listed then 'blocked' else 'waiting' end,
                 case when d.listed then 'do-not-call' end,
                 case when d.listed then now() end,
                 case when d.listed then 'do-not-call' end,
                 case when d.listed then 'on the do-not-call list when it was imported' end
          from unnest($4::uuid[], $5::int[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
                      $11::timestamptz[], $12::timestamptz[], $13::text[])
               s (id, line, phone, phones, name, variables, time_zone, consent_at, consent_expires_at, consent_source)
          cross join lateral (
            select exists (
              select from do_not_call d where d.org_id = $1 and (d.campaign_id is null or d.campaign_id = $2)
                and (d.phone = s.phone or s.phones <> '{}' and d.phone = any(s.phones::text[]))
            ) as listed
          ) d
          on conflict (campaign_id, phone) do nothing
          returning status, line
        )
        select count(*) as count, array_agg(line) filter (where status = 'blocked') as blocked from added
        """,
        org_id,
        campaign_id,
        import_id,
        [uuid_utils.uuid7() for _ in contacts],
        *list(zip(*contacts, strict=True))[:-1],
    )
    assert row is not None  # an aggregate always has one
    return Added(row["count"], row["blocked"] or [])


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
    """Numbers that wait to be called by one of these campaigns."""
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


async def select_faults(
    connection: Connection,
    org_id: UUID,
    import_id: UUID,
    *,
    kinds: Sequence[str],
    after: tuple[int, int] | None,
    limit: int,
) -> Sequence[Row]:
    """By line; no `kinds` means all; `after`: the (line, ordinal) of the last one seen."""
    return await connection.fetch(
        """
        select * from import_faults where org_id = $1 and import_id = $2
          and (cardinality($3::text[]) = 0 or kind = any($3))
          and ($4::int is null or (line, ordinal) > ($4, $5::int))
        order by line, ordinal limit $6
        """,
        org_id,
        import_id,
        list(kinds),
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )


async def set_report(connection: Connection, campaign_id: UUID, report: Mapping[str, Any]) -> None:
    await connection.execute("update campaigns set import_report = $2 where id = $1", campaign_id, dict(report))


async def delete_draft(connection: Connection, org_id: UUID, campaign_id: UUID) -> None:
    """With everything in it."""
    await connection.execute(
        "delete from campaigns where org_id = $1 and id = $2 and status = 'draft'", org_id, campaign_id
    )
