"""Where a phone number may ring: its country, its US state, and every time zone that it may be in. Pure."""

from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from phonenumbers import timezone

from app.ids import E164
from campaigns.rules.calling.us_states import find_state
from campaigns.rules.calling.zones import read_zone

NO_COUNTRY = "001"
"""What phonenumbers calls the region of satellites and other codes that belong to no country."""


@dataclass(frozen=True)
class Place:
    """`country`: ISO 3166, None where the number belongs to none. `state`: of the US, by area code. `zones`: IANA
    names, all that the number may be in; none where nobody knows."""

    country: str | None
    state: str | None
    zones: tuple[str, ...]

    @property
    def name(self) -> str:
        """ "US", "US-TX"."""
        return f"{self.country}-{self.state}" if self.state else self.country or "no country"


def find_place(phone: E164) -> Place:
    """Where the number may ring. Numbers move with their owners; this is what the numbering plan says."""
    if len(phone) == 12 and phone.startswith("+1"):
        # In North America the last four digits count lines of one exchange; they are all in one place.
        return _find_exchange(phone[:8])
    return _look_up(phone)


@lru_cache(maxsize=20_000)
def _find_exchange(exchange: str) -> Place:
    return _look_up(f"{exchange}0100")


@lru_cache(maxsize=20_000)
def _look_up(phone: str) -> Place:
    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return Place(None, None, ())
    code = number.country_code or 0
    country = phonenumbers.region_code_for_number(number) or phonenumbers.region_code_for_country_code(code)
    if country in (NO_COUNTRY, phonenumbers.UNKNOWN_REGION):
        return Place(None, None, ())
    zones = _known(timezone.time_zones_for_number(number))
    if not zones:
        # A number that the plan of its country does not list yet may be anywhere in that country.
        zones = _known(timezone.time_zones_for_geographical_number(phonenumbers.parse(f"+{code}0000000")))
    return Place(country, find_state(phone) if country == "US" else None, zones)


def _known(zones: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(zone for zone in zones if read_zone(zone) and zone != timezone.UNKNOWN_TIMEZONE)
