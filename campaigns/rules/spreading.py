"""Tries at different times of day: who never answers at ten in the morning may do so at six. Pure."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)


def spread_over_day(due_at: datetime, *, last_at: datetime, zone: ZoneInfo | None, hours: float) -> datetime:
    """`due_at`, or the first instant after it whose time of day lies at least `hours` from that of `last_at`.

    Clocks are those of `zone` (UTC where it is unknown), so summer time moves nothing by an hour; midnight is no
    border: 23:00 and 01:00 are two hours apart. `hours`: 0 to 12. Both instants aware; returns UTC.
    """
    clock = zone or UTC
    last, due = last_at.astimezone(clock), due_at.astimezone(clock)
    least = timedelta(hours=hours)
    ahead = (due.replace(tzinfo=None) - last.replace(tzinfo=None)) % DAY
    if ahead < least:
        due += least - ahead
    elif ahead > DAY - least:
        due += DAY - ahead + least
    return due.astimezone(UTC)
