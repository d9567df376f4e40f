"""Where a number may ring, whose hours hold there, and whose holidays."""

import random
import re
from datetime import UTC, date, datetime
from pathlib import Path

import phonenumbers
import pytest
from phonenumbers import geocoder, timezone
from pydantic import ValidationError

from app.ids import E164
from campaigns.gates.calling import judge_hours
from campaigns.rules.calling import places
from campaigns.rules.calling.caps import Limits, strictest
from campaigns.rules.calling.defaults import COUNTRIES, ELSEWHERE, US_STATES, Default, find_defaults
from campaigns.rules.calling.holidays import holiday_name
from campaigns.rules.calling.places import Place, find_place
from campaigns.rules.calling.schedule import CallingRule, Schedule, open_at
from campaigns.rules.calling.us_states import area_codes
from campaigns.rules.calling.weeks import write_week

DEFAULTS = Schedule.read(CallingRule())
STATE_NAMES = {
    "Alabama": "AL", "Alaska": "AK", "Arizona": "AZ", "Arkansas": "AR", "California": "CA", "Colorado": "CO",
    "Connecticut": "CT", "Delaware": "DE", "Florida": "FL", "Georgia": "GA", "Hawaii": "HI", "Idaho": "ID",
    "Illinois": "IL", "Indiana": "IN", "Iowa": "IA", "Kansas": "KS", "Kentucky": "KY", "Louisiana": "LA",
    "Maine": "ME", "Maryland": "MD", "Massachusetts": "MA", "Michigan": "MI", "Minnesota": "MN", "Mississippi": "MS",
    "Missouri": "MO", "Montana": "MT", "Nebraska": "NE", "Nevada": "NV", "New Hampshire": "NH", "New Jersey": "NJ",
    "New Mexico": "NM", "New York": "NY", "North Carolina": "NC", "North Dakota": "ND", "Ohio": "OH",
    "Oklahoma": "OK", "Oregon": "OR", "Pennsylvania": "PA", "Rhode Island": "RI", "South Carolina": "SC",
    "South Dakota": "SD", "Tennessee": "TN", "Texas": "TX", "Utah": "UT", "Vermont": "VT", "Virginia": "VA",
    "Washington State": "WA", "Washington D.C.": "DC", "West Virginia": "WV", "Wisconsin": "WI", "Wyoming": "WY",
}  # fmt: skip


def test_the_table_of_area_codes_says_what_the_numbering_plans_say() -> None:
    named, unknown = 0, []
    for code in range(200, 1000):
        number = phonenumbers.parse(f"+1{code}5550100")
        region = phonenumbers.region_code_for_number(number)
        told = geocoder.description_for_number(number, "en")
        state = STATE_NAMES.get(told) or (told.split(", ")[-1] if ", " in told else None)
        ours = area_codes().get(str(code))
        if region == "US" and state:
            assert ours == state, code
            named += 1
        elif ours:
            unknown.append(code)
    assert named > 330
    assert set(unknown) <= {203, 310, 713, 718}  # whose places the library knows only exchange by exchange


def test_numbers_of_one_exchange_are_in_one_place() -> None:
    chance = random.Random(4)
    for _ in range(2000):
        phone = E164(f"+1{chance.randrange(2_000_000_000, 10_000_000_000)}")
        number = phonenumbers.parse(phone)
        zones = [zone for zone in timezone.time_zones_for_number(number) if zone != "Etc/Unknown"]
        found = find_place(phone)
        if zones:
            assert list(found.zones) == zones, phone
        assert found == places._look_up.__wrapped__(phone), phone


@pytest.mark.parametrize(
    ("phone", "name", "zones"),
    [
        ("+12025550110", "US-DC", ["America/New_York"]),
        ("+12085550110", "US-ID", ["America/Boise", "America/Los_Angeles"]),
        ("+12505550110", "CA", ["America/Vancouver"]),
        ("+442079460018", "GB", ["Europe/London"]),
        ("+61491570006", "AU", ["Australia/Adelaide", "Australia/Brisbane", "Australia/Eucla"]),
        ("+870000000000", "no country", []),
        ("+0", "no country", []),
    ],
)
def test_a_number_may_be_in_all_zones_of_its_prefix(phone: str, name: str, zones: list[str]) -> None:
    found = find_place(E164(phone))
    assert found.name == name
    assert list(found.zones[:3]) == zones


def test_a_toll_free_number_may_be_anywhere_in_its_plan() -> None:
    assert {"America/New_York", "Pacific/Honolulu", "Pacific/Guam"} <= set(find_place(E164("+18005550110")).zones)


def test_the_state_narrows_what_the_country_allows() -> None:
    texas = open_at(DEFAULTS, find_place(E164("+17135550110")), None)
    assert texas.hours is not None
    assert write_week(texas.hours.week) == {"mon-sat": ["09:00-21:00"], "sun": ["12:00-21:00"]}
    assert [source.split(":")[0] for source in texas.sources] == ["US", "TX"]


def test_every_default_has_hours_a_source_and_a_place() -> None:
    for one in (ELSEWHERE, *COUNTRIES.values(), *US_STATES.values()):
        assert any(one.week), one.name
        assert one.source, one.name
    assert set(US_STATES) <= set(area_codes().values())
    assert set(COUNTRIES) <= phonenumbers.SUPPORTED_REGIONS
    assert find_defaults(Place("NO", None, ())) == (ELSEWHERE,)
    assert find_defaults(Place(None, None, ())) == (ELSEWHERE,)


