"""Hours of a week, as people write them and as they are reckoned with. Pure.

Written: `{"mon-fri": ["09:00-12:00", "13:00-18:00"], "sat": ["10:00-14:00"]}`; a day that is not named is closed.
Reckoned with: seven days from Monday, each a tuple of spans in minutes from midnight, apart and in order.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from app.errors import InvalidInput

Span = tuple[int, int]
"""[from, to) in minutes of the local day, 0 to 1440."""
Day = tuple[Span, ...]
Week = tuple[Day, Day, Day, Day, Day, Day, Day]

MIDNIGHT = 24 * 60
ALL_DAY: Day = ((0, MIDNIGHT),)
ANY_TIME: Week = (ALL_DAY, ALL_DAY, ALL_DAY, ALL_DAY, ALL_DAY, ALL_DAY, ALL_DAY)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_Bound = TypeVar("_Bound", int, datetime)
_SPAN = re.compile(r"([0-9]{1,2}):([0-9]{2}) ?- ?([0-9]{1,2}):([0-9]{2})")


class InvalidHours(InvalidInput):
    """Hours of a week that cannot be read; the detail shows how they are written."""

    code = "invalid_hours"
    title = "Invalid calling hours"


def read_week(written: Mapping[str, str | Sequence[str]]) -> Week:
    """Raises InvalidHours."""
    days: list[list[Span]] = [[] for _ in DAYS]
    for names, spans in written.items():
        read = [read_span(span) for span in ([spans] if isinstance(spans, str) else spans)]
        for day in read_days(names):
            days[day].extend(read)
    return _week(merge(day) for day in days)


def write_week(week: Week) -> dict[str, list[str]]:
    """What `read_week` reads; days that are closed are left out, and neighbours that are alike are one."""
    written: dict[str, list[str]] = {}
    first = 0
    for day in range(7):
        if day < 6 and week[day + 1] == week[first]:
            continue
        if week[first]:
            name = DAYS[first] if first == day else f"{DAYS[first]}-{DAYS[day]}"
            written[name] = [_write_span(span) for span in week[first]]
        first = day + 1
    return written


def describe_week(week: Week) -> str:
    """For people: "mon-fri 09:00-18:00, sat 10:00-14:00"."""
    if week == ANY_TIME:
        return "at any time"
    parts = [f"{days} {' and '.join(spans)}" for days, spans in write_week(week).items()]
    return ", ".join(parts) or "never"


def read_days(names: str) -> list[int]:
    """ "mon", "monday", "mon-fri", "sat, sun", "every day" → numbers from Monday. Raises InvalidHours."""
    if names.strip().lower() in ("every day", "daily"):
        return list(range(7))
    found: list[int] = []
    for part in names.split(","):
        first, dash, last = (name.strip() for name in part.partition("-"))
        start = _read_day(first)
        end = _read_day(last) if dash else start
        # "sat-mon" goes over the end of the week.
        found += [(start + n) % 7 for n in range((end - start) % 7 + 1)]
    return found


def _read_day(name: str) -> int:
    plain = name.lower()
    for number, full in enumerate(_NAMES):
        if len(plain) >= 3 and full.startswith(plain):
            return number
    raise InvalidHours(f'"{name}" is not a day of the week; write mon, tue, … or mon-fri.')


def read_span(text: str) -> Span:
    """ "09:00-17:30" → (540, 1050). Raises InvalidHours."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise InvalidHours(f'"{text}" are no hours; write them like 09:00-17:30.')
    a, b, c, d = (int(part) for part in match.groups())
    start, end = a * 60 + b, c * 60 + d
    if b > 59 or d > 59 or end > MIDNIGHT:
        raise InvalidHours(f'"{text}" are no hours; they go from 00:00 to 24:00.')
    if start >= end:
        raise InvalidHours(
            f'"{text}" ends before it begins; hours over midnight are two spans, to 24:00 and from 00:00.'
        )
    return start, end


def merge(spans: Iterable[tuple[_Bound, _Bound]]) -> tuple[tuple[_Bound, _Bound], ...]:
    """In order, and those that touch or overlap as one."""
    merged: list[tuple[_Bound, _Bound]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def intersect(*weeks: Week) -> Week:
    """When all of them are open."""
    result = ANY_TIME
    for week in weeks:
        result = _week(intersect_days(mine, theirs) for mine, theirs in zip(result, week, strict=True))
    return result


def intersect_days(one: Day, other: Day) -> Day:
    """When both are open."""
    found = [(max(a, c), min(b, d)) for a, b in one for c, d in other]
    return merge((start, end) for start, end in found if start < end)


def _week(days: Iterable[Day]) -> Week:
    mon, tue, wed, thu, fri, sat, sun = days
    return mon, tue, wed, thu, fri, sat, sun


def _write_span(span: Span) -> str:
    return "-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in span)
