"""Cron lines, held up against a clock that is moved on minute by minute."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.schedules.cron import DAYS, InvalidCron, name_weekdays, read_cron

FRIDAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEW_YORK = "America/New_York"


def times(text: str, zone: str, after: datetime, count: int) -> list[str]:
    """By the clocks of the zone, with their distance from UTC."""
    cron, found = read_cron(text, zone), list[str]()
    for _ in range(count):
        following = cron.next_after(after)
        assert following is not None
        found.append(following.astimezone(ZoneInfo(zone)).strftime("%a %m-%d %H:%M %z"))
        after = following
    return found


def matches(field: str, value: int, least: int = 0) -> bool:
    """The oracle's way to read one field: star, numbers, spans, steps."""
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = least, 99
        elif "-" in span:
            first, last = map(int, span.split("-"))
        else:
            first, last = int(span), 99 if step else int(span)
        if first <= value <= last and (value - first) % int(step or 1) == 0:
            return True
    return False


def next_by_minutes(text: str, zone: str, after: datetime) -> datetime:
    """Move a clock on, five minutes at a time, until all fields say yes."""
    minute, hour, day, month, weekday = text.split()
    at = after + timedelta(minutes=5 - after.minute % 5)
    while True:
        wall = at.astimezone(ZoneInfo(zone))
        of_month = matches(day, wall.day, 1)
        of_week = matches(weekday, wall.isoweekday() % 7) or (weekday != "*" and matches(weekday, wall.isoweekday()))
        both = day.startswith("*") or weekday.startswith("*")
        if (
            matches(minute, wall.minute)
            and matches(hour, wall.hour)
            and matches(month, wall.month, 1)
            and (of_month and of_week if both else of_month or of_week)
        ):
            return at
        at += timedelta(minutes=5)


@settings(max_examples=30, deadline=None)
@given(
    minute=st.sampled_from(["0", "30", "*/15", "5,50"]),
    hour=st.sampled_from(["9", "0", "8-18/5", "6,21"]),
    day=st.sampled_from(["*", "1", "15", "*/2"]),
    weekday=st.sampled_from(["*", "1", "0", "1-5", "6-7", "2,4"]),
    zone=st.sampled_from(["UTC", "Asia/Kolkata", "Asia/Kathmandu"]),
    hours=st.integers(0, 24 * 300),
)
def test_the_next_time_is_the_one_that_a_clock_comes_to_first(
    minute: str, hour: str, day: str, weekday: str, zone: str, hours: int
) -> None:
    text = f"{minute} {hour} {day} * {weekday}"
    after = FRIDAY + timedelta(hours=hours, minutes=hours % 60)
    assert read_cron(text, zone).next_after(after) == next_by_minutes(text, zone, after)


def test_one_is_monday_and_both_zero_and_seven_are_sunday() -> None:
    assert times("0 9 * * 1", NEW_YORK, FRIDAY, 2) == ["Mon 11-23 09:00 -0500", "Mon 11-30 09:00 -0500"]
    for sunday in ("0", "7", "sun"):
        assert times(f"0 9 * * {sunday}", NEW_YORK, FRIDAY, 1) == ["Sun 11-22 09:00 -0500"]
    assert name_weekdays("1-5") == "mon,tue,wed,thu,fri"
    assert name_weekdays("6-7") == "sun,sat"
    assert name_weekdays("*/2") == "sun,tue,thu,sat"
    assert name_weekdays(",".join(DAYS)) == ",".join(DAYS)


def test_a_day_of_the_month_or_of_the_week_is_enough() -> None:
    assert times("0 9 1 * mon", "UTC", FRIDAY, 3) == [
        "Mon 11-23 09:00 +0000",
        "Mon 11-30 09:00 +0000",
        "Tue 12-01 09:00 +0000",
    ]


def test_a_time_that_the_clocks_skip_comes_when_they_have_gone_on() -> None:
    before = datetime(2026, 3, 7, 12, tzinfo=UTC)
    assert times("30 2 * * *", NEW_YORK, before, 3) == [
        "Sun 03-08 03:30 -0400",
        "Mon 03-09 02:30 -0400",
        "Tue 03-10 02:30 -0400",
    ]


def test_a_time_that_the_clocks_show_twice_comes_once_and_hours_that_pass_all_count() -> None:
    before = datetime(2026, 10, 31, 12, tzinfo=UTC)
    assert times("30 1 * * *", NEW_YORK, before, 2) == ["Sun 11-01 01:30 -0400", "Mon 11-02 01:30 -0500"]
    night = datetime(2026, 11, 1, 4, 30, tzinfo=UTC)
    assert times("0 * * * *", NEW_YORK, night, 3) == [
        "Sun 11-01 01:00 -0400",
        "Sun 11-01 01:00 -0500",
        "Sun 11-01 02:00 -0500",
    ]


def test_a_time_that_never_comes_is_none() -> None:
    assert read_cron("0 0 30 2 *", "UTC").next_after(FRIDAY) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "61 * * * *",
        "x y z a b",
        "0 9 * * 8",
        "0 9 * * mon-",
        "0 9 * * fri-mon",
        "0 9 * * 1/0",
        "0 9 * * \u0661",
        "0 9 32 * *",
        "*/0 * * * *",
        "@sometimes",
    ],
)
def test_a_line_that_makes_no_sense_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidCron, match="Five fields") as refused:
        read_cron(text, "UTC")
    assert refused.value.extra["errors"][0]["path"] == "body.cron"


def test_a_zone_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidCron, match=r"no time zone of a place; write one like America/New_York\.$"):
        read_cron("0 9 * * *", "Mars/Olympus")


def test_a_zone_of_clocks_that_know_no_summer_is_no_place_as_in_lists_of_contacts() -> None:
    with pytest.raises(InvalidCron, match="no time zone of a place"):
        read_cron("0 9 * * *", "EST")
    assert read_cron("0 9 * * *", "utc").zone.key == "UTC"


def test_shorthand_is_read() -> None:
    assert times("@weekly", "UTC", FRIDAY, 1) == ["Sun 11-22 00:00 +0000"]
