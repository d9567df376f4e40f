"""Contacts imported per second, ours against pandas `to_sql` and against a loop that inserts row by row:
`make bench BENCH=imports`.

All on the same Postgres with fsync on, in one run, of one file. Ours reads, checks numbers and destinations, finds
repeats, asks the do-not-call list, keeps the file to be resumed from, and writes to the real table with its indexes and
counts. The script with `to_sql` reads the same file as text, parses and checks numbers with the same functions, drops
repeats, and writes to the same table; that it does not ask the do-not-call list and cannot be resumed is in its favor.
The loop does what ours does, a row at a time: parse, check, insert, commit. Targets are against these. For scale there
is `to_sql` that reads and checks nothing, into a table without an index. `to_sql` is measured twice each: by its
default method (an `executemany` of psycopg 3, which sends them in a pipeline) and by `multi` (one statement of many
values), in frames of 5,000 rows. The rivals get fewer rows: their rate does not depend on it.

    python -m bench.imports [--rows 1000000] [--rival-rows 20000] [--json FILE]
"""

import argparse
import asyncio
import csv
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

import pandas
import sqlalchemy
from rich.console import Console
from rich.table import Table
from sqlalchemy.dialects.postgresql import JSONB

from app.ids import E164, new_id
from campaigns.campaigns import Plan
from campaigns.creating import create_campaign
from campaigns.imports.importing import import_contacts
from telephony.lines.numbers import InvalidNumber, parse_number
from telephony.toll_gate.destinations import DialingRules
from tests.prove.imports.files import known_rows
from tests.prove.world import Ground, proving_ground

TARGET_PER_SECOND = 60_000
TARGET_TIMES = 20.0
MOST_MB = 256
RULES = DialingRules("US")
METHODS: tuple[Literal["multi"] | None, ...] = (None, "multi")


@dataclass(frozen=True)
class Lap:
    """`memory_mb`: the most that this process held by then; 0 where that says nothing of it."""

    name: str
    rows: int
    seconds: float
    memory_mb: int = 0

    @property
    def per_second(self) -> float:
        return self.rows / self.seconds

    @property
    def does_the_same(self) -> bool:
        return "nothing checked" not in self.name

    def beaten_by(self, other: "Lap") -> float:
        return other.per_second / self.per_second


def write_file(path: Path, rows: int) -> None:
    """A list as it is exported: numbers in several forms, a name, a variable; no quotes needed, 1 % bad rows."""
    with path.open("w", newline="") as file:
        file.write("phone,name,slot\n")
        for row in known_rows(rows, 7):
            number = row.text.partition(",")[0]
            file.write(f"{number},Contact {row.line},slot {row.line % 48}\n")


