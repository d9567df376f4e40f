"""When somebody may be called: is it open now, when is it open next, and until when. Pure and exact to the second.

An instant is open when the wall clock of every zone that counts shows a time inside the hours of that zone's day. So
what a change to or from daylight-saving time skips is never open, and an hour that comes twice is open twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from campaigns.rules.calling.weeks import ANY_TIME, Day, Week

HORIZON = timedelta(days=400)
"""Hours that do not open within this, which holds every day of a year and its holidays, never do."""

REACH = timedelta(days=2)
"""How far the end of a window is looked for."""

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)

Window = tuple[datetime, datetime]
"""From the first instant that is open to the first that is not, UTC."""
Closed = Callable[[date], str | None]
"""Why a whole local day is closed, the name of a holiday say, or None."""


def open_every_day(_day: date) -> str | None:
    """No day is closed as a whole."""
    return None


@dataclass(frozen=True)
class Hours:
    """The hours of a week in every one of `zones` (IANA names, at least one), without the days that are closed.

    `margin`: no dial so shortly before closing that the phone would ring after it.
    """

    zones: tuple[str, ...]
    week: Week
    closed: Closed = open_every_day
    margin: timedelta = timedelta(0)

    def is_open(self, at: datetime) -> bool:
        """`at`: any aware instant."""
        return all(self._is_open_in(zone, at + shift) for zone in self.zones for shift in self._shifts())

    def next_open(self, at: datetime) -> datetime | None:
        """The first open instant from `at` on, whole seconds, UTC; `at` itself where it is open; None: never.

        Every zone moves the instant on to where it is open; the first that none of them moves is open in all.
        """
        limit = at.astimezone(UTC) + HORIZON
        candidate = at.astimezone(UTC)
        steady = 0
        moves = [(zone, shift) for zone in self.zones for shift in self._shifts()]
        while steady < len(moves):
            for zone, shift in moves:
                moved = self._next_in(zone, candidate + shift, limit + shift)
                if moved is None:
                    return None
                steady = steady + 1 if moved - shift == candidate else 1
                candidate = moved - shift
                if steady >= len(moves):
                    break
        return candidate

    def next_window(self, at: datetime) -> Window | None:
        """When it is open next, from `at` on, and until when without a break, at most for REACH; None: never. Where one
        is cut off at REACH the next begins at its end."""
        return _find_window(self, at.astimezone(UTC))

    def open_until(self, at: datetime) -> datetime:
        """`at`: an open instant, UTC. The first that is not, at most REACH later."""
        limit = at + REACH
        return min(
            self._end_in(zone, at + shift, limit + shift) - shift for zone in self.zones for shift in self._shifts()
        )

    def closed_on(self, zone: str, at: datetime) -> str | None:
        """Why the whole of that local day is closed, or None: it is not, or not as a whole."""
        return self.closed(at.astimezone(load_zone(zone)).date())

    def _shifts(self) -> Sequence[timedelta]:
        return (timedelta(0), self.margin) if self.margin else (timedelta(0),)

    def _day(self, day: date) -> Day:
        spans = self.week[day.weekday()]
        return spans if spans and self.closed(day) is None else ()

    def _is_open_in(self, zone: str, at: datetime) -> bool:
        wall = at.astimezone(load_zone(zone))
        minute = wall.hour * 60 + wall.minute
        return any(start <= minute < end for start, end in self._day(wall.date()))

    def _next_in(self, zone: str, at: datetime, limit: datetime) -> datetime | None:
        """The first instant from `at` on that is open in this zone. Between two changes of its offset a zone's wall
        clock runs like any other, so time is walked in stretches of one offset, a day at the most."""
        if self.week == ANY_TIME and self.closed is open_every_day:
            return at
        info = load_zone(zone)
        while at <= limit:
            offset = _offset(info, at)
            wall = (at + offset).replace(tzinfo=None)
            end_of_day = datetime.combine(wall.date() + _DAY, datetime.min.time())
            opens = self._opens_on(wall)
            reach = (opens or end_of_day).replace(tzinfo=UTC) - offset
            if _offset(info, reach) != offset:
                at = _find_change(info, at, reach)
            elif opens is not None:
                return reach
            else:
                at = reach
        return None

    def _end_in(self, zone: str, at: datetime, limit: datetime) -> datetime:
        """From an open instant: the first that is not open in this zone, `limit` at most. Walked as `_next_in` is."""
        if self.week == ANY_TIME and self.closed is open_every_day:
            return limit
        info = load_zone(zone)
        while at < limit and self._is_open_in(zone, at):
            offset = _offset(info, at)
            wall = (at + offset).replace(tzinfo=None)
            reach = self._closes_on(wall).replace(tzinfo=UTC) - offset
            at = reach if _offset(info, reach) == offset else _find_change(info, at, reach)
        return min(at, limit)

    def _closes_on(self, wall: datetime) -> datetime:
        """The end of the span of that day in which the wall time lies, by a clock that runs evenly."""
        midnight = datetime.combine(wall.date(), datetime.min.time())
        since = (wall - midnight) / timedelta(minutes=1)
        return midnight + timedelta(minutes=next(end for start, end in self._day(wall.date()) if start <= since < end))

    def _opens_on(self, wall: datetime) -> datetime | None:
        """The first open wall time of that day from `wall` on, by a clock that runs evenly."""
        midnight = datetime.combine(wall.date(), datetime.min.time())
        since = (wall - midnight) / timedelta(minutes=1)
        for start, end in self._day(wall.date()):
            if since < end:
                return wall if since >= start else midnight + timedelta(minutes=start)
        return None


@lru_cache(maxsize=20_000)
def _find_window(hours: Hours, at: datetime) -> Window | None:
    """Kept, for who walks through the hours of weeks asks at the same ends of windows again and again."""
    opens = hours.next_open(at)
    return (opens, hours.open_until(opens)) if opens else None


def _find_change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The second in (low, high] at which the zone changes its offset. Zones change once a day at the most, and at
    whole seconds."""
    offset = _offset(zone, low)
    low = low.replace(microsecond=0)
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
        if _offset(zone, middle) == offset:
            low = middle
        else:
            high = middle
    return high


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta(0)


@lru_cache(maxsize=600)
def load_zone(name: str) -> ZoneInfo:
    """Raises ZoneInfoNotFoundError or ValueError for what is no zone; `zones.read_zone` reads what people write."""
    return ZoneInfo(name)
