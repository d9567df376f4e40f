"""Time zones as people write them, and how a wall clock there reads. Pure."""

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfoNotFoundError, available_timezones

from app.errors import InvalidInput
from campaigns.rules.calling.hours import load_zone

_NO_PLACES = frozenset({"Factory", "localtime", "posixrules"})
"""In the database of zones, but nobody lives there."""


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """Lower-case name → name."""
    return {name.lower(): name for name in sorted(available_timezones() - _NO_PLACES)}


@lru_cache(maxsize=2000)
def read_zone(text: str) -> str | None:
    """The IANA name of what somebody wrote ("america/new york" too), or None: it is no zone."""
    wanted = "_".join(text.split())
    if not wanted or not wanted.isascii():
        return None
    name = _names().get(wanted.lower())
    if name is None:
        return None
    try:
        load_zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
    return name


def read_place(text: str) -> str | None:
    """The IANA name of a place's zone, however it is spelled. "EST" is none: whoever writes it means clocks that change
    in summer, and it is a zone of clocks that never do."""
    zone = read_zone(text)
    return zone if zone and ("/" in zone or zone == "UTC") else None


class UnknownTimeZone(InvalidInput):
    """No time zone of a place."""

    code = "unknown_time_zone"


def demand_place(text: str) -> str:
    """As `read_place`, of `body.time_zone`. Raises UnknownTimeZone."""
    zone = read_place(text)
    if zone is None:
        fault = {"path": "body.time_zone", "message": "no time zone"}
        raise UnknownTimeZone(f'"{text[:60]}" is no time zone; write one like America/New_York.', errors=[fault])
    return zone


def describe_wall(zone: str, at: datetime) -> str:
    """ "Fri 21:14 in America/New_York"."""
    return f"{at.astimezone(load_zone(zone)):%a %H:%M} in {zone}"
