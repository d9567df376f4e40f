"""The people who take calls, over REST: who is there, whose call is whose, and the key to its room."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, status
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import Parts, State, require
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Role, Scope
from app.db import Connection
from app.live import Reader
from telephony.floor import operator_store
from telephony.floor.operators import (
    Operator,
    OperatorState,
    add_operator,
    beat,
    demand_self,
    list_operators,
    load_operator,
    make_key,
    operator_identity,
    set_campaigns,
    set_state,
)

router = APIRouter(prefix="/api/v1/operators", tags=["Operators"], responses=problem_responses())

Reading = Annotated[Principal, require(Scope.CALLS_READ)]
Acting = Annotated[Principal, require(Scope.CALLS_WRITE)]

LONGEST_WAIT_SECONDS = 5.0
"""Well below the time after which an operator without a beat counts as gone."""

LOOK_SECONDS = 1.0

_CALL: dict[str, Any] = {
    "id": "0199f2a4-6f0e-7c60-9d0b-6f1a2b3c4d5e",
    "campaign_id": "0199f2a4-6f0e-7c60-9d0b-000000000050",
    "attempt_id": "0199f2a4-6f0e-7c60-9d0b-000000000060",
    "phone": "+12025550142",
    "variables": {"name": "Ada"},
}
_OPERATOR: dict[str, Any] = {
    "id": "0199f2a4-6f0e-7c60-9d0b-000000000070",
    "name": "Ben",
    "user_id": None,
    "state": "reserved",
    "since": "2026-11-21T09:30:00Z",
    "campaigns": None,
    "wrap_up_seconds": 15,
    "missed": 0,
    "call": _CALL,
}


class OperatorCall(BaseModel):
    """The call that is theirs, or while they write it up was. `phone`: whom it was to."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CALL]})

    id: UUID
    campaign_id: UUID | None
    attempt_id: UUID | None
    phone: str | None
    variables: dict[str, Any]


class OperatorOut(BaseModel):
    """`state`: offline, available, reserved (a call is theirs: join it now), on_call, wrap_up (over, to be written up
    by `PUT …/outcome`; available by itself after `wrap_up_seconds`). `campaigns`: whose calls they take; null: every
    one's. `missed`: calls that they did not join in time, each of which put them offline."""

    model_config = ConfigDict(json_schema_extra={"examples": [_OPERATOR]})

    id: UUID
    name: str
    user_id: UUID | None
    state: OperatorState
    since: datetime
    campaigns: list[UUID] | None
    wrap_up_seconds: int
    missed: int
    call: OperatorCall | None


class NewOperator(BaseModel):
    """`user_id`: the member who this is, for whom nobody below a supervisor acts; of an operator who adds themselves,
    always they. Null: whoever has a key of the organization acts for them."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "Ben", "user_id": None, "campaigns": None, "wrap_up_seconds": 15}]},
    )

    name: str = Field(min_length=1, max_length=100)
    user_id: UUID | None = None
    campaigns: list[UUID] | None = Field(None, max_length=100)
    wrap_up_seconds: int = Field(15, ge=0, le=3600)


class OperatorChange(BaseModel):
    """What is left out stays. `state`: `available` also ends writing up."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"state": "available", "campaigns": None, "wrap_up_seconds": 15}]},
    )

    state: Literal[OperatorState.AVAILABLE, OperatorState.OFFLINE] | None = None
    campaigns: list[UUID] | None = Field(None, max_length=100)
    wrap_up_seconds: int | None = Field(None, ge=0, le=3600)


