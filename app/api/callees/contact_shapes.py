"""What contacts look like over REST, and why they are called or not."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.api.wire.values import Instant
from campaigns.contacts import ContactStatus
from campaigns.gates.gates import Gate

CONTACT: dict[str, Any] = {
    "id": "0199f2a4-6f0e-7c60-9d0b-000000000030",
    "campaign_id": "0199f2a4-6f0e-7c60-9d0b-000000000020",
    "line": 7,
    "name": "Ada Byron",
    "phones": ["+12025550110", "+12025550111"],
    "next_phone": "+12025550110",
    "variables": {"appointment": "Tuesday at ten"},
    "status": "waiting",
    "due_at": "2026-11-20T17:39:00Z",
    "attempts_made": 1,
    "disposition": "busy",
    "time_zone": None,
    "consent_at": "2026-03-01T00:00:00Z",
    "consent_expires_at": None,
    "consent_source": "web form",
    "blocked_by": None,
    "blocked_reason": None,
    "callback_at": None,
    "created_at": "2026-11-20T16:00:00Z",
    "finished_at": None,
}
VERDICTS: list[dict[str, Any]] = [
    {"gate": "campaign", "passed": True, "reason": "the campaign runs", "source": None, "next_at": None},
    {
        "gate": "calling-hours",
        "passed": False,
        "reason": "it is Sat 07:12 in America/New_York; open mon-sun 08:00-21:00 (US: 16 CFR 310.4(c))",
        "source": "zone America/New_York of the number, US-DC",
        "next_at": "2026-11-21T13:00:00Z",
    },
]


class ContactOut(BaseModel):
    """One row of a campaign's list. `next_phone`: the number dialed next. `due_at`: not before. `line`: of the file it
    came from. `blocked_by`: the gate that said never, or "hand": somebody took it out."""

    model_config = ConfigDict(json_schema_extra={"examples": [CONTACT]})

    id: UUID
    campaign_id: UUID
    line: int | None
    name: str | None
    phones: list[str]
    next_phone: str
    variables: dict[str, Any]
    status: ContactStatus
    due_at: datetime
    attempts_made: int
    disposition: str | None
    time_zone: str | None
    consent_at: datetime | None
    consent_expires_at: datetime | None
    consent_source: str | None
    blocked_by: str | None
    blocked_reason: str | None
    callback_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


class NewContactEdit(BaseModel):
    """What to change of a contact that waits; what is left out stays. `callback_at`: called then, and not before; null:
    as soon as every gate allows. `variables` are merged into what is there: null takes one away."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"time_zone": "America/Chicago", "callback_at": "2026-11-21T15:00:00Z"},
                {"variables": {"appointment": "Wednesday at nine", "note": None}},
            ]
        },
    )

    name: str | None = Field(None, max_length=200)
    time_zone: str | None = Field(None, max_length=60)
    callback_at: Instant | None = None
    variables: dict[str, str | None] = Field(default_factory=dict[str, str | None], max_length=200)


class VerdictOut(BaseModel):
    """What one gate says. Not passed without `next_at`: never, as things stand. `source`: what it rests on, the zone's
    origin say."""

    model_config = ConfigDict(json_schema_extra={"examples": [*VERDICTS]})

    gate: Gate
    passed: bool
    reason: str
    source: str | None
    next_at: datetime | None


_WHY: dict[str, Any] = {
    "contact": CONTACT,
    "summary": "not called, calling-hours: it is Sat 07:12 in America/New_York",
    "next_at": "2026-11-21T13:00:00Z",
    "verdicts": VERDICTS,
}


class WhyOut(BaseModel):
    """Every gate in the order in which they are asked. `next_at`: the first instant at which the contact may be dialed;
    null: never, as things stand."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WHY]})

    contact: ContactOut
    summary: str
    next_at: datetime | None
    verdicts: list[VerdictOut]
