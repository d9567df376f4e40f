"""Dialing ahead of the people who take the calls: more dials than people, because most are not answered, and never so
many that more than the law's share of those who answer hear nobody. Pure; the maths are told in docs/pacing.md.

1. How many answers and how many free people the near future holds, each with its variance (`_look_ahead`).
2. Dials are added while the answer of one more would, likely enough, find somebody (`steering.decide_risk`).
3. The hard stop: were the answer rate to jump this moment, the last 30 days must bear what would be abandoned. What
   they cannot bear is not dialed; one dial for each idle person always is, as nobody can be left alone by it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from campaigns.rules.pace.answers import (
    USUAL_RINGS,
    AnswerRate,
    Cohort,
    RingCurve,
    estimate_answer_rate,
    seconds_until,
)
from campaigns.rules.pace.steering import Outcomes, count_credit, decide_risk
from telephony.floor.message import ABANDON_MESSAGE, CONNECT_SECONDS

JUMP = 2.5
"""The hard stop's shock: the answer rate times this, at once."""

BAD_LUCK = 3.0
"""And this many standard deviations more."""

LOOKS = (1 / 6, 1 / 2, 5 / 6)
"""When the answers of a dial made now come: the moments that stand for each third of them."""

MOST_PER_PERSON = 20
"""Dials ahead for each person who could take one; no answer rate is too low for that."""

USUAL_ANSWER_RATE = 0.3


class Predictive(BaseModel):
    """`max_abandoned`: the most of the calls that people answered which may be abandoned, over any 30 days of the
    campaign; no more than 3 % (FTC, 16 CFR 310.4(b)(4)). `connect_seconds`: how long after the callee's greeting
    somebody must be there, else the call is abandoned and `message` is played, as the rule asks for: it names who
    called and how to reach them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_abandoned: float = Field(default=0.03, ge=0.0, le=0.03)
    connect_seconds: float = Field(default=CONNECT_SECONDS, gt=0.0, le=2.0)
    message: str = Field(default=ABANDON_MESSAGE, min_length=1, max_length=500)


@dataclass(frozen=True)
class Floor:
    """The people who take a campaign's calls, and what comes towards them.

    `idle`: those who could take a call now. `busy`: those in a call or writing it up, `busy_seconds` on average.
    `waiting`: callees who answered and hear nobody yet. `ringing`: dials that are neither answered nor over, claimed
    ones too. `cohorts`: the dials of the last three minutes by second, all that ring among them. `rings`: how long
    answers take. `recent`: the newest thousand answers or so. `month`: the last 30 days of the campaign.
    """

    idle: int
    busy: int = 0
    waiting: int = 0
    ringing: int = 0
    busy_seconds: float = 120.0
    cohorts: Sequence[Cohort] = field(default_factory=tuple[Cohort, ...])
    rings: RingCurve = USUAL_RINGS
    recent: Outcomes = field(default_factory=Outcomes)
    month: Outcomes = field(default_factory=Outcomes)


def count_progressive(floor: Floor) -> int:
    """One dial for each idle person who has none on the way. Never negative."""
    return max(0, floor.idle - floor.waiting - floor.ringing)


def count_to_predict(floor: Floor, rule: Predictive, *, rate: AnswerRate | None = None) -> int:
    """How many to dial now, those for idle people among them. `rate`: for who knows it better than the cohorts do."""
    certain = count_progressive(floor)
    credit = count_credit(floor.month, most_abandoned=rule.max_abandoned)
    if credit <= 0:
        return certain
    risk = decide_risk(floor.recent, most_abandoned=rule.max_abandoned)
    looks = look_ahead(floor, rate or find_rate(floor))
    most = MOST_PER_PERSON * (floor.idle + floor.busy)
    return max(certain, count_fine(looks, risk=risk, credit=credit, most=most))


def count_fine(looks: Sequence["Look"], *, risk: float, credit: float, most: int) -> int:
    """How many dials more carry no more than `risk`, and could be borne by `credit`; up to `most`."""
    if not _is_fine(looks, 0, risk, credit):
        return 0
    fine, too_many = 0, 1
    while too_many <= most and _is_fine(looks, too_many, risk, credit):
        fine, too_many = too_many, too_many * 2
    too_many = min(too_many, most + 1)
    while too_many - fine > 1:
        middle = (fine + too_many) // 2
        if _is_fine(looks, middle, risk, credit):
            fine = middle
        else:
            too_many = middle
    return fine


def find_rate(floor: Floor) -> AnswerRate:
    """From the newest dials; what is usual is the rate of the recent ones."""
    recent = floor.recent
    usual = recent.answered / recent.dialed if recent.dialed and recent.answered else USUAL_ANSWER_RATE
    return estimate_answer_rate(floor.cohorts, floor.rings, usual=usual)


class Look(NamedTuple):
    """The floor at one moment ahead: `answers` of the dials that ring, and people who are `free` for them (those who
    wait are served first), each with its variance; `each`: how likely one dial made now has been answered by then;
    `unsure`: relative variance of the answer rate."""

    answers: float
    answers_variance: float
    free: float
    free_variance: float
    each: float
    unsure: float


def look_ahead(floor: Floor, rate: AnswerRate) -> list[Look]:
    """At the moments when the answers of a dial made now would come."""
    ringing = [(int(cohort.age_seconds), cohort.ringing) for cohort in floor.cohorts if cohort.ringing]
    not_yet_dialed = floor.ringing - sum(number for _, number in ringing)
    if not_yet_dialed > 0:
        ringing.append((0, not_yet_dialed))
    return [_look(floor, ringing, rate, seconds_until(floor.rings, share)) for share in LOOKS]


def _look(floor: Floor, ringing: Sequence[tuple[int, int]], rate: AnswerRate, ahead: int) -> Look:
    curve, last = floor.rings, len(floor.rings) - 1
    answers = variance = 0.0
    for age, number in ringing:
        by_now = rate.share * curve[min(age, last)]
        likely = (rate.share * curve[min(age + ahead, last)] - by_now) / (1 - by_now)
        answers += number * likely
        variance += number * likely * (1 - likely)
    ends = 1 - math.exp(-(ahead + 1) / max(floor.busy_seconds, 1.0))
    return Look(
        answers=answers,
        answers_variance=variance,
        free=floor.idle + floor.busy * ends - floor.waiting,
        free_variance=floor.busy * ends * (1 - ends),
        each=rate.share * curve[ahead],
        unsure=rate.variance / rate.share**2,
    )


def _is_fine(looks: Sequence[Look], dials: int, risk: float, credit: float) -> bool:
    """Whether so many dials more carry no more risk than allowed, and a jump of the answer rate could be borne."""
    carried = 0.0
    for look in looks:
        if stress(look, dials) > credit:
            return False
        carried += find_risk(look, dials)
    return carried <= risk * len(looks)


def find_risk(look: Look, dials: int) -> float:
    """How likely the answer of one more dial after `dials` would find nobody free at that moment."""
    answers = look.answers + dials * look.each
    variance = look.answers_variance + dials * look.each * (1 - look.each) + look.free_variance
    variance += look.unsure * answers**2 + 1e-9
    return 0.5 * math.erfc((look.free - answers - 0.5) / math.sqrt(2 * variance))


def stress(look: Look, dials: int) -> float:
    """How many would be abandoned if the answer rate jumped now, and luck were bad as well."""
    answers = JUMP * (look.answers + dials * look.each)
    variance = JUMP * (look.answers_variance + dials * look.each * (1 - look.each)) + look.free_variance
    return answers + BAD_LUCK * math.sqrt(variance) - look.free
