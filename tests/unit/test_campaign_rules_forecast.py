"""When a campaign will be through, and what it costs."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from campaigns.rules.forecast import HORIZON, Expectation, Group, dials_per_second, forecast

MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
ONE_TRY_ENDS_IT = Expectation(final_rate=1.0)


def at_any_time(at: datetime) -> datetime:
    return at


def never(_at: datetime) -> None:
    return None


def nine_to_five(at: datetime) -> datetime:
    if at.hour < 9:
        return at.replace(hour=9, minute=0, second=0, microsecond=0)
    return at if at.hour < 17 else (at + timedelta(days=1)).replace(hour=9, minute=0, second=0, microsecond=0)


def test_lines_or_calls_per_second_whichever_is_less_set_the_pace() -> None:
    expect = Expectation(answer_rate=0.5, talk_seconds=90, ring_seconds=10, unanswered_seconds=30)
    assert dials_per_second(expect, max_concurrent=65, calls_per_second=5) == pytest.approx(1.0)
    assert dials_per_second(expect, max_concurrent=650, calls_per_second=5) == 5


def test_contacts_divided_by_the_rate_is_when_it_is_through() -> None:
    end = forecast(
        [Group(7200, at_any_time)], ONE_TRY_ENDS_IT, rate=2.0, max_attempts=1, retry_seconds=0, starts_at=MONDAY
    )
    assert end.finish_at == MONDAY + timedelta(hours=1)
    assert (end.dials, end.left) == (7200, 0)


def test_closed_hours_are_waited_out() -> None:
    """Ten hours of work, eight hours a day: two hours into Tuesday, and the weekend's night between."""
    end = forecast(
        [Group(36_000, nine_to_five)], ONE_TRY_ENDS_IT, rate=1.0, max_attempts=1, retry_seconds=0, starts_at=MONDAY
    )
    assert end.finish_at == MONDAY + timedelta(days=1, hours=2)


def test_retries_add_dials_and_their_delays() -> None:
    """Half come back each time: 1 + 1/2 + 1/4 dials a contact, and the last two delays after the first round."""
    expect = Expectation(final_rate=0.5)
    end = forecast([Group(1000, at_any_time)], expect, rate=100.0, max_attempts=3, retry_seconds=3600, starts_at=MONDAY)
    assert end.dials == 1750
    assert end.finish_at is not None
    assert timedelta(hours=2) <= end.finish_at - MONDAY <= timedelta(hours=2, minutes=1)


def test_groups_that_are_open_share_the_rate() -> None:
    groups = [Group(3600, nine_to_five), Group(3600, at_any_time)]
    evening = MONDAY.replace(hour=16)
    end = forecast(groups, ONE_TRY_ENDS_IT, rate=1.0, max_attempts=1, retry_seconds=0, starts_at=evening)
    assert end.finish_at is not None
    assert end.finish_at.date() == (MONDAY + timedelta(days=1)).date()
    assert end.finish_at - MONDAY.replace(hour=9) - timedelta(days=1) == pytest.approx(
        timedelta(minutes=30), abs=timedelta(minutes=1)
    )


def test_what_a_deadline_cuts_off_is_told() -> None:
    end = forecast(
        [Group(7200, at_any_time)],
        ONE_TRY_ENDS_IT,
        rate=1.0,
        max_attempts=1,
        retry_seconds=0,
        starts_at=MONDAY,
        deadline_at=MONDAY + timedelta(hours=1),
    )
    assert (end.finish_at, end.dials, end.left) == (None, 3600, 3600)


def test_those_who_may_never_be_called_are_left_and_hold_up_nobody() -> None:
    groups = [Group(10, never), Group(100, at_any_time)]
    end = forecast(groups, ONE_TRY_ENDS_IT, rate=1.0, max_attempts=1, retry_seconds=0, starts_at=MONDAY)
    assert (end.finish_at, end.dials, end.left) == (None, 100, 10)


def test_every_minute_begun_and_every_dial_is_paid() -> None:
    expect = Expectation(answer_rate=0.5, final_rate=1.0, talk_seconds=61, minor_per_minute=2.0, minor_per_dial=0.1)
    end = forecast([Group(1000, at_any_time)], expect, rate=1.0, max_attempts=1, retry_seconds=0, starts_at=MONDAY)
    assert (end.answered, end.cost_minor) == (500, 500 * 2 * 2 + 100)


def test_ten_million_contacts_in_four_zones_are_forecast_at_once() -> None:
    groups = [Group(2_500_000, nine_to_five) for _ in range(4)]
    end = forecast(groups, Expectation(), rate=20.0, max_attempts=4, retry_seconds=7200, starts_at=MONDAY)
    assert end.finish_at is not None
    assert end.dials == pytest.approx(10e6 * (1 - 0.65**4) / 0.35, rel=1e-3)


def test_a_campaign_without_contacts_is_through_at_once() -> None:
    end = forecast([], ONE_TRY_ENDS_IT, rate=1.0, max_attempts=1, retry_seconds=0, starts_at=MONDAY)
    assert (end.finish_at, end.dials) == (MONDAY, 0)


def test_a_campaign_of_millions_with_a_long_queue_of_retries_is_reckoned_in_seconds() -> None:
    began = time.perf_counter()
    end = forecast(
        [Group(30_000_000, at_any_time), Group(30_000_000, nine_to_five)],
        Expectation(final_rate=0.35),
        rate=1.0,
        max_attempts=3,
        retry_seconds=7200,
        starts_at=MONDAY,
    )
    assert end.finish_at is None
    assert end.dials == pytest.approx(HORIZON.total_seconds(), rel=1e-3)
    # A sum over every retry that waits, in every step, took half a minute.
    assert time.perf_counter() - began < 8
