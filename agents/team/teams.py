"""Teams as they are kept: every push is a new version, and one version of a team at most answers calls."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from agents.team import store
from agents.team.checks import Fault
from agents.team.definition import TeamDefinition, load_definition
from agents.team.parse import read_team
from app.db import Connection, Database, Row
from app.errors import NotFound
from app.ids import OrgId, TeamId, TeamVersionId, new_id


class TeamNotFound(NotFound):
    """No team or version of a team like this, or none that is published."""

    code = "team_not_found"


@dataclass(frozen=True)
class Team:
    """`published_version` is the one that answers calls now, None without one."""

    id: TeamId
    org_id: OrgId
    slug: str
    name: str
    published_version: int | None
    latest_version: int | None
    created_at: datetime


@dataclass(frozen=True)
class TeamVersion:
    """One push. `status` is draft, published or archived; `warnings` are those of the push, not stored."""

    id: TeamVersionId
    org_id: OrgId
    team_id: TeamId
    slug: str
    name: str
    version: int
    status: str
    definition: TeamDefinition
    source: str
    created_at: datetime
    published_at: datetime | None
    warnings: tuple[Fault, ...] = ()


async def push_team(
    db: Database, claims: Mapping[str, Any] | None, org_id: OrgId, source: str, *, publish: bool = True
) -> TeamVersion:
    """Check a team file and store it as the next version of the team with its slug; published, it answers the next
    call, while calls under way keep theirs. `claims`: who asks; None for our own processes.

    Raises InvalidTeam with every fault; then nothing is stored.
    """
    parsed = read_team(source)
    version_id = new_id()
    async with _transaction(db, claims) as connection:
        # Locks the team's row: a push at the same moment waits here, so versions count on and one is published.
        team_id = await store.upsert_team(
            connection, team_id=new_id(), org_id=org_id, slug=parsed.definition.slug, name=parsed.definition.name
        )
        if publish:
            await store.archive_published(connection, team_id)
        await store.insert_version(
            connection,
            version_id=version_id,
            org_id=org_id,
            team_id=team_id,
            definition=parsed.definition.model_dump(mode="json"),
            source=source,
            published=publish,
        )
        stored = await load_team_version(connection, TeamVersionId(version_id))
    return replace(stored, warnings=tuple(parsed.warnings))


async def list_teams(
    db: Database,
    claims: Mapping[str, Any] | None,
    org_id: OrgId,
    *,
    before: tuple[datetime, UUID] | None = None,
    limit: int | None = None,
) -> list[Team]:
    """The organization's teams, newest first; `before`: the instant and id of the last one seen."""
    async with _transaction(db, claims) as connection:
        return [_team(row) for row in await store.select_teams(connection, org_id, before=before, limit=limit)]


async def load_team_version(connection: Connection, version_id: TeamVersionId) -> TeamVersion:
    """Raises TeamNotFound."""
    row = await store.select_version(connection, version_id)
    if row is None:
        raise TeamNotFound("There is no such version of a team.")
    return _version(row)


async def find_published(connection: Connection, org_id: OrgId, slug: str) -> TeamVersion:
    """The version of the team that answers calls now. Raises TeamNotFound."""
    row = await store.select_published(connection, org_id, slug)
    if row is None:
        raise TeamNotFound(f"No team {slug!r} is published here; push one with `trunkline teams push FILE`.")
    return _version(row)


@asynccontextmanager
async def _transaction(db: Database, claims: Mapping[str, Any] | None) -> AsyncGenerator[Connection]:
    async with db.system() if claims is None else db.request(claims) as connection:
        yield connection


def _team(row: Row) -> Team:
    return Team(
        id=TeamId(row["id"]),
        org_id=OrgId(row["org_id"]),
        slug=row["slug"],
        name=row["name"],
        published_version=row["published_version"],
        latest_version=row["latest_version"],
        created_at=row["created_at"],
    )


def _version(row: Row) -> TeamVersion:
    return TeamVersion(
        id=TeamVersionId(row["id"]),
        org_id=OrgId(row["org_id"]),
        team_id=TeamId(row["team_id"]),
        slug=row["slug"],
        name=row["name"],
        version=row["version"],
        status=row["status"],
        definition=load_definition(row["definition"]),
        source=row["source"],
        created_at=row["created_at"],
        published_at=row["published_at"],
    )
