"""Who decides how many to dial: ours, an oracle to compare with, and two that must be caught."""

import math
from dataclasses import replace

from campaigns.rules.pace.answers import AnswerRate
from campaigns.rules.pace.predictive import (
    MOST_PER_PERSON,
    Floor,
    Predictive,
    count_fine,
    count_progressive,
    count_to_predict,
    look_ahead,
)
from campaigns.rules.pace.steering import Outcomes

RULE = Predictive()


def ours(floor: Floor, _true_rate: float) -> int:
    """What the dialer does; the true rate is nothing it sees."""
    return count_to_predict(floor, RULE)


def oracle(floor: Floor, true_rate: float) -> int:
    """Knows the true answer rate of this very second, every jump of it included, and need not fear the next one: no
    hard stop, no margin. It takes the risk that spends the whole 3 % and may pass it in a window or two."""
    month = floor.month
    share = (month.abandoned + 3) / (month.answered + 100)
    risk = min(0.03 * math.exp(40 * (1 - share / 0.03)), 0.3)
    looks = look_ahead(floor, AnswerRate(true_rate, 0.0))
    most = MOST_PER_PERSON * (floor.idle + floor.busy)
    return max(count_progressive(floor), count_fine(looks, risk=risk, credit=math.inf, most=most))


def naive(floor: Floor, _true_rate: float) -> int:
    """The textbook's: a dial for each person free by the time it is answered, divided by the usual answer rate."""
    recent = floor.recent
    rate = (recent.answered + 6) / (recent.dialed + 20)
    free = floor.idle + floor.busy * (1 - math.exp(-8 / floor.busy_seconds))
    return max(0, int(free / rate) - floor.ringing)


def deaf(floor: Floor, _true_rate: float) -> int:
    """Ours, if nobody wrote down what was abandoned."""
    told = [replace(outcomes, abandoned=0) for outcomes in (floor.recent, floor.month)]
    return count_to_predict(replace(floor, recent=told[0], month=_plenty(told[1])), RULE)


def _plenty(outcomes: Outcomes) -> Outcomes:
    return replace(outcomes, answered=outcomes.answered + 100_000)
