"""Teams in Postgres: versions count on, one is published, and only who may push does."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from agents.team.parse import InvalidTeam
from agents.team.teams import TeamNotFound, find_published, list_teams, load_team_version, push_team
from app.db import Database
from app.ids import OrgId, TeamVersionId, new_id

SOURCE = (Path(__file__).resolve().parents[2] / "examples" / "harbor-dental" / "team.yaml").read_text()

pytestmark = pytest.mark.db


async def member(db: Database, org: OrgId, role: str) -> dict[str, Any]:
    """A new user with this role; the claims of their requests."""
    user_id = uuid4()
    async with db.system() as connection:
        await connection.execute(
            "insert into auth.users (id, email) values ($1, $2)", user_id, f"{user_id}@example.com"
        )
        await connection.execute("insert into members (org_id, user_id, role) values ($1, $2, $3)", org, user_id, role)
    return {"sub": str(user_id), "role": "authenticated"}


async def statuses(db: Database, org: OrgId) -> list[tuple[int, str]]:
    async with db.system() as connection:
        rows = await connection.fetch(
            "select version, status from team_versions where org_id = $1 order by version", org
        )
    return [(row["version"], row["status"]) for row in rows]


async def test_a_pushed_team_is_published_and_comes_back_as_it_went_in(db: Database, org: OrgId) -> None:
    pushed = await push_team(db, None, org, SOURCE)
    assert (pushed.slug, pushed.version, pushed.status) == ("harbor-dental", 1, "published")
    assert pushed.source == SOURCE
    async with db.system() as connection:
        assert await load_team_version(connection, pushed.id) == pushed
        assert await find_published(connection, org, "harbor-dental") == pushed
    assert [agent.name for agent in pushed.definition.agents] == ["reception", "scheduling", "billing"]


async def test_a_second_push_archives_the_first_and_renames_the_team(db: Database, org: OrgId) -> None:
    first = await push_team(db, None, org, SOURCE)
    second = await push_team(db, None, org, SOURCE.replace("name: Harbor Dental\n", "name: Harbour Dental\n"))
    assert second.team_id == first.team_id
    assert await statuses(db, org) == [(1, "archived"), (2, "published")]
    (team,) = await list_teams(db, None, org)
    assert (team.name, team.published_version, team.latest_version) == ("Harbour Dental", 2, 2)


async def test_a_draft_leaves_the_published_version_answering(db: Database, org: OrgId) -> None:
    await push_team(db, None, org, SOURCE)
    draft = await push_team(db, None, org, SOURCE, publish=False)
    assert (draft.version, draft.status, draft.published_at) == (2, "draft", None)
    assert await statuses(db, org) == [(1, "published"), (2, "draft")]


async def test_pushes_at_the_same_moment_count_on_and_leave_one_published(db: Database, org: OrgId) -> None:
    pushed = await asyncio.gather(*(push_team(db, None, org, SOURCE) for _ in range(6)))
    assert sorted(version.version for version in pushed) == [1, 2, 3, 4, 5, 6]
    assert [status for _, status in await statuses(db, org)].count("published") == 1
    assert (await statuses(db, org))[-1] == (6, "published")


async def test_a_faulty_file_stores_nothing(db: Database, org: OrgId) -> None:
    with pytest.raises(InvalidTeam):
        await push_team(db, None, org, SOURCE.replace("entry: reception", "entry: recepcion"))
    assert await list_teams(db, None, org) == []


@pytest.mark.parametrize("escape", [r"\0", r"\ud800"])
async def test_characters_that_postgres_cannot_keep_are_a_fault_of_the_file(
    db: Database, org: OrgId, escape: str
) -> None:
    with pytest.raises(InvalidTeam) as refused:
        await push_team(db, None, org, SOURCE.replace("day: that day", f'day: "{escape}"'))
    assert [error["path"] for error in refused.value.extra["errors"]] == ["variables.day"]


async def test_an_admin_may_push_and_an_operator_may_only_look(db: Database, org: OrgId) -> None:
    admin, operator = await member(db, org, "admin"), await member(db, org, "operator")
    await push_team(db, admin, org, SOURCE)
    assert (await push_team(db, admin, org, SOURCE)).version == 2
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await push_team(db, operator, org, SOURCE)
    assert [team.slug for team in await list_teams(db, operator, org)] == ["harbor-dental"]
    assert await statuses(db, org) == [(1, "archived"), (2, "published")]


async def test_another_organization_sees_nothing_and_may_use_the_same_slug(db: Database, org: OrgId) -> None:
    other = OrgId(new_id())
    async with db.system() as connection:
        await connection.execute("insert into organizations (id, slug, name) values ($1, 'other', 'Other')", other)
    stranger = await member(db, other, "owner")
    await push_team(db, None, org, SOURCE)
    assert await list_teams(db, stranger, org) == []
    assert (await push_team(db, stranger, other, SOURCE)).version == 1
    assert await statuses(db, org) == [(1, "published")]


async def test_what_is_not_there_is_named(db: Database, org: OrgId) -> None:
    async with db.system() as connection:
        with pytest.raises(TeamNotFound):
            await load_team_version(connection, TeamVersionId(new_id()))
        with pytest.raises(TeamNotFound, match="trunkline teams push"):
            await find_published(connection, org, "nobody")
