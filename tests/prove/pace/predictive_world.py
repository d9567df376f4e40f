"""A room of people who take calls, the phones they are called at, and shocks, in simulated seconds.

It knows nothing of how the pacer thinks: it asks it for a number every other second, and lets happen what happens.
Every second with an answer is written down, and judged afterwards from that record alone.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from campaigns.rules.pace.answers import Cohort, RingCurve, draw_ring_curve
from campaigns.rules.pace.predictive import Floor
from campaigns.rules.pace.steering import Outcomes

DAY_SECONDS = 86_400
MONTH_SECONDS = 30 * DAY_SECONDS
RING_OUT_SECONDS = 30
PATIENCE_SECONDS = 2
DECIDE_EVERY_SECONDS = 2
COHORT_SECONDS = 150
DRAWN = 200_003

Pacer = Callable[[Floor, float], int]
"""How many to dial now. The second argument is the true answer rate of this second: for the oracle's eyes only."""


@dataclass(frozen=True)
class Setting:
    """`talk_seconds` with a spread of 0.8 of it, `answer_rate` around which each day's rate wanders and is shocked."""

    people: int
    hours: float
    talk_seconds: float
    answer_rate: float
    seed: int


@dataclass(frozen=True)
class Second:
    """One second in which somebody answered or was abandoned. `at`: since the campaign began."""

    at: int
    answered: int
    abandoned: int


@dataclass(frozen=True)
class Record:
    """What a campaign came to. `days`: of each, the people's seconds in calls, and their seconds there."""

    seconds: Sequence[Second]
    days: Sequence[tuple[int, int]]
    dialed: int

    def share_busy(self, days: int | None = None) -> float:
        """Of the people's time, over the first `days`, else all."""
        counted = self.days[:days]
        return sum(busy for busy, _ in counted) / sum(there for _, there in counted)

    @property
    def share_abandoned(self) -> float:
        return self.abandoned / self.answered

    @property
    def answered(self) -> int:
        return sum(second.answered for second in self.seconds)

    @property
    def abandoned(self) -> int:
        return sum(second.abandoned for second in self.seconds)


