"""Dialers frozen past their leases, at every failpoint, and woken when others have taken what they had.

No carrier tells a request that it had from one that it had not, so who freezes at the last instruction before the
request for longer than request and grace together cannot be told from one that died (docs/decisions/0012): these
freezes are longer than the presence and the lease, and shorter than that.
"""

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from random import Random

from tests.db.campaign_doomed import state
from tests.prove.engine import books
from tests.prove.engine.stage import NOWHERE, POINTS, UNCERTAIN_SECONDS, Stage, Toll, count_toll, set_stage
from tests.prove.proof import Figures, Proof, Sizes

AT_ONCE = 6
LEASE_SECONDS = 1.5 * UNCERTAIN_SECONDS / 4
"""As in the product: one and a half times the request."""
FROZEN_SECONDS = LEASE_SECONDS + 1.5
AWAKE_SECONDS = 0.5
"""With its tasks going on, before it is told to stop."""


async def freeze_many(stage: Stage, freezes: int, chance: Random) -> int:
    """So many dialers frozen at the next point each, AT_ONCE of them beside a sound one. How many were woken with
    nothing left that the rows call theirs."""
    stage.start("freeze", NOWHERE, 1)
    order = [POINTS[n % len(POINTS)] for n in range(freezes)]
    begun, leaving, frozen, woken = set[int](), set[int](), dict[int, float](), 0
    until = time.monotonic() + 120 + 20 * freezes
    while (order or begun or frozen or leaving) and time.monotonic() < until:
        while order and len(begun) + len(frozen) + len(leaving) < AT_ONCE:
            begun.add(stage.start("freeze", order.pop(), chance.randint(1, 2)))
        await asyncio.sleep(0.05)
        for pid in [pid for pid in begun if state(pid) == "T"]:
            begun.remove(pid)
            frozen[pid] = time.monotonic()
        holding = await books.holders(stage.ground.db)
        for pid in [pid for pid, at in frozen.items() if time.monotonic() - at > FROZEN_SECONDS]:
            if f"doomed-{pid}" not in holding:
                del frozen[pid]
                woken += 1
                leaving.add(pid)
                os.kill(pid, signal.SIGCONT)
                asyncio.get_running_loop().call_later(AWAKE_SECONDS, os.kill, pid, signal.SIGTERM)
        for pid in [pid for pid in leaving if state(pid) == "Z"]:
            await stage.reap(pid)
            leaving.remove(pid)
    for pid in (*begun, *frozen):
        os.kill(pid, signal.SIGCONT)
    return woken


async def run_freezes(freezes: int, *, pace: float, fault: str, seed: int) -> Toll:
    """Dial a crowd while its dialers freeze and wake."""
    async with set_stage(pace=pace, fault=fault, lease_seconds=LEASE_SECONDS) as stage:
        woken = await freeze_many(stage, freezes, Random(seed))
        await stage.finish(seconds=60 + stage.people / pace)
        return await count_toll(stage, woken)


@dataclass(frozen=True)
class Freezes:
    name: str = "freezes"
    title: str = "Dialers frozen past their leases and woken change nothing"

    async def run(self, size: Sizes) -> Figures:
        toll, freezes = await self._freeze(size, size.get("FREEZES", 60), "")
        return Figures(toll.sound and toll.ends == freezes, self._rows(toll))

    async def control(self, size: Sizes) -> Figures:
        """A fault: who wakes writes without a look at the fence, which must show as stale writes."""
        toll, _ = await self._freeze(size, min(size.get("FREEZES", 60), 18), "fenceless")
        return Figures(toll.stale == 0, self._rows(toll))

    async def _freeze(self, size: Sizes, freezes: int, fault: str) -> tuple[Toll, int]:
        pace = float(size.get("FREEZE_PACE", 20))
        return await run_freezes(freezes, pace=pace, fault=fault, seed=size.get("SEED", 4)), freezes

    def _rows(self, toll: Toll) -> dict[str, str]:
        frozen = (
            f"{toll.ends} at {len(POINTS)} points, for {FROZEN_SECONDS:.0f} s with a lease of {LEASE_SECONDS:.1f} s"
        )
        return {"frozen, taken for dead, and woken": frozen, **toll.rows()}


PROOFS: list[Proof] = [Freezes()]
