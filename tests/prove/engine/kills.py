"""Dialers killed at every failpoint of a running campaign.

The carrier's ledger judges: nobody is dialed twice, nobody is lost; and within 5 s of every death the slots that are
held are those of calls that are up at the carrier and of dials that living dialers are about to make.
"""

import asyncio
import signal
import time
from dataclasses import dataclass
from random import Random

from campaigns.dialing.attempts import Point
from tests.db.campaign_doomed import state
from tests.prove.engine import books
from tests.prove.engine.stage import NOWHERE, POINTS, UNCERTAIN_SECONDS, Stage, Toll, count_toll, set_stage
from tests.prove.proof import Figures, Proof, Sizes

CLEAN_SECONDS = 5
AT_ONCE = 6
DIALS_A_KILL = 20


async def kill_many(stage: Stage, kills: int, chance: Random) -> int:
    """So many dialers, AT_ONCE of them at a time beside a sound one, each killed by itself at the next point; how many
    died so."""
    stage.start("kill", NOWHERE, 1)
    order = [POINTS[n % len(POINTS)] for n in range(kills)]
    running: set[int] = set()
    died = 0
    until = time.monotonic() + 120 + 10 * kills
    while (order or running) and time.monotonic() < until:
        while order and len(running) < AT_ONCE:
            point = order.pop()
            rare = point in (Point.CLAIMED, Point.SETTLING)
            running.add(stage.start("kill", point, 1 if rare else chance.randint(1, 4)))
        await asyncio.sleep(0.03)
        for pid in [pid for pid in running if state(pid) == "Z"]:
            died += await stage.reap(pid) == -signal.SIGKILL
            running.remove(pid)
    return died


async def run_kills(kills: int, *, pace: float, uncertain_seconds: float, fault: str, seed: int) -> Toll:
    """Dial a crowd while its dialers are killed one after the other."""
    times = 1 + DIALS_A_KILL * kills // books.MOST_PEOPLE
    async with set_stage(pace=pace, times=times, fault=fault, uncertain_seconds=uncertain_seconds) as stage:
        died = await kill_many(stage, kills, Random(seed))
        await stage.finish(seconds=60 + stage.people * times / pace)
        return await count_toll(stage, died)


@dataclass(frozen=True)
class Kills:
    name: str = "kills"
    title: str = "Dialers killed at every failpoint: nobody dialed twice, nobody lost, slots clean within 5 s"

    async def run(self, size: Sizes) -> Figures:
        kills = size.get("KILLS", 600)
        toll = await self._kill(size, kills, "")
        return Figures(toll.sound and self._is_clean(toll, size) and toll.ends == kills, self._rows(toll))

    async def control(self, size: Sizes) -> Figures:
        """Two faults, one after the other, each found by what it does: what is uncertain is dialed again without asking
        the carrier; and what the carrier does not have keeps its slot until that is believed."""
        kills = min(size.get("KILLS", 600), 27)
        forgetful, hoarding = [await self._kill(size, kills, fault) for fault in ("forgetful", "hoarding")]
        rows = {**self._rows(forgetful), "slots clean after": self._rows(hoarding)["slots clean after"]}
        return Figures(forgetful.repeats == 0 or self._is_clean(hoarding, size), rows)

    async def _kill(self, size: Sizes, kills: int, fault: str) -> Toll:
        return await run_kills(
            kills,
            pace=float(size.get("KILL_PACE", 40)),
            uncertain_seconds=float(size.get("UNCERTAIN_SECONDS", UNCERTAIN_SECONDS)),
            fault=fault,
            seed=size.get("SEED", 4),
        )

    def _is_clean(self, toll: Toll, size: Sizes) -> bool:
        return toll.slots.longest <= size.get("CLEAN_SECONDS", CLEAN_SECONDS) and toll.slots.uncounted == 0

    def _rows(self, toll: Toll) -> dict[str, str]:
        return {
            "dialers killed": f"{toll.ends} at {len(POINTS)} points",
            **toll.rows(),
            "slots clean after": f"{toll.slots.longest:.1f} s",
            "calls without a slot": str(toll.slots.uncounted),
        }


PROOFS: list[Proof] = [Kills()]
