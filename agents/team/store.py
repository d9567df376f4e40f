"""The SQL of teams and their versions. Every function takes the caller's transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import Connection, Row

_VERSION = """
    select v.id, v.org_id, v.team_id, t.slug, t.name, v.version, v.status, v.definition, v.source,
           v.created_at, v.published_at
    from team_versions v join teams t on t.id = v.team_id
"""


async def upsert_team(connection: Connection, *, team_id: UUID, org_id: UUID, slug: str, name: str) -> UUID:
    """The team of this slug, made or renamed; its row stays locked until the transaction ends."""
    return await connection.fetchval(
        """
        insert into teams (id, org_id, slug, name) values ($1, $2, $3, $4)
        on conflict (org_id, slug) do update set name = excluded.name
        returning id
        """,
        team_id,
        org_id,
        slug,
        name,
    )


async def archive_published(connection: Connection, team_id: UUID) -> None:
    await connection.execute(
        "update team_versions set status = 'archived' where team_id = $1 and status = 'published'", team_id
    )


async def insert_version(
    connection: Connection,
    *,
    version_id: UUID,
    org_id: UUID,
    team_id: UUID,
    definition: Mapping[str, Any],
    source: str,
    published: bool,
) -> None:
    """The next version of a team whose row this transaction has locked."""
    await connection.execute(
        """
        insert into team_versions (id, org_id, team_id, version, status, definition, source, published_at)
        select $1, $2, $3, coalesce(max(version), 0) + 1, case when $6 then 'published' else 'draft' end, $4, $5,
               case when $6 then now() end
        from team_versions where team_id = $3
        """,
        version_id,
        org_id,
        team_id,
        dict(definition),
        source,
        published,
    )


async def select_version(connection: Connection, version_id: UUID) -> Row | None:
    return await connection.fetchrow(_VERSION + "where v.id = $1", version_id)


async def select_published(connection: Connection, org_id: UUID, slug: str) -> Row | None:
    return await connection.fetchrow(
        _VERSION + "where t.org_id = $1 and t.slug = $2 and v.status = 'published'", org_id, slug
    )


async def select_teams(
    connection: Connection, org_id: UUID, *, before: tuple[datetime, UUID] | None = None, limit: int | None = None
) -> Sequence[Row]:
    """Each team with the number of the version that answers calls now (null without one) and of the latest; newest
    first, from after `before` on; all of them without a limit."""
    return await connection.fetch(
        """
        select t.id, t.org_id, t.slug, t.name, t.created_at, max(v.version) as latest_version,
               max(v.version) filter (where v.status = 'published') as published_version
        from teams t left join team_versions v on v.team_id = t.id
        where t.org_id = $1 and ($2::timestamptz is null or (t.created_at, t.id) < ($2, $3::uuid))
        group by t.id order by t.created_at desc, t.id desc limit $4
        """,
        org_id,
        before[0] if before else None,
        before[1] if before else None,
        limit,
    )