def test_holidays_are_closed_where_the_law_says_so_and_elsewhere_on_demand() -> None:
    christmas = datetime(2026, 12, 25, 16, 0, tzinfo=UTC)
    alabama, new_york = E164("+12055550110"), E164("+12125550110")
    told = judge_hours(DEFAULTS, alabama, None, christmas)
    assert not told.passed
    assert "Christmas Day" in told.reason
    assert told.next_at == datetime(2026, 12, 26, 14, 0, tzinfo=UTC)
    assert judge_hours(DEFAULTS, new_york, None, christmas).passed
    closed = Schedule.read(CallingRule.model_validate({"holidays": "closed"}))
    assert not judge_hours(closed, new_york, None, christmas).passed
    opened = Schedule.read(CallingRule.model_validate({"holidays": "open"}))
    assert judge_hours(opened, alabama, None, christmas).passed


def test_pennsylvania_keeps_legal_holidays_that_calendars_leave_out() -> None:
    kept = {date(2026, 4, 3): "Good Friday", date(2026, 6, 14): "Flag Day", date(2026, 11, 3): "Election Day"}
    assert {day: holiday_name("US", "PA", day) for day in kept} == kept
    assert holiday_name("US", "PA", date(2027, 11, 2)) == "Election Day"
    assert holiday_name("US", "PA", date(2028, 11, 7)) == "Election Day"
    assert holiday_name("US", "OH", date(2026, 6, 14)) is None


@pytest.mark.parametrize(
    ("place", "week", "caps"),
    [
        (find_place(E164("+15415550110")), {"mon-sun": ["08:00-20:00"]}, (3, None)),
        (find_place(E164("+13075550110")), {"mon-sun": ["08:00-20:00"]}, (None, None)),
        (find_place(E164("+12075550110")), {"mon-fri": ["09:00-17:00"]}, (1, None)),
        (Place("CO", None, ("America/Bogota",)), {"mon-fri": ["07:00-19:00"], "sat": ["08:00-15:00"]}, (1, None)),
        (Place("AE", None, ("Asia/Dubai",)), {"mon-sun": ["09:00-18:00"]}, (1, 2)),
    ],
)
def test_a_place_has_the_hours_and_caps_of_its_law(
    place: Place, week: dict[str, list[str]], caps: tuple[int | None, int | None]
) -> None:
    found = open_at(DEFAULTS, place, None)
    assert found.hours is not None
    assert write_week(found.hours.week) == week
    assert (found.caps.per_day, found.caps.per_week) == caps


def test_of_two_limits_each_holds_where_it_is_less() -> None:
    law, campaign = Limits(per_day=1, per_week=2), Limits(per_day=3, per_week=1, in_all=8)
    assert strictest((campaign, law)) == Limits(per_day=1, per_week=1, in_all=8)
    assert strictest(()) == Limits()


def test_holidays_of_a_state_and_of_countries_that_nobody_keeps_a_calendar_of() -> None:
    assert holiday_name("US", "TX", date(2026, 3, 2)) == "Texas Independence Day"
    assert holiday_name("US", "NY", date(2026, 3, 2)) is None
    assert holiday_name("US", "XX", date(2026, 7, 4)) == "Independence Day"
    assert holiday_name("XX", None, date(2026, 1, 1)) is None


def test_the_zone_of_the_list_is_believed_and_nonsense_is_not() -> None:
    noon = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
    phone = E164("+12025550110")
    assert judge_hours(DEFAULTS, phone, "asia/tokyo", noon).source == "zone Asia/Tokyo of the list"
    told = judge_hours(DEFAULTS, phone, "Mars/Phobos", noon)
    assert told.passed
    assert told.source == 'zone America/New_York of the number, US-DC (the list says "Mars/Phobos", which is no zone)'


def test_a_number_that_may_be_anywhere_is_never_called_without_a_zone() -> None:
    noon = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
    nowhere = judge_hours(DEFAULTS, E164("+870000000000"), None, noon)
    assert (nowhere.passed, nowhere.next_at) == (False, None)
    assert judge_hours(DEFAULTS, E164("+870000000000"), "America/New_York", noon).passed


def test_the_page_of_sources_has_a_row_for_every_default() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/calling-hours.md").read_text()
    for one in (*COUNTRIES.values(), *US_STATES.values()):
        [row] = [line for line in page.splitlines() if line.startswith(f"| {one.name} |") and is_of(one, line)]
        assert ("closed" in row) == one.holidays, row
        told = re.search(r"(\d) calls? in 24 hours(?:, (\d) in 7 days)?", row)
        assert (told.groups() if told else (None, None)) == tuple(n and str(n) for n in (one.per_day, one.per_week)), (
            row
        )
        starts = {f"{start // 60:02d}" for day in one.week for start, _ in day}
        assert all(f" {hour}–" in row for hour in starts), row


def is_of(one: Default, row: str) -> bool:
    """CA is a state and a country, and IN too."""
    return one.source.split(",")[0].split(" (")[0][:12] in row


@pytest.mark.parametrize("hours", [{}, {"mon": []}, {"mon": "9-17"}])
def test_a_campaign_whose_hours_are_never_open_is_refused(hours: dict[str, str | list[str]]) -> None:
    with pytest.raises(ValidationError, match=r"nobody would ever be called|are no hours"):
        CallingRule.model_validate({"hours": hours})
