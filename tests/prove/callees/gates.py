"""Nobody is dialed outside hours, over a cap, without the consent that is asked for, or while on a list: the gates, on
a real Postgres, against a slow judge that shares no code with them."""

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from unittest.mock import patch

from app.db import Database
from app.ids import E164, new_id
from campaigns.gates.gates import Gate, Verdict, check_gates, load_policy
from campaigns.rules.calling.defaults import COUNTRIES, ELSEWHERE, US_STATES, Default
from campaigns.rules.calling.hours import Hours, load_zone
from tests.prove.callees.cases import SPAN, ZONES, Case, Cases, Person, make_cases, stored
from tests.prove.callees.oracle import DAYS, Opening, Rulebook, Walls, next_under_caps, zones_of
from tests.prove.proof import Figures, Proof, Sizes
from tests.prove.world import CALLER_ID, proving_ground

AHEAD = timedelta(days=13)
"""How far the judge looks for the next opening."""
EDGE = timedelta(hours=3)
ATTEMPT = ["id", "org_id", "campaign_id", "contact_id", "ordinal", "status", "dialer", "fence", "lease_until"]
ATTEMPT += ["phone", "dialed_at"]
DAY, WEEK = timedelta(days=1), timedelta(days=7)


@dataclass
class Judge:
    """What each gate ought to say, found out slowly."""

    cases: Cases
    walls: Mapping[datetime, Walls]
    dials: dict[object, list[datetime]] = field(default_factory=dict)
    openings: dict[object, Opening] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for case in self.cases.cases:
            for person in case.people:
                for phone, at in person.dials:
                    for key in ((case.id, person.candidate.contact_id), ("number", phone), (case.id, "number", phone)):
                        self.dials.setdefault(key, []).append(at)

    def expect(self, case: Case, person: Person, now: datetime) -> dict[Gate, tuple[bool, datetime | None]]:
        """(passed, next_at) of every gate that depends on the pair."""
        return {
            Gate.WINDOW: self._window(case, now),
            Gate.CONSENT: self._consent(case, person, now),
            Gate.DO_NOT_CALL: (not self._is_listed(case, person.candidate.phone), None),
            Gate.CALLING_HOURS: self._hours(case, person, now),
            Gate.CAPS: self._caps(case, person, now),
        }

    def _window(self, case: Case, now: datetime) -> tuple[bool, datetime | None]:
        if case.starts_at and now < case.starts_at:
            return False, case.starts_at
        return not (case.deadline_at and now >= case.deadline_at), None

    def _consent(self, case: Case, person: Person, now: datetime) -> tuple[bool, datetime | None]:
        given, ends = person.candidate.consent_at, person.candidate.consent_expires_at
        if case.consent.get("need") == "ignored":
            return True, None
        if case.consent.get("need") == "required" and not given:
            return False, None
        too_old = bool(given) and "max_age_days" in case.consent and now - given >= timedelta(days=90)
        if too_old or (ends and ends <= now):
            return False, None
        return (False, given) if given and given > now else (True, None)

    def _is_listed(self, case: Case, phone: E164) -> bool:
        return phone in self.cases.listed or (case.id, phone) in self.cases.listed_here

    def _hours(self, case: Case, person: Person, now: datetime) -> tuple[bool, datetime | None]:
        opening = self._opening(case, person)
        if opening.told is None or opening.told[0] != now:
            is_open = opening.is_open(now)
            opening.told = (now, is_open, None if is_open else opening.next_open(now, case.start + AHEAD))
        return opening.told[1:]

    def _opening(self, case: Case, person: Person) -> Opening:
        zone = person.candidate.time_zone
        own = zone if zone in ZONES else None
        zones = [own] if own else zones_of(person.candidate.phone)
        key = (case.id, tuple(zones), person.country, person.state)
        if key not in self.openings:
            books = [Rulebook(written(case))] if "hours" in case.calling else []
            books += defaults(case, person)
            if case.calling["holidays"] == "closed":
                books.append(Rulebook({day: [("00:00", "24:00")] for day in DAYS}, (person.country, person.state)))
            left_out = [date.fromisoformat(day) for day in case.calling.get("closed_dates", [])]
            margin = timedelta(seconds=case.calling["margin_seconds"])
            self.openings[key] = Opening(self.walls[case.start], zones, books, left_out, margin)
        return self.openings[key]

    def _caps(self, case: Case, person: Person, now: datetime) -> tuple[bool, datetime | None]:
        one = person.candidate
        books = defaults(case, person)
        by_law = [(book.per_day, DAY) for book in books] + [(book.per_week, WEEK) for book in books]
        here = self.dials.get((case.id, one.contact_id), [])
        scope = ("number", one.phone) if case.caps["across_campaigns"] else (case.id, "number", one.phone)
        found = [
            next_under_caps(limits_of(case.caps["contact"]), here, now),
            next_under_caps([*limits_of(case.caps["number"]), *by_law], self.dials.get(scope, []), now),
        ]
        moments = [at for at in found if at is not None]
        if len(moments) < 2:
            return False, None
        return (True, None) if max(moments) == now else (False, max(moments))