def read_most_memory() -> int:
    """MB that this process ever held."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


async def run_ours(ground: Ground, path: Path, rows: int) -> Lap:
    campaign = await create_campaign(ground.db, ground.org, Plan(name="Bench", team="reception"))
    began = time.perf_counter()
    with path.open("rb") as file:
        report = await import_contacts(ground.db, ground.org, campaign.id, file)
    seconds = time.perf_counter() - began
    if report.rows != rows:
        raise SystemExit(f"{report.rows} rows of {rows} were read")
    return Lap("ours", rows, seconds, read_most_memory())


def run_to_sql(ground: Ground, campaign_id: UUID, path: Path, rows: int, method: Literal["multi"] | None) -> Lap:
    """What a script does that imports with pandas: numbers parsed a column at a time, repeats dropped, and `to_sql`
    into the real table. `method`: of `to_sql`; None is its default."""
    engine = sqlalchemy.create_engine(ground.url.replace("postgresql://", "postgresql+psycopg://"))
    began = time.perf_counter()
    seen: set[str] = set()
    with pandas.read_csv(path, dtype=str, na_filter=False, chunksize=5_000, nrows=rows) as frames:
        for frame in frames:
            frame["phone"] = frame["phone"].map(_parse)
            good = frame[frame["phone"].notna() & ~frame["phone"].isin(seen)].drop_duplicates("phone")
            seen.update(good["phone"])
            contacts = pandas.DataFrame(
                {
                    "id": [new_id() for _ in range(len(good))],
                    "org_id": ground.org,
                    "campaign_id": campaign_id,
                    "line": good.index + 2,
                    "phone": good["phone"],
                    "name": good["name"],
                    "variables": [{"slot": slot} for slot in good["slot"]],
                }
            )
            types = {
                "id": sqlalchemy.Uuid,
                "org_id": sqlalchemy.Uuid,
                "campaign_id": sqlalchemy.Uuid,
                "variables": JSONB,
            }
            contacts.to_sql("contacts", engine, if_exists="append", index=False, dtype=types, method=method)
    seconds = time.perf_counter() - began
    engine.dispose()
    return Lap(f"to_sql ({method or 'default'}), same checks and table", rows, seconds)


def _parse(written: str) -> str | None:
    try:
        phone = parse_number(written, "US")
    except InvalidNumber:
        return None
    return phone if RULES.why_not(phone) is None else None


def run_bare(url: str, path: Path, rows: int, method: Literal["multi"] | None) -> Lap:
    """The two lines that everybody writes first: the rows as they are, nothing read or checked, into a table without
    an index, a key or a count."""
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    began = time.perf_counter()
    with pandas.read_csv(path, dtype=str, na_filter=False, chunksize=5_000, nrows=rows) as frames:
        for frame in frames:
            frame.to_sql("bench_bare", engine, if_exists="append", index=False, method=method)
    seconds = time.perf_counter() - began
    engine.dispose()
    return Lap(f"to_sql ({method or 'default'}), nothing checked, bare table", rows, seconds)


async def run_loop(ground: Ground, path: Path, rows: int) -> Lap:
    campaign = await create_campaign(ground.db, ground.org, Plan(name="Loop", team="reception"))
    began = time.perf_counter()
    with path.open(newline="") as file:
        for line, row in enumerate(csv.DictReader(file), 2):
            if line > rows + 1:
                break
            try:
                phone: E164 = parse_number(row["phone"], "US")
            except InvalidNumber:
                continue
            if RULES.why_not(phone) is None:
                async with ground.db.system() as connection:
                    await connection.execute(
                        """
                        insert into contacts (id, org_id, campaign_id, line, phone, name, variables)
                        values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing
                        """,
                        new_id(),
                        ground.org,
                        campaign.id,
                        line,
                        phone,
                        row["name"],
                        {"slot": row["slot"]},
                    )
    return Lap("row by row", rows, time.perf_counter() - began)


async def run(rows: int, rival_rows: int) -> list[Lap]:
    async with proving_ground() as ground:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "contacts.csv"
            write_file(path, rows)
            ours = await run_ours(ground, path, rows)
            laps = [ours]
            for method in METHODS:
                rival = await create_campaign(ground.db, ground.org, Plan(name="Pandas", team="reception"))
                laps.append(await asyncio.to_thread(run_to_sql, ground, rival.id, path, rival_rows, method))
            laps.append(await run_loop(ground, path, rival_rows))
            for method in METHODS:
                laps.append(await asyncio.to_thread(run_bare, ground.url, path, rival_rows, method))
            return laps


def show(laps: list[Lap], console: Console) -> bool:
    """Whether the targets are met: against what does the same work. What does less of it is shown without one."""
    ours, *rivals = laps
    table = Table(title="Contacts imported (one Postgres, fsync on, one run)")
    for column in ("", "rows", "rows/s", "ours is", "target"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row("ours", f"{ours.rows:,}", f"{ours.per_second:,.0f}", "", f"≥ {TARGET_PER_SECOND:,}")
    for lap in rivals:
        target = f"≥ {TARGET_TIMES:.0f}×" if lap.does_the_same else ""
        table.add_row(lap.name, f"{lap.rows:,}", f"{lap.per_second:,.0f}", f"{lap.beaten_by(ours):.1f}×", target)
    console.print(table)
    console.print(f"most memory of the importing process: {ours.memory_mb} MB (target ≤ {MOST_MB})")
    enough = all(lap.beaten_by(ours) >= TARGET_TIMES for lap in rivals if lap.does_the_same)
    return enough and ours.per_second >= TARGET_PER_SECOND and ours.memory_mb <= MOST_MB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rival-rows", type=int, default=20_000)
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    laps = asyncio.run(run(arguments.rows, arguments.rival_rows))
    met = show(laps, Console())
    if arguments.json:
        figures = {lap.name: {"rows": lap.rows, "per_second": lap.per_second} for lap in laps}
        arguments.json.write_text(json.dumps(figures | {"memory_mb": laps[0].memory_mb}, indent=2))
    if not met:
        raise SystemExit("a target was missed")


if __name__ == "__main__":
    main()
