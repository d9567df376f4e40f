"""Campaigns, contacts and histories for the proof of the gates, made from a seed: every rule there is, odd zones,
days on which clocks change, holidays."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import phonenumbers

from app.ids import E164, CampaignId, ContactId, OrgId, new_id
from campaigns.gates.gates import Candidate
from tests.prove.callees.oracle import DAYS

SPANS = [
    datetime(2026, 3, 5, tzinfo=UTC),  # North America springs forward on the 8th
    datetime(2026, 3, 26, tzinfo=UTC),  # Europe on the 29th
    datetime(2026, 4, 2, tzinfo=UTC),  # Australia, Lord Howe by half an hour, New Zealand and Chatham fall back
    datetime(2026, 7, 1, tzinfo=UTC),  # holidays of North America
    datetime(2026, 10, 1, tzinfo=UTC),  # Australia springs forward
    datetime(2026, 10, 22, tzinfo=UTC),  # Europe falls back
    datetime(2026, 10, 29, tzinfo=UTC),  # North America falls back
    datetime(2026, 12, 22, tzinfo=UTC),  # holidays everywhere, and a new year
]
SPAN = timedelta(days=6)
STATES = {"205": "AL", "213": "CA", "305": "FL", "502": "KY", "207": "ME", "228": "MS", "212": "NY", "401": "RI"} | {
    "605": "SD",
    "713": "TX",
    "801": "UT",
    "206": "WA",
    "202": "DC",
    "208": "ID",
    "850": "FL",
    "907": "AK",
    "808": "HI",
    "219": "IN",
    "812": "IN",
}
# fmt: off
ABROAD = [
    "AE", "AU", "BR", "CA", "ES", "FR", "GB", "IN", "IT", "KR", "ZA", "DE", "JP", "NZ", "RU", "MX", "ID", "PT", "CL",
    "NP", "IR", "AF", "MM", "LK", "AR", "EG", "IL", "NL", "PL", "KZ", "CD", "GL", "PF", "KI",
]
ZONES = [
    "Asia/Kathmandu", "Asia/Kolkata", "Asia/Tehran", "Asia/Kabul", "Asia/Yangon", "Australia/Adelaide",
    "Australia/Darwin", "Australia/Eucla", "Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Marquesas",
    "America/St_Johns", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Pacific/Apia", "America/New_York",
    "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles", "America/Anchorage",
    "America/Adak", "Pacific/Honolulu", "Europe/London", "Europe/Berlin", "Europe/Lisbon", "Europe/Dublin",
    "Atlantic/Azores", "Africa/Cairo", "America/Havana", "America/Santiago", "Asia/Jerusalem", "Pacific/Easter",
    "America/Scoresbysund", "UTC",
]
# fmt: on


@dataclass(frozen=True)
class Person:
    """A contact and what is known of it. `dials`: of this contact, those that count, as (number, instant)."""

    candidate: Candidate
    country: str
    state: str | None
    dials: Sequence[tuple[E164, datetime]]
    undialed: Sequence[datetime]


@dataclass(frozen=True)
class Case:
    """A campaign: its settings as they are stored, its people, and the days in which they are asked about."""

    id: CampaignId
    start: datetime
    calling: Mapping[str, Any]
    caps: Mapping[str, Any]
    consent: Mapping[str, Any]
    starts_at: datetime | None
    deadline_at: datetime | None
    people: Sequence[Person]


Home = tuple[Sequence[E164], str, str | None]
"""Numbers that are in one place, its country, and its US state."""
NEIGHBOURS = 4


@dataclass
class Cases:
    """`listed`: numbers on the organization's list, `listed_here`: (campaign, number) on a campaign's own."""

    org: OrgId
    cases: list[Case] = field(default_factory=list[Case])
    listed: set[E164] = field(default_factory=set[E164])
    listed_here: set[tuple[UUID, E164]] = field(default_factory=set[tuple[UUID, E164]])


def make_cases(org: OrgId, *, campaigns: int, people: int, seed: int) -> Cases:
    chance = random.Random(seed)
    homes = make_homes(chance, people // NEIGHBOURS)
    made = Cases(org, listed={phone for phones, _, _ in homes for phone in phones if chance.random() < 0.05})
    for number in range(campaigns):
        case = make_case(chance, org, SPANS[number % len(SPANS)], homes)
        made.cases.append(case)
        made.listed_here |= {(case.id, one.candidate.phone) for one in case.people if chance.random() < 0.03}
    return made


def make_homes(chance: random.Random, count: int) -> list[Home]:
    """Half of them in the US, with the last digits kept for fiction."""
    found: list[Home] = []
    taken: set[str] = set()
    while len(found) < count:
        if chance.random() < 0.5:
            area = chance.choice(list(STATES))
            stem, country, state = f"+1{area}55501", "US", STATES[area]
        else:
            country = chance.choice(ABROAD)
            kind = chance.choice((phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE))
            example = phonenumbers.example_number_for_type(country, kind) or phonenumbers.example_number(country)
            plain = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
            # Never dialed: the library's examples with other last digits, which stay in the same place.
            stem, state = plain[:-2], None
        phones = [E164(f"{stem}{ending:02d}") for ending in chance.sample(range(100), NEIGHBOURS)]
        regions = {phonenumbers.region_code_for_number(phonenumbers.parse(phone)) for phone in phones}
        if regions == {country} and taken.isdisjoint(phones):
            taken.update(phones)
            found.append((phones, country, state))
    return found


def make_case(chance: random.Random, org: OrgId, start: datetime, homes: Sequence[Home]) -> Case:
    campaign_id = CampaignId(new_id())
    starts_at = start + timedelta(hours=chance.randrange(12)) if chance.random() < 0.2 else None
    deadline_at = start + SPAN - timedelta(hours=chance.randrange(12)) if chance.random() < 0.2 else None
    return Case(
        id=campaign_id,
        start=start,
        calling=make_calling(chance, start.date()),
        caps=make_caps(chance),
        consent=chance.choice([{}, {"need": "required"}, {"need": "ignored"}, {"max_age_days": 90}]),
        starts_at=starts_at,
        deadline_at=deadline_at,
        people=[one for home in homes for one in make_people(chance, org, campaign_id, start, home)],
    )


def make_calling(chance: random.Random, day: date) -> dict[str, Any]:
    calling: dict[str, Any] = {"margin_seconds": chance.choice([0, 30, 60, 240])}
    if chance.random() < 0.6:
        days = [name for name in DAYS if chance.random() < 0.8] or ["wed"]
        calling["hours"] = {name: make_spans(chance) for name in days}
    calling["defaults"] = chance.random() < 0.6
    calling["holidays"] = chance.choice(["defaults", "closed", "open"])
    if chance.random() < 0.3:
        calling["closed_dates"] = [(day + timedelta(days=chance.randrange(6))).isoformat()]
    return calling


def make_spans(chance: random.Random) -> list[str]:
    """One or two spans in multiples of five minutes, some touching midnight, some in the hours that clocks skip."""
    edges = sorted(chance.sample(range(289), 4 if chance.random() < 0.4 else 2))
    if chance.random() < 0.2:
        edges[0], edges[-1] = 0, 288
    if chance.random() < 0.2:
        edges = [chance.choice([18, 24, 27]), chance.choice([30, 33, 36])]
    texts = [f"{edge // 12:02d}:{edge % 12 * 5:02d}" for edge in edges]
    return [f"{begin}-{end}" for begin, end in zip(texts[::2], texts[1::2], strict=True)]


def make_caps(chance: random.Random) -> dict[str, Any]:
    def limits() -> dict[str, int]:
        wanted = {"per_day": chance.randrange(3), "per_week": chance.randrange(1, 5), "in_all": chance.randrange(1, 6)}
        return {name: most for name, most in wanted.items() if chance.random() < 0.3}

    return {"contact": limits(), "number": limits(), "across_campaigns": chance.random() < 0.5}


def make_people(
    chance: random.Random, org: OrgId, campaign_id: CampaignId, start: datetime, home: Home
) -> list[Person]:
    """Neighbours: the list says the same of the zone of all, and something else of each one's consent and calls."""
    phones, country, state = home
    zone = chance.choice([None, None, chance.choice(ZONES), chance.choice(ZONES), "Mars/Phobos"])

    def before() -> datetime:
        return start - timedelta(seconds=chance.randrange(9 * 86400))

    def at_random() -> datetime | None:
        return start + timedelta(seconds=chance.randrange(-100 * 86400, 10 * 86400)) if chance.random() < 0.5 else None

    people: list[Person] = []
    for phone in phones:
        candidate = Candidate(ContactId(new_id()), org, campaign_id, phone, zone, at_random(), at_random())
        numbers = [phone, phone, E164("+12025550199")]
        dials = [(chance.choice(numbers), before()) for _ in range(chance.choice([0, 0, 1, 2, 4]))]
        people.append(Person(candidate, country, state, dials, [before()] if chance.random() < 0.1 else []))
    return people


def stored(case: Case) -> dict[str, str]:
    """The settings as JSON, by column."""
    return {name: json.dumps(getattr(case, name)) for name in ("calling", "caps", "consent")}
