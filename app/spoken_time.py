"""When somebody wants to be called again, in their words: "tomorrow at three", "after lunch", "in half an hour". Pure.

English. What cannot be understood is None, never a guess: whoever asked can ask again. What people leave out is what
people on the telephone mean: "at three" is in the afternoon, "Monday" the next one, a part of the day its middle.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

FURTHEST = timedelta(days=90)
NEVER_SAID = time(10, 0)
"""A day without a time, said outside these hours: then at ten."""
_WAKING = (time(8, 0), time(20, 0))

_NUMBERS = {
    "a couple of": 2, "couple of": 2, "a few": 3, "an": 1, "a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5,
    "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20,
    "thirty": 30, "forty five": 45, "forty": 40, "fifty": 50,
}  # fmt: skip
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_PARTS = {
    "early morning": time(8, 30), "late morning": time(11, 0), "morning": time(9, 30), "before lunch": time(11, 0),
    "after lunch": time(13, 30), "lunch": time(12, 30), "early afternoon": time(13, 30),
    "late afternoon": time(16, 30), "afternoon": time(15, 0), "after work": time(17, 45),
    "end of the day": time(16, 30), "end of day": time(16, 30), "early evening": time(17, 45),
    "evening": time(18, 30), "tonight": time(19, 0),
    "noon": time(12, 0), "midday": time(12, 0),
}  # fmt: skip
"""Longer ones first: the first that is found counts."""
_UNITS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 7 * 86_400}
_N = r"\d{1,3}|" + "|".join(sorted(_NUMBERS, key=len, reverse=True))
_AFTER = re.compile(rf"\b(?:in|after)? ?(?:(half an|{_N}) ?)(minute|hour|day|week)s?\b( and a half)?")
_CLOCK = re.compile(
    rf"\b(half past|quarter past|quarter to)?\s*({_N})(?:[:.](\d\d)|\s+(fifteen|thirty|forty five))?"
    r"\s*(o'?clock)?\s*(a\.?m\b\.?|p\.?m\b\.?)?(?![\w:])"
)
_DAY_OF_MONTH = re.compile(r"\bthe (\d{1,2})(?:st|nd|rd|th)?\b|\b(\d{1,2})(?:st|nd|rd|th)\b")
_MONTH_DAY = re.compile(
    rf"\b(?:({'|'.join(_MONTHS)}) (?:the )?(\d{{1,2}})|(\d{{1,2}})(?:st|nd|rd|th)? (?:of )?({'|'.join(_MONTHS)}))"
)


@dataclass(frozen=True)
class _Day:
    """The day that was named, and the words that are left."""

    day: date | None
    rest: str


def read_spoken_time(text: str, now: datetime) -> datetime | None:
    """The instant meant, in UTC, after `now`, at most FURTHEST ahead. `now`: aware, in the zone of who speaks."""
    words = _clean(text)
    if (instant := _read_instant(text, now)) is None:
        instant = _read_delay(words, now) or _read_day_and_time(words, now)
    if instant is None or not now < instant <= now + FURTHEST:
        return None
    return instant.astimezone(UTC)


def _clean(text: str) -> str:
    return " ".join(re.sub(r"[,;!?\"-]|(?<!\d)[.](?!\d)", " ", text.lower().replace("-", " ")[:300]).split())


def _read_instant(text: str, now: datetime) -> datetime | None:
    """RFC 3339, as programs write it; without an offset by the clocks of `now`."""
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if len(text.strip()) <= 10:
        instant = instant.replace(hour=NEVER_SAID.hour)
    return instant if instant.tzinfo else instant.replace(tzinfo=now.tzinfo)


def _read_delay(words: str, now: datetime) -> datetime | None:
    """ "in two hours", "in half an hour"; days keep the time of day."""
    found = _AFTER.search(words)
    if found is None or not re.search(r"\b(in|after|from now|later)\b", words):
        return None
    number = 0.5 if found[1] == "half an" else float(_NUMBERS.get(found[1]) or found[1])
    seconds = (number + (0.5 if found[3] else 0)) * _UNITS[found[2]]
    if found[2] in ("day", "week"):
        return _at(now.date() + timedelta(seconds=seconds), _usual_time(now), now)
    return (now.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(now.tzinfo)


def _read_day_and_time(words: str, now: datetime) -> datetime | None:
    named = _read_day(words, now.date())
    at = _read_time(named.rest)
    if at is None and re.search(r"\blater\b", words) and named.day in (None, now.date()):
        return now + timedelta(hours=2)
    if named.day is None and at is None:
        return None
    instant = _at(named.day or now.date(), at or _usual_time(now), now)
    if named.day is None and instant <= now:
        instant = _at(now.date() + timedelta(days=1), at or NEVER_SAID, now)
    return instant


def _usual_time(now: datetime) -> time:
    spoken = now.time().replace(second=0, microsecond=0)
    return spoken if _WAKING[0] <= spoken <= _WAKING[1] else NEVER_SAID


def _at(day: date, at: time, now: datetime) -> datetime:
    """That day and time by the clocks of `now`; a time that they skip is the one after the gap."""
    return datetime.combine(day, at, tzinfo=now.tzinfo).astimezone(UTC).astimezone(now.tzinfo)


def _read_day(words: str, today: date) -> _Day:
    for phrase, days in (("day after tomorrow", 2), ("tomorrow", 1), ("today", 0), ("tonight", 0), ("this", 0)):
        if re.search(rf"\b{phrase}\b(?! (?:{'|'.join(_WEEKDAYS)}|week))", words):
            # "tonight" is a time as well.
            return _Day(today + timedelta(days=days), words.replace(phrase, " ", 1) if phrase != "tonight" else words)
    if found := re.search(rf"\b(next )?({'|'.join(_WEEKDAYS)})s?\b", words):
        ahead = (_WEEKDAYS.index(found[2]) - today.weekday() - 1) % 7 + 1
        return _Day(today + timedelta(days=ahead), words.replace(found[0], " ", 1))
    if re.search(r"\bnext week\b", words):
        return _Day(today + timedelta(days=7 - today.weekday()), words.replace("next week", " "))
    return _read_date(words, today)


def _read_date(words: str, today: date) -> _Day:
    """ "2026 11 24", "the 24th", "November 24"; of a day that has passed, the next one."""
    if found := re.search(r"\b(\d{4}) (\d\d) (\d\d)\b", words):
        return _Day(_day(int(found[1]), int(found[2]), int(found[3])), words.replace(found[0], " ", 1))
    if found := _MONTH_DAY.search(words):
        month, number = _MONTHS.index(found[1] or found[4]) + 1, int(found[2] or found[3])
        day = _day(today.year, month, number)
        if day is not None and day < today:
            day = _day(today.year + 1, month, number)
        return _Day(day, words.replace(found[0], " ", 1))
    if found := _DAY_OF_MONTH.search(words):
        number = int(found[1] or found[2])
        day = _day(today.year, today.month, number)
        if day is None or day <= today:
            following = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
            day = _day(following.year, following.month, number)
        return _Day(day, words.replace(found[0], " ", 1))
    return _Day(None, words)


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _read_time(words: str) -> time | None:
    """The clock time or the part of the day in these words; "after five" is a little later, "before" earlier."""
    part = next((phrase for phrase in _PARTS if re.search(rf"\b{phrase}(?:time)?\b", words)), None)
    for found in _CLOCK.finditer(words):
        if not _is_clock(found, words):
            continue
        at = _read_clock(found, part)
        if at is None:
            return None
        before = words[: found.start(2)].split()
        shift = {"after": 15, "before": -30}.get(before[-1] if before else "", 0)
        return (datetime.combine(date.min, at, UTC) + timedelta(days=1, minutes=shift)).time()
    return _PARTS[part] if part else None


def _is_clock(found: re.Match[str], words: str) -> bool:
    """A number is a time of day if it looks like one, or stands where one stands; "a" and "an" never are."""
    if found[2] in ("a", "an", "a few", "couple of", "a couple of"):
        return False
    if any(found[n] for n in (1, 3, 4, 5, 6)):
        return True
    before = words[: found.start(2)].split()
    return not before or before[-1] in ("at", "around", "about", "after", "before", "by", "past", "like")


def _read_clock(found: re.Match[str], part: str | None) -> time | None:
    hour = _NUMBERS.get(found[2]) or int(found[2])
    minute = int(found[3]) if found[3] else _NUMBERS.get(found[4] or "", 0)
    half = (found[6] or "").replace(".", "")
    if half and not 1 <= hour <= 12:
        return None
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    elif 1 <= hour < 12 and _is_after_noon(hour, part or "", found[2]):
        hour += 12
    if hour > 23 or minute > 59:
        return None
    moment = datetime.combine(date.min, time(hour, minute), UTC) + timedelta(days=1)
    return (
        moment + timedelta(minutes={"half past": 30, "quarter past": 15, "quarter to": -15}.get(found[1], 0))
    ).time()


def _is_after_noon(hour: int, part: str, written: str) -> bool:
    """What is meant by an hour without am or pm."""
    if part.endswith(("afternoon", "evening", "tonight", "work", "lunch")):
        return True
    return hour <= 7 and not part.endswith("morning") and not written.startswith("0")