def limits_of(caps: Mapping[str, int]) -> list[tuple[int | None, timedelta | None]]:
    return [(caps.get("per_day"), DAY), (caps.get("per_week"), WEEK), (caps.get("in_all"), None)]


def written(case: Case) -> dict[str, Sequence[tuple[str, str]]]:
    hours: dict[str, Sequence[tuple[str, str]]] = {}
    for day, spans in case.calling["hours"].items():
        hours[day] = [(span.split("-")[0], span.split("-")[1]) for span in spans]
    return hours


def defaults(case: Case, person: Person) -> list[Rulebook]:
    """The tables of the product, as data."""
    if not case.calling["defaults"]:
        return []
    tables: list[tuple[Default, str | None]] = [(COUNTRIES.get(person.country, ELSEWHERE), None)]
    if person.state in US_STATES:
        tables.append((US_STATES[person.state], person.state))
    closed = case.calling["holidays"] == "defaults"
    return [
        Rulebook(
            {DAYS[n]: [(clock(a), clock(b)) for a, b in spans] for n, spans in enumerate(table.week)},
            (person.country, state) if closed and table.holidays else None,
            table.per_day,
            table.per_week,
        )
        for table, state in tables
    ]


def clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


@dataclass(frozen=True)
class GateProof:
    name: str = "gates"
    title: str = "Nobody is dialed outside hours, over a cap, without consent or while on a list"

    async def run(self, size: Sizes) -> Figures:
        """PROVE_PAIRS (contact, instant) pairs."""
        return await compare(size)

    async def control(self, size: Sizes) -> Figures:
        """The same with a zone's offset looked up once a week, so that a change of clocks is noticed late."""
        with stale_offsets():
            return await compare(size, until_wrong=True)


@contextmanager
def stale_offsets() -> Iterator[None]:
    """The fault: the offset of a week before is taken for that of today."""

    def wrong(hours: Hours, zone: str, at: datetime) -> bool:
        before = (at - WEEK).astimezone(load_zone(zone))
        wall = at + (before.utcoffset() or timedelta(0))
        spans = hours.week[wall.weekday()] if hours.closed(wall.date()) is None else ()
        return any(start <= wall.hour * 60 + wall.minute < end for start, end in spans)

    with patch.object(Hours, "_is_open_in", wrong):
        yield


async def compare(size: Sizes, *, until_wrong: bool = False) -> Figures:
    pairs = size.get("PAIRS", 1_000_000)
    campaigns, people = (40, 240) if pairs >= 100_000 else (3, 60)
    instants = math.ceil(pairs / campaigns / people)
    chance = random.Random(size.get("SEED", 7))
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    async with proving_ground() as ground:
        cases = make_cases(ground.org, campaigns=campaigns, people=people, seed=chance.randrange(10**6))
        await write_cases(ground.db, cases)
        judge = Judge(cases, await read_walls(ground.db, cases))
        for case in cases.cases:
            for _ in range(instants):
                now = pick_instant(chance, judge.walls[case.start])
                wrong += await compare_once(ground.db, judge, case, now, counts)
                if until_wrong and wrong:
                    break
    rows = {
        "pairs": f"{counts['pairs']:,}",
        "dialed": f"{counts['dialed']:,}",
        "out of hours": f"{counts[Gate.CALLING_HOURS]:,}",
        "over a cap": f"{counts[Gate.CAPS]:,}",
        "on a list": f"{counts[Gate.DO_NOT_CALL]:,}",
        "without consent": f"{counts[Gate.CONSENT]:,}",
        "judged otherwise": f"{len(wrong):,}",
    }
    if wrong:
        rows["for example"] = wrong[0]
    return Figures(not wrong and counts["dialed"] > 0, rows)


