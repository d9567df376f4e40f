"""Teams over REST: pushed as a file, a new version each time."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, status
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.team import teams
from agents.team.teams import Team, TeamVersion
from app.api.dependencies import Parts, require
from app.api.wire.pages import Cursor, Limit, Page, read_cursor, split_page, write_cursor
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Scope
from app.errors import InvalidInput

router = APIRouter(prefix="/api/v1/teams", tags=["Teams"], responses=problem_responses())

_SOURCE = "name: Harbor Dental\nslug: harbor-dental\nlanguage: en\nentry: reception\nagents: […]\n"


class TeamOut(BaseModel):
    """A team; `published_version` is the one that answers calls now, or null."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0199f2a4-6f0e-7c60-9d0b-000000000011",
                    "slug": "harbor-dental",
                    "name": "Harbor Dental",
                    "published_version": 3,
                    "latest_version": 3,
                    "created_at": "2026-11-20T17:39:00Z",
                }
            ]
        }
    )

    id: UUID
    slug: str
    name: str
    published_version: int | None
    latest_version: int | None
    created_at: datetime


class WarningOut(BaseModel):
    """Something in the file that works, and probably not as meant."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"path": "agents.1.rules.4", "message": "never reached: rule 3 hears all"}]}
    )

    path: str
    message: str


class TeamVersionOut(BaseModel):
    """What was pushed; `warnings` are of this push and not kept."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0199f2a4-6f0e-7c60-9d0b-000000000012",
                    "team_id": "0199f2a4-6f0e-7c60-9d0b-000000000011",
                    "slug": "harbor-dental",
                    "version": 3,
                    "status": "published",
                    "warnings": [],
                }
            ]
        }
    )

    id: UUID
    team_id: UUID
    slug: str
    version: int
    status: str
    warnings: list[WarningOut]


class NewTeam(BaseModel):
    """The team file as text, where JSON is easier to send than YAML."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"source": _SOURCE}]})

    source: str = Field(min_length=1, max_length=500_000)


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/yaml": {"schema": {"type": "string"}, "example": _SOURCE},
            "application/json": {"schema": NewTeam.model_json_schema(), "example": {"source": _SOURCE}},
        },
    }
}


@router.get("", summary="Teams, newest first")
async def get_teams(
    state: Parts,
    principal: Annotated[Principal, require(Scope.CALLS_READ)],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[TeamOut]:
    before = read_cursor(cursor)
    rows = await teams.list_teams(state.db, principal.claims(), principal.org_id, before=before, limit=limit + 1)
    found, more = split_page(rows, limit)
    following = write_cursor((found[-1].created_at, found[-1].id)) if more else None
    return Page(data=[render_team(team) for team in found], next_cursor=following)


@router.post("", status_code=status.HTTP_201_CREATED, summary="Push a team file and publish it", openapi_extra=_BODY)
async def post_team(
    request: Request,
    state: Parts,
    principal: Annotated[Principal, require(Scope.TEAMS_WRITE)],
    publish: Annotated[bool, Query(description="false keeps it a draft that answers no calls.")] = True,
) -> TeamVersionOut:
    """The file is checked first; `errors` lists every fault at once with its path, and nothing is stored."""
    source = read_source(request.headers.get("content-type", ""), await request.body())
    version = await teams.push_team(state.db, principal.claims(), principal.org_id, source, publish=publish)
    return render_version(version)


def read_source(content_type: str, body: bytes) -> str:
    """The team file out of either kind of body. Raises InvalidInput."""
    try:
        if content_type.partition(";")[0].strip().lower() == "application/json":
            return NewTeam.model_validate_json(body).source
        return body.decode()
    except ValidationError as error:
        faults = [
            {"path": ".".join(("body", *map(str, fault["loc"]))), "message": fault["msg"]} for fault in error.errors()
        ]
        raise InvalidInput('Send {"source": "…"}, or the file itself as text/yaml.', errors=faults) from error
    except UnicodeDecodeError as error:
        fault = {"path": "body", "message": "not UTF-8"}
        raise InvalidInput("A team file is UTF-8 text.", errors=[fault]) from error


def render_team(team: Team) -> TeamOut:
    return TeamOut(
        id=team.id,
        slug=team.slug,
        name=team.name,
        published_version=team.published_version,
        latest_version=team.latest_version,
        created_at=team.created_at,
    )


def render_version(version: TeamVersion) -> TeamVersionOut:
    return TeamVersionOut(
        id=version.id,
        team_id=version.team_id,
        slug=version.slug,
        version=version.version,
        status=version.status,
        warnings=[WarningOut(path=warning.path, message=warning.message) for warning in version.warnings],
    )
