"""What operators write up of their calls, over REST."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import Parts, require
from app.api.operators import load_to_act
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Scope
from app.clock import utc_now
from campaigns.outcomes.write_ups import WriteUp, write_up
from telephony.hints import LONGEST_WORD

router = APIRouter(prefix="/api/v1/operators", tags=["Operators"], responses=problem_responses())

Acting = Annotated[Principal, require(Scope.CALLS_WRITE)]

_CALL_ID = "0199f2a4-6f0e-7c60-9d0b-6f1a2b3c4d5e"
_NOTED: dict[str, Any] = {"interest": "high", "seats": 12}

Name = Annotated[str, Field(min_length=1, max_length=60)]
Value = Annotated[str, Field(max_length=1000)] | int | float | bool


class NewOutcome(BaseModel):
    """`call_id`: the call that is theirs, or that they write up. `outcome`: `reached`, `callback`, `do-not-call` (on
    the organization's list at once), `wrong-number`, `voicemail`, or any word of the campaign's own. `details`:
    columns of the results. `callback`: when to call again, an instant or the person's words ("tomorrow after lunch",
    by their clocks). `done`: they write nothing more and are available; no matter while they still talk."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"call_id": _CALL_ID, "outcome": "demo-booked", "details": _NOTED, "callback": None, "done": True},
                {"call_id": _CALL_ID, "outcome": "callback", "callback": "tomorrow after lunch"},
            ]
        },
    )

    call_id: UUID
    outcome: str = Field(min_length=1, max_length=LONGEST_WORD)
    details: dict[Name, Value] = Field(default_factory=dict[Name, Value], max_length=50)
    callback: str | None = Field(None, min_length=1, max_length=300)
    done: bool = False


class OutcomeOut(BaseModel):
    """What the call has now. `outcome`: another one than was sent where the person had asked never to be called again,
    which stays."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"call_id": _CALL_ID, "outcome": "demo-booked", "details": _NOTED}]}
    )

    call_id: UUID
    outcome: str
    details: dict[str, Any]


@router.put("/{operator_id}/outcome", summary="Write up the call that is yours")
async def put_outcome(state: Parts, principal: Acting, operator_id: UUID, body: NewOutcome) -> OutcomeOut:
    """While you talk, or until `wrap_up_seconds` after the call; the last one counts. The attempt is settled by it when
    your time to write up is over, or at once with `done`. Without one it is `reached`."""
    async with state.db.request(principal.claims()) as connection:
        operator = await load_to_act(connection, principal, operator_id)
    written = WriteUp(body.call_id, body.outcome, body.details, body.callback, body.done)
    left = await write_up(state.db, operator, written, now=utc_now())
    return OutcomeOut(call_id=body.call_id, outcome=left["disposition"], details=left["details"])
