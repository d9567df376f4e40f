"""How often one person and one number are called. Pure.

A day is any 24 hours and a week any 7 days, as the laws that name a number of calls mean it: what a calendar day would
allow, two calls before midnight and two after it, they do not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from campaigns.rules.calling.ruling import Ruling

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
MOST = 1000


class Limits(BaseModel):
    """Dials at the most; None: any number."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_day: int | None = Field(default=None, ge=0, le=MOST)
    per_week: int | None = Field(default=None, ge=0, le=MOST)
    in_all: int | None = Field(default=None, ge=0, le=MOST)

    @property
    def any(self) -> bool:
        return self.per_day is not None or self.per_week is not None or self.in_all is not None


def strictest(limits: Iterable[Limits]) -> Limits:
    """What keeps all of them."""
    all_of_them = list(limits)

    def least(named: Iterable[int | None]) -> int | None:
        return min((most for most in named if most is not None), default=None)

    return Limits(
        per_day=least(one.per_day for one in all_of_them),
        per_week=least(one.per_week for one in all_of_them),
        in_all=least(one.in_all for one in all_of_them),
    )


class CapsRule(BaseModel):
    """campaigns.caps. `contact`: whatever number of theirs is dialed, by this campaign. `number`: whichever contact
    and, with `across_campaigns`, whichever campaign of the organization it is dialed for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    contact: Limits = Limits()
    number: Limits = Limits()
    across_campaigns: bool = True


@dataclass(frozen=True)
class Dials:
    """Of one contact or number. `recent`: instants of the last seven days, newest first; `in_all`: how many ever."""

    recent: Sequence[datetime] = ()
    in_all: int = 0


NO_DIALS = Dials()


def judge_cap(limits: Limits, dials: Dials, *, whose: str, now: datetime, source: str = "caps") -> Ruling:
    """Whether one more dial stays within the limits; else when the oldest one that counts is old enough."""
    if limits.in_all is not None and dials.in_all >= limits.in_all:
        return Ruling(False, f"{whose} was called {dials.in_all} times, {limits.in_all} in all are allowed", source)
    waits: list[tuple[datetime, str]] = []
    for most, span, word in ((limits.per_day, DAY, "24 hours"), (limits.per_week, WEEK, "7 days")):
        within = [at for at in dials.recent if at > now - span]
        if most == 0:
            return Ruling(False, f"no call of {whose} is allowed", source)
        if most is not None and len(within) >= most:
            # Dials within the span are newest first: room is made when the one that is `most` from the newest leaves.
            reason = f"{whose} was called {len(within)} times in {word}, {most} are allowed"
            waits.append((within[most - 1] + span, reason))
    if waits:
        next_at, reason = max(waits)
        return Ruling(False, reason, source, next_at)
    return Ruling(True, f"{whose} was called {_count(limits, dials, now)}", source)


def _count(limits: Limits, dials: Dials, now: datetime) -> str:
    day = sum(at > now - DAY for at in dials.recent)
    week = sum(at > now - WEEK for at in dials.recent)
    counts = [(day, limits.per_day, "in 24 hours"), (week, limits.per_week, "in 7 days")]
    told = [f"{n} of {most} times {word}" for n, most, word in counts if most is not None]
    if limits.in_all is not None:
        told.append(f"{dials.in_all} of {limits.in_all} times in all")
    return ", ".join(told)
