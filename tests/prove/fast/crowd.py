"""Whom the proof calls: fictional numbers of two continents, lists that overlap, hours that close while it dials."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

# 555-0100 to 555-0199 of each area code are for fiction, and so are these blocks of Australia's.
AREA_CODES = (
    *("201", "202", "203", "206", "207", "208", "209", "210", "212", "213", "214", "216", "217", "218", "219", "224"),
    *("225", "228", "229", "231", "234", "239", "240", "248", "251", "252", "253", "254", "256", "260", "262", "267"),
    *("301", "302", "303", "304", "305", "307", "308", "309", "310", "312", "313", "314", "315", "316", "317", "318"),
)
AUSTRALIAN_BLOCKS = ("+6125550", "+6127010", "+6135550", "+6137010", "+6175550", "+6177010", "+6185550", "+6187010")

ZONES = (
    *("Pacific/Honolulu", "America/Anchorage", "America/Los_Angeles", "America/Denver", "America/Chicago"),
    *("America/New_York", "America/St_Johns", "America/Sao_Paulo", "Atlantic/Azores", "Europe/London"),
    *("Europe/Berlin", "Africa/Cairo", "Asia/Tehran", "Asia/Dubai", "Asia/Kabul", "Asia/Karachi", "Asia/Kolkata"),
    *("Asia/Kathmandu", "Asia/Dhaka", "Asia/Yangon", "Asia/Bangkok", "Asia/Shanghai", "Asia/Tokyo"),
    *("Australia/Eucla", "Australia/Darwin", "Australia/Adelaide", "Australia/Sydney", "Australia/Lord_Howe"),
    *("Pacific/Auckland", "Pacific/Chatham", "Pacific/Kiritimati"),
)
"""All around the clock, with half and quarter hours among them."""

Span = tuple[str, str]


@dataclass(frozen=True)
class Person:
    """`zone`: as the list says, "" where it says nothing."""

    phone: str
    zone: str


@dataclass(frozen=True)
class Listing:
    """One campaign of the proof. `open`: local time of every day, in the zone of the contact; None: at any time."""

    name: str
    people: Sequence[Person]
    open: Span | None = None
    per_number: int | None = None
    per_contact: int | None = None
    max_attempts: int = 3
    calls_per_second: float = 400.0
    listed_by_campaign: frozenset[str] = field(default_factory=frozenset[str])

    @property
    def settings(self) -> dict[str, Mapping[str, Any]]:
        """As campaigns.calling and campaigns.caps."""
        calling: dict[str, Any] = {"defaults": False, "holidays": "open"}
        if self.open is not None:
            calling["hours"] = {"every day": f"{self.open[0]}-{self.open[1]}"}
        return {
            "calling": calling,
            "caps": {"number": {"per_day": self.per_number}, "contact": {"per_day": self.per_contact}},
        }

    def to_csv(self) -> bytes:
        out = io.StringIO()
        rows = csv.writer(out)
        rows.writerow(["phone", "time_zone"])
        rows.writerows((person.phone, person.zone) for person in self.people)
        return out.getvalue().encode()


def fictional_numbers() -> Iterator[str]:
    """84,800 numbers that nobody has, first one of each block, then the next of each."""
    for n in range(10_000):
        if n < 100:
            yield from (f"+1{area}55501{n:02}" for area in AREA_CODES)
        yield from (f"{block}{n:04}" for block in AUSTRALIAN_BLOCKS)


def gather_crowd(count: int, now: datetime, chance: Random, *, moving: bool) -> list[Listing]:
    """Lists with `count` contacts in all. `moving`: with hours that begin and end while the proof dials."""
    half = count // 2
    numbers = list(islice(fictional_numbers(), count))
    chance.shuffle(numbers)
    world = [Person(phone, chance.choice((*ZONES, ""))) for phone in numbers[:half]]
    rest = iter(numbers[half:])
    noon = zone_at_noon(now)

    def take(share: float, zone: str = noon) -> list[Person]:
        return [Person(phone, zone) for phone in islice(rest, int(count * share))]

    listed = take(0.1)
    listings = [
        Listing("world", world, open=("09:00", "20:00")),
        # Some of the same people once more, with caps on the number that count the calls of that list too.
        Listing("once", [Person(one.phone, noon) for one in world[: int(count * 0.06)]], per_number=1),
        Listing(
            "again", [Person(one.phone, noon) for one in world[int(count * 0.06) : int(count * 0.12)]], per_number=2
        ),
        Listing("patient", take(0.1), per_contact=2),
        Listing("listed", listed, listed_by_campaign=frozenset(one.phone for one in listed[::5])),
    ]
    if moving:
        begins, ends = minute(now, 1, noon), minute(now, 2, noon)
        listings.append(Listing("closing", take(0.08), open=("00:00", ends), calls_per_second=count / 1500))
        listings.append(Listing("opening", take(0.04), open=(begins, "24:00")))
    left = count - sum(len(one.people) for one in listings)
    return [*listings, Listing("anytime", [Person(p, "") for p in islice(rest, left)])]


def zone_at_noon(now: datetime) -> str:
    """A zone in which it is neither early nor late."""
    return next(zone for zone in ZONES if 10 <= now.astimezone(ZoneInfo(zone)).hour < 15)


def minute(now: datetime, ahead: int, zone: str) -> str:
    """The wall clock there when `ahead` whole minutes have begun: "14:07"."""
    begins = now.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=ahead + 1)
    return f"{begins.astimezone(ZoneInfo(zone)):%H:%M}"
