"""When a running campaign pauses by itself: something broke, and each further dial costs a contact. Pure.

Shares are judged by the near end of their Wilson interval, so that a handful of calls trips it only if they agree.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

SURENESS = 3.0
"""In standard deviations. It is looked at every few seconds, so a share that lies exactly at its limit must not trip
it by chance: one look in a thousand does."""


class Breaker(BaseModel):
    """`campaigns.breaker`. Judged over the calls that ended within the last `window_seconds`, once there are
    `least_calls`; each limit None: not watched.

    `most_carrier_errors`, `most_our_failures`: of the calls. `most_abandoned`: of those that a person answered; well
    above the law's 3 %, which are kept over 30 days, and which a jump of the answer rate may pass for minutes.
    `answer_collapse`: the answer rate fell below this part of what it was before the window.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    window_seconds: float = Field(default=600.0, gt=0.0, le=86_400.0)
    least_calls: int = Field(default=10, ge=1)
    most_carrier_errors: float | None = Field(default=0.3, ge=0.0, le=1.0)
    most_our_failures: float | None = Field(default=0.1, ge=0.0, le=1.0)
    most_abandoned: float | None = Field(default=0.1, ge=0.0, le=1.0)
    answer_collapse: float | None = Field(default=0.25, gt=0.0, lt=1.0)


@dataclass(frozen=True)
class CallCounts:
    """Calls that ended in some time. `answered`: by a person or a machine. `by_people`: of these. `abandoned`: of
    those, without anybody to talk to. `carrier_errors`, `our_failures`: calls, by who was at fault."""

    calls: int = 0
    answered: int = 0
    by_people: int = 0
    abandoned: int = 0
    carrier_errors: int = 0
    our_failures: int = 0


class TripKind(StrEnum):
    CARRIER_ERRORS = "carrier-errors"
    OUR_FAILURES = "our-failures"
    ABANDONED = "abandoned"
    ANSWER_COLLAPSE = "answer-collapse"


@dataclass(frozen=True)
class Trip:
    """`reason`: for a person, with the figures and where to look."""

    kind: TripKind
    reason: str


def decide_breaker(window: CallCounts, rule: Breaker, *, before: CallCounts) -> Trip | None:
    """Why the campaign must pause, or None. `before`: the campaign's calls until the window began."""
    if window.calls < rule.least_calls:
        return None
    shares = (
        (TripKind.CARRIER_ERRORS, window.carrier_errors, window.calls, rule.most_carrier_errors),
        (TripKind.OUR_FAILURES, window.our_failures, window.calls, rule.most_our_failures),
        (TripKind.ABANDONED, window.abandoned, window.by_people, rule.most_abandoned),
    )
    for kind, number, of, limit in shares:
        if limit is not None and surely_at_least(number, of) > limit:
            return Trip(kind, f"{_FACTS[kind].format(number=number, of=of)}; at most {limit:.0%} may. {_ADVICE[kind]}")
    return _find_collapse(window, rule, before)


def _find_collapse(window: CallCounts, rule: Breaker, before: CallCounts) -> Trip | None:
    if rule.answer_collapse is None or before.calls < rule.least_calls:
        return None
    usual = before.answered / before.calls
    if surely_at_most(window.answered, window.calls) >= rule.answer_collapse * usual:
        return None
    kind = TripKind.ANSWER_COLLAPSE
    fact = _FACTS[kind].format(number=window.answered, of=window.calls)
    return Trip(kind, f"{fact}, against {usual:.0%} before. {_ADVICE[kind]}")


_FACTS = {
    TripKind.CARRIER_ERRORS: "{number} of the last {of} calls failed at the carrier",
    TripKind.OUR_FAILURES: "{number} of the last {of} calls failed on our side",
    TripKind.ABANDONED: "{number} of the last {of} people who answered heard nobody",
    TripKind.ANSWER_COLLAPSE: "Only {number} of the last {of} calls were answered",
}
_ADVICE = {
    TripKind.CARRIER_ERRORS: "Look at the trunk or the carrier account, then resume.",
    TripKind.OUR_FAILURES: "Look at the workers and their log, then resume.",
    TripKind.ABANDONED: "Look at who takes the calls, dial less at once, then resume.",
    TripKind.ANSWER_COLLAPSE: "The number may be marked as spam, or the list is stale: look, then resume.",
}


def surely_at_least(number: int, of: int) -> float:
    """The lower end of the Wilson interval of a share; 0 without any."""
    return _wilson(number, of, -SURENESS) if of else 0.0


def surely_at_most(number: int, of: int) -> float:
    """The upper end of the Wilson interval of a share; 1 without any."""
    return _wilson(number, of, SURENESS) if of else 1.0


def _wilson(number: int, of: int, z: float) -> float:
    share = number / of
    middle = share + z * z / (2 * of)
    reach = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return (middle + reach) / (1 + z * z / of)
