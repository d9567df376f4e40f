"""How much risk the next dial may carry, so that the law's share of abandoned calls is never passed. Pure.

Steered is the risk of one more dial: how likely its answer would find nobody. A fixed risk gives a nearly fixed share
of abandoned calls; what the model gets wrong is made good by what was counted.
"""

import math
from dataclasses import dataclass

TARGET = 0.8
"""Of the share allowed: what is steered to. Utilization is flat near the limit; a shock is not."""

GAIN = 4.0
"""How strongly the risk answers to a share beside the target: by e^4 for all of it."""

STEADYING_ANSWERS = 100.0
"""So many answers exactly on target are added to what was counted, or the first few would swing it."""

LEAST_RISK = 0.001
MOST_RISK = 0.1


@dataclass(frozen=True)
class Outcomes:
    """Dials that are over. `answered`: by a person; `abandoned`: of these, who heard nobody within two seconds."""

    dialed: int = 0
    answered: int = 0
    abandoned: int = 0


def decide_risk(recent: Outcomes, *, most_abandoned: float) -> float:
    """The risk that one more dial may carry. `recent`: the newest thousand answers or so, 30 days at the most."""
    target = TARGET * most_abandoned
    answered = recent.answered + STEADYING_ANSWERS
    share = (recent.abandoned + STEADYING_ANSWERS * target) / answered
    return min(max(target * math.exp(GAIN * (1 - share / target)), LEAST_RISK), MOST_RISK)


def count_credit(month: Outcomes, *, most_abandoned: float) -> float:
    """How many more calls could be abandoned this moment without passing the limit over `month`, the last 30 days."""
    return most_abandoned * month.answered - month.abandoned - 1
