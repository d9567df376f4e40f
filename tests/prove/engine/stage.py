"""A campaign that is dialed while its dialers end in all ways: what the world does meanwhile, and who watches slots."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.db import Row
from app.ids import CampaignId
from campaigns.dialing.attempts import Point
from tests.db.campaign_doomed import Doomed, fork_dialers, state
from tests.db.campaign_driver import AFTER_REQUEST, BEFORE_REQUEST
from tests.prove.engine import books
from tests.prove.fast.crowd import AREA_CODES
from tests.prove.fast.parts import Parts
from tests.prove.processes import processes
from tests.prove.world import Ground, proving_ground

POINTS = [*(point.value for point in Point), BEFORE_REQUEST, AFTER_REQUEST]
NOWHERE = "nowhere"
UNCERTAIN_SECONDS = 20
"""For how long the carrier's no is not believed: a quarter the request's time, as in the product, the rest grace."""
TIMES = {"lease": 30.0, "presence": 2.5, "look_again": 5.0, "last_words": 0.1}
NOBODY_ANSWERS = "{personas: {nobody: {kind: no_answer}}, default: nobody}"
TIME_SCALE = 60
TELL_LATE: Sequence[Mapping[str, Any]] = [
    {"kind": "webhook_late", "rate": 1.0, "seconds": 4.0, "to": f"+1{code}"} for code in AREA_CODES[::3]
]
"""The carrier tells late of the calls to every third area code: others have asked about them by then, if their dialer
died."""
LOOK_SECONDS = 0.1
MAX_CONCURRENT = 300


@dataclass
class SlotWatch:
    """A slot is clean if a call holds it that is up at the carrier, or a living dialer that is about to dial.

    `longest`: seconds for which one was not, since the death of the dialer that the row names; where who took it over
    dies as well, since that death. `uncounted`: calls that were up and held no slot, at the worst moment.
    """

    since: dict[UUID, tuple[float, str]] = field(default_factory=dict[UUID, tuple[float, str]])
    looked_at: float = field(default_factory=time.monotonic)
    longest: float = 0.0
    uncounted: int = 0

    def look(self, attempts: Sequence[Row], dialed: Collection[str], living: Collection[str], now: float) -> None:
        """`attempts`: the open ones (`books.open_attempts`); `dialed`: those of the carrier's ledger, read later."""
        held = [row for row in attempts if not row["free"]]
        unclean = {row["id"]: row["dialer"] for row in held if not self._is_clean(row, dialed, living)}
        self.uncounted = max(
            self.uncounted, sum(row["free"] and not row["over"] and str(row["id"]) in dialed for row in attempts)
        )
        known, self.since = self.since, {}
        for one, dialer in unclean.items():
            # One that is found now may be so since the look before this one.
            began, dead = known.get(one, (self.looked_at, dialer))
            died_since = dialer != dead and dialer not in living
            self.since[one] = (self.looked_at, dialer) if died_since else (began, dead)
        self.longest = max([self.longest, *(now - began for began, _ in self.since.values())])
        self.looked_at = now

    def _is_clean(self, row: Row, dialed: Collection[str], living: Collection[str]) -> bool:
        in_hand = row["status"] in ("claimed", "dialing") and row["dialer"] in living
        return in_hand or (str(row["id"]) in dialed and not row["over"])


