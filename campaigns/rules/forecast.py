"""When a campaign will be through, after how many dials, and what they cost. Pure.

Contacts are taken for a fluid: a dial ends a contact with a fixed probability, and what is left of it comes back after
the retry's delay. Time goes in steps that end where hours do; groups of contacts that may be called at the same hours
flow together.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

STEP = timedelta(minutes=15)
HORIZON = timedelta(days=400)
"""What is not through by then counts as left."""

_DROP = 1e-6
"""Of a contact: so little is nobody."""
_EVER = datetime.max.replace(tzinfo=UTC)

NextWindow = Callable[[datetime], tuple[datetime, datetime] | None]


@dataclass(frozen=True)
class Group:
    """Contacts that may be called at the same hours. `next_window(at)`: from the first instant at or after `at` at
    which they may to the first at which they may not any more, None for never (`Hours.next_window`)."""

    contacts: float
    next_window: NextWindow


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
    tanks = [
        _Tank(group.next_window, deque([_Drop(starts_at, 1, float(group.contacts))]))
        for group in groups
        if group.contacts > 0
    ]
    end = min(deadline_at or starts_at + HORIZON, starts_at + HORIZON)
    dials, now = 0.0, starts_at
    while True:
        ready = min((at for tank in tanks if (at := tank.ready_at(now)) is not None), default=None)
        if ready is None or ready >= end:
            break
        flowing = [tank for tank in tanks if tank.ready_at(ready) == ready]
        step = min(STEP, end - ready, *(tank.closes_at - ready for tank in flowing))
        made, spent = _pour(flowing, flow, ready, step)
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
    """`later`: not due when it was last looked at, in the order in which it is; `ready`: due, `amount` of contacts."""

    next_window: NextWindow
    later: deque[_Drop]
    ready: deque[_Drop] = field(default_factory=deque[_Drop])
    amount: float = field(default=0.0)
    asked_at: datetime | None = field(default=None)
    opens_at: datetime | None = field(default=None)
    closes_at: datetime = field(default=_EVER)

    @property
    def left(self) -> float:
        return sum(drop.amount for drop in (*self.ready, *self.later))

    def ready_at(self, now: datetime) -> datetime | None:
        """When its first drop may flow, from `now` on; None: it is empty, or closed for good."""
        while self.later and self.later[0].due_at <= now:
            self.ready.append(self.later.popleft())
            self.amount += self.ready[-1].amount
        if not self.ready and not self.later:
            return None
        at = now if self.ready else self.later[0].due_at
        if self.asked_at is None or not self.asked_at <= at < self.closes_at:
            self._ask(at)
        return max(at, self.opens_at) if self.opens_at else None

    def _ask(self, at: datetime) -> None:
        self.asked_at, window = at, self.next_window(at)
        self.opens_at, self.closes_at = window or (None, _EVER)

    def take(self, most: float, now: datetime, flow: _Flow) -> float:
        """Dial up to `most` of what is due; what comes of it is due again later."""
        taken, back = 0.0, defaultdict[int, float](float)
        while taken < most and self.ready:
            drop = self.ready.popleft()
            part = min(drop.amount, most - taken)
            taken += part
            if drop.amount - part > _DROP:
                self.ready.appendleft(_Drop(drop.due_at, drop.ordinal, drop.amount - part))
            if drop.ordinal < flow.max_attempts:
                back[drop.ordinal + 1] += part * flow.comes_back
        self.amount -= taken
        if self.amount < 1:  # by now what was rounded off would count
            self.amount = sum(drop.amount for drop in self.ready)
        self.later.extend(_Drop(now + flow.delay, ordinal, part) for ordinal, part in back.items() if part > _DROP)
        return taken


def _pour(tanks: Sequence[_Tank], flow: _Flow, now: datetime, step: timedelta) -> tuple[float, timedelta]:
    """One step: the dials that the rate allows, to each open group in proportion to what is due there. How many, and
    how long they took."""
    due = [tank.amount for tank in tanks]
    capacity = flow.rate * step.total_seconds()
    part = min(1.0, capacity / sum(due))
    made = sum(tank.take(each * part, now, flow) for tank, each in zip(tanks, due, strict=True))
    return made, step if part < 1.0 else timedelta(seconds=made / flow.rate)
