"""A file of a million contacts, killed again and again on its way, ends with exactly its rows in flat memory; and files
made to hurt are refused at once or read right."""

import asyncio
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from app.db import Database
from app.ids import CampaignId, OrgId
from campaigns.campaigns import Plan
from campaigns.creating import create_campaign
from campaigns.imports.files.csv_rows import _CountedLines
from campaigns.imports.reading import list_imports
from tests.prove.imports.files import hostile_files, known_rows, write_known
from tests.prove.imports.reading import Outcome, read_hostile
from tests.prove.proof import Figures, Proof, Sizes
from tests.prove.world import proving_ground

MOST_MB = 256
MOST_SECONDS = 2.0
SEED = 20261120


@dataclass(frozen=True)
class Imported:
    """What came of a file that was killed on its way. `wrong`: contacts or faults that are not those of the file."""

    rows: int
    kills: int
    wrong: int
    memory_mb: int
    seconds: float
    seen: int

    @property
    def held(self) -> bool:
        return self.wrong == 0 and self.memory_mb <= MOST_MB and self.seen > 0

    def rows_shown(self) -> dict[str, str]:
        return {
            "rows in the file": f"{self.rows:,}",
            "killed with SIGKILL": f"{self.kills} times",
            "rows lost, repeated or changed": f"{self.wrong:,}",
            "most memory of a process": f"{self.memory_mb} MB (at most {MOST_MB})",
            "progress read while it ran": f"{self.seen} times",
            "time with all deaths": f"{self.seconds:.1f} s",
        }


async def import_killed(
    url: str, db: Database, org: OrgId, *, rows: int, kills: int, early: int = 0, seed: int = SEED
) -> Imported:
    """`early`: plant the fault, at so many blocks."""
    campaign = (await create_campaign(db, org, Plan(name="Known", team="reception"))).id
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "known.csv"
        write_known(path, rows, seed)
        began = time.monotonic()
        rng = random.Random(seed)
        start = ["start", "--file", str(path), "--org", str(org), "--campaign", str(campaign)]
        killed, memory, seen = 0, 0, 0
        argv = start
        while True:
            process = await _spawn(url, argv, early if killed == 0 else 0)
            target = await _rows_done(db, org) + rng.randrange(1, max(2, rows // (kills + 1)))
            victim = killed < kills
            while process.returncode is None:
                done = await _rows_done(db, org)
                seen += 0 < done < rows
                if victim and not early and done >= target:
                    process.send_signal(signal.SIGKILL)
                    break
                await asyncio.sleep(0.02)
            printed, _ = await process.communicate()
            if process.returncode == 0:
                memory = max(memory, int(printed.split()[-1]))
                break
            if process.returncode != -signal.SIGKILL:
                raise RuntimeError(f"the importing process ended with {process.returncode}")
            killed += 1
            # Nobody waits half a minute for the lease of the dead here; the product does.
            async with db.system() as connection:
                await connection.execute("update import_lanes set lease_until = now()")
            if await _is_over(db, org):
                break
            argv = ["resume"] if await _rows_known(db) else start
        wrong = await count_wrong(db, campaign, rows, seed)
        return Imported(rows, killed, wrong, memory, time.monotonic() - began, seen)


async def _spawn(url: str, argv: list[str], early: int) -> asyncio.subprocess.Process:
    planted = ["--early", str(early)] if early else []
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.prove.imports.worker", url, *argv, *planted, stdout=asyncio.subprocess.PIPE
    )


async def _rows_done(db: Database, org: OrgId) -> int:
    """As the api says it."""
    found = await list_imports(db, org, limit=1)
    return found[0].report.rows if found else 0


async def _rows_known(db: Database) -> bool:
    async with db.system() as connection:
        return await connection.fetchval("select exists (select from imports)")


async def _is_over(db: Database, org: OrgId) -> bool:
    found = await list_imports(db, org, limit=1)
    return bool(found) and found[0].row["status"] != "running"


async def count_wrong(db: Database, campaign: CampaignId, rows: int, seed: int) -> int:
    """Contacts and faults that are not exactly those that the file's maker meant."""
    wrong = 0
    first_of: dict[str, int] = {}
    bad: set[int] = set()
    repeats: set[int] = set()
    names: dict[int, str] = {}
    for row in known_rows(rows, seed):
        if row.phone is None:
            bad.add(row.line)
        elif first_of.setdefault(row.phone, row.line) != row.line:
            repeats.add(row.line)
        else:
            names[row.line] = row.name
    async with db.system() as connection:
        async for contact in connection.cursor(
            "select phone, line, name, variables->>'slot' as slot from contacts where campaign_id = $1", campaign
        ):
            line = first_of.pop(contact["phone"], None)
            wrong += line != contact["line"] or names.get(contact["line"]) != contact["name"] or not contact["slot"]
        faults = await connection.fetch("select line, kind from import_faults")
    wrong += len(first_of)
    wrong += len(bad ^ {f["line"] for f in faults if f["kind"] == "rejected"})
    return wrong + len(repeats ^ {f["line"] for f in faults if f["kind"] == "duplicate"})


class ImportProof:
    name = "imports"
    title = "An import killed on its way ends with exactly its rows, in flat memory"

    async def run(self, size: Sizes) -> Figures:
        async with proving_ground() as ground:
            rows, kills = size.get("IMPORT_ROWS", 1_000_000), size.get("IMPORT_KILLS", 5)
            done = await import_killed(ground.url, ground.db, ground.org, rows=rows, kills=kills)
        return Figures(done.held and done.kills > 0, done.rows_shown())

    async def control(self, size: Sizes) -> Figures:
        """A lane's place in the file is committed before its rows are."""
        async with proving_ground() as ground:
            rows = min(size.get("IMPORT_ROWS", 1_000_000), 100_000)
            done = await import_killed(ground.url, ground.db, ground.org, rows=rows, kills=1, early=3)
        return Figures(done.wrong == 0, done.rows_shown())


async def read_all(line_bytes: int, columns: int, *, planted: bool = False) -> Figures:
    """`planted`: with a fault, which must show as a file that is read wrong, however long that takes."""
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        for hostile in hostile_files(line_bytes, columns):
            outcomes.append(await read_hostile(hostile, Path(folder)))
    slow = max(outcomes, key=lambda outcome: outcome.seconds)
    wrong = [outcome.name for outcome in outcomes if not outcome.right]
    rows = {
        "files": str(len(outcomes)),
        "read wrong": ", ".join(wrong) or "none",
        "refused with a reason": str(sum(bool(o.said) for o in outcomes)),
        "slowest": f"{slow.seconds:.2f} s ({slow.name})",
        "memory of the process": f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB",
    }
    return Figures(not wrong and (slow.seconds <= MOST_SECONDS or planted), rows)


class HostileFilesProof:
    name = "hostile-files"
    title = "A file made to hurt is refused within 2 s, or read right"

    async def run(self, size: Sizes) -> Figures:
        return await read_all(size.get("LINE_BYTES", 2 << 30), size.get("COLUMNS", 1_000_000))

    async def control(self, size: Sizes) -> Figures:
        """A quote that never closes is taken for the end of its row."""
        with never_at_end():
            return await read_all(1 << 24, 100_000, planted=True)


@contextmanager
def never_at_end() -> Iterator[None]:
    def feed(self: _CountedLines) -> Iterator[str]:
        yield from self._lines

    with patch.object(_CountedLines, "_feed", feed):
        yield


PROOFS: list[Proof] = [ImportProof(), HostileFilesProof()]
