"""Whether a campaign that dialed its first few contacts may go on. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

_ROUNDING = 1e-9
"""29 of 100 is not above 29 %, though 0.29 * 100 is below 29 in binary."""


class Canary(BaseModel):
    """`campaigns.canary`. The first `contacts` are dialed, 0: no canary; then the campaign goes on only if all holds.

    `least_answer_rate`: of those dialed, answered by a person or a machine. `most_failed`: of those dialed, failed by
    the carrier or by us. `least_score`: the mean score (docs/teams.md) of the conversations, 0 to 1; None: not asked
    for. Evaluations are waited for until `patience_seconds` after the last call; then `least_scored` calls must have
    a score.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    contacts: int = Field(default=0, ge=0, le=100_000)
    least_answer_rate: float = Field(default=0.05, ge=0.0, le=1.0)
    most_failed: float = Field(default=0.2, ge=0.0, le=1.0)
    least_score: float | None = Field(default=None, ge=0.0, le=1.0)
    least_scored: int = Field(default=1, ge=1, le=100_000)
    patience_seconds: float = Field(default=900.0, ge=0.0)


@dataclass(frozen=True)
class CanaryCounts:
    """The canary's first tries so far. `contacts`: all that the campaign could dial, if they are fewer than the rule
    asks for. `dialed`: claimed ones too. `settled`: of these, over. `answered`, `failed`: of the settled.
    `judged`: of the answered, evaluated, with a score or without one. `scored`, `mean_score`: of these, with one.
    `quiet_seconds`: since the last one was settled."""

    contacts: int
    dialed: int = 0
    settled: int = 0
    answered: int = 0
    failed: int = 0
    judged: int = 0
    scored: int = 0
    mean_score: float | None = None
    quiet_seconds: float = 0.0


class Step(StrEnum):
    GO_ON = "go on"
    WAIT = "wait"
    STOP = "stop"


@dataclass(frozen=True)
class CanaryVerdict:
    """`reason`: for a person, where it is not "go on"."""

    step: Step
    reason: str = ""


def count_left_for_canary(counts: CanaryCounts, rule: Canary) -> int:
    """How many contacts may still be dialed before the verdict."""
    return max(0, _size(counts, rule) - counts.dialed)


def decide_canary(counts: CanaryCounts, rule: Canary) -> CanaryVerdict:
    """Stop as soon as the rule cannot hold any more, whatever the rest brings; go on once all of it is known."""
    size = _size(counts, rule)
    if size == 0:
        return CanaryVerdict(Step.GO_ON)
    if counts.failed > rule.most_failed * size + _ROUNDING:
        return _stop(f"{counts.failed} of {size} first calls failed", f"at most {rule.most_failed:.0%} may")
    open_calls = size - counts.settled
    if counts.answered + max(open_calls, 0) < rule.least_answer_rate * size - _ROUNDING:
        answered = f"{counts.answered} of {counts.settled} first calls were answered"
        return _stop(answered, f"at least {rule.least_answer_rate:.0%} of {size} must be")
    if open_calls > 0:
        return CanaryVerdict(Step.WAIT, f"{counts.settled} of {size} first calls are over")
    return _decide_score(counts, rule)


def _decide_score(counts: CanaryCounts, rule: Canary) -> CanaryVerdict:
    if rule.least_score is None or counts.answered == 0:
        return CanaryVerdict(Step.GO_ON)
    if counts.judged < counts.answered and counts.quiet_seconds < rule.patience_seconds:
        return CanaryVerdict(Step.WAIT, f"{counts.judged} of {counts.answered} answered calls are evaluated")
    if counts.mean_score is None or counts.scored < rule.least_scored:
        found = f"{counts.scored} of {counts.answered} answered calls got a score"
        return _stop(found, f"at least {rule.least_scored} must have one, with a mean of {rule.least_score:.2f}")
    if counts.mean_score < rule.least_score:
        scored = f"the mean score of {counts.scored} calls is {counts.mean_score:.2f}"
        return _stop(scored, f"at least {rule.least_score:.2f} is asked for")
    return CanaryVerdict(Step.GO_ON)


def _size(counts: CanaryCounts, rule: Canary) -> int:
    return min(rule.contacts, counts.contacts)


def _stop(fact: str, rule: str) -> CanaryVerdict:
    return CanaryVerdict(Step.STOP, f"Canary: {fact}; {rule}.")
