"""Our phone numbers over REST."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import Parts, require
from app.api.wire.pages import Cursor, Limit, Page, read_cursor, split_page, write_cursor
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Scope
from app.db import Connection
from app.errors import InvalidInput
from app.ids import OrgId, TrunkId
from telephony import reading_store
from telephony.carriers.base import CarrierName
from telephony.lines.numbers import Number, add_number, list_numbers, load_number, parse_number
from telephony.lines.routes import set_route
from telephony.lines.trunk_records import TrunkNotFound, find_trunk
from telephony.lines.trunks import sync_trunks

router = APIRouter(prefix="/api/v1/numbers", tags=["Numbers"], responses=problem_responses())


class NoSuchTeam(InvalidInput):
    """The organization has no team with that slug."""

    code = "team_not_found"


class NoSuchTrunk(InvalidInput):
    """The organization has no SIP trunk of that name, or the number is not a SIP number."""

    code = "invalid_trunk"


class NumberOut(BaseModel):
    """A number of ours; `team_id` is the team that answers it, or null; `trunk_id` its own SIP trunk, or null."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0199f2a4-6f0e-7c60-9d0b-000000000010",
                    "e164": "+12025550100",
                    "name": "Main line",
                    "carrier": "sip",
                    "team_id": "0199f2a4-6f0e-7c60-9d0b-000000000011",
                    "trunk_id": None,
                    "created_at": "2026-11-20T17:39:00Z",
                }
            ]
        }
    )

    id: UUID
    e164: str
    name: str
    carrier: CarrierName
    team_id: UUID | None
    trunk_id: UUID | None
    created_at: datetime


class NewNumber(BaseModel):
    """A number that a carrier gave us, the team (its slug) that shall answer it, and for a SIP number the trunk (its
    name) that it belongs to."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"e164": "+12025550100", "carrier": "sip", "team": "harbor-dental", "name": "Main line"}]
        },
    )

    e164: str = Field(min_length=3, max_length=40)
    carrier: CarrierName
    team: str | None = Field(None, max_length=63)
    trunk: str | None = Field(None, max_length=100)
    name: str = Field("", max_length=100)


@router.get("", summary="Our numbers, newest first")
async def get_numbers(
    state: Parts,
    principal: Annotated[Principal, require(Scope.CALLS_READ)],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[NumberOut]:
    before = read_cursor(cursor)
    async with state.db.request(principal.claims()) as connection:
        rows = await list_numbers(connection, principal.org_id, before=before, limit=limit + 1)
    numbers, more = split_page(rows, limit)
    following = write_cursor((numbers[-1].created_at, numbers[-1].id)) if more else None
    return Page(data=[render_number(number) for number in numbers], next_cursor=following)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Add a number and say who answers it",
    responses=problem_responses(409),
)
async def post_number(
    state: Parts, principal: Annotated[Principal, require(Scope.NUMBERS_WRITE)], body: NewNumber
) -> NumberOut:
    """A SIP number is made known to LiveKit before the answer; where that fails (503), the number stays and the
    next change of any number tries again."""
    async with state.db.request(principal.claims()) as connection:
        number = await add_routed_number(connection, principal.org_id, body)
    if number.carrier is CarrierName.SIP:
        await sync_trunks(state.lines.switchboard, state.db, state.settings)
    return render_number(number)


async def add_routed_number(connection: Connection, org_id: OrgId, body: NewNumber) -> Number:
    """Raises InvalidNumber, NumberTaken, NoSuchTrunk or NoSuchTeam; then nothing was added."""
    e164 = parse_number(body.e164, await reading_store.select_country(connection, org_id))
    trunk_id = None if body.trunk is None else await choose_trunk(connection, org_id, body.carrier, body.trunk)
    number = await add_number(connection, org_id, e164=e164, carrier=body.carrier, name=body.name, trunk_id=trunk_id)
    if body.team is None:
        return number
    team = await reading_store.select_published_version(connection, org_id, body.team)
    if team is None:
        fault = {"path": "body.team", "message": "no such team"}
        raise NoSuchTeam(f"There is no team {body.team}.", errors=[fault])
    await set_route(connection, org_id, number.id, team["team_id"])
    return await load_number(connection, org_id, number.id)


async def choose_trunk(connection: Connection, org_id: OrgId, carrier: CarrierName, name: str) -> TrunkId:
    """Raises NoSuchTrunk."""
    why = "only a SIP number stands on a trunk"
    if carrier is CarrierName.SIP:
        try:
            return (await find_trunk(connection, org_id, name)).id
        except TrunkNotFound:
            why = "no such trunk"
    raise NoSuchTrunk(f"The trunk {name} cannot be used.", errors=[{"path": "body.trunk", "message": why}])


def render_number(number: Number) -> NumberOut:
    return NumberOut(
        id=number.id,
        e164=number.e164,
        name=number.name,
        carrier=number.carrier,
        team_id=number.team_id,
        trunk_id=number.trunk_id,
        created_at=number.created_at,
    )