def pick_instant(chance: random.Random, walls: Walls) -> datetime:
    """Of the days that a campaign is asked about; every third near a change of some zone's clocks, if there is one."""
    changes = walls.changes(walls.start + SPAN) if chance.random() < 0.33 else []
    if changes:
        return chance.choice(changes) + chance.uniform(-1, 1) * EDGE
    return walls.start + chance.random() * SPAN


async def compare_once(db: Database, judge: Judge, case: Case, now: datetime, counts: Counter[str]) -> list[str]:
    """All contacts of a campaign at one instant; what the gates and the judge see differently."""
    async with db.system() as connection:
        policy = await load_policy(connection, case.id)
        people = {person.candidate.contact_id: person for person in case.people}
        found = await check_gates(connection, policy, [one.candidate for one in people.values()], now=now)
    wrong: list[str] = []
    for contact_id, verdicts in found.items():
        person = people[contact_id]
        expected = judge.expect(case, person, now)
        counts["pairs"] += 1
        counts["dialed"] += all(verdict.passed for verdict in verdicts)
        for verdict in verdicts:
            counts[verdict.gate] += not verdict.passed
            if verdict.gate in expected and not agrees(verdict, *expected[verdict.gate], case.start + AHEAD):
                ought = "open" if expected[verdict.gate][0] else f"closed until {expected[verdict.gate][1]}"
                wrong.append(f"{verdict.gate} at {now:%Y-%m-%d %H:%M:%S}: {verdict.reason}; ought to be {ought}")
    return wrong


def agrees(verdict: Verdict, passed: bool, next_at: datetime | None, horizon: datetime) -> bool:
    if verdict.passed != passed:
        return False
    if passed or verdict.next_at == next_at:
        return True
    # Beyond what the judge looked at, it has no opinion.
    return verdict.gate is Gate.CALLING_HOURS and next_at is None and (verdict.next_at or horizon) >= horizon


async def read_walls(db: Database, cases: Cases) -> dict[datetime, Walls]:
    phones = {person.candidate.phone for case in cases.cases for person in case.people}
    zones = sorted({zone for phone in phones for zone in zones_of(phone)} | set(ZONES))
    days = AHEAD.days + 2
    return {start: await Walls.read(db, zones, start, days) for start in sorted({case.start for case in cases.cases})}


async def write_cases(db: Database, cases: Cases) -> None:
    async with db.system() as connection:
        for case in cases.cases:
            await connection.execute(
                """
                insert into campaigns (id, org_id, name, team_id, from_number_id, status, calling, caps, consent,
                                       starts_at, deadline_at)
                select $1, $2, 'Case', t.id, n.id, 'running', $4::text::jsonb, $5::text::jsonb, $6::text::jsonb, $7, $8
                from teams t, numbers n where t.org_id = $2 and n.org_id = $2 and n.e164 = $3
                """,
                case.id,
                cases.org,
                CALLER_ID,
                *stored(case).values(),
                case.starts_at,
                case.deadline_at,
            )
        for case in cases.cases:
            await connection.copy_records_to_table(
                "contacts",
                records=[(p.candidate.contact_id, cases.org, case.id, p.candidate.phone) for p in case.people],
                columns=["id", "org_id", "campaign_id", "phone"],
            )
            await connection.copy_records_to_table(
                "attempts",
                records=[attempt for person in case.people for attempt in attempts_of(cases, person)],
                columns=ATTEMPT,
            )
        entries = [(None, phone) for phone in cases.listed] + sorted(cases.listed_here)
        await connection.copy_records_to_table(
            "do_not_call",
            records=[(new_id(), cases.org, phone, campaign_id) for campaign_id, phone in entries],
            columns=["id", "org_id", "phone", "campaign_id"],
        )


def attempts_of(cases: Cases, person: Person) -> list[tuple[object, ...]]:
    """Those that were dialed, and those that surely were not."""
    one = person.candidate
    tries = [("settled", phone, at) for phone, at in person.dials]
    tries += [("released", one.phone, at) for at in person.undialed]
    return [
        (new_id(), cases.org, one.campaign_id, one.contact_id, n + 1, status, "proof", n, at, phone, at)
        for n, (status, phone, at) in enumerate(tries)
    ]


PROOFS: list[Proof] = [GateProof()]
