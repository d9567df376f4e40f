"""When a campaign will be through, after how many dials, and what they cost. Pure.

Contacts are taken for a fluid: a dial ends a contact with a fixed probability, and what is left of it comes back after
the retry's delay. Time goes in steps; groups of contacts that may be called at the same hours flow together.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

STEP = timedelta(minutes=15)
HORIZON = timedelta(days=400)
"""What is not through by then counts as left."""

_DROP = 1e-6
"""Of a contact: so little is nobody."""


@dataclass(frozen=True)
class Group:
    """Contacts that may be called at the same hours. `next_open(at)`: the first instant from `at` on at which they may,
    `at` itself where it is now, None for never."""

    contacts: int
    next_open: Callable[[datetime], datetime | None]


@dataclass(frozen=True)
class Expectation:
    """What one dial does, measured or guessed. `answer_rate`: answered by anyone. `final_rate`: the contact is not
    dialed again after it, answered or not. `ring_seconds`, `unanswered_seconds`: how long a line is held until the
    answer, and where none comes. `minor_per_minute`: price of an answered minute, each one begun, in cents or the
    like; `minor_per_dial`: of each dial."""

    answer_rate: float = 0.3
    final_rate: float = 0.35
    talk_seconds: float = 60.0
    ring_seconds: float = 10.0
    unanswered_seconds: float = 30.0
    minor_per_minute: float = 0.0
    minor_per_dial: float = 0.0


@dataclass(frozen=True)
class Forecast:
    """`finish_at`: when nobody is left to dial; None: not before the deadline, or never. `left`: contacts that are
    then still waiting. `cost_minor`: in minor units of the currency of the prices."""

    finish_at: datetime | None
    dials: int
    answered: int
    left: int
    cost_minor: int


def dials_per_second(expect: Expectation, *, max_concurrent: int, calls_per_second: float) -> float:
    """What the two limits allow: a line is held until nobody answered, or until the talk is over."""
    held = expect.answer_rate * (expect.ring_seconds + expect.talk_seconds)
    held += (1 - expect.answer_rate) * expect.unanswered_seconds
    return min(calls_per_second, max_concurrent / held) if held > 0 else calls_per_second


def forecast(
    groups: Sequence[Group],
    expect: Expectation,
    *,
    rate: float,
    max_attempts: int,
    retry_seconds: float,
    starts_at: datetime,
    deadline_at: datetime | None = None,
) -> Forecast:
    """`rate`: dials per second (`dials_per_second`). `retry_seconds`: the mean wait before another try."""
    flow = _Flow(rate, max_attempts, timedelta(seconds=retry_seconds), max(0.0, 1 - expect.final_rate))
    tanks = [_Tank(group.next_open, deque([_Drop(starts_at, 1, float(group.contacts))])) for group in groups]
    end = min(deadline_at or starts_at + HORIZON, starts_at + HORIZON)
    dials, now = 0.0, starts_at
    while any(tank.first for tank in tanks):
        ready = min((at for tank in tanks if (at := tank.ready_at(now)) is not None), default=None)
        if ready is None or ready >= end:
            break
        step = min(STEP, end - ready)
        made, spent = _pour([tank for tank in tanks if tank.ready_at(ready) == ready], flow, ready, step)
        dials += made
        now = ready + spent
    left = round(sum(tank.left for tank in tanks))
    answered = dials * expect.answer_rate
    minutes = -(-expect.talk_seconds // 60)
    cost = dials * expect.minor_per_dial + answered * minutes * expect.minor_per_minute
    return Forecast(now if left == 0 else None, round(dials), round(answered), left, round(cost))


@dataclass(frozen=True)
class _Flow:
    rate: float
    max_attempts: int
    delay: timedelta
    comes_back: float


@dataclass(frozen=True)
class _Drop:
    due_at: datetime
    ordinal: int
    amount: float


@dataclass
class _Tank:
    """`drops`: in the order they are due, for each wait is as long as the one before. `ripe`: those of them that are
    due, taken out; `ripe_amount`: their sum, kept because a long campaign has thousands of them in every step."""

    next_open: Callable[[datetime], datetime | None]
    drops: deque[_Drop]
    ripe: deque[_Drop] = field(default_factory=deque[_Drop])
    ripe_amount: float = 0.0
    opens_at: datetime | None = field(default=None)
    asked_at: datetime | None = field(default=None)

    @property
    def first(self) -> _Drop | None:
        return self.ripe[0] if self.ripe else self.drops[0] if self.drops else None

    @property
    def left(self) -> float:
        return sum(drop.amount for drops in (self.ripe, self.drops) for drop in drops)

    def ready_at(self, now: datetime) -> datetime | None:
        """When its first drop may flow, from `now` on; None: it is empty, or closed for good."""
        first = self.first
        if first is None:
            return None
        at = max(now, first.due_at)
        if self.asked_at is None or not (self.asked_at <= at and self.opens_at is not None and at <= self.opens_at):
            self.asked_at, self.opens_at = at, self.next_open(at)
        return self.opens_at

    def take(self, most: float, now: datetime, flow: _Flow) -> float:
        """Dial up to `most` of what is ripe; what comes of it is due again later."""
        taken = 0.0
        while taken < most and self.ripe:
            drop = self.ripe.popleft()
            part = min(drop.amount, most - taken)
            taken += part
            self.ripe_amount -= drop.amount
            if drop.amount - part > _DROP:
                self.ripe.appendleft(_Drop(drop.due_at, drop.ordinal, drop.amount - part))
                self.ripe_amount += drop.amount - part
            back = part * flow.comes_back
            if drop.ordinal < flow.max_attempts and back > _DROP:
                self.drops.append(_Drop(now + flow.delay, drop.ordinal + 1, back))
        return taken

    def due(self, now: datetime) -> float:
        """How much is ripe; never nothing where something is, whatever rounding left of the sum."""
        while self.drops and self.drops[0].due_at <= now:
            drop = self.drops.popleft()
            self.ripe.append(drop)
            self.ripe_amount += drop.amount
        return max(self.ripe_amount, self.ripe[0].amount) if self.ripe else 0.0


def _pour(tanks: Sequence[_Tank], flow: _Flow, now: datetime, step: timedelta) -> tuple[float, timedelta]:
    """One step: the dials that the rate allows, to each open group in proportion to what is due there. How many, and
    how long they took."""
    due = [tank.due(now) for tank in tanks]
    capacity = flow.rate * step.total_seconds()
    part = min(1.0, capacity / sum(due))
    made = sum(tank.take(each * part, now, flow) for tank, each in zip(tanks, due, strict=True))
    return made, step if part < 1.0 else timedelta(seconds=made / flow.rate)
