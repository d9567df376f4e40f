"""What the outcomes of a campaign look like over REST."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

_PROGRESS: dict[str, Any] = {
    "at": "2026-11-20T17:39:00Z",
    "name": "Reminders",
    "status": "running",
    "pause_reason": None,
    "contacts": {"waiting": 9, "in_flight": 3, "finished": 8, "blocked": 1},
    "attempts": {"placed": 3, "settled": 9, "dialed": 12},
    "dispositions": {"confirmed": 5, "busy": 3, "do-not-call": 1},
    "funnel": {"contacts": 21, "called": 8, "talked_to": 5},
    "answer_rate": 0.5556,
    "pace": {"dials_per_minute": 12.0, "answers_per_minute": 6.5, "finished_per_minute": 8.0},
    "finishes_at": "2026-11-20T17:40:30Z",
}

EVENTS_EXAMPLE = """id: 74210.3187
event: attempt.settled
data: {"id":"74210.3187","kind":"attempt.settled","at":"2026-11-20T17:39:02.113Z",\
"attempt_id":"0199f2a4-6f0e-7c60-9d0b-000000000040","contact_id":"0199f2a4-6f0e-7c60-9d0b-000000000030",\
"data":{"disposition":"busy"}}

"""


class PaceOut(BaseModel):
    """Of the last minute, per minute; null before there is anything to measure."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PROGRESS["pace"]]})

    dials_per_minute: float | None
    answers_per_minute: float | None
    finished_per_minute: float | None


class ProgressOut(BaseModel):
    """Counts at one instant. `attempts.dialed`: requests that went, or may have gone, out. `dispositions`: contacts by
    what came of their last attempt. `funnel`: each a part of the one before. `answer_rate`: of the dials that are over,
    0 to 1. `finishes_at`: at the pace of the last ten minutes in which it was open, in the calling hours of those who
    wait, not before the last contact is due."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PROGRESS]})

    at: datetime
    name: str
    status: str
    pause_reason: str | None
    contacts: dict[str, int]
    attempts: dict[str, int]
    dispositions: dict[str, int]
    funnel: dict[str, int]
    answer_rate: float | None
    pace: PaceOut
    finishes_at: datetime | None


_EVIDENCE: dict[str, Any] = {
    "form": "trunkline-evidence/1",
    "made_at": "2026-11-20T18:00:00.000Z",
    "organization": "Harbor Dental",
    "campaign": {"id": "0199f2a4-6f0e-7c60-9d0b-000000000020", "name": "Reminders"},
    "contact": {"id": "0199f2a4-6f0e-7c60-9d0b-000000000030", "name": "Ada", "phone": "+12025550142"},
    "list_source": {"kind": "file", "file_name": "contacts.csv", "file_sha256": "9f86d081…", "line": 7},
    "consent": {"given_at": "2026-10-01T00:00:00.000Z", "expires_at": None, "source": "web form"},
    "gates": [{"gate": "do-not-call", "passed": True, "reason": "on no list"}],
    "do_not_call": {
        "at_the_dial": {"gate": "do-not-call", "passed": True, "reason": "on no list"},
        "entries_now": [],
    },
    "zone": {
        "of_the_list": "America/New_York",
        "at_the_dial": {"gate": "calling-hours", "passed": True, "reason": "Fri 12:39 in America/New_York"},
    },
    "attempt": {"id": "0199f2a4-6f0e-7c60-9d0b-000000000040", "ordinal": 1, "disposition": "confirmed"},
    "call": {"id": "0199f2a4-6f0e-7c60-9d0b-000000000041", "from": "+12025550101", "to": "+12025550142"},
    "answered_by": {"verdict": "person", "because": "the conversation came to confirmed"},
    "disclosure": {"said_first": "Hello, this is the assistant of Harbor Dental.", "agent": "reminder"},
    "recordings": [{"id": "0199f2a4-6f0e-7c60-9d0b-000000000042", "sha256": "2c26b46b…", "unchanged": True}],
    "digest": "fcde2b2e…",
}


class EvidenceOut(BaseModel):
    """What proves that a dial was allowed, and what it was. `answered_by.verdict`: person, machine, nobody or
    unknown. `recordings[].unchanged`: whether the file is what it was when the call ended."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EVIDENCE]})

    form: str
    made_at: str
    organization: str
    campaign: dict[str, Any]
    contact: dict[str, Any]
    list_source: dict[str, Any]
    consent: dict[str, Any]
    gates: list[dict[str, Any]]
    do_not_call: dict[str, Any]
    zone: dict[str, Any]
    attempt: dict[str, Any]
    call: dict[str, Any] | None
    answered_by: dict[str, Any]
    disclosure: dict[str, Any] | None
    recordings: list[dict[str, Any]]
    digest: str
