"""Pace: never a call a second too many, and never more than 3 % abandoned."""

import asyncio
import multiprocessing
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from campaigns.dialing.lanes.slots import Track, lay_slots
from campaigns.rules.pacing import slot_spacing_seconds
from tests.prove.pace.pacers import deaf, naive, oracle, ours
from tests.prove.pace.predictive_world import Pacer, Record, Setting, find_worst_window, run_campaign
from tests.prove.proof import Figures, Proof, Sizes

LIMIT = 0.03
ROOMS = (
    Setting(people=10, hours=2.0, talk_seconds=120.0, answer_rate=0.25, seed=1),
    Setting(people=25, hours=2.0, talk_seconds=90.0, answer_rate=0.15, seed=2),
    Setting(people=60, hours=2.0, talk_seconds=100.0, answer_rate=0.35, seed=3),
    Setting(people=150, hours=2.0, talk_seconds=80.0, answer_rate=0.25, seed=4),
)
PACERS: dict[str, Pacer] = {"ours": ours, "oracle": oracle, "naive": naive, "deaf": deaf}
WORKERS = 2


@dataclass(frozen=True)
class Run:
    """A campaign to simulate, in a process of its own."""

    pacer: str
    setting: Setting
    days: int


def simulate(run: Run) -> Record:
    return run_campaign(run.setting, PACERS[run.pacer], days=run.days)


async def simulate_all(runs: Sequence[Run]) -> list[Record]:
    """Two at a time. The pool is spawned: a fork would copy this process's threads half."""
    context = multiprocessing.get_context("spawn")
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        return list(await asyncio.gather(*(loop.run_in_executor(pool, simulate, run) for run in runs)))


@dataclass(frozen=True)
class PredictiveProof:
    name: str = "predictive"
    title: str = "Predictive dialing stays under 3 % abandoned in any 30 days, and keeps people as busy as an oracle"

    async def run(self, size: Sizes) -> Figures:
        days, compared = self._days(size)
        runs = [Run("ours", room, days) for room in ROOMS] + [Run("oracle", room, compared) for room in ROOMS]
        records = await simulate_all(runs)
        mine, theirs = records[: len(ROOMS)], records[len(ROOMS) :]
        shares = [
            one.share_busy(compared) / other.share_busy(compared) for one, other in zip(mine, theirs, strict=True)
        ]
        worst = [find_worst_window(record.seconds) for record in mine]
        rows = {
            "simulated days": f"{sum(len(record.days) for record in mine):,} of {ROOMS[0].hours:.0f} hours' dialing",
            "dials, answered": _pair(sum(r.dialed for r in mine), sum(r.answered for r in mine)),
            "abandoned in all": f"{sum(r.abandoned for r in mine) / sum(r.answered for r in mine):.2%}",
            "worst 30 days": f"{max(worst):.2%} (at most {LIMIT:.0%})",
            "oracle abandoned": f"{sum(r.abandoned for r in theirs) / sum(r.answered for r in theirs):.2%}",
        }
        for room, one, other, share in zip(ROOMS, mine, theirs, shares, strict=True):
            busy = f"{one.share_busy(compared):.1%} busy, oracle {other.share_busy(compared):.1%}: {share:.3f} of it"
            rows[f"{room.people} people"] = busy
        least = size.get("PERCENT_OF_ORACLE", 95) / 100
        return Figures(max(worst) <= LIMIT and min(shares) >= least, rows)

    async def control(self, size: Sizes) -> Figures:
        """A naive pacer, and ours with its ledger silenced: each must pass 3 %, or the world is too kind."""
        days, _ = self._days(size)
        runs = [Run(pacer, ROOMS[1], min(days, 40)) for pacer in ("naive", "deaf")]
        shares = {run.pacer: record for run, record in zip(runs, await simulate_all(runs), strict=True)}
        rows = {
            "abandoned in all": ", ".join(f"{name} {record.share_abandoned:.2%}" for name, record in shares.items()),
            "worst 30 days": ", ".join(
                f"{name} {find_worst_window(record.seconds):.2%}" for name, record in shares.items()
            ),
        }
        return Figures(min(record.share_abandoned for record in shares.values()) <= LIMIT, rows)

    def _days(self, size: Sizes) -> tuple[int, int]:
        """Of each room; and how many the oracle sees of them, the first ones."""
        days = max(1, size.get("DAYS", 1000) // len(ROOMS))
        return days, min(days, max(10, days // 4))


@dataclass(frozen=True)
class SlotsProof:
    name: str = "slots"
    title: str = "At 1.00 calls/s no second holds two calls: many dialers, restarts, slots taken and never used"
    rates: tuple[float, ...] = (1.0, 0.2, 2.5, 30.0)

    async def run(self, size: Sizes) -> Figures:
        return self._measure(size, margin=True)

    async def control(self, size: Sizes) -> Figures:
        """Slots exactly as far apart as the rate asks for: what leaves a hair late meets the next one's second."""
        return self._measure(size, margin=False)

    def _measure(self, size: Sizes, *, margin: bool) -> Figures:
        number, rows, held = size.get("DIALS", 400_000), {"dials": ""}, True
        total = 0
        for rate in self.rates:
            spacing = slot_spacing_seconds(rate) if margin else 1 / rate
            instants = dial_through_lane(number // len(self.rates), spacing, random.Random(f"slots {rate}"))
            window = max(1.0, 1 / rate)
            most, allowed = count_most(instants, window), -(-rate * window // 1)
            used = len(instants) / (instants[-1] - instants[0]) / rate
            rows[f"at {rate:.2f} calls/s"] = f"at most {most} in any {window:g} s; {used:.1%} of the rate used"
            held, total = held and most <= allowed, total + len(instants)
        return Figures(held, rows | {"dials": f"{total:,}"})


def dial_through_lane(number: int, spacing: float, chance: random.Random) -> list[float]:
    """When calls leave: dialers in turn take slots from the row they share, each with its own lead and its own fate.

    A dialer may die with its slots; a restart finds the row as it was. A call leaves up to 20 ms after its slot, which
    is when the dialer gives a slot up, and not before it.
    """
    now, row, instants = 0.0, float("-inf"), list[float]()
    while len(instants) < number:
        now += chance.choice((0.0, 0.001, 0.05, 0.25, chance.expovariate(1 / spacing)))
        lead = chance.choice((0.0, 0.15, 0.5))
        tracks = [Track("lane", row - now, spacing), Track("", -1.0, spacing / 3)]
        layout = lay_slots(tracks, chance.randint(1, 8), earliest=lead, latest=max(2.0, 2 * lead))
        if layout.slots:
            row = now + layout.next_in_seconds["lane"]
        if chance.random() > 0.02:
            instants += [now + slot + chance.uniform(0.0, 0.02) for slot in layout.slots]
    return sorted(instants)


def count_most(instants: Sequence[float], window: float) -> int:
    """The most in any closed window of so many seconds."""
    most = first = 0
    for last, instant in enumerate(instants):
        while instants[first] < instant - window:
            first += 1
        most = max(most, last - first + 1)
    return most


def _pair(dialed: int, answered: int) -> str:
    return f"{dialed:,}, {answered:,}"


PROOFS: list[Proof] = [SlotsProof(), PredictiveProof()]
