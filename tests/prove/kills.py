"""Dialers killed, and frozen past their leases, at every failpoint of a running campaign.

The carrier's ledger judges: nobody is dialed twice, nobody is lost, and what the dead had in hand is back within 5 s.
"""

import asyncio
import os
import signal
import time
from dataclasses import dataclass, field
from random import Random

from app.ids import CampaignId
from campaigns.dialing.attempts import Point
from tests.db.campaign_carrier import Dialed
from tests.db.campaign_doomed import Doomed, fork_dialers, state
from tests.db.campaign_driver import AFTER_REQUEST, BEFORE_REQUEST
from tests.prove.engine import books
from tests.prove.proof import Figures, Proof, Sizes
from tests.prove.world import Ground, proving_ground

POINTS = [*(point.value for point in Point), BEFORE_REQUEST, AFTER_REQUEST]
CLEAN_SECONDS = 5.0
TIMES = {"lease": 30.0, "presence": 3.0, "request": 0.5, "grace": 1.0, "look_again": 5.0, "last_words": 0.1}
LONGER_THAN_A_FREEZE = {**TIMES, "grace": 7.0}
"""No carrier tells a request that it had from one that it had not: who freezes at the last instruction before the
request, for longer than the grace, cannot be told from one that died. Shorter than that, it must be."""
TELL_LATE_SECONDS = 4.0
"""When the carrier tells of every third call: others have asked about it by then, if its dialer died."""
AT_ONCE = 4
FROZEN_SECONDS = 4.5
"""Past the silence that means death."""
NOWHERE = "nowhere"


@dataclass
class Stage:
    """A campaign that is being dialed, and those that dial it. `clean_seconds`: the longest that a dead dialer was
    named as the one that has something in hand."""

    ground: Ground
    doomed: Doomed
    campaign_id: CampaignId
    ledger: books.Ledger
    fault: str
    dead: dict[str, float] = field(default_factory=dict[str, float])
    clean_seconds: float = 0.0

    def start(self, action: str, point: str, nth: int) -> int:
        times = TIMES if action == "kill" else LONGER_THAN_A_FREEZE
        return self.doomed.start(action, point, nth, times=times, synced=False, fault=self.fault)

    async def carry_on(self) -> None:
        """What the world does meanwhile: the carrier tells, put-off contacts become due, the watch looks."""
        late: list[tuple[float, Dialed]] = []
        while True:
            fresh, now = self.ledger.read_on(), time.monotonic()
            late += [(now + TELL_LATE_SECONDS, one) for one in fresh[::3]]
            told = [one for n, one in enumerate(fresh) if n % 3] + [one for at, one in late if at <= now]
            late = [(at, one) for at, one in late if at > now]
            await books.tell(self.ground.db, told)
            await books.hurry(self.ground.db, self.campaign_id)
            holding, now = await books.holders(self.ground.db), time.monotonic()
            for name, died in list(self.dead.items()):
                if name in holding:
                    self.clean_seconds = max(self.clean_seconds, now - died)
                elif now - died > 2 * CLEAN_SECONDS:
                    del self.dead[name]
            await asyncio.sleep(0.2)

    async def count_left(self) -> int:
        """Contacts not called yet, or whose call is not over."""
        contacts = await books.count_contacts(self.ground.db, self.campaign_id)
        return contacts["waiting"] + contacts["in-flight"]

    async def finish(self, *, seconds: float) -> None:
        """Let sound dialers dial the rest."""
        heirs = [self.start("kill", NOWHERE, 1) for _ in range(2)]
        until = time.monotonic() + seconds
        while await self.count_left() and time.monotonic() < until:  # noqa: ASYNC110 - it stands in Postgres
            await asyncio.sleep(0.2)
        for pid in heirs:
            os.kill(pid, signal.SIGTERM)
        for pid in heirs:
            await asyncio.to_thread(self.doomed.wait, pid)


@dataclass(frozen=True)
class Toll:
    """What a run came to."""

    contacts: int
    ends: int
    repeats: int
    lost: int
    stale: int
    clean_seconds: float


async def kill_many(stage: Stage, kills: int, chance: Random) -> int:
    """So many dialers in turn, AT_ONCE of them at a time, each killed at the next point; how many died so."""
    order = [POINTS[n % len(POINTS)] for n in range(kills)]
    running: dict[int, float] = {}
    died = 0
    while order or running:
        while order and len(running) < AT_ONCE:
            point = order.pop()
            rare = point in (Point.CLAIMED, Point.SETTLING)
            running[stage.start("kill", point, 1 if rare else chance.randint(1, 5))] = time.monotonic()
        await asyncio.sleep(0.03)
        for pid in [pid for pid in running if state(pid) == "Z"]:
            stage.dead[f"doomed-{pid}"] = time.monotonic()
            died += await asyncio.to_thread(stage.doomed.wait, pid) == -signal.SIGKILL
            del running[pid]
        if not order and await stage.count_left() == 0:
            break
    for pid in running:
        os.kill(pid, signal.SIGKILL)
        stage.dead[f"doomed-{pid}"] = time.monotonic()
        await asyncio.to_thread(stage.doomed.wait, pid)
    return died