@dataclass
class Stage:
    """`open_ended`: people are added as long as dialers are to end, so that none of them waits for somebody to dial."""

    ground: Ground
    carrier: Parts
    doomed: Doomed
    campaign_id: CampaignId
    ledger: books.JudgedJournal
    fault: str
    people: int
    times: int
    pace: float
    uncertain_seconds: float
    lease_seconds: float = TIMES["lease"]
    open_ended: bool = True
    slots: SlotWatch = field(default_factory=SlotWatch)
    dialed: set[str] = field(default_factory=set[str])

    def start(self, action: str, point: str, nth: int) -> int:
        request = self.uncertain_seconds / 4
        grace = self.uncertain_seconds - request
        times = {**TIMES, "lease": self.lease_seconds, "request": request, "grace": grace}
        environment = {**self.carrier.settings, "TRUNKLINE_CARRIER_TIMEOUT_SECONDS": str(request / 2)}
        return self.doomed.start(action, point, nth, times=times, environment=environment, fault=self.fault)

    async def carry_on(self) -> None:
        """What the world does meanwhile: put-off contacts become due, the watch looks."""
        while True:
            self.carrier.processes.check()
            attempts, living = await books.open_attempts(self.ground.db), self._living()
            fresh, now = self.ledger.read_on(), time.monotonic()
            self.dialed.update(one.attempt_id for one in fresh)
            self.slots.look(attempts, self.dialed, living, now)
            await books.hurry(self.ground.db, self.campaign_id)
            if self.open_ended:
                await self._add_people()
            await asyncio.sleep(LOOK_SECONDS)

    def _living(self) -> set[str]:
        """The names of those that the kernel calls neither dead nor waited for."""
        living: set[str] = set()
        for pid in list(self.doomed.alive):
            try:
                if state(pid) != "Z":
                    living.add(f"doomed-{pid}")
            except (FileNotFoundError, ProcessLookupError):
                continue
        return living

    async def _add_people(self) -> None:
        waiting = (await books.count_contacts(self.ground.db, self.campaign_id))["waiting"]
        if (missing := round(2 * self.pace) - waiting) > 0:
            everybody = books.people(min(self.people + missing, books.MOST_PEOPLE))
            await books.add_people(self.ground.db, self.ground.org, self.campaign_id, everybody[self.people :])
            self.people = len(everybody)

    async def reap(self, pid: int) -> int:
        """How it ended; it is dead."""
        return await asyncio.to_thread(self.doomed.wait, pid)

    async def stop(self, pids: Collection[int]) -> None:
        """Tell them to stop, and wait until they have."""
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        for pid in pids:
            await self.reap(pid)

    async def count_left(self) -> int:
        """Contacts not called yet, or whose call is not over."""
        contacts = await books.count_contacts(self.ground.db, self.campaign_id)
        return contacts["waiting"] + contacts["in-flight"]

    async def finish(self, *, seconds: float) -> None:
        """Let sound dialers dial the rest. They are there before the others are told to stop, as when replicas are
        replaced one after the other: one that stops takes nothing over any more, and the last dead are not to wait."""
        self.open_ended = False
        before = list(self.doomed.alive)
        heirs = [self.start("kill", NOWHERE, 1) for _ in range(2)]
        until = time.monotonic() + seconds
        names = {f"doomed-{pid}" for pid in heirs}
        while not names <= await books.present(self.ground.db) and time.monotonic() < until:  # noqa: ASYNC110 - as below
            await asyncio.sleep(LOOK_SECONDS)
        await self.stop(before)
        while await self.count_left() and time.monotonic() < until:  # noqa: ASYNC110 - it stands in Postgres
            await asyncio.sleep(0.2)
        await self.stop(heirs)


@dataclass(frozen=True)
class Toll:
    """What a run came to. `ends`: dialers that ended as they should have."""

    contacts: int
    ends: int
    dials: int
    repeats: int
    lost: int
    stale: int
    slots: SlotWatch

    @property
    def sound(self) -> bool:
        """Nobody was called twice or forgotten, and nobody wrote what was not theirs."""
        return (self.repeats, self.lost, self.stale) == (0, 0, 0)

    def rows(self) -> dict[str, str]:
        return {
            "dials": f"{self.dials} to {self.contacts} contacts",
            "dialed twice": str(self.repeats),
            "lost": str(self.lost),
            "stale writes": str(self.stale),
        }


@asynccontextmanager
async def set_stage(
    *,
    pace: float,
    times: int = 1,
    fault: str = "",
    uncertain_seconds: float = UNCERTAIN_SECONDS,
    lease_seconds: float = TIMES["lease"],
) -> AsyncGenerator[Stage]:
    """A crowd that is dialed so many times each, and the world around it. Raises what went wrong with the world."""
    async with proving_ground() as ground, processes(ground.home / "logs") as group:
        carrier = Parts(ground, group)
        await carrier.start(seed=4, time_scale=TIME_SCALE, faults=TELL_LATE, personas=NOBODY_ANSWERS)
        await books.watch_ends(ground.db)
        people = round(2 * pace)
        campaign_id = await books.start_crowd(
            ground.db, ground.org, people, calls_per_second=pace, max_concurrent=MAX_CONCURRENT, times=times
        )
        ledger = books.JudgedJournal(carrier.journal)
        with fork_dialers() as server:
            doomed = Doomed(server, ground.url, ledger.path)
            stage = Stage(
                ground,
                carrier,
                doomed,
                campaign_id,
                ledger,
                fault,
                people,
                times,
                pace,
                uncertain_seconds,
                lease_seconds,
            )
            world = asyncio.create_task(stage.carry_on())
            try:
                yield stage
            finally:
                world.cancel()
                [ended] = await asyncio.gather(world, return_exceptions=True)
                doomed.kill_all()
            if isinstance(ended, Exception):
                raise ended


async def count_toll(stage: Stage, ends: int) -> Toll:
    """After `Stage.finish`."""
    await asyncio.sleep(0.5)
    stage.ledger.read_on()
    left = await books.count_contacts(stage.ground.db, stage.campaign_id)
    return Toll(
        contacts=stage.people,
        ends=ends,
        dials=len(stage.ledger.dials),
        repeats=stage.ledger.repeats(times=stage.times),
        lost=max(stage.ledger.missing(stage.people, times=stage.times), stage.people - left["finished"]),
        stale=await books.count_broken_ends(stage.ground.db),
        slots=stage.slots,
    )
