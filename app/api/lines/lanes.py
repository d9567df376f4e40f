"""How many calls at once, and how fast, over REST: limits of the organization, its trunks, accounts and numbers."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.api.dependencies import Parts, require
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Scope
from campaigns.dialing.lanes.limits import LaneLimits, LineLimits, load_limits, set_limits

router = APIRouter(prefix="/api/v1/lanes", tags=["Lanes"], responses=problem_responses())

Reading = Annotated[Principal, require(Scope.CALLS_READ)]
Writing = Annotated[Principal, require(Scope.NUMBERS_WRITE)]

_EXAMPLE: dict[str, Any] = {
    "max_concurrent_calls": 60,
    "inbound_share": 0.2,
    "lanes": [
        {"key": "carrier:twilio", "calls_per_second": 1.0, "max_concurrent": 40},
        {"key": "number:0199f2a4-6f0e-7c60-9d0b-000000000030", "calls_per_second": None, "max_concurrent": 10},
    ],
}


class Lane(BaseModel):
    """`key`: `trunk:<id>`, `carrier:<name>` (our account there) or `number:<id>`. Null: no limit of its own.
    `calls_per_second` holds in every window of one second, for all dialers and `POST /api/v1/calls` together; none of
    them dials above `max_concurrent`. Callers count as calls, and are never refused."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE["lanes"][0]]})

    key: str = Field(max_length=60)
    calls_per_second: float | None = Field(None, ge=0.001, le=10_000)
    max_concurrent: int | None = Field(None, ge=1, le=1_000_000)


class LanesIn(BaseModel):
    """All of them at once: a lane that is left out has no limits of its own any more.

    `max_concurrent_calls`: of the organization, callers included. `inbound_share`: of these lines, how many are kept
    free for callers. A campaign's dial waits for a line; `POST /api/v1/calls` gets 429 `no_line_free`.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    max_concurrent_calls: int | None = Field(None, ge=1, le=1_000_000)
    inbound_share: float = Field(0.0, ge=0, lt=1)
    lanes: list[Lane] = Field(default_factory=list[Lane], max_length=1000)

    @field_validator("lanes")
    @classmethod
    def _each_once(cls, lanes: list[Lane]) -> list[Lane]:
        keys = [lane.key for lane in lanes]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise ValueError(f"named more than once: {', '.join(sorted(twice))}")
        return lanes


class LanesOut(BaseModel):
    """`keys`: every lane that a dial can go through, with limits or without."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {**_EXAMPLE, "keys": ["carrier:twilio", "number:0199f2a4-6f0e-7c60-9d0b-000000000030"]},
            ]
        }
    )

    max_concurrent_calls: int | None
    inbound_share: float
    lanes: list[Lane]
    keys: list[str]


@router.get("", summary="Limits of the lines")
async def get_lanes(state: Parts, principal: Reading) -> LanesOut:
    async with state.db.request(principal.claims()) as connection:
        return render_limits(await load_limits(connection, principal.org_id))


@router.put("", summary="Set the limits of the lines")
async def put_lanes(state: Parts, principal: Writing, body: LanesIn) -> LanesOut:
    """They hold from the next dial on; calls under way go on."""
    lanes = [LaneLimits(lane.key, lane.calls_per_second, lane.max_concurrent) for lane in body.lanes]
    async with state.db.request(principal.claims()) as connection:
        limits = LineLimits(body.max_concurrent_calls, body.inbound_share, lanes)
        await set_limits(connection, principal.org_id, limits)
        return render_limits(await load_limits(connection, principal.org_id))


def render_limits(limits: LineLimits) -> LanesOut:
    return LanesOut(
        max_concurrent_calls=limits.max_concurrent_calls,
        inbound_share=limits.inbound_share,
        lanes=[
            Lane(key=lane.key, calls_per_second=lane.calls_per_second, max_concurrent=lane.max_concurrent)
            for lane in limits.lanes
        ],
        keys=list(limits.keys),
    )
