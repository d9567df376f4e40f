"""What is known of a simulated call: the record that the carrier's API shows, the plan it was placed with, its end."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

OVER = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})


@dataclass(frozen=True)
class Answer:
    """Where the instructions come from: a URL to ask, or TwiML given with the request."""

    url: str = ""
    method: str = "POST"
    twiml: str = ""


@dataclass(slots=True)
class CallRecord:
    """A call as the carrier's API shows it. `status` is one of Twilio's words (or `initiated`), times are UTC.

    `ordinal`: how many-th call to that number it is. `ended_by`: persona, twiml, api, control, time_limit, network,
    restart or error.
    """

    sid: str
    direction: str
    to: str
    from_: str
    persona: str
    created_at: datetime
    updated_at: datetime
    number_sid: str | None = None
    status: str = "queued"
    started_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    sip_code: int | None = None
    ended_by: str | None = None
    report: dict[str, Any] | None = None
    ordinal: int = 1
    duration_seconds: int = 0

    @property
    def over(self) -> bool:
        return self.status in OVER

    def params(self, account_sid: str) -> dict[str, str]:
        """The parameters that every webhook about this call carries."""
        return {
            "CallSid": self.sid,
            "AccountSid": account_sid,
            "From": self.from_,
            "To": self.to,
            "Caller": self.from_,
            "Called": self.to,
            "CallStatus": self.status,
            "Direction": self.direction,
            "ApiVersion": "2010-04-01",
        }


@dataclass(frozen=True)
class CallPlan:
    """What the application asked for. `status_events`: of initiated, ringing, answered, completed."""

    answer: Answer
    status_url: str = ""
    status_method: str = "POST"
    status_events: frozenset[str] = frozenset({"completed"})
    ring_timeout_seconds: float = 60.0
    time_limit_seconds: float = 14400.0


@dataclass(frozen=True)
class Outcome:
    """How a call ended: Twilio's status, the SIP code behind it, and who ended it."""

    status: str
    sip_code: int
    by: str
