"""Postgres restarted, and connections of dialers cut, in the middle of 200 dials a second.

Every contact is dialed exactly as often as it should, by the carrier's ledger, and dialing is back within 2 s.
"""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from app.db import DatabaseUnavailable
from app.ids import CampaignId
from tests.db.campaign_carrier import Dialed
from tests.db.campaign_doomed import Doomed, fork_dialers
from tests.prove.engine import books
from tests.prove.engine.stage import NOWHERE
from tests.prove.proof import Figures, Proof, Sizes
from tests.prove.world import Ground, proving_ground

BACK_SECONDS = 2
TIMES = {"lease": 30.0, "presence": 2.5, "request": 1.0, "grace": 3.0, "look_again": 10.0, "last_words": 0.1}
DIALERS = 2
BETWEEN_SECONDS = 6.0
PACE = 300
"""What is asked for, a second: with a restart in every six seconds, 200 are dialed."""
CUT = """
select pg_terminate_backend(pid) from pg_stat_activity
where application_name like 'doomed-%' and datname = current_database() order by random() limit 1
"""


@dataclass
class Stage:
    """A crowd that is being dialed on a ground that shakes. `outages`: (down, up), wall-clock."""

    ground: Ground
    campaign_id: CampaignId
    ledger: books.Judged
    untold: list[Dialed] = field(default_factory=list[Dialed])
    outages: list[tuple[datetime, datetime]] = field(default_factory=list[tuple[datetime, datetime]])
    cuts: int = 0

    async def carry_on(self) -> None:
        """The carrier tells, again if Postgres did not hear it; put-off contacts become due."""
        while True:
            self.untold += self.ledger.read_on()
            try:
                await books.tell(self.ground.db, self.untold)
                self.untold = []
                await books.hurry(self.ground.db, self.campaign_id)
            except DatabaseUnavailable:
                pass
            await asyncio.sleep(0.2)

    async def cut_many(self, cuts: int, seconds: float) -> None:
        """Cut one connection of a dialer after the other, over so many seconds, or a little more: while Postgres is
        away there is none to cut."""
        until = time.monotonic() + 2 * seconds
        while self.cuts < cuts and time.monotonic() < until:
            await asyncio.sleep(seconds / cuts)
            try:
                async with self.ground.db.system() as connection:
                    self.cuts += len(await connection.fetch(CUT))
            except DatabaseUnavailable:
                continue

    async def restart_many(self, restarts: int, chance: Random) -> None:
        for _ in range(restarts):
            await asyncio.sleep(BETWEEN_SECONDS * chance.uniform(0.8, 1.2))
            down = datetime.now(UTC)
            await self.ground.postgres.restart()
            self.outages.append((down, datetime.now(UTC)))

    async def is_over(self) -> bool:
        try:
            left = await books.count_contacts(self.ground.db, self.campaign_id)
        except DatabaseUnavailable:
            return False
        return not left["waiting"] and not left["in-flight"] and not self.untold

    def back_seconds(self) -> list[float]:
        """After each outage, until the next dial."""
        instants = sorted(one.at for one in self.ledger.dials)
        after = ((up, next((at for at in instants if at > up), None)) for _, up in self.outages)
        return [(at - up).total_seconds() if at else float("inf") for up, at in after]


@dataclass(frozen=True)
class Plan:
    restarts: int
    cuts: int
    pace: int
    people: int
    times: int
    fault: str = ""


async def run_stage(plan: Plan, *, seed: int) -> tuple[Stage, Plan, bool]:
    """Shake the ground while a crowd is dialed; whether all of it was dialed in the end."""
    async with proving_ground() as ground:
        campaign_id = await books.start_crowd(
            ground.db, ground.org, plan.people, calls_per_second=plan.pace, max_concurrent=1000, times=plan.times
        )
        stage = Stage(ground, campaign_id, books.Judged(ground.home / "ledger.jsonl"))
        with fork_dialers() as server:
            doomed = Doomed(server, ground.url, stage.ledger.path)
            for _ in range(DIALERS):
                doomed.start("kill", NOWHERE, 1, times=TIMES, synced=False, fault=plan.fault)
            world = asyncio.create_task(stage.carry_on())
            try:
                await asyncio.gather(
                    stage.cut_many(plan.cuts, plan.restarts * BETWEEN_SECONDS),
                    stage.restart_many(plan.restarts, Random(seed)),
                )
                until = time.monotonic() + 60 + 2 * plan.people * plan.times / plan.pace
                while not await stage.is_over() and time.monotonic() < until:  # noqa: ASYNC110 - it stands in Postgres
                    await asyncio.sleep(0.3)
                over = await stage.is_over()
            finally:
                world.cancel()
                await asyncio.gather(world, return_exceptions=True)
                doomed.kill_all()
        stage.ledger.read_on()
        return stage, plan, over


def read_figures(stage: Stage, plan: Plan, *, over: bool, back_seconds: float) -> Figures:
    """What held: of a plan with a fault, that nobody was dialed too often, which is what the fault does."""
    back = stage.back_seconds()
    repeats = stage.ledger.repeats(times=plan.times)
    missing = stage.ledger.missing(plan.people, times=plan.times)
    dials = sorted(one.at for one in stage.ledger.dials)
    away = sum((up - down).total_seconds() for down, up in stage.outages)
    lasted = (dials[-1] - dials[0]).total_seconds() - away if dials else 0.0
    sound = over and repeats == missing == 0 and max(back, default=0.0) <= back_seconds
    return Figures(
        repeats == 0 if plan.fault else sound and len(back) == plan.restarts and stage.cuts >= plan.cuts,
        {
            "Postgres restarted": f"{len(back)} times, away for {away:.1f} s in all",
            "connections cut": str(stage.cuts),
            "dials": f"{len(dials)}, {len(dials) / max(lasted, 0.001):.0f} a second while Postgres was there",
            "dialed too often": str(repeats),
            "dialed too seldom": str(missing),
            "back after": f"{max(back, default=0.0):.2f} s at the most",
        },
    )


@dataclass(frozen=True)
class Outages:
    name: str = "outages"
    title: str = "Postgres restarted and connections cut while dialing: nothing lost or repeated, back within 2 s"

    async def run(self, size: Sizes) -> Figures:
        return await self._measure(size, size.get("RESTARTS", 20), size.get("CUTS", 200), "")

    async def control(self, size: Sizes) -> Figures:
        """A fault: what could not be written down because the database was away is taken for not dialed."""
        restarts = min(size.get("RESTARTS", 20), 3)
        return await self._measure(size, restarts, min(size.get("CUTS", 200), 30), "hasty")

    async def _measure(self, size: Sizes, restarts: int, cuts: int, fault: str) -> Figures:
        pace = size.get("OUTAGE_PACE", PACE)
        wanted = int(pace * restarts * BETWEEN_SECONDS * 1.3)
        people = min(wanted, 4700)
        plan = Plan(restarts, cuts, pace, people, -(-wanted // people), fault)
        stage, plan, over = await run_stage(plan, seed=size.get("SEED", 4))
        return read_figures(stage, plan, over=over, back_seconds=size.get("BACK_SECONDS", BACK_SECONDS))


PROOFS: list[Proof] = [Outages()]
