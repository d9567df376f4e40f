"""Who of a campaign is called where, who is not and why, and when it will be through at what cost."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.db import Connection, Row
from app.ids import E164
from campaigns.campaigns import Campaign
from campaigns.gates.calling import Spots
from campaigns.gates.gates import Candidate, Gate, Policy, Verdict, check_gates, first_refusal
from campaigns.rules.calling.weeks import Week
from campaigns.rules.forecast import Expectation, Forecast, Group, dials_per_second, forecast
from telephony.toll_gate.destinations import DialingRules
from telephony.toll_gate.limits import find_rate
from telephony.toll_gate.policy import DialingPolicy

ENOUGH_CALLS = 50
"""So many calls of this campaign say more than the usual answer rate."""
UNKNOWN_ZONE = "unknown"


@dataclass(frozen=True)
class ZoneRow:
    """`zone`: IANA names, several where the number may be in any of them. `opens_at`: now or later; None: never."""

    zone: str
    contacts: int
    opens_at: datetime | None


@dataclass(frozen=True)
class ReasonRow:
    """Contacts that a gate holds back. `for_good`: they are never called; else later."""

    gate: str
    reason: str
    contacts: int
    for_good: bool


@dataclass(frozen=True)
class Outlook:
    """`basis`: where the rates come from. `currency`: None where the organization has no rates, so cost is unknown."""

    forecast: Forecast
    answer_rate: float
    dials_per_second: float
    basis: str
    currency: str | None


@dataclass(frozen=True)
class Place:
    """Waiting contacts that may be called at the same hours; `phone`: of one of them."""

    phone: E164
    time_zone: str | None
    contacts: int


def read_places(rows: Sequence[Row], waiting: int) -> list[Place]:
    """Rows of `select_places`; where they are not all who wait, in proportion."""
    seen = sum(row["contacts"] for row in rows)
    scale = max(1.0, waiting / seen) if seen else 1.0
    return [Place(row["phone"], row["time_zone"], round(row["contacts"] * scale)) for row in rows]


def group_by_zone(policy: Policy, places: Sequence[Place], now: datetime) -> list[ZoneRow]:
    """Waiting contacts by zone, the largest first."""
    spots, counts, opens = Spots(policy.schedule, now), Counter[str](), dict[str, datetime | None]()
    for place in places:
        hours = spots.find(place.phone, place.time_zone).opening.hours
        zone = " or ".join(hours.zones) if hours else UNKNOWN_ZONE
        counts[zone] += place.contacts
        if zone not in opens:
            opens[zone] = hours.next_open(now) if hours else None
    return [ZoneRow(zone, count, opens[zone]) for zone, count in counts.most_common()]


async def ask_gates(
    connection: Connection, policy: Policy, rules: DialingRules, rows: Sequence[Row], now: datetime
) -> list[ReasonRow]:
    """What the gates hold against these contacts now, the most frequent first; nothing is asked outside."""
    names = ("org_id", "campaign_id", "phone", "time_zone", "consent_at", "consent_expires_at")
    candidates = [Candidate(contact_id=row["id"], **{name: row[name] for name in names}) for row in rows]
    asked_later = Verdict(Gate.SUPPRESSION, True, "asked right before each dial")
    verdicts = await check_gates(
        connection,
        policy,
        candidates,
        now=now,
        suppression={one.contact_id: asked_later for one in candidates},
        toll_gate=rules.why_not,
        lock=False,
    )
    found = Counter[tuple[str, str, bool]]()
    for one in candidates:
        # That the campaign does not run yet is no news here.
        told = [verdict for verdict in verdicts[one.contact_id] if verdict.gate not in (Gate.CAMPAIGN, Gate.WINDOW)]
        if refusal := first_refusal(told):
            found[refusal.gate.value, _without_places(refusal), refusal.next_at is None] += 1
    return [ReasonRow(gate, reason, count, never) for (gate, reason, never), count in found.most_common(50)]


def _without_places(verdict: Verdict) -> str:
    """One row for all whom it is closed to, not one a place."""
    return "closed at this hour" if verdict.gate is Gate.CALLING_HOURS and verdict.next_at else verdict.reason


def look_ahead(
    campaign: Campaign,
    policy: Policy,
    places: Sequence[Place],
    recent: Sequence[Row],
    dialing: DialingPolicy,
    first: Sequence[Row],
    now: datetime,
) -> Outlook:
    """`recent`: rows of `count_recent_calls`. `first`: contacts whose numbers say what a minute costs."""
    calls, answered = sum(row["calls"] for row in recent), sum(row["answered"] for row in recent)
    usual = Expectation()
    known = calls >= ENOUGH_CALLS
    rate = answered / calls if known else usual.answer_rate
    per_minute, currency = _price(dialing, [row["phone"] for row in first])
    expect = Expectation(answer_rate=rate, final_rate=max(rate, usual.final_rate), minor_per_minute=per_minute)
    pace = dials_per_second(expect, max_concurrent=campaign.max_concurrent, calls_per_second=campaign.calls_per_second)
    delays = [delay for again in campaign.retry.outcomes.values() for delay in again.delays_seconds]
    ahead = forecast(
        _groups(policy, places, now),
        expect,
        rate=pace,
        max_attempts=campaign.retry.max_attempts,
        retry_seconds=sum(delays) / len(delays) if delays else 0.0,
        starts_at=max(now, campaign.starts_at or now),
        deadline_at=campaign.deadline_at,
    )
    basis = f"the last {calls} calls of this campaign" if known else "the usual answer rate: nothing was dialed yet"
    return Outlook(ahead, round(rate, 4), round(pace, 3), basis, currency)


def _groups(policy: Policy, places: Sequence[Place], now: datetime) -> list[Group]:
    spots, counts = Spots(policy.schedule, now), dict[tuple[tuple[str, ...], Week], Group]()
    for place in places:
        hours = spots.find(place.phone, place.time_zone).opening.hours
        if hours is None:
            continue
        # One place stands for all that have the same zones and hours: holidays differ by a day at most.
        known = counts.get((hours.zones, hours.week))
        contacts = place.contacts + (known.contacts if known else 0)
        counts[hours.zones, hours.week] = Group(contacts, known.next_window if known else hours.next_window)
    return list(counts.values())


def _price(dialing: DialingPolicy, phones: Sequence[E164]) -> tuple[float, str | None]:
    """The mean price of a minute to these numbers, in minor units, and its currency."""
    if dialing.spend is None or not phones:
        return 0.0, None
    prices = [find_rate(dialing.spend, phone) or 0 for phone in phones]
    return sum(prices) / len(prices) / 1000, dialing.spend.currency
