"""How likely a dial is to be answered by a person, and how soon: from the newest dials, those that ring among them.
Pure.

A dial that rings has not failed yet. It counts for the part of its answers that would have come by its age, so the rate
of the last minute is known without waiting for the ringing bound, and a jump of it shows within seconds.
"""

import bisect
import math
from collections.abc import Sequence
from typing import NamedTuple

MEMORY_SECONDS = 60.0
"""Dials count less with age, by 1/e in this time: long enough for a steady figure, short enough for a jump."""

PRIOR_DIALS = 20.0
"""How many dials what is usual counts for."""

FEW_DIALS = 10.0
UNTRIED_RATE = 0.5
"""Until dials of the last minutes tell otherwise, every other one counts as answered: what was usual yesterday, or
before the pause, may be a third of what is true today. The fear fades by 1/e for each FEW_DIALS."""

LONGEST_RING = 60


class Cohort(NamedTuple):
    """The dials of one second, `age_seconds` ago. `answered`: by a person; `ringing`: neither answered nor over."""

    age_seconds: float
    dialed: int
    answered: int
    ringing: int


class AnswerRate(NamedTuple):
    """Of the dials made now, the share that a person will answer; `variance` of that estimate."""

    share: float
    variance: float


RingCurve = tuple[float, ...]
"""By whole seconds since the dial: the share of the answers that come by then; the last is 1."""


def draw_ring_curve(ring_seconds: Sequence[float]) -> RingCurve:
    """From how long answered calls rang."""
    rang = sorted(ring_seconds)
    if not rang:
        return USUAL_RINGS
    curve = (bisect.bisect_right(rang, second) / len(rang) for second in range(LONGEST_RING))
    return (*curve, 1.0)


def share_answered_by(curve: RingCurve, seconds: float) -> float:
    """Of the answers that come at all."""
    return curve[min(int(seconds), len(curve) - 1)] if seconds >= 0 else 0.0


def seconds_until(curve: RingCurve, share: float) -> int:
    """The second by which that share of the answers has come."""
    return bisect.bisect_left(curve, share)


def estimate_answer_rate(cohorts: Sequence[Cohort], curve: RingCurve, *, usual: float) -> AnswerRate:
    """`usual`: the rate of the last thousand or so, for when few dials are new."""
    answered, tried, last = 0.0, 0.0, len(curve) - 1
    for age, number, answers, _ in cohorts:
        weight = math.exp(-age / MEMORY_SECONDS)
        answered += weight * answers
        tried += weight * number * (curve[int(age)] if age < last else 1.0)
    share = (answered + PRIOR_DIALS * usual) / (tried + PRIOR_DIALS)
    share += max(0.0, UNTRIED_RATE - share) * math.exp(-tried / FEW_DIALS)
    share = min(max(share, 0.005), 0.95)
    return AnswerRate(share, share * (1 - share) / (tried + PRIOR_DIALS))


def _usual_rings() -> RingCurve:
    """Half of those who answer do so by the eighth second, nearly all by the twenty-fifth."""
    normal = (0.5 * (1 + math.erf(math.log(max(second, 1) / 8.0) / (0.5 * math.sqrt(2)))) for second in range(60))
    return (*normal, 1.0)


USUAL_RINGS = _usual_rings()
"""Before a campaign has measured its own."""
