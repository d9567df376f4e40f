"""Public holidays of a country and of its parts. Pure: the calendar comes from the library `holidays`."""

from collections.abc import Mapping
from datetime import date
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
    return dict(holidays.country_holidays(country, subdiv=part, years=year, expand=False))


@lru_cache(maxsize=1)
def _countries() -> Mapping[str, list[str]]:
    """Country → its parts that have holidays of their own."""
    return holidays.list_supported_countries()
