"""Cron: five fields by the clocks of a zone. The arithmetic is APScheduler's; what it reads otherwise than cron does is
translated first: weekdays count from Sunday, and a day of the month *or* of the week is enough where both are named.

Summer time, as cron has it: a time that clocks skip comes when they have gone on (02:30 → 03:30); one that they show
twice comes once, the first time, unless the hours are `*`: those follow elapsed time. Pure.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from app.errors import InvalidInput
from campaigns.rules.calling.zones import read_place

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
SHORTHAND = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
EXAMPLE = '"0 9 * * mon-fri": at 09:00 from Monday to Friday'
FIELDS = "Five fields are minute, hour, day, month, weekday"
_TICK = timedelta(microseconds=1)


class InvalidCron(InvalidInput):
    """The cron line, or its zone, cannot be read, or its time never comes."""

    code = "invalid_cron"
    title = "Invalid schedule"

    def __init__(self, path: str, message: str) -> None:
        super().__init__(
            f"{message}." + (f" {FIELDS}; for example {EXAMPLE}." if path == "cron" else ""),
            errors=[{"path": f"body.{path}", "message": message}],
        )


@dataclass(frozen=True)
class Cron:
    """A line that was read. `next_after` is what it is for."""

    text: str
    zone: ZoneInfo
    triggers: tuple[CronTrigger, ...]
    every_hour: bool

    def next_after(self, at: datetime) -> datetime | None:
        """The first time after `at` (aware), in UTC; None: never again."""
        moment = at.astimezone(UTC)
        while True:
            found = [trigger.get_next_fire_time(None, moment + _TICK) for trigger in self.triggers]
            times = [one.astimezone(UTC) for one in found if one is not None]
            if not times:
                return None
            moment = min(times)
            if self.every_hour or not moment.astimezone(self.zone).fold:
                return moment


def read_cron(text: str, time_zone: str) -> Cron:
    """Raises InvalidCron."""
    zone = read_place(time_zone)
    if zone is None:
        raise InvalidCron(
            "time_zone", f'"{time_zone[:60]}" is no time zone of a place; write one like America/New_York'
        )
    fields = SHORTHAND.get(text.strip().lower(), text).lower().split()
    if len(fields) != 5:
        raise InvalidCron("cron", f"A schedule has five fields, this one {len(fields)}")
    minute, hour, day, month, weekday = fields
    weekday = name_weekdays(weekday)
    either = not day.startswith("*") and not weekday.startswith("*")
    pairs = [(day, "*"), ("*", weekday)] if either else [(day, weekday)]
    try:
        triggers = tuple(
            CronTrigger(minute=minute, hour=hour, day=one, month=month, day_of_week=other, timezone=ZoneInfo(zone))
            for one, other in pairs
        )
    except ValueError as error:
        raise InvalidCron("cron", str(error)) from error
    return Cron(" ".join(fields), ZoneInfo(zone), triggers, every_hour=hour.startswith("*"))


def name_weekdays(field: str) -> str:
    """cron's weekday field (0 and 7 are Sunday) in names, which mean the same to everyone. Raises InvalidCron."""
    if field == "*":
        return field
    days: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, last = _read_span(span, part)
        if step and (not step.isdecimal() or int(step) == 0):
            raise InvalidCron("cron", f'"{part[:20]}" is no weekday')
        if step and "-" not in span and span != "*":
            last = 6
        days |= {day % 7 for day in range(first, last + 1, int(step or 1))}
    return ",".join(DAYS[day] for day in sorted(days))


def _read_span(span: str, part: str) -> tuple[int, int]:
    """`*`, `mon`, `1-5` → the first and last day."""
    if span == "*":
        return 0, 6
    first, dash, last = span.partition("-")
    ends = [_read_day(one, part) for one in ((first, last) if dash else (first, first))]
    if ends[1] == 0 and dash:
        ends[1] = 7  # sat-sun
    if ends[0] > ends[1]:
        raise InvalidCron("cron", f'"{part[:20]}" ends before it begins; name its days one by one')
    return ends[0], ends[1]


def _read_day(text: str, part: str) -> int:
    if text in DAYS:
        return DAYS.index(text)
    if text.isdecimal() and text.isascii() and len(text) == 1 and int(text) <= 7:
        return int(text)
    raise InvalidCron("cron", f'"{part[:20]}" is no weekday')
