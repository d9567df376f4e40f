"""A slow judge of who may be called when, which shares no code with the gates.

Wall clocks come from Postgres, which has a time zone database and a reader of its own. Time is walked in steps of five
minutes, written hours are compared as text, dials are counted one by one. Hours and zones' changes must fall on
multiples of five minutes; instants need not.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import holidays
import phonenumbers
from phonenumbers import timezone

from app.db import Database

STEP = timedelta(minutes=5)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Rulebook:
    """Hours that hold at the same time: by day of the week, as text ("09:00", "24:00"), and whose holidays close."""

    hours: Mapping[str, Sequence[tuple[str, str]]]
    calendar: tuple[str, str | None] | None = None
    per_day: int | None = None
    per_week: int | None = None


@dataclass
class Walls:
    """What clocks on walls show: for each zone, minutes since 1970 for every step of the span."""

    start: datetime
    steps: int
    minutes: dict[str, "array[int]"] = field(default_factory=dict)
    _changes: set[datetime] = field(default_factory=set)

    @classmethod
    async def read(cls, db: Database, zones: Iterable[str], start: datetime, days: int) -> "Walls":
        """Raises asyncpg's error for a zone that Postgres does not know."""
        walls = cls(start, days * 288)
        async with db.system() as connection:
            for zone in zones:
                rows = await connection.fetch(
                    """
                    select (extract(epoch from g at time zone $1) / 60)::int as minute
                    from generate_series($2::timestamptz, $3::timestamptz, '5 minutes') g
                    """,
                    zone,
                    start,
                    start + walls.steps * STEP,
                )
                walls.minutes[zone] = array("q", [row["minute"] for row in rows])
        return walls

    def changes(self, until: datetime) -> list[datetime]:
        """When clocks of a zone are set, some hours after the beginning and before `until`."""
        if not self._changes:
            for minutes in self.minutes.values():
                jumps = [n for n in range(1, len(minutes)) if minutes[n] - minutes[n - 1] != 5]
                self._changes |= {self.start + n * STEP for n in jumps}
        return sorted(at for at in self._changes if self.start + 72 * STEP < at < until - 72 * STEP)

    def wall(self, zone: str, at: datetime) -> tuple[date, str]:
        """The local day, and the time as "HH:MM"."""
        step = (at - self.start) // STEP
        minute = self.minutes[zone][step] + (at - self.start - step * STEP) // timedelta(minutes=1)
        day, left = divmod(minute, 1440)
        return date(1970, 1, 1) + timedelta(days=day), f"{left // 60:02d}:{left % 60:02d}"


@dataclass
class Opening:
    """When one place is open under one campaign: all `books` in all `zones`, but for `left_out` days."""

    walls: Walls
    zones: Sequence[str]
    books: Sequence[Rulebook]
    left_out: Sequence[date]
    margin: timedelta
    told: tuple[datetime, bool, datetime | None] | None = None
    _steps: dict[int, bool] = field(default_factory=dict)
    _known: dict[int, int] = field(default_factory=dict)

    def is_open(self, at: datetime) -> bool:
        return bool(self.zones) and self._at(at) and self._at(at + self.margin)

    def next_open(self, at: datetime, until: datetime) -> datetime | None:
        """By trying: now, then the beginning of each step; None: not before `until`."""
        if not self.zones:
            return None
        if self.is_open(at):
            return at
        passed: list[int] = []
        step, end = (at - self.walls.start) // STEP + 1, (until - self.walls.start) // STEP
        while step < end and step not in self._known and not self.is_open(self.walls.start + step * STEP):
            passed.append(step)
            step += 1
        found = self._known.get(step, step)
        # What was walked once need not be walked again.
        self._known.update(dict.fromkeys(passed, found))
        return self.walls.start + found * STEP if found < end else None

    def _at(self, at: datetime) -> bool:
        step = (at - self.walls.start) // STEP
        if step not in self._steps:
            self._steps[step] = all(self._allows(*self.walls.wall(zone, at)) for zone in self.zones)
        return self._steps[step]

    def _allows(self, day: date, time: str) -> bool:
        if day in self.left_out:
            return False
        for book in self.books:
            if not any(begin <= time < end for begin, end in book.hours.get(DAYS[day.weekday()], ())):
                return False
            if book.calendar is not None and is_holiday(*book.calendar, day):
                return False
        return True


_CALENDARS: dict[tuple[str, str | None], "holidays.HolidayBase | None"] = {}


def is_holiday(country: str, state: str | None, day: date) -> bool:
    key = (country, state)
    if key not in _CALENDARS:
        try:
            _CALENDARS[key] = holidays.country_holidays(country, subdiv=state)
        except NotImplementedError:
            _CALENDARS[key] = holidays.country_holidays(country) if state else None
    calendar = _CALENDARS[key]
    if key == ("US", "PA") and is_kept_in_pennsylvania(day):
        return True
    return calendar is not None and day in calendar


def is_kept_in_pennsylvania(day: date) -> bool:
    """Good Friday, Flag Day, and the Tuesday after November's first Monday."""
    if is_holiday("GB", None, day) and day.month < 5 and day.weekday() == 4:
        return True
    return (day.month, day.day) == (6, 14) or (day.month == 11 and day.weekday() == 1 and 2 <= day.day <= 8)


def zones_of(phone: str) -> list[str]:
    """All zones in which the number may be."""
    found = timezone.time_zones_for_number(phonenumbers.parse(phone))
    return [zone for zone in found if zone != "Etc/Unknown"]


def next_under_caps(
    limits: Sequence[tuple[int | None, timedelta | None]], dials: Sequence[datetime], now: datetime
) -> datetime | None:
    """The first instant from now on, were nothing more dialed, at which one more dial is within each (most, span);
    a span of None: in all. None: never."""

    def within(at: datetime) -> bool:
        for most, span in limits:
            count = len([one for one in dials if span is None or one > at - span])
            if most is not None and count >= most:
                return False
        return True

    spans = [span for _, span in limits if span is not None]
    moments = sorted({now, *(one + span for one in dials for span in spans if one + span > now)})
    return next((at for at in moments if within(at)), None)