async def freeze_many(stage: Stage, freezes: int, chance: Random) -> int:
    """So many dialers frozen, each at the next point, past the silence that means death, then woken; AT_ONCE at a
    time beside a sound one."""
    sound = stage.start("freeze", NOWHERE, 1)
    order = [POINTS[n % len(POINTS)] for n in range(freezes)]
    begun: set[int] = set()
    frozen: dict[int, float] = {}
    woken = 0
    while order or begun or frozen:
        while order and len(begun) + len(frozen) < AT_ONCE:
            begun.add(stage.start("freeze", order.pop(), chance.randint(1, 2)))
        await asyncio.sleep(0.05)
        for pid in [pid for pid in begun if state(pid) == "T"]:
            begun.remove(pid)
            frozen[pid] = time.monotonic()
        for pid in [pid for pid, at in frozen.items() if time.monotonic() - at > FROZEN_SECONDS]:
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(0.3)  # awake, with its tasks going on, before it is told to stop
            os.kill(pid, signal.SIGTERM)
            await asyncio.to_thread(stage.doomed.wait, pid)
            del frozen[pid]
            woken += 1
        if (
            not order
            and not frozen
            and (await books.count_contacts(stage.ground.db, stage.campaign_id))["waiting"] == 0
        ):
            break
    for pid in (*begun, sound):
        os.kill(pid, signal.SIGTERM)
        await asyncio.to_thread(stage.doomed.wait, pid)
    return woken


async def run_stage(action: str, ends: int, *, contacts: int, pace: float, fault: str, seed: int) -> Toll:
    """Dial a crowd while its dialers end one after the other."""
    async with proving_ground() as ground:
        await books.watch_ends(ground.db)
        campaign_id = await books.start_crowd(
            ground.db, ground.org, contacts, calls_per_second=pace, max_concurrent=200
        )
        ledger = books.Ledger(ground.home / "ledger.jsonl")
        with fork_dialers() as server:
            doomed = Doomed(server, ground.url, ledger.path)
            stage = Stage(ground, doomed, campaign_id, ledger, fault)
            world = asyncio.create_task(stage.carry_on())
            try:
                chosen = kill_many if action == "kill" else freeze_many
                happened = await chosen(stage, ends, Random(seed))
                await stage.finish(seconds=60 + contacts / pace)
                await asyncio.sleep(0.5)
            finally:
                world.cancel()
                await asyncio.gather(world, return_exceptions=True)
                doomed.kill_all()
        ledger.read_on()
        left = await books.count_contacts(ground.db, campaign_id)
        return Toll(
            contacts=contacts,
            ends=happened,
            repeats=ledger.repeats(),
            lost=max(ledger.missing(contacts), contacts - left["finished"]),
            stale=await books.count_broken_ends(ground.db),
            clean_seconds=stage.clean_seconds,
        )


@dataclass(frozen=True)
class Kills:
    name: str = "kills"
    title: str = "Dialers killed at every failpoint: nobody dialed twice, nobody lost, slots back within 5 s"

    async def run(self, size: Sizes) -> Figures:
        return await self._measure(size, size.get("KILLS", 600), "")

    async def control(self, size: Sizes) -> Figures:
        """A fault: what is uncertain is dialed again without asking the carrier."""
        return await self._measure(size, min(size.get("KILLS", 600), 30), "forgetful")

    async def _measure(self, size: Sizes, kills: int, fault: str) -> Figures:
        toll = await run_stage(
            "kill",
            kills,
            contacts=size.get("KILL_CONTACTS", max(60, min(8 * kills, 4600))),
            pace=float(size.get("KILL_PACE", 40)),
            fault=fault,
            seed=size.get("SEED", 4),
        )
        held = (toll.repeats, toll.lost, toll.stale) == (0, 0, 0) and toll.clean_seconds <= CLEAN_SECONDS
        return Figures(
            held and toll.ends >= 0.9 * kills,
            {
                "dialers killed": f"{toll.ends} at {len(POINTS)} points",
                "contacts": str(toll.contacts),
                "dialed twice": str(toll.repeats),
                "lost": str(toll.lost),
                "stale writes": str(toll.stale),
                "slots clean after": f"{toll.clean_seconds:.1f} s",
            },
        )


@dataclass(frozen=True)
class Freezes:
    name: str = "freezes"
    title: str = "Dialers frozen past their leases and woken change nothing"

    async def run(self, size: Sizes) -> Figures:
        return await self._measure(size, size.get("FREEZES", 60), "")

    async def control(self, size: Sizes) -> Figures:
        """A fault: who wakes writes without a look at the fence."""
        return await self._measure(size, min(size.get("FREEZES", 60), 18), "fenceless")

    async def _measure(self, size: Sizes, freezes: int, fault: str) -> Figures:
        toll = await run_stage(
            "freeze",
            freezes,
            contacts=size.get("FREEZE_CONTACTS", max(60, min(40 * freezes, 4000))),
            pace=float(size.get("FREEZE_PACE", 20)),
            fault=fault,
            seed=size.get("SEED", 4),
        )
        return Figures(
            (toll.repeats, toll.lost, toll.stale) == (0, 0, 0) and toll.ends >= 0.8 * freezes,
            {
                "dialers frozen and woken": f"{toll.ends} at {len(POINTS)} points",
                "contacts": str(toll.contacts),
                "dialed twice": str(toll.repeats),
                "lost": str(toll.lost),
                "stale writes": str(toll.stale),
            },
        )


PROOFS: list[Proof] = [Kills(), Freezes()]
