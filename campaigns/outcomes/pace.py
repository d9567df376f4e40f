"""How fast a campaign goes and when it will be over, from counts of now and of a while ago. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from campaigns.rules.finish import count_open_seconds, find_finish, look_back, open_always
from campaigns.rules.forecast import Group

RATE_WINDOW_SECONDS = 60
FORECAST_WINDOW_SECONDS = 600
SHORTEST_SECONDS = 10
"""Over less time a rate says nothing."""


@dataclass(frozen=True)
class Sample:
    """What was counted at an instant: dials, those answered, contacts that are over, contacts that are not."""

    at: datetime
    dialed: int
    answered: int
    finished: int
    remaining: int


@dataclass(frozen=True)
class Pace:
    """Of the last minute, per minute; None before there is anything to measure."""

    dials_per_minute: float | None = None
    answers_per_minute: float | None = None
    finished_per_minute: float | None = None


def measure_pace(now: Sample, samples: Sequence[Sample]) -> Pace:
    """Per minute, since the youngest sample that is a whole window old, else since the oldest there is."""
    before = _look_back(now, samples, RATE_WINDOW_SECONDS)
    if before is None:
        return Pace()
    minutes = (now.at - before.at).total_seconds() / 60
    return Pace(
        round((now.dialed - before.dialed) / minutes, 2),
        round((now.answered - before.answered) / minutes, 2),
        round((now.finished - before.finished) / minutes, 2),
    )


def forecast_finish(
    now: Sample, samples: Sequence[Sample], groups: Sequence[Group], last_due_at: datetime | None = None
) -> datetime | None:
    """When the last contact is over if they go on being finished as in the last ten minutes in which it was open
    anywhere, and while it is open where they are; not before `last_due_at`, when the last of those who wait may be
    called: retries, callbacks. `groups`: those who wait, or a sample of them; none: it is open at any time."""
    windows = [group.next_window for group in groups] or [open_always]
    before = _look_back(now, samples, (now.at - find_forecast_start(now.at, groups)).total_seconds())
    if now.remaining == 0 or before is None or now.finished <= before.finished:
        return None
    seconds = count_open_seconds(windows, before.at, now.at)
    if seconds < SHORTEST_SECONDS:
        return None
    seen = sum(group.contacts for group in groups)
    scale = now.remaining / seen if seen else 0.0
    left = [Group(group.contacts * scale, group.next_window) for group in groups if group.contacts]
    finish = find_finish(
        left or [Group(now.remaining, open_always)], (now.finished - before.finished) / seconds, now.at
    )
    return max(finish, last_due_at or finish) if finish else None


def find_forecast_start(at: datetime, groups: Sequence[Group]) -> datetime:
    """Since when it was open, anywhere, for ten minutes."""
    return look_back([group.next_window for group in groups] or [open_always], at, FORECAST_WINDOW_SECONDS)


def _look_back(now: Sample, samples: Sequence[Sample], seconds: float) -> Sample | None:
    """The youngest sample at least so old, else the oldest of at least ten seconds."""
    old = [sample for sample in samples if (now.at - sample.at).total_seconds() >= seconds]
    if old:
        return max(old, key=lambda sample: sample.at)
    young = [sample for sample in samples if (now.at - sample.at).total_seconds() >= SHORTEST_SECONDS]
    return min(young, key=lambda sample: sample.at, default=None)
