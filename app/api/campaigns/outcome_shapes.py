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
    0 to 1. `finishes_at`: at the pace of the last ten minutes."""

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
