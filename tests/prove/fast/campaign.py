"""50,000 contacts of mixed personas, dialed in fast time by two dialers through the real api and a troubled carrier.

Conservation: what was imported is finished, waiting or blocked, and every dial that the carrier saw is in the books.
Nobody is called outside their hours, over a cap, from a list, or twice for one attempt, as the judge reckons it from
the carrier's journal. The control plants one fault after the other in the dialers; each must be found.
"""

import asyncio
import io
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from app.clock import utc_now
from app.ids import CampaignId
from campaigns.campaigns import Plan
from campaigns.creating import create_campaign_from_file
from campaigns.lifecycle.control import start_campaign
from campaigns.rules.retries import RetryRule
from telephony.toll_gate.policy import DialingPolicy
from telephony.toll_gate.settings import set_rules
from tests.prove.fast import books
from tests.prove.fast.crowd import Listing, gather_crowd
from tests.prove.fast.judge import Dial, Findings, check_books, judge, read_dials
from tests.prove.fast.parts import FAULTS, Parts
from tests.prove.processes import processes
from tests.prove.proof import Figures, Proof, Sizes
from tests.prove.world import Ground, proving_ground

CONTACTS = 50_000
SMALLEST_MOVING = 3000
"""Below this a run is over before hours that begin in a minute have begun."""
SOON = timedelta(seconds=90)
CONTROL_SECONDS = 300
"""A faulty dialer need not come to an end to be found out."""


@dataclass
class Run:
    """One run of the world: what is dialed on which ground, and what came of it."""

    ground: Ground
    listings: list[Listing]
    campaigns: dict[str, CampaignId] = field(default_factory=dict[str, CampaignId])
    listed_at: dict[str, datetime] = field(default_factory=dict[str, datetime])
    imported: int = 0
    dialing_seconds: float = 0.0
    in_time: bool = True
    last: books.Books | None = None

    @property
    def names(self) -> Mapping[UUID, str]:
        return {campaign: name for name, campaign in self.campaigns.items()}


@dataclass(frozen=True)
class Course:
    """How a run goes. `fault`: planted in the dialers."""

    contacts: int
    seed: int
    time_scale: int
    limit_seconds: int
    carrier_faults: bool = True
    fault: str = ""

    @classmethod
    def read(cls, size: Sizes, contacts: int, *, fault: str = "", carrier_faults: bool = True) -> "Course":
        return cls(
            contacts,
            size.get("SEED", 4),
            size.get("TIME_SCALE", 60),
            CONTROL_SECONDS if fault else size.get("CAMPAIGN_SECONDS", 1500),
            carrier_faults,
            fault,
        )


