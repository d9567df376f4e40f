"""Dialing keeps its pace while files come in beside it, large ones and ones made to hurt."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.db import Database
from app.ids import OrgId
from campaigns.campaigns import Plan
from campaigns.creating import create_campaign
from tests.db.campaign_carrier import LedgerCarrier, read_ledger
from tests.db.campaign_world import Webhooks, dialing, running_campaign, until
from tests.prove.imports.files import hostile_files, write_known
from tests.prove.proof import Figures, Proof, Sizes
from tests.prove.world import proving_ground

RATE = 10.0
LEAST_SHARE = 0.9
ALONE_SECONDS = 5.0
MOST_CONTACTS = 890
"""The tests' numbers from +12025550110 on."""


@dataclass(frozen=True)
class Beside:
    """Dials per second for a while before the import and then while it ran; `accepted`: contacts imported meanwhile."""

    alone: float
    beside: float
    seconds: float
    accepted: int

    @property
    def share(self) -> float:
        return self.beside / self.alone

    def figures(self) -> Figures:
        rows = {
            "contacts imported meanwhile": f"{self.accepted:,} in {self.seconds:.1f} s, and hostile files",
            "dials before": f"{self.alone:.2f}/s ({RATE:.0f}/s asked for)",
            "dials meanwhile": f"{self.beside:.2f}/s",
            "pace kept": f"{self.share:.3f} (at least {LEAST_SHARE})",
        }
        return Figures(self.share >= LEAST_SHARE and self.alone >= RATE / 2, rows)


async def dial_beside(url: str, db: Database, org: OrgId, *, rows: int, locked: bool = False) -> Beside:
    """`locked`: plant the fault, an import that locks the table it writes to."""
    await running_campaign(db, org, MOST_CONTACTS, calls_per_second=RATE, max_concurrent=500)
    into = await create_campaign(db, org, Plan(name="Known", team="reception"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        carrier = LedgerCarrier(folder / "ledger", synced=False)
        await asyncio.to_thread(_make_files, folder, rows)
        argv = ["start", "--file", str(folder / "known.csv"), "--org", str(org), "--campaign", str(into.id)]
        async with dialing(db, carrier), _webhooks(db, carrier):
            await _under_way(carrier)
            began = datetime.now(UTC)
            await asyncio.sleep(ALONE_SECONDS)
            middle = datetime.now(UTC)
            async with _table_locked(db) if locked else nullcontext():
                if locked:
                    await asyncio.sleep(ALONE_SECONDS)
                else:
                    await asyncio.gather(_work(url, *argv), _work(url, "hostile", "--folder", str(folder)))
                ended = datetime.now(UTC)
        dials = [one.at for one in read_ledger(carrier.path)]
    async with db.system() as connection:
        accepted = await connection.fetchval("select count(*) from contacts where campaign_id = $1", into.id)
    return Beside(
        alone=sum(began <= at < middle for at in dials) / (middle - began).total_seconds(),
        beside=sum(middle <= at <= ended for at in dials) / (ended - middle).total_seconds(),
        seconds=(ended - middle).total_seconds(),
        accepted=accepted,
    )


def _make_files(folder: Path, rows: int) -> None:
    write_known(folder / "known.csv", rows, 3)
    for hostile in hostile_files(1 << 26, 100_000):
        hostile.make(folder / hostile.name.replace(" ", "-"))


async def _work(url: str, *argv: str) -> None:
    """In a process of its own, as the api is one."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.prove.imports.worker", url, *argv, stdout=asyncio.subprocess.DEVNULL
    )
    if await process.wait():
        raise RuntimeError(f"the importing process ended with {process.returncode}")


async def _under_way(carrier: LedgerCarrier) -> None:
    async def dialed() -> bool:
        return len(read_ledger(carrier.path)) >= RATE

    await until(dialed, seconds=30)


@asynccontextmanager
async def _webhooks(db: Database, carrier: LedgerCarrier) -> AsyncGenerator[None]:
    """What the carrier tells of the calls meanwhile: all end well."""
    webhooks = Webhooks(db, carrier)

    async def deliver() -> None:
        while True:
            await webhooks.deliver()
            await asyncio.sleep(0.2)

    task = asyncio.create_task(deliver())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def _table_locked(db: Database) -> AsyncGenerator[None]:
    async with db.system() as connection:
        await connection.execute("lock table contacts in share row exclusive mode")
        yield


class BesideProof:
    name = "dialing-beside-imports"
    title = "Dialing keeps its pace while files come in"

    async def run(self, size: Sizes) -> Figures:
        async with proving_ground() as ground:
            rows = size.get("BESIDE_ROWS", 100_000)
            return (await dial_beside(ground.url, ground.db, ground.org, rows=rows)).figures()

    async def control(self, size: Sizes) -> Figures:
        async with proving_ground() as ground:
            locked = await dial_beside(ground.url, ground.db, ground.org, rows=100, locked=True)
            return Figures(locked.share >= LEAST_SHARE, locked.figures().rows)


PROOFS: list[Proof] = [BesideProof()]
