"""When those who wait will be through at a pace that was measured, while it is open where they are. Pure.

The pace is that of open hours: what is closed counts neither when it is measured nor as time to work in.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from campaigns.rules.calling.weeks import merge
from campaigns.rules.forecast import HORIZON, Group, NextWindow

LOOK_BACK = (timedelta(days=1), timedelta(days=4), timedelta(days=14))
"""How far open time is looked for: a night, a weekend, a row of holidays."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

Span = tuple[datetime, datetime]


def open_always(at: datetime) -> Span:
    """The window of those who may be called at any time."""
    return at, at + HORIZON


def find_finish(groups: Sequence[Group], per_second: float, starts_at: datetime) -> datetime | None:
    """When the last is over, `per_second` contacts at a time at which any group is open. Groups that are open together
    get on in proportion to their sizes; those that never open hold up nobody. None: not within HORIZON, or never."""
    left = [_Left(group.contacts, group.next_window) for group in groups if group.contacts > 0]
    now, end = starts_at, starts_at + HORIZON
    through: datetime | None = None
    while left := [group for group in left if group.look(now)]:
        now = max(now, min(group.opens_at for group in left))
        if now >= end:
            return None
        flowing = [group for group in left if group.opens_at <= now]
        amount = sum(group.contacts for group in flowing)
        # To the next instant at which somebody closes, or somebody else opens.
        until = min(group.closes_at if group.opens_at <= now else group.opens_at for group in left)
        part = (until - now).total_seconds() * per_second / amount
        if part >= 1:
            through = now = now + timedelta(seconds=amount / per_second)
            left = [group for group in left if group not in flowing]
            continue
        for group in flowing:
            group.contacts *= 1 - part
        now = until
    return through


class _Left:
    """What is left of a group, and its window of now or next."""

    def __init__(self, contacts: float, next_window: NextWindow) -> None:
        self.contacts, self._next_window = contacts, next_window
        self.opens_at = self.closes_at = _LONG_AGO

    def look(self, now: datetime) -> bool:
        """Whether it is open at `now`, or ever later."""
        if now < self.closes_at:
            return True
        window = self._next_window(now)
        if window is not None:
            self.opens_at, self.closes_at = window
        return window is not None


def count_open_seconds(windows: Iterable[NextWindow], since: datetime, until: datetime) -> float:
    """How long any of them was open."""
    return sum((end - start).total_seconds() for start, end in _find_open(windows, since, until))


def look_back(windows: Sequence[NextWindow], until: datetime, seconds: float) -> datetime:
    """The instant since which any of them was open for so long; the earliest looked at, where none was for long."""
    for reach in (timedelta(seconds=seconds), *LOOK_BACK):
        found = _find_open(windows, until - reach, until)
        missing = timedelta(seconds=seconds)
        for start, end in reversed(found):
            if end - start >= missing:
                return end - missing
            missing -= end - start
    return until - LOOK_BACK[-1]


def _find_open(windows: Iterable[NextWindow], since: datetime, until: datetime) -> Sequence[Span]:
    """Spans within [since, until) in which any is open, apart and in order."""
    spans: list[Span] = []
    for next_window in windows:
        at = since
        while at < until and (window := next_window(at)) and window[0] < until:
            spans.append((window[0], min(window[1], until)))
            at = window[1]
    return merge(spans)
