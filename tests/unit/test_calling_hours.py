"""Calling hours: exact to the second, in all zones, over changes of clocks and holidays."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.rules.calling.hours import Hours, load_zone
from campaigns.rules.calling.weeks import (
    ANY_TIME,
    InvalidHours,
    Week,
    describe_week,
    intersect,
    read_days,
    read_week,
    write_week,
)
from campaigns.rules.calling.zones import read_zone

NEW_YORK, KATHMANDU, LORD_HOWE = "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def hours(*zones: str, margin: int = 0, **week: str | list[str]) -> Hours:
    written = {name.replace("_", "-"): spans for name, spans in week.items()}
    return Hours(zones, read_week(written), margin=timedelta(seconds=margin))


# -- weeks as people write them


def test_a_week_is_read_by_day_and_by_range_and_written_back_short() -> None:
    week = read_week({"mon-fri": ["13:00-18:00", "09:00-12:00"], "Saturday": "10:00-14:00", "sat": "14:00-15:00"})
    assert write_week(week) == {"mon-fri": ["09:00-12:00", "13:00-18:00"], "sat": ["10:00-15:00"]}
    assert describe_week(week) == "mon-fri 09:00-12:00 and 13:00-18:00, sat 10:00-15:00"
    assert read_days("fri-mon") == [4, 5, 6, 0]
    assert read_week({"every day": "00:00-24:00"}) == ANY_TIME


@pytest.mark.parametrize(
    "written",
    [
        {"mom": "09:00-17:00"},
        {"mo": "09:00-10:00"},
        {"": "09:00-10:00"},
        {"mon": "9-17"},
        {"mon": "17:00-09:00"},
        {"mon": "09:00-09:00"},
        {"mon": "09:00-24:01"},
        {"mon": "09:60-10:00"},
    ],
)
def test_hours_that_cannot_be_meant_are_refused_with_how_to_write_them(written: dict[str, str]) -> None:
    with pytest.raises(InvalidHours):
        read_week(written)


def test_weeks_meet_where_all_are_open() -> None:
    lunch = read_week({"daily": ["08:00-12:00", "13:00-20:00"]})
    late = read_week({"mon-sat": "11:00-21:00"})
    assert write_week(intersect(lunch, late)) == {"mon-sat": ["11:00-12:00", "13:00-20:00"]}
    assert intersect() == ANY_TIME


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("America/New_York", "America/New_York"),
        (" america/new york ", "America/New_York"),
        ("UTC", "UTC"),
        ("Mars/Phobos", None),
        ("", None),
        ("../../etc/passwd", None),
        ("America", None),
        ("localtime", None),
        ("Europe/Zürich", None),
    ],
)
def test_a_zone_is_what_the_database_of_zones_knows(written: str, name: str | None) -> None:
    assert read_zone(written) == name


# -- open now, and open next


def test_hours_are_those_of_the_wall_clock_to_the_second() -> None:
    nine_to_five = hours(NEW_YORK, mon_fri="09:00-17:00")
    assert not nine_to_five.is_open(at("2026-11-20T08:59:59.999999-05:00"))
    assert nine_to_five.is_open(at("2026-11-20T09:00:00-05:00"))
    assert nine_to_five.is_open(at("2026-11-20T16:59:59-05:00"))
    assert not nine_to_five.is_open(at("2026-11-20T17:00:00-05:00"))
    assert nine_to_five.next_open(at("2026-11-20T17:00:00-05:00")) == at("2026-11-23T09:00:00-05:00")
    now = at("2026-11-20T12:34:56.789-05:00")
    assert nine_to_five.next_open(now) == now


def test_the_hour_that_clocks_skip_is_never_open() -> None:
    night = hours(NEW_YORK, sun="02:15-02:45")
    # On 2026-03-08 clocks go from 02:00 to 03:00.
    assert night.next_open(at("2026-03-08T00:00:00-05:00")) == at("2026-03-15T02:15:00-04:00")
    across = hours(NEW_YORK, sun="01:30-03:30")
    assert across.is_open(at("2026-03-08T01:59:59-05:00"))
    assert across.is_open(at("2026-03-08T03:00:00-04:00"))
    into = hours(NEW_YORK, sun="02:30-04:00")
    assert into.next_open(at("2026-03-08T00:00:00-05:00")) == at("2026-03-08T03:00:00-04:00")


def test_the_hour_that_comes_twice_is_open_twice() -> None:
    twice = hours(NEW_YORK, sun="01:15-01:45")
    first, second = at("2026-11-01T01:15:00-04:00"), at("2026-11-01T01:15:00-05:00")
    assert twice.next_open(at("2026-11-01T00:00:00-04:00")) == first
    assert twice.is_open(first + timedelta(minutes=29))
    assert not twice.is_open(first + timedelta(minutes=30))
    assert twice.next_open(first + timedelta(minutes=30)) == second


def test_clocks_that_change_by_half_an_hour_and_zones_off_the_hour_are_exact() -> None:
    # Lord Howe falls back from 02:00 to 01:30 on 2026-04-05.
    half = hours(LORD_HOWE, sun="01:30-02:00")
    first = at("2026-04-05T01:30:00+11:00")
    assert half.next_open(first - timedelta(hours=1)) == first
    assert half.is_open(first + timedelta(minutes=59))
    assert not half.is_open(first + timedelta(minutes=60))
    assert hours(KATHMANDU, daily="08:00-20:00").next_open(at("2026-01-01T00:00:00+00:00")) == at(
        "2026-01-01T08:00:00+05:45"
    )


def test_with_several_zones_all_must_be_open() -> None:
    both = hours("America/New_York", "America/Los_Angeles", daily="09:00-17:00")
    assert both.next_open(at("2026-11-20T08:00:00-05:00")) == at("2026-11-20T12:00:00-05:00")
    assert not both.is_open(at("2026-11-20T17:00:00-05:00"))
    assert both.next_open(at("2026-11-20T17:00:00-05:00")) == at("2026-11-21T12:00:00-05:00")


def test_hours_that_never_meet_are_never_open() -> None:
    assert hours("Europe/London", "Pacific/Auckland", daily="11:00-13:00").next_open(at("2026-06-01T00:00:00Z")) is None
    assert hours(NEW_YORK).next_open(at("2026-06-01T00:00:00Z")) is None


def test_shortly_before_closing_nothing_is_dialed_any_more_but_midnight_is_no_closing() -> None:
    day = hours(NEW_YORK, margin=60, daily="09:00-17:00")
    assert day.is_open(at("2026-11-20T16:58:59-05:00"))
    assert not day.is_open(at("2026-11-20T16:59:00-05:00"))
    assert day.next_open(at("2026-11-20T16:59:00-05:00")) == at("2026-11-21T09:00:00-05:00")
    always = hours(NEW_YORK, margin=60, daily="00:00-24:00")
    assert always.is_open(at("2026-11-20T23:59:30-05:00"))


def test_a_day_may_be_closed_as_a_whole() -> None:
    thanksgiving = date(2026, 11, 26)
    closed = Hours(
        (NEW_YORK,),
        read_week({"daily": "08:00-21:00"}),
        lambda day: "Thanksgiving" if day == thanksgiving else None,
    )
    assert closed.next_open(at("2026-11-26T12:00:00-05:00")) == at("2026-11-27T08:00:00-05:00")
    assert closed.closed_on(NEW_YORK, at("2026-11-26T12:00:00-05:00")) == "Thanksgiving"


# -- against a minute-stepping loop, over odd zones

ODD_ZONES = [
    NEW_YORK,
    KATHMANDU,
    LORD_HOWE,
    "Pacific/Chatham",
    "Europe/Dublin",
    "America/St_Johns",
    "Africa/Casablanca",
]
ODD_ZONES += ["America/Santiago", "Asia/Tehran", "Pacific/Kiritimati", "Australia/Adelaide", "America/Havana"]
CHANGES = [datetime(2026, m, d, tzinfo=UTC) for m, d in ((3, 8), (3, 29), (4, 5), (10, 4), (10, 25), (11, 1), (2, 15))]


@st.composite
def weeks(draw: st.DrawFn) -> Week:
    edges = draw(st.lists(st.integers(0, 1440), min_size=2, max_size=4, unique=True))
    edges = sorted(edges[: len(edges) // 2 * 2])
    spans = tuple(zip(edges[::2], edges[1::2], strict=True))
    return read_week({"daily": [f"{a // 60:02d}:{a % 60:02d}-{b // 60:02d}:{b % 60:02d}" for a, b in spans]})


@settings(max_examples=120, deadline=None)
@given(
    week=weeks(),
    zones=st.lists(st.sampled_from(ODD_ZONES), min_size=1, max_size=2, unique=True),
    change=st.sampled_from(CHANGES),
    seconds=st.integers(-86_400, 86_400),
    margin=st.sampled_from([0, 30, 90]),
)
def test_the_next_opening_is_what_trying_every_half_minute_finds(
    week: Week, zones: list[str], change: datetime, seconds: int, margin: int
) -> None:
    tested = Hours(tuple(zones), week, margin=timedelta(seconds=margin))
    start = change + timedelta(seconds=seconds)

    def tried(instant: datetime) -> bool:
        def fits(moment: datetime, zone: str) -> bool:
            wall = moment.astimezone(load_zone(zone))
            return any(a <= wall.hour * 60 + wall.minute < b for a, b in week[wall.weekday()])

        return all(fits(instant + timedelta(seconds=s), zone) for zone in zones for s in (0, margin))

    assert tested.is_open(start) == tried(start)
    found = tested.next_open(start)
    if tried(start):
        assert found == start
        return
    half_minute = timedelta(seconds=30)
    moment = start.replace(second=start.second // 30 * 30, microsecond=0) + half_minute
    while not tried(moment) and moment < start + timedelta(hours=50):
        moment += half_minute
    assert found == moment if tried(moment) else found is None or found > moment
