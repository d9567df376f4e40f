"""When those who wait will be through, at a measured pace, while it is open where they are."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.outcomes.pace import Sample, forecast_finish
from campaigns.outcomes.zones import add_places, read_waiting
from campaigns.rules.calling.hours import Hours, open_every_day
from campaigns.rules.calling.schedule import CallingRule, Schedule
from campaigns.rules.calling.weeks import read_week
from campaigns.rules.finish import count_open_seconds, find_finish, look_back, open_always
from campaigns.rules.forecast import Group, NextWindow

NEW_YORK, LOS_ANGELES, KATHMANDU = "America/New_York", "America/Los_Angeles", "Asia/Kathmandu"
HOUR = 3600.0


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def windows(zone: str, *spans: str, days: str = "daily", margin: int = 0) -> NextWindow:
    return Hours((zone,), read_week({days: list(spans)}), margin=timedelta(seconds=margin)).next_window


def an_hour_each(hours: float, zone: str = NEW_YORK, *spans: str, days: str = "daily", margin: int = 0) -> Group:
    """So many hours of work, at a contact a second."""
    return Group(hours * HOUR, windows(zone, *(spans or ("08:00-21:00",)), days=days, margin=margin))


def finish(*groups: Group, since: str) -> datetime | None:
    """At a contact a second; to the second."""
    found = find_finish(groups, 1.0, at(since))
    return found and (found + timedelta(microseconds=500_000)).replace(microsecond=0)


def test_three_hours_of_work_at_half_past_eight_are_not_done_tonight() -> None:
    assert finish(an_hour_each(3), since="2026-11-20T20:30-05:00") == at("2026-11-21T10:30-05:00")
    assert finish(an_hour_each(0.5), since="2026-11-20T20:30-05:00") == at("2026-11-20T21:00-05:00")
    friday = an_hour_each(3, NEW_YORK, "08:00-21:00", days="mon-fri")
    assert finish(friday, since="2026-11-20T20:30-05:00") == at("2026-11-23T10:30-05:00")


def test_zones_off_the_hour_and_the_margin_before_closing_are_exact() -> None:
    kathmandu = an_hour_each(3, KATHMANDU, "08:15-20:45", margin=30)
    assert finish(kathmandu, since="2026-11-20T20:00+05:45") == at("2026-11-21T10:30:30+05:45")
    adelaide = an_hour_each(1.5, "Australia/Adelaide", "09:00-20:00")
    assert finish(adelaide, since="2026-11-20T19:30+10:30") == at("2026-11-21T10:00+10:30")


def test_a_break_at_noon_is_waited_out() -> None:
    lunch = an_hour_each(3, "Europe/Paris", "10:00-13:00", "14:00-20:00")
    assert finish(lunch, since="2026-11-20T11:00+01:00") == at("2026-11-20T15:00+01:00")


def test_the_hour_that_clocks_skip_is_no_time_to_work_and_the_one_that_comes_twice_is_two() -> None:
    skipped = an_hour_each(2, NEW_YORK, "01:00-04:00")
    assert finish(skipped, since="2026-03-08T01:00-05:00") == at("2026-03-08T04:00-04:00")
    assert finish(an_hour_each(2.5, NEW_YORK, "01:00-04:00"), since="2026-03-08T01:00-05:00") == at(
        "2026-03-09T01:30-04:00"
    )
    twice = an_hour_each(3.5, NEW_YORK, "01:00-04:00")
    assert finish(twice, since="2026-11-01T01:00-04:00") == at("2026-11-01T03:30-05:00")
    # Lord Howe falls back by half an hour: 01:30 to 02:00 comes twice.
    half = an_hour_each(1, "Australia/Lord_Howe", "01:30-02:00")
    assert finish(half, since="2026-04-05T01:30+11:00") == at("2026-04-05T02:00+10:30")


def test_the_west_goes_on_when_the_east_has_closed() -> None:
    """An hour for both, half of it each; then the west alone, with all the pace; the east's rest is tomorrow's."""
    east, west = an_hour_each(2), an_hour_each(2, LOS_ANGELES)
    assert finish(east, west, since="2026-11-20T20:00-05:00") == at("2026-11-21T09:30-05:00")
    # A fifth of the east's hour is dialed before it closes, for the west waits in the same queue.
    assert finish(an_hour_each(0.5), west, since="2026-11-20T20:00-05:00") == at("2026-11-21T08:18-05:00")
    assert finish(an_hour_each(1e-9), west, since="2026-11-20T21:00-05:00") == at("2026-11-21T08:00-05:00")
    assert finish(west, since="2026-11-20T20:00-05:00") == at("2026-11-20T22:00-05:00")


def test_those_who_are_never_open_hold_up_nobody_and_alone_have_no_finish() -> None:
    nobody = Group(10, lambda _at: None)
    assert finish(an_hour_each(1), nobody, since="2026-11-20T12:00-05:00") == at("2026-11-20T13:00-05:00")
    assert finish(nobody, since="2026-11-20T12:00-05:00") is None
    assert find_finish([an_hour_each(1)], 1e-6, at("2026-11-20T12:00-05:00")) is None


def test_open_time_is_counted_once_for_all_and_looked_back_over_the_night() -> None:
    east, west = windows(NEW_YORK, "08:00-21:00"), windows(LOS_ANGELES, "08:00-21:00")
    assert count_open_seconds([east, west], at("2026-11-19T20:00-05:00"), at("2026-11-20T09:00-05:00")) == 5 * HOUR
    morning = at("2026-11-20T08:03-05:00")
    assert look_back([east], morning, 600) == at("2026-11-19T20:53-05:00")
    assert look_back([east], at("2026-11-20T03:00-05:00"), 600) == at("2026-11-19T20:50-05:00")
    weekdays = windows(NEW_YORK, "08:00-21:00", days="mon-fri")
    assert look_back([weekdays], at("2026-11-23T08:00-05:00"), 600) == at("2026-11-20T20:50-05:00")
    assert look_back([open_always], morning, 600) == morning - timedelta(minutes=10)


def sample(when: str, finished: int) -> Sample:
    return Sample(at(when), finished, finished, finished, 10_800 - finished)


def test_the_pace_is_that_of_open_hours_right_after_the_opening_and_all_night() -> None:
    """600 in the last ten minutes of yesterday: one a second, whenever it is asked for."""
    hours = [Group(500.0, windows(NEW_YORK, "08:00-21:00"))]
    evening = sample("2026-11-19T20:50-05:00", 0)
    night = Sample(at("2026-11-20T02:00-05:00"), 600, 600, 600, 10_800)
    assert forecast_finish(night, [evening], hours) == at("2026-11-20T11:00-05:00")
    opened = Sample(at("2026-11-20T08:03-05:00"), 600, 600, 600, 10_800)
    assert forecast_finish(opened, [sample("2026-11-19T20:53-05:00", 0)], hours) == at("2026-11-20T11:03-05:00")
    # It was closed all the time since the only sample: nobody knows a pace.
    assert forecast_finish(night, [sample("2026-11-19T21:00-05:00", 0)], hours) is None


def test_places_are_counted_by_what_their_hours_depend_on_and_stay_when_they_are_done() -> None:
    areas = [
        {"phone": "+12025550110", "time_zone": None, "contacts": 3},
        {"phone": "+12025550111", "time_zone": "america/new york", "contacts": 2},
        {"phone": "+13055550110", "time_zone": None, "contacts": 4},
        {"phone": "+870000000000", "time_zone": None, "contacts": 5},
    ]
    places = add_places(areas, [])
    assert [(place["state"], place["time_zone"], place["contacts"]) for place in places] == [
        ("DC", None, 3),
        ("DC", NEW_YORK, 2),
        ("FL", None, 4),
        (None, None, 5),
    ]
    # Florida closes an hour before the district; who may be anywhere is never called.
    groups = read_waiting(places, Schedule.read(CallingRule.model_validate({})))
    assert [group.contacts for group in groups] == [5, 4]
    assert [window[1] for group in groups if (window := group.next_window(at("2026-11-20T12:00-05:00")))] == [
        at("2026-11-20T20:59:30-05:00"),
        at("2026-11-20T19:59:30-05:00"),
    ]
    later = add_places(areas[:1], places)
    assert [(place["state"], place["contacts"]) for place in later] == [("DC", 3), ("DC", 0), ("FL", 0), (None, 0)]


def close_the_eighth(day: date) -> str | None:
    return "closed" if day == date(2026, 3, 8) else None


ODD = [NEW_YORK, KATHMANDU, "Australia/Lord_Howe", "Pacific/Chatham", "America/St_Johns", "Africa/Casablanca"]
CHANGES = [datetime(2026, m, d, tzinfo=UTC) for m, d in ((3, 8), (3, 29), (4, 5), (10, 4), (11, 1), (2, 15))]


@settings(max_examples=60, deadline=None)
@given(
    zones=st.lists(st.sampled_from(ODD), min_size=1, max_size=2, unique=True),
    edges=st.lists(st.integers(0, 1440), min_size=4, max_size=4, unique=True).map(sorted),
    change=st.sampled_from(CHANGES),
    minutes=st.integers(-1440, 1440),
    margin=st.sampled_from([0, 30]),
    holiday=st.booleans(),
)
def test_a_window_is_what_trying_every_half_minute_finds(
    zones: list[str], edges: list[int], change: datetime, minutes: int, margin: int, holiday: bool
) -> None:
    spans = [f"{a // 60:02d}:{a % 60:02d}-{b // 60:02d}:{b % 60:02d}" for a, b in (edges[:2], edges[2:])]
    closed = close_the_eighth if holiday else open_every_day
    hours = Hours(tuple(zones), read_week({"daily": spans}), closed, timedelta(seconds=margin))
    start = change + timedelta(minutes=minutes)
    window = hours.next_window(start)
    if window is None:
        assert not any(hours.is_open(start + timedelta(minutes=n)) for n in range(0, 3000, 5))
        return
    opens, closes = window
    assert opens == hours.next_open(start)
    moment = opens
    while moment < closes:
        assert hours.is_open(moment)
        moment += timedelta(seconds=30)
    assert closes - opens <= timedelta(days=2)
    assert closes - opens == timedelta(days=2) or not hours.is_open(closes)


@pytest.mark.parametrize("days", [10, 300])
def test_a_finish_far_off_in_many_zones_is_found(days: int) -> None:
    """Thirteen open hours a day in three zones that open one after the other, sixteen hours a day in all."""
    groups = [an_hour_each(days * 16 / 3, zone) for zone in (NEW_YORK, "America/Chicago", LOS_ANGELES)]
    found = find_finish(groups, 1.0, at("2026-11-20T08:00-05:00"))
    assert found is not None
    assert days <= (found - at("2026-11-20T08:00-05:00")) / timedelta(days=1) <= days * 1.25