class RoomKey(BaseModel):
    """For any LiveKit client: connect to `url` with `token` within two minutes and publish a microphone. Leaving the
    room ends the call."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "wss://livekit.example",
                    "token": "eyJ…",
                    "identity": f"operator_{_OPERATOR['id']}",
                    "call_id": _CALL["id"],
                }
            ]
        }
    )

    url: str
    token: str
    identity: str
    call_id: UUID


@router.get("", summary="Every operator and what they do now")
async def get_operators(state: Parts, principal: Reading) -> list[OperatorOut]:
    async with state.db.request(principal.claims()) as connection:
        return [render_operator(one) for one in await list_operators(connection, principal.org_id)]


@router.post("", status_code=status.HTTP_201_CREATED, summary="Add an operator")
async def post_operator(state: Parts, principal: Acting, body: NewOperator) -> OperatorOut:
    """Offline at first."""
    is_self = principal.user_id is not None and principal.role is Role.OPERATOR
    async with state.db.request(principal.claims()) as connection:
        added = await add_operator(
            connection,
            principal.org_id,
            name=body.name,
            user_id=principal.user_id if is_self else body.user_id,
            campaigns=body.campaigns,
            wrap_up_seconds=body.wrap_up_seconds,
        )
    return render_operator(added)


@router.get("/{operator_id}", summary="One operator, and the call that is theirs")
async def get_operator(state: Parts, principal: Reading, operator_id: UUID) -> OperatorOut:
    async with state.db.request(principal.claims()) as connection:
        return render_operator(await load_operator(connection, principal.org_id, operator_id))


@router.patch("/{operator_id}", summary="Be available or offline; choose whose calls to take")
async def patch_operator(state: Parts, principal: Acting, operator_id: UUID, body: OperatorChange) -> OperatorOut:
    async with state.db.request(principal.claims()) as connection:
        operator = await load_to_act(connection, principal, operator_id)
        if "campaigns" in body.model_fields_set:
            await set_campaigns(connection, operator, body.campaigns)
        if body.wrap_up_seconds is not None:
            await operator_store.set_wrap_up_seconds(connection, operator.id, body.wrap_up_seconds)
        if body.state is not None:
            await set_state(connection, operator, body.state)
        return render_operator(await load_operator(connection, principal.org_id, operator_id))


@router.post("/{operator_id}/beat", summary="Say that you are there, and hear of your call")
async def post_beat(
    state: Parts,
    principal: Acting,
    operator_id: UUID,
    known: Annotated[OperatorState | None, Query(description="What you know: answered at once if it is more.")] = None,
    wait_seconds: Annotated[float, Query(ge=0, le=LONGEST_WAIT_SECONDS)] = 0,
) -> OperatorOut:
    """Without one for 12 s an operator is offline. With `known` and `wait_seconds` the answer waits until the state is
    another: send the next beat when it comes, and a call that is yours is told within a moment."""
    with state.live.reader(principal.org_id) as reader:
        reader.clear()
        async with state.db.request(principal.claims()) as connection:
            operator = await beat(connection, principal.org_id, operator_id)
            demand_self(principal, operator)
        if operator.state is known and wait_seconds > 0:
            operator = await _wait_for_change(state, principal, operator, reader, wait_seconds)
    return render_operator(operator)


@router.post("/{operator_id}/join", summary="The key to the room of your call")
async def post_join(state: Parts, principal: Acting, operator_id: UUID) -> RoomKey:
    async with state.db.request(principal.claims()) as connection:
        operator = await load_to_act(connection, principal, operator_id)
    token = make_key(state.lines.switchboard, operator)
    assert operator.call is not None  # or there would be no key
    return RoomKey(
        url=state.settings.livekit_url,
        token=token,
        identity=operator_identity(operator.id),
        call_id=operator.call.call_id,
    )


async def load_to_act(connection: Connection, principal: Principal, operator_id: UUID) -> Operator:
    """Raises OperatorNotFound, and Forbidden where it is not for `principal` to act for them."""
    operator = await load_operator(connection, principal.org_id, operator_id)
    demand_self(principal, operator)
    return operator


async def _wait_for_change(
    state: State, principal: Principal, known: Operator, reader: Reader, wait_seconds: float
) -> Operator:
    """What they do as soon as their state is another, or when the time is over. Looks when a call of the organization
    changed, and now and then for what no event tells (the end of a wrap-up)."""
    loop = asyncio.get_running_loop()
    give_up, operator = loop.time() + wait_seconds, known
    while operator.state is known.state and (left := give_up - loop.time()) > 0:
        await reader.wait(min(left, LOOK_SECONDS))
        reader.clear()
        async with state.db.request(principal.claims()) as connection:
            operator = await load_operator(connection, principal.org_id, known.id)
    return operator


def render_operator(operator: Operator) -> OperatorOut:
    call = operator.call and OperatorCall(
        id=operator.call.call_id,
        campaign_id=operator.call.campaign_id,
        attempt_id=operator.call.attempt_id,
        phone=operator.call.phone,
        variables=operator.call.variables,
    )
    return OperatorOut(
        id=operator.id,
        name=operator.name,
        user_id=operator.user_id,
        state=operator.state,
        since=operator.since,
        campaigns=list(operator.campaigns) if operator.campaigns is not None else None,
        wrap_up_seconds=operator.wrap_up_seconds,
        missed=operator.missed,
        call=call,
    )
