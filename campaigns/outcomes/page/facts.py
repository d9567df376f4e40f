"""What the report page tells: a campaign's attempts, added up by hour, zone, length, outcome and day."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers.timezone import time_zones_for_number

from app.db import Connection, Database, Row
from app.ids import CampaignId, OrgId
from campaigns.campaigns import CampaignNotFound
from campaigns.outcomes.pace import Sample
from campaigns.outcomes.page import store
from campaigns.outcomes.progress import Progress, read_progress
from campaigns.outcomes.progress_store import select_samples
from campaigns.rules.dispositions import OutcomeCodes

SOMEWHERE = "unknown zone"
MOST_SAMPLES = 20_000
_WITHOUT_MINOR_UNITS = frozenset({"JPY", "KRW", "CLP", "ISK", "UGX", "VND", "XAF", "XOF", "PYG", "RWF"})


@dataclass
class Tally:
    """Dials that are over, and of these the answered."""

    dials: int = 0
    answered: int = 0

    @property
    def rate(self) -> float:
        return self.answered / self.dials if self.dials else 0.0

    def add(self, dials: int, answered: int) -> None:
        self.dials += dials
        self.answered += answered


@dataclass
class Outcome:
    """`code`: what the campaign calls it. `cost_minor`: by currency."""

    disposition: str
    code: str
    dials: int = 0
    talk_seconds: float = 0.0
    cost_minor: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Facts:
    """`by_hour`: of the day where the phone rang, 0 to 23. `by_zone_hour`: the same for each zone. `talks` and
    `latencies`: counts by bucket (store.BUCKET_SECONDS, store.LATENCY_BUCKET_MS). `samples`: oldest first."""

    overview: Mapping[str, Any]
    progress: Progress
    by_hour: Mapping[int, Tally]
    by_zone_hour: Mapping[str, Mapping[int, Tally]]
    by_day: Mapping[date, Tally]
    outcomes: Sequence[Outcome]
    talks: Mapping[int, int]
    latencies: Mapping[int, int]
    samples: Sequence[Sample]
    dials: int
    answered: int
    talk_seconds: float
    ring_seconds: float
    scored: int = 0
    mean_score: float | None = None

    @property
    def cost_minor(self) -> dict[str, float]:
        """By currency."""
        sums: defaultdict[str, float] = defaultdict(float)
        for outcome in self.outcomes:
            for currency, minor in outcome.cost_minor.items():
                sums[currency] += minor
        return dict(sums)


async def gather_facts(
    db: Database, org_id: OrgId, campaign_id: CampaignId, *, claims: Mapping[str, Any] | None = None
) -> Facts:
    """One scan of the campaign's attempts. Raises CampaignNotFound."""
    async with db.system() if claims is None else db.request(claims) as connection:
        return await _read(connection, org_id, campaign_id)


async def _read(connection: Connection, org_id: OrgId, campaign_id: CampaignId) -> Facts:
    overview = await store.select_overview(connection, org_id, campaign_id)
    if overview is None:
        raise CampaignNotFound("There is no such campaign.")
    progress = await read_progress(connection, org_id, campaign_id)
    rows = await store.add_up_attempts(connection, org_id, campaign_id)
    latencies = await store.select_latencies(connection, org_id, campaign_id)
    scores = await store.select_scores(connection, org_id, campaign_id)
    samples = await select_samples(connection, org_id, campaign_id, since=None, limit=MOST_SAMPLES)
    # A hundred thousand rows and more where a list has many places: not on the event loop, which has calls to carry.
    by_hour, by_zone_hour = await asyncio.to_thread(add_hours, [row for row in rows if row["kind"] == "hour"])
    days = [row for row in rows if row["kind"] == "day"]
    return Facts(
        overview=dict(overview),
        progress=progress,
        by_hour=by_hour,
        by_zone_hour=by_zone_hour,
        by_day={
            row["day"].date(): Tally(row["dials"], row["answered"]) for row in sorted(days, key=lambda r: r["day"])
        },
        outcomes=_add_outcomes(rows, OutcomeCodes.read(overview["outcomes"])),
        talks={row["bucket"]: row["dials"] for row in rows if row["kind"] == "talk" and row["bucket"] is not None},
        latencies={row["bucket"]: row["turns"] for row in latencies},
        samples=[Sample(**dict(row)) for row in reversed(samples)],
        dials=sum(row["dials"] for row in days),
        answered=sum(row["answered"] for row in days),
        talk_seconds=sum(row["talk_seconds"] for row in days),
        ring_seconds=sum(row["ring_seconds"] for row in days),
        scored=scores["scored"],
        mean_score=scores["mean_score"],
    )


def add_hours(
    rows: Sequence[Row | Mapping[str, Any]],
) -> tuple[dict[int, Tally], dict[str, dict[int, Tally]]]:
    """Rows of kind hour → by hour of the day where it rang, and by zone and hour."""
    by_hour: defaultdict[int, Tally] = defaultdict(Tally)
    by_zone: defaultdict[str, defaultdict[int, Tally]] = defaultdict(lambda: defaultdict(Tally))
    guessed: dict[str, str] = {}
    for row in rows:
        # One example speaks for all numbers that begin so.
        zone = row["zone"] or guessed.get(row["prefix"])
        if zone is None:
            zone = guessed[row["prefix"]] = guess_zone(row["example"])
        hour = _local_hour(row["hour"], zone)
        by_hour[hour].add(row["dials"], row["answered"])
        by_zone[zone][hour].add(row["dials"], row["answered"])
    return dict(sorted(by_hour.items())), {zone: dict(sorted(hours.items())) for zone, hours in sorted(by_zone.items())}


@lru_cache(maxsize=10_000)
def guess_zone(number: str) -> str:
    """The first zone of those the number may be in: good enough to add up by, never to call by."""
    try:
        zones = time_zones_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return SOMEWHERE
    return zones[0] if zones and zones[0] != "Etc/Unknown" else SOMEWHERE


def _local_hour(at: datetime, zone: str) -> int:
    try:
        return at.astimezone(ZoneInfo(zone)).hour
    except (ZoneInfoNotFoundError, ValueError):
        return at.hour


def _add_outcomes(rows: Sequence[Row], codes: OutcomeCodes) -> list[Outcome]:
    """The most frequent first."""
    found: dict[str, Outcome] = {}
    for row in rows:
        if row["kind"] != "outcome":
            continue
        word = row["disposition"]
        outcome = found.setdefault(word, Outcome(word, codes.code_of(word, {}) or word))
        outcome.dials += row["dials"]
        outcome.talk_seconds += row["talk_seconds"]
        if row["currency"] is not None and row["cost_thousandths"] is not None:
            outcome.cost_minor[row["currency"]] = row["cost_thousandths"] / 1000
    return sorted(found.values(), key=lambda outcome: (-outcome.dials, outcome.disposition))


def to_major_units(minor: float, currency: str) -> float:
    """Cents to euros, and the like (ISO 4217; currencies of three decimals are shown as of two)."""
    return minor if currency in _WITHOUT_MINOR_UNITS else minor / 100


def write_money(minor: float, currency: str) -> str:
    """The amount without the currency's name."""
    digits = 0 if currency in _WITHOUT_MINOR_UNITS else 2
    return f"{to_major_units(minor, currency):,.{digits}f}"