@dataclass(frozen=True)
class CampaignProof:
    name: str = "campaign"
    title: str = "Two dialers, mixed personas, a troubled carrier: nothing is lost, and nobody is called who may not be"

    async def run(self, size: Sizes) -> Figures:
        return await run_course(Course.read(size, size.get("CONTACTS", CONTACTS)))

    async def control(self, size: Sizes) -> Figures:
        """Held only if a planted fault goes unnoticed."""
        contacts = size.get("CONTROL_CONTACTS", max(400, size.get("CONTACTS", CONTACTS) // 50))
        rows: dict[str, str] = {}
        unnoticed = False
        for fault, kind in PLANTED.items():
            figures = await run_course(Course.read(size, contacts, fault=fault, carrier_faults=False))
            found = figures.rows.get(kind, "0")
            unnoticed |= found == "0"
            rows[f"planted: {fault}"] = f"{found} {kind}"
        return Figures(unnoticed, rows)


PLANTED = {
    "hours": "dials outside hours",
    "lists": "dials to numbers on a list",
    "caps": "dials over a cap",
    "twice": "attempts dialed twice",
}
"""What each fault of tests/prove/fast/dialer.py is found as."""

PROOFS: list[Proof] = [CampaignProof()]


async def run_course(course: Course) -> Figures:
    """Set the world up, let it dial until nobody is due, and judge."""
    async with proving_ground() as ground, processes(ground.home / "logs") as group:
        parts = Parts(ground, group)
        await parts.start(
            seed=course.seed, time_scale=course.time_scale, faults=FAULTS if course.carrier_faults else ()
        )
        chance = Random(course.seed)
        moving = course.contacts >= SMALLEST_MOVING
        run = Run(ground, gather_crowd(course.contacts, utc_now(), chance, moving=moving))
        await fill_lists(run, chance)
        for number in (1, 2):
            parts.start_dialer(number, fault=course.fault)
        async with agents(run):
            await watch(run, parts, course, chance)
        for process in group.started[2:]:
            await process.stop()
        return await conclude(run, parts)


async def fill_lists(run: Run, chance: Random) -> None:
    """Import every list, put some numbers where they may not be called, and start the campaigns."""
    ground = run.ground
    async with ground.db.system() as connection:
        await set_rules(connection, ground.org, DialingPolicy(allowed_countries=["AU"]), set_by=None)
    for listing in run.listings:
        plan = Plan(
            name=listing.name,
            team="reception",
            max_concurrent=200,
            calls_per_second=max(1.0, listing.calls_per_second),
            retry=RetryRule.uniform(listing.max_attempts, 1.0),
            ring_timeout_seconds=20,
            settings=listing.settings,
        )
        campaign, report = await create_campaign_from_file(ground.db, ground.org, plan, io.BytesIO(listing.to_csv()))
        run.campaigns[listing.name] = campaign.id
        run.imported += report.accepted
        if listing.listed_by_campaign:
            await books.list_numbers(ground.db, ground.org, sorted(listing.listed_by_campaign), campaign.id)
    everybody = [person.phone for listing in run.listings for person in listing.people]
    await put_on_list(run, chance.sample(everybody, len(everybody) // 40))
    for campaign_id in run.campaigns.values():
        await start_campaign(ground.db, ground.org, campaign_id)


async def put_on_list(run: Run, phones: list[str]) -> None:
    """On the organization's own; a number that is there already stays as it is."""
    new = [phone for phone in phones if phone not in run.listed_at]
    run.listed_at |= await books.list_numbers(run.ground.db, run.ground.org, new)


@asynccontextmanager
async def agents(run: Run) -> AsyncGenerator[None]:
    """Somebody who hears what people say, while the block lasts."""

    async def listen() -> None:
        while True:
            async with run.ground.db.system() as connection:
                await books.leave_hints(connection)
            await asyncio.sleep(0.3)

    listening = asyncio.create_task(listen(), name="agents")
    try:
        yield
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def watch(run: Run, parts: Parts, course: Course, chance: Random) -> None:
    """Until nobody is due any more; meanwhile people come onto the list."""
    began = time.monotonic()
    opens = utc_now() + timedelta(minutes=2)
    people = [person.phone for listing in run.listings for person in listing.people]
    quiet = 0
    while quiet < 3:
        await asyncio.sleep(1.0)
        parts.processes.check()
        await put_on_list(run, chance.sample(people, max(1, len(people) // 5000)))
        run.last = await books.read_books(run.ground.db, due_before=max(opens, utc_now()) + SOON)
        quiet = quiet + 1 if run.last.quiet else 0
        run.dialing_seconds = time.monotonic() - began
        if run.dialing_seconds > course.limit_seconds:
            run.in_time = False
            return


async def conclude(run: Run, parts: Parts) -> Figures:
    """The verdict, from the journal and the rows."""
    attempts = await books.read_attempts(run.ground.db)
    listing_of = {attempt: name for attempt, name, _ in attempts}
    seen = await asyncio.to_thread(read_dials, parts.journal)
    dials = [Dial(one.at, one.phone, one.attempt, listing_of.get(one.attempt, "")) for one in seen]
    entries = await books.read_lists(run.ground.db, run.names, run.listed_at)
    findings = await asyncio.to_thread(judge, dials, run.listings, entries)
    check_books(findings, dials, [attempt for attempt, _, known in attempts if known])
    if unheard := await books.count_unheard(run.ground.db):
        findings.counts["requests for removal that were not heard"] = unheard
    return to_figures(run, dials, findings, len(entries))


def to_figures(run: Run, dials: list[Dial], findings: Findings, entries: int) -> Figures:
    contacts = run.last.contacts if run.last else {}
    finished, waiting, blocked = (contacts.get(status, 0) for status in ("finished", "waiting", "blocked"))
    conserved = run.imported == finished + waiting + blocked
    rows = {
        "contacts imported": f"{run.imported:,}",
        "= finished + waiting + blocked": f"{finished:,} + {waiting:,} + {blocked:,}",
        "dials that the carrier saw": f"{len(dials):,}",
        "dialed in": f"{run.dialing_seconds:.0f} s, {len(dials) / max(run.dialing_seconds, 1):.0f} a second",
        "most in one second": f"{most_in_a_second(dials)}",
        "entries of do-not-call lists": f"{entries:,}",
    }
    for kind in (*PLANTED.values(), *findings.counts):
        rows[kind] = f"{findings.counts[kind]:,}"
    if findings.examples:
        rows["for example"] = "\n".join(findings.examples)
    if not run.in_time:
        rows["not over in time"] = f"{run.last}"
    return Figures(conserved and findings.none and run.in_time and bool(dials), rows)


def most_in_a_second(dials: list[Dial]) -> int:
    instants = sorted(one.at for one in dials)
    most = first = 0
    for last, at in enumerate(instants):
        while at - instants[first] >= timedelta(seconds=1):
            first += 1
        most = max(most, last - first + 1)
    return most
