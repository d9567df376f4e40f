"""The judge: the carrier's journal against what was asked for, reckoned slowly and without a line of the engine's.

Every dial that the carrier accepted is in the journal, whether or not the dialer ever knew.
"""

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import timezone

from tests.prove.fast.crowd import Listing, Person

EFFECTIVE_WITHIN = timedelta(seconds=1)
"""A number on a list may be dialed so long after it came there, and no longer."""
DAY = timedelta(days=1)
REORDERED_WITHIN = timedelta(seconds=5)
"""Who is decided upon first may be dialed second: slots lie up to some seconds ahead, each list's at its own pace."""


@dataclass(frozen=True)
class Dial:
    """A call that the carrier accepted. `listing`: the name of the campaign that its attempt is of."""

    at: datetime
    phone: str
    attempt: str
    listing: str = ""


@dataclass(frozen=True)
class Capped:
    """A dial, and how many of its number its list allows a day (None: any)."""

    dial: Dial
    cap: int | None


@dataclass(frozen=True)
class Listed:
    """An entry of a do-not-call list. `listing`: None for the whole organization."""

    phone: str
    since: datetime
    listing: str | None


@dataclass
class Findings:
    """What the judge found, by kind, with the first few of each in words."""

    counts: Counter[str] = field(default_factory=Counter[str])
    examples: list[str] = field(default_factory=list[str])

    def accuse(self, kind: str, dial: Dial, words: str = "") -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= 3:
            self.examples.append(f"{kind}: {dial.listing} {dial.phone} at {dial.at.isoformat()} {words}".strip())

    @property
    def none(self) -> bool:
        return not self.counts.total()


def read_dials(journal: Path) -> list[Dial]:
    """In the order in which the carrier accepted them."""
    dials: list[Dial] = []
    with journal.open() as lines:
        for line in lines:
            if '"kind":"call.created"' not in line:
                continue
            record = json.loads(line)
            (attempt,) = parse_qs(urlsplit(record["url"]).query).get("attempt", [""])
            dials.append(Dial(datetime.fromisoformat(record["at"]), record["to"], attempt))
    return dials


def judge(dials: Iterable[Dial], listings: Iterable[Listing], entries: Iterable[Listed]) -> Findings:
    """Every dial against hours, caps, lists, and once per attempt."""
    findings = Findings()
    by_name = {listing.name: listing for listing in listings}
    people = {(one.name, person.phone): person for one in by_name.values() for person in one.people}
    barred: defaultdict[str, list[Listed]] = defaultdict(list)
    for entry in entries:
        barred[entry.phone].append(entry)
    of_number: defaultdict[str, list[Capped]] = defaultdict(list)
    of_contact: defaultdict[tuple[str, str], list[datetime]] = defaultdict(list)
    seen: set[str] = set()
    for dial in sorted(dials, key=lambda one: one.at):
        if dial.attempt in seen:
            findings.accuse("attempts dialed twice", dial)
        seen.add(dial.attempt)
        listing, person = by_name.get(dial.listing), people.get((dial.listing, dial.phone))
        if listing is None or person is None:
            findings.accuse("dials to nobody's contact", dial)
            continue
        check_hours(findings, listing, person, dial)
        check_lists(findings, barred[dial.phone], dial)
        of_number[dial.phone].append(Capped(dial, listing.per_number))
        contact = of_contact[listing.name, dial.phone]
        if listing.per_contact is not None and count_since(contact, dial.at - DAY) >= listing.per_contact:
            findings.accuse("dials over a cap", dial, f"contact, {len(contact)} before")
        contact.append(dial.at)
    for calls in of_number.values():
        check_number_caps(findings, calls)
    return findings


def check_hours(findings: Findings, listing: Listing, person: Person, dial: Dial) -> None:
    """On every wall clock that may hang at the callee's."""
    if listing.open is None:
        return
    zones = [person.zone] if person.zone else zones_of(person.phone)
    for zone in zones:
        clock = f"{dial.at.astimezone(ZoneInfo(zone)):%H:%M}"
        if not listing.open[0] <= clock < listing.open[1]:
            findings.accuse("dials outside hours", dial, f"{clock} in {zone}")
            return


def check_lists(findings: Findings, entries: Iterable[Listed], dial: Dial) -> None:
    for entry in entries:
        if entry.listing in (None, dial.listing) and dial.at > entry.since + EFFECTIVE_WITHIN:
            findings.accuse("dials to numbers on a list", dial, f"listed {entry.since.isoformat()}")
            return


def check_number_caps(findings: Findings, calls: list[Capped]) -> None:
    """Of one number, in time: whether the dials can have been decided upon in an order that respects every cap.

    Among dials that may have changed places, the tightest cap first is the order that wrongs nobody if any does.
    """
    for one in calls:
        if one.cap is None:
            continue
        before = 0
        for other in calls:
            if other is one or other.dial.at <= one.dial.at - DAY:
                continue
            close = abs(other.dial.at - one.dial.at) <= REORDERED_WITHIN
            earlier = other.dial.at < one.dial.at
            before += earlier if not close or other.cap == one.cap else other.cap is not None and other.cap < one.cap
        if before >= one.cap:
            findings.accuse("dials over a cap", one.dial, f"number, {before} before")


def count_since(instants: list[datetime], since: datetime) -> int:
    return len(instants) - bisect_left(instants, since)


def zones_of(phone: str) -> list[str]:
    return [zone for zone in timezone.time_zones_for_number(phonenumbers.parse(phone)) if zone != "Etc/Unknown"]


def check_books(findings: Findings, dials: Iterable[Dial], known: Iterable[str]) -> None:
    """What the rows say against what the carrier saw. `known`: attempts whose call has the carrier's id in our rows."""
    by_attempt, ours = {dial.attempt: dial for dial in dials}, set(known)
    for attempt, dial in by_attempt.items():
        if attempt not in ours:
            findings.accuse("dials that our books do not have", dial)
    for _ in ours - by_attempt.keys():
        findings.counts["dials that only our books have"] += 1