class Dice:
    """Everything random of a campaign, drawn beforehand: two pacers in the same setting meet the same days."""

    def __init__(self, setting: Setting) -> None:
        self._rng = np.random.default_rng(setting.seed)
        self._setting = setting
        spread = math.sqrt(math.log(1 + 0.8**2))
        talks = self._rng.lognormal(math.log(setting.talk_seconds) - spread**2 / 2, spread, DRAWN)
        rings = np.clip(self._rng.lognormal(math.log(8), 0.5, DRAWN), 2, RING_OUT_SECONDS - 2)
        self.talks: list[int] = np.maximum(talks, 5).astype(int).tolist()
        self.rings: list[int] = rings.astype(int).tolist()
        self.fates: list[float] = self._rng.random(DRAWN).tolist()
        self.overs: list[int] = self._draw_overs().tolist()
        self.curve: RingCurve = draw_ring_curve([float(ring) for ring in self.rings[:2000]])
        self.talk_mean = sum(self.talks) / DRAWN

    def _draw_overs(self) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        """When a dial that no person answers is over: 12 % busy or dead at once, 28 % a machine, the rest rings out."""
        kind = self._rng.random(DRAWN)
        soon, machine = self._rng.integers(2, 5, DRAWN), self._rng.integers(6, 20, DRAWN)
        return np.where(kind < 0.12, soon, np.where(kind < 0.4, machine, RING_OUT_SECONDS))

    def draw_rates(self) -> list[float]:
        """The answer rate of each second of a day: it wanders, and some times a day it jumps, by a factor of up to 2.5
        up or 3 down, for minutes to an hour."""
        rng, minutes = self._rng, int(self._setting.hours * 60) + 2
        wave = 1 + 0.25 * np.sin(np.linspace(0, 2 * np.pi, minutes) + rng.random() * 6)
        rates = self._setting.answer_rate * wave * rng.uniform(0.7, 1.3)
        for _ in range(int(rng.poisson(0.75 * self._setting.hours)) + 1):
            start, length = int(rng.integers(0, minutes)), int(rng.integers(5, 60))
            rates[start : start + length] *= math.exp(rng.uniform(math.log(1 / 3), math.log(2.5)))
        return np.clip(rates, 0.02, 0.8).repeat(60).tolist()

    def draw_free_days(self) -> int:
        """After a shift: mostly none; now and then a weekend, and sometimes weeks in which the campaign is paused."""
        kind = self._rng.random()
        return 0 if kind < 0.8 else 2 if kind < 0.97 else int(self._rng.integers(3, 40))

    def draw_breaks(self) -> dict[int, int]:
        """Second of the day → how many people more (or, negative, fewer) are away from then on."""
        breaks: dict[int, int] = {}
        away = max(1, self._setting.people // 5)
        for _ in range(int(self._rng.poisson(0.5 * self._setting.hours))):
            start = int(self._rng.integers(0, int(self._setting.hours * 3600)))
            breaks[start] = breaks.get(start, 0) + away
            breaks[start + 900] = breaks.get(start + 900, 0) - away
        return breaks


class Ledger:
    """What the pacer may know of the past, as its rows would tell it."""

    def __init__(self) -> None:
        self._recent: deque[tuple[int, int, int, int]] = deque()
        self._month: deque[tuple[int, int, int, int]] = deque()
        self.recent = Outcomes()
        self.month = Outcomes()

    def write(self, at: int, dialed: int, answered: int, abandoned: int) -> None:
        if dialed or answered or abandoned:
            for kept in (self._recent, self._month):
                kept.append((at, dialed, answered, abandoned))
            self.recent = _plus(self.recent, dialed, answered, abandoned)
            self.month = _plus(self.month, dialed, answered, abandoned)
        oldest = at - MONTH_SECONDS
        while self._recent and (self.recent.answered > 1000 or self._recent[0][0] < oldest):
            self.recent = _plus(self.recent, *(-number for number in self._recent.popleft()[1:]))
        while self._month and self._month[0][0] < oldest:
            self.month = _plus(self.month, *(-number for number in self._month.popleft()[1:]))


def _plus(sum_: Outcomes, dialed: int, answered: int, abandoned: int) -> Outcomes:
    return Outcomes(sum_.dialed + dialed, sum_.answered + answered, sum_.abandoned + abandoned)


class Shift:
    """One day. Everybody begins idle; at the end nothing more is dialed, and who rings or talks is seen through."""

    def __init__(self, setting: Setting, dice: Dice, ledger: Ledger, began: int) -> None:
        self.length = int(setting.hours * 3600)
        self.dice, self.ledger, self.began = dice, ledger, began
        self.rates, self.breaks = dice.draw_rates(), dice.draw_breaks()
        slots = self.length + 2 * RING_OUT_SECONDS + PATIENCE_SECONDS
        self.answers: list[list[int]] = [[] for _ in range(slots)]
        self.overs: list[list[int]] = [[] for _ in range(slots)]
        self.frees = [0] * slots
        self.dialed, self.answered, self.ringing = [0] * slots, [0] * slots, [0] * slots
        self.idle, self.busy, self.due_for_break, self.on_break = setting.people, 0, 0, 0
        self.all_ringing = 0
        self.waiting: deque[int] = deque()
        self.seconds: list[Second] = []
        self.busy_seconds = self.staffed_seconds = 0
        self.total_dialed = 0
        self.turn = began % DRAWN

    def run(self, pacer: Pacer) -> None:
        self.ledger.write(self.began, 0, 0, 0)
        for now in range(self.length + RING_OUT_SECONDS + PATIENCE_SECONDS):
            self._free_people(now)
            answered = self._hear(now)
            abandoned = self._connect(now)
            dialed = 0
            if now < self.length:
                self.busy_seconds += self.busy
                self.staffed_seconds += self.busy + self.idle
                if now % DECIDE_EVERY_SECONDS == 0:
                    dialed = pacer(self._describe(now), self.rates[now])
                    self._dial(now, dialed)
            if answered or abandoned:
                self.seconds.append(Second(self.began + now, answered, abandoned))
            self.ledger.write(self.began + now, dialed, answered, abandoned)

    def _free_people(self, now: int) -> None:
        """Who is through with a call is idle, or goes on the break that is due; who comes back is idle."""
        change = self.breaks.get(now, 0)
        self.due_for_break += change
        back = min(-min(self.due_for_break, 0), self.on_break)
        self.due_for_break = max(self.due_for_break, 0)
        freed = self.frees[now]
        gone = min(freed, self.due_for_break)
        self.due_for_break -= gone
        self.on_break += gone - back
        self.busy -= freed
        self.idle += freed - gone + back

    def _hear(self, now: int) -> int:
        for dialed_at in self.overs[now]:
            self.ringing[dialed_at] -= 1
        for dialed_at in self.answers[now]:
            self.ringing[dialed_at] -= 1
            self.answered[dialed_at] += 1
            self.waiting.append(now)
        self.all_ringing -= len(self.overs[now]) + len(self.answers[now])
        return len(self.answers[now])

    def _connect(self, now: int) -> int:
        """People take who waits, oldest first. How many hung up, having waited too long."""
        while self.waiting and self.idle:
            self.waiting.popleft()
            self.idle -= 1
            self.busy += 1
            self.turn = (self.turn + 1) % DRAWN
            self.frees[min(now + self.dice.talks[self.turn], len(self.frees) - 1)] += 1
        abandoned = 0
        while self.waiting and self.waiting[0] <= now - PATIENCE_SECONDS:
            self.waiting.popleft()
            abandoned += 1
        return abandoned

    def _dial(self, now: int, number: int) -> None:
        rate, dice, turn = self.rates[now], self.dice, self.turn
        self.dialed[now] = number
        self.ringing[now] = number
        self.all_ringing += number
        self.total_dialed += number
        for _ in range(number):
            turn = (turn + 1) % DRAWN
            if dice.fates[turn] < rate:
                self.answers[now + dice.rings[turn]].append(now)
            else:
                self.overs[now + dice.overs[turn]].append(now)
        self.turn = turn

    def _describe(self, now: int) -> Floor:
        first = max(0, now - COHORT_SECONDS)
        cohorts = [
            Cohort(now - at, self.dialed[at], self.answered[at], self.ringing[at])
            for at in range(first, now)
            if self.dialed[at]
        ]
        return Floor(
            idle=self.idle,
            busy=self.busy,
            waiting=len(self.waiting),
            ringing=self.all_ringing,
            busy_seconds=self.dice.talk_mean,
            cohorts=cohorts,
            rings=self.dice.curve,
            recent=self.ledger.recent,
            month=self.ledger.month,
        )


def run_campaign(setting: Setting, pacer: Pacer, *, days: int) -> Record:
    """Shift after shift, each on a day of its own, with days off between some."""
    dice, ledger = Dice(setting), Ledger()
    seconds: list[Second] = []
    busy: list[tuple[int, int]] = []
    dialed = today = 0
    for _ in range(days):
        shift = Shift(setting, dice, ledger, today * DAY_SECONDS + 9 * 3600)
        shift.run(pacer)
        seconds += shift.seconds
        busy.append((shift.busy_seconds, shift.staffed_seconds))
        dialed += shift.total_dialed
        today += 1 + dice.draw_free_days()
    return Record(seconds, busy, dialed)


def find_worst_window(seconds: Sequence[Second]) -> float:
    """The largest share of abandoned calls over any 30 days, up to the instant of each; a younger campaign is judged
    from its beginning."""
    worst, first, answered, abandoned = 0.0, 0, 0, 0
    for second in seconds:
        answered += second.answered
        abandoned += second.abandoned
        while seconds[first].at < second.at - MONTH_SECONDS:
            answered -= seconds[first].answered
            abandoned -= seconds[first].abandoned
            first += 1
        if second.abandoned:
            worst = max(worst, abandoned / answered if answered else 1.0)
    return worst
