"""What people say when they want to be called again."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.spoken_time import FURTHEST, read_spoken_time

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 20, 10, 20, tzinfo=NEW_YORK)  # a Friday


def heard(text: str, now: datetime = NOW) -> str | None:
    """By the clocks of who spoke."""
    instant = read_spoken_time(text, now)
    return None if instant is None else instant.astimezone(now.tzinfo).strftime("%a %m-%d %H:%M")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("after lunch", "Fri 11-20 13:30"),
        ("Call me back after lunch, please.", "Fri 11-20 13:30"),
        ("tomorrow", "Sat 11-21 10:20"),
        ("tomorrow morning", "Sat 11-21 09:30"),
        ("tomorrow at three", "Sat 11-21 15:00"),
        ("tomorrow at 3 pm", "Sat 11-21 15:00"),
        ("tomorrow at 9", "Sat 11-21 09:00"),
        ("the day after tomorrow in the afternoon", "Sun 11-22 15:00"),
        ("on Monday", "Mon 11-23 10:20"),
        ("next Monday at half past two", "Mon 11-23 14:30"),
        ("Friday at 9 am", "Fri 11-27 09:00"),
        ("this evening", "Fri 11-20 18:30"),
        ("this afternoon at four", "Fri 11-20 16:00"),
        ("tonight", "Fri 11-20 19:00"),
        ("tonight at eight", "Fri 11-20 20:00"),
        ("at noon", "Fri 11-20 12:00"),
        ("at 9", "Sat 11-21 09:00"),
        ("quarter to five", "Fri 11-20 16:45"),
        ("at five fifteen", "Fri 11-20 17:15"),
        ("at 15:45", "Fri 11-20 15:45"),
        ("after five", "Fri 11-20 17:15"),
        ("before noon tomorrow", "Sat 11-21 12:00"),
        ("after work", "Fri 11-20 17:45"),
        ("in two hours", "Fri 11-20 12:20"),
        ("in half an hour", "Fri 11-20 10:50"),
        ("in an hour and a half", "Fri 11-20 11:50"),
        ("in 20 minutes", "Fri 11-20 10:40"),
        ("a couple of hours from now", "Fri 11-20 12:20"),
        ("in three days", "Mon 11-23 10:20"),
        ("next week", "Mon 11-23 10:20"),
        ("next week in the evening", "Mon 11-23 18:30"),
        ("later", "Fri 11-20 12:20"),
        ("later today", "Fri 11-20 12:20"),
        ("on the 24th at 10:30", "Tue 11-24 10:30"),
        ("the 3rd", "Thu 12-03 10:20"),
        ("November 24 at 2 pm", "Tue 11-24 14:00"),
        ("24 November", "Tue 11-24 10:20"),
        ("January 5th", "Tue 01-05 10:20"),
        ("2026-11-24T15:00", "Tue 11-24 15:00"),
        ("2026-11-24", "Tue 11-24 10:00"),
        ("2026-11-24T20:00:00Z", "Tue 11-24 15:00"),
    ],
)
def test_what_is_said_is_understood_by_the_clocks_of_who_says_it(said: str, meant: str) -> None:
    assert heard(said) == meant


@pytest.mark.parametrize(
    "said",
    [
        "",
        "whenever",
        "my number is 555 0100",
        "no",
        "yesterday",
        "today at 9 am",
        "the 31st of February",
        "at 25:00",
        "at 13 pm",
        "in 900 days",
        "2020-01-01",
        "call a friend",
        "I have two dogs",
        "\x00",
        "9" * 400,
    ],
)
def test_what_names_no_time_ahead_is_not_guessed(said: str) -> None:
    assert heard(said) is None


def test_a_day_without_a_time_said_at_night_is_at_ten() -> None:
    assert heard("tomorrow", NOW.replace(hour=23)) == "Sat 11-21 10:00"


def test_a_time_that_the_clocks_skip_is_the_one_after_the_gap() -> None:
    saturday = datetime(2026, 3, 7, 12, tzinfo=NEW_YORK)
    assert heard("tomorrow at 2:30 am", saturday) == "Sun 03-08 03:30"


def test_hours_that_pass_are_counted_across_summer_time() -> None:
    night = datetime(2026, 11, 1, 0, 30, tzinfo=NEW_YORK)
    assert read_spoken_time("in three hours", night) == night.astimezone(UTC) + timedelta(hours=3)


@given(st.text(max_size=80))
def test_whatever_is_said_the_answer_is_nothing_or_lies_ahead(said: str) -> None:
    instant = read_spoken_time(said, NOW)
    assert instant is None or NOW < instant <= NOW + FURTHEST
