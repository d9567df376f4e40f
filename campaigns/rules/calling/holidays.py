"""Public holidays of a country and of its parts. Pure: the calendar comes from the library `holidays`."""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache

import holidays


def holiday_name(country: str, state: str | None, day: date) -> str | None:
    """What is celebrated on that day there, or None. A country that the library does not know has no holidays."""
    return _holidays(country, state, day.year).get(day)


@lru_cache(maxsize=2000)
def _holidays(country: str, state: str | None, year: int) -> Mapping[date, str]:
    known = _countries()
    if country not in known:
        return {}
    part = state if state in known[country] else None
    days = dict(holidays.country_holidays(country, subdiv=part, years=year, expand=False))
    return days | _of_pennsylvania(year) if (country, state) == ("US", "PA") else days


def _of_pennsylvania(year: int) -> dict[date, str]:
    """Legal holidays there that the library leaves out (44 P.S. 11): no calls may be made on them."""
    in_louisiana = holidays.country_holidays("US", subdiv="LA", years=year, expand=False)
    good_friday = {day: name for day, name in in_louisiana.items() if name == "Good Friday"}
    first = date(year, 11, 1)
    first_monday = first + timedelta(days=-first.weekday() % 7)
    return good_friday | {date(year, 6, 14): "Flag Day", first_monday + timedelta(days=1): "Election Day"}


@lru_cache(maxsize=1)
def _countries() -> Mapping[str, list[str]]:
    """Country → its parts that have holidays of their own."""
    return holidays.list_supported_countries()
