"""What calls, turns and events look like over REST."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from telephony.calls import AnsweredBy, AtFault, Call, CallStatus, Channel, Direction, EndReason, EndResult
from telephony.carriers.base import CarrierName

_CALL: dict[str, Any] = {
    "id": "0199f2a4-6f0e-7c60-9d0b-6f1a2b3c4d5e",
    "channel": "phone",
    "direction": "outbound",
    "status": "completed",
    "carrier": "twilio",
    "carrier_call_id": "CA00000000000000000000000000000001",
    "carrier_status": "completed",
    "sip_code": None,
    "from_number": "+12025550101",
    "to_number": "+12025550142",
    "team_version_id": "0199f2a4-0000-7c60-9d0b-000000000001",
    "attempt_id": None,
    "variables": {"name": "Ada"},
    "disposition": "confirmed",
    "details": {"day": "Tuesday"},
    "answered_by": "person",
    "end": {"result": "completed", "reason": "agent_ended", "at_fault": "nobody"},
    "rescues": 0,
    "created_at": "2026-11-20T17:39:00Z",
    "dialed_at": "2026-11-20T17:39:00Z",
    "ringing_at": "2026-11-20T17:39:01Z",
    "answered_at": "2026-11-20T17:39:06Z",
    "ended_at": "2026-11-20T17:40:12Z",
    "duration_seconds": 66.0,
}


class EndOut(BaseModel):
    """How a call ended, why, and whose fault it was."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CALL["end"]]})

    result: EndResult
    reason: EndReason
    at_fault: AtFault


class CallOut(BaseModel):
    """A call. `end` is null while it is open; `disposition` and `details` are what the conversation left behind;
    `duration_seconds` counts from the answer to the end; `answered_by`: person or machine, of a call that we placed,
    null where nobody can say."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CALL]})

    id: UUID
    channel: Channel
    direction: Direction
    status: CallStatus
    carrier: CarrierName | None
    carrier_call_id: str | None
    carrier_status: str | None
    sip_code: int | None
    from_number: str | None
    to_number: str | None
    team_version_id: UUID | None
    attempt_id: UUID | None
    variables: dict[str, Any]
    disposition: str | None
    details: dict[str, Any]
    answered_by: AnsweredBy | None
    end: EndOut | None
    rescues: int
    created_at: datetime
    dialed_at: datetime | None
    ringing_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    duration_seconds: float | None


_EVALUATION: dict[str, Any] = {
    "score": 1.0,
    "reason": "",
    "judge": "rules",
    "criteria": [
        {
            "name": "said_who_calls",
            "check": "The agent said at once who is calling.",
            "weight": 2.0,
            "score": 1.0,
            "reason": "every rule holds",
        }
    ],
    "created_at": "2026-11-20T17:40:13Z",
}


class CriterionOut(BaseModel):
    """One criterion of the team and what was found. `score`: 0 to 1, null where it could not be judged."""

    model_config = ConfigDict(json_schema_extra={"examples": _EVALUATION["criteria"]})

    name: str
    check: str
    weight: float
    score: float | None
    reason: str


class EvaluationOut(BaseModel):
    """What the conversation was worth. `score`: the criteria's mean by weight; null with the `reason`. `judge`:
    "rules", or the name of a language model."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EVALUATION]})

    score: float | None
    reason: str
    judge: str
    criteria: list[CriterionOut]
    created_at: datetime


class CallDetailOut(CallOut):
    """A call, and what it was worth by its team's criteria: `evaluation` is null until it is over and judged, and for
    a team without criteria."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CALL | {"evaluation": _EVALUATION}]})

    evaluation: EvaluationOut | None


class NewCall(BaseModel):
    """Whom to call, and who talks. `variables` is what the agents know about the callee."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"to": "+12025550142", "team": "harbor-dental", "variables": {"name": "Ada"}}],
        },
    )

    to: str = Field(
        min_length=3, max_length=40, description="E.164, or as it is written in the organization's country."
    )
    team: str = Field(min_length=1, max_length=63, description="The team's slug; its published version talks.")
    from_number: str | None = Field(
        None, max_length=40, description="One of the organization's numbers; by default the one it has had longest."
    )
    variables: dict[str, Any] = Field(default_factory=dict)


class TurnOut(BaseModel):
    """One turn of the conversation; `tool` holds a tool's name, arguments and outcome."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0199f2a4-6f0e-7c60-9d0b-000000000002",
                    "role": "agent",
                    "agent": "reception",
                    "text": "Harbor Dental, how can I help?",
                    "tool": None,
                    "interrupted": False,
                    "latency_ms": {"reply": 840},
                    "started_at": "2026-11-20T17:39:06.310Z",
                    "ended_at": "2026-11-20T17:39:08.120Z",
                }
            ]
        }
    )

    id: UUID
    role: str
    agent: str | None
    text: str
    tool: dict[str, Any] | None
    interrupted: bool
    latency_ms: dict[str, float | None]
    started_at: datetime
    ended_at: datetime | None


class EventOut(BaseModel):
    """Something that happened to a call."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": 3187, "kind": "call.answered", "at": "2026-11-20T17:39:06.113Z", "data": {}}]
        }
    )

    id: int
    kind: str
    at: datetime
    data: dict[str, Any]


def render_call(call: Call) -> CallOut:
    duration = (call.ended_at - call.answered_at).total_seconds() if call.answered_at and call.ended_at else None
    end = EndOut(result=call.end.result, reason=call.end.reason, at_fault=call.end.at_fault) if call.end else None
    return CallOut(
        id=call.id,
        channel=call.channel,
        direction=call.direction,
        status=call.status,
        carrier=call.carrier,
        carrier_call_id=call.carrier_call_id,
        carrier_status=call.carrier_status,
        sip_code=call.sip_code,
        from_number=call.from_number,
        to_number=call.to_number,
        team_version_id=call.team_version_id,
        attempt_id=call.attempt_id,
        variables=dict(call.variables),
        disposition=call.hint.get("disposition"),
        details=dict(call.hint.get("details") or {}),
        answered_by=call.answered_by,
        end=end,
        rescues=call.rescues,
        created_at=call.created_at,
        dialed_at=call.dialed_at,
        ringing_at=call.ringing_at,
        answered_at=call.answered_at,
        ended_at=call.ended_at,
        duration_seconds=duration,
    )
