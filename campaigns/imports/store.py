"""The SQL of imports. Every function takes the caller's transaction."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from app.db import Connection, Row
from app.ids import new_id

PART_BYTES = 1 << 20


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
    """An import that nobody works on any more, `fence`, under which the caller does now, and
    `stuck_now`: how often before it was taken over at this very place."""
    return await connection.fetchrow(
        """
        with orphan as (
          select i.* from imports i where i.status = 'running'
            and not exists (select from import_lanes l where l.import_id = i.id and l.lease_until > now())
          order by i.id limit 1 for update of i skip locked
        ), place as (
          select coalesce(sum((l.position->>'blocks')::bigint), 0) as blocks
          from import_lanes l join orphan o on o.id = l.import_id
        ), counted as (
          update imports i set stuck = case when i.stuck_at = p.blocks then i.stuck + 1 else 0 end, stuck_at = p.blocks
          from orphan o, place p where i.id = o.id returning i.stuck
        ), fence as materialized (select nextval('import_fences') as fence), taken as (
          update import_lanes l set fence = f.fence, lease_until = now() + make_interval(secs => $1)
          from orphan o, fence f where l.import_id = o.id returning l.fence
        )
        select o.*, (select max(fence) from taken) as fence, (select stuck from counted) as stuck_now from orphan o
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


async def is_any_running(connection: Connection) -> bool:
    """Whether any campaign of any organization dials."""
    return await connection.fetchval("select exists (select from campaigns where status = 'running')")


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
