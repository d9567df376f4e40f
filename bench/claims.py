"""How long a claim takes in a campaign of ten million contacts against one of ten thousand: `make bench BENCH=claims`.

Two databases on one Postgres with fsync on; claims of 100 contacts each, small and large in turns, each followed (not
timed) by the end of those attempts, so that the queue moves on and leaves behind what a real one does.

    python -m bench.claims [--small 10000] [--large 10000000] [--claims 80] [--json FILE]
"""

import argparse
import asyncio
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from rich.console import Console
from rich.table import Table

from app.db import Database
from app.ids import OrgId, new_id
from app.stack.database.migrate import apply_migrations
from campaigns.dialing.attempts import Claim, Times
from campaigns.dialing.claiming import claim_due
from tests.prove.world import proving_ground, seed_organization

TARGET = 1.5
BATCH = 100
CHUNK = 500_000
MOST = 10_000_000
"""Numbers of the area code 555, which is nobody's."""


@dataclass
class Queue:
    """A campaign of `size` due contacts in a database of its own, and what its claims took (milliseconds)."""

    size: int
    db: Database
    org: OrgId
    took: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.took)


async def make_queue(url: str, name: str, size: int) -> Queue:
    """Its own database, filled by the rules of the schema: every index, check and count."""
    connection = await asyncpg.connect(url)
    await connection.execute(f"create database {name}")
    await connection.close()
    url = url.rsplit("/", 1)[0] + "/" + name
    await apply_migrations(url)
    db = await Database.connect(url)
    org = await seed_organization(db)
    campaign = new_id()
    async with db.system() as connection:
        await connection.execute(
            """
            insert into campaigns (id, org_id, name, team_id, from_number_id, status, max_concurrent, calls_per_second,
                                   calling, started_at)
            select $1, $2, 'Bench', t.id, n.id, 'running', $3, 1000, '{"defaults": false}', now()
            from teams t, numbers n
            """,
            campaign,
            org,
            BATCH,
        )
    for first in range(0, size, CHUNK):
        async with db.system() as connection:
            await connection.execute(
                """
                insert into contacts (id, org_id, campaign_id, line, phone, name, variables, due_at)
                select uuidv7(), $1, $2, n, '+1555' || lpad(n::text, 7, '0'), 'Contact ' || n,
                       jsonb_build_object('city', 'Springfield', 'balance', n % 1000), now() - make_interval(secs => 1)
                from generate_series($3::int, $4::int) n
                """,
                org,
                campaign,
                first,
                min(first + CHUNK, size) - 1,
                timeout=600,
            )
    async with db.system() as connection:
        await connection.execute("analyze", timeout=600)
    return Queue(size, db, org, [])


async def claim(queue: Queue) -> None:
    """One claim, timed; then its attempts are over."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    batches = await claim_due(queue.db, queue.org, dialer="bench", times=Times())
    queue.took.append(1000 * (loop.time() - began))
    claims: Sequence[Claim] = [claim for batch in batches for claim in batch]
    assert len(claims) == BATCH, len(claims)
    async with queue.db.system() as connection:
        await connection.execute(
            "update attempts set status = 'settled', settled_at = now() where id = any($1::uuid[])",
            [claim.attempt_id for claim in claims],
        )
        await connection.execute(
            "update contacts set status = 'finished', finished_at = now() where id = any($1::uuid[])",
            [claim.contact_id for claim in claims],
        )


async def run(small: int, large: int, claims: int) -> list[Queue]:
    async with proving_ground() as ground:
        queues = [
            await make_queue(ground.url, "bench_small", small),
            await make_queue(ground.url, "bench_large", large),
        ]
        try:
            for number in range(claims + 5):
                for queue in queues:
                    await claim(queue)
                    if number < 5:  # the first ones read what nobody had read
                        queue.took.clear()
        finally:
            for queue in queues:
                await queue.db.close()
        return queues


def print_report(queues: Sequence[Queue]) -> bool:
    """Whether the target is met."""
    ratio = queues[1].median / queues[0].median
    table = Table(title=f"One claim of {BATCH} contacts (milliseconds, same Postgres, fsync on)")
    for column in ("contacts", "claims", "median", "p95"):
        table.add_column(column, justify="right")
    for queue in queues:
        p95 = sorted(queue.took)[int(0.95 * len(queue.took))]
        table.add_row(f"{queue.size:,}", str(len(queue.took)), f"{queue.median:.1f}", f"{p95:.1f}")
    Console().print(table)
    met = ratio <= TARGET
    Console().print(f"large against small: {ratio:.2f}× (target ≤ {TARGET}× {'✓' if met else '✗'})")
    return met


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=10_000, help="contacts of the small campaign (at least 10,000)")
    parser.add_argument("--large", type=int, default=MOST, help="contacts of the large one")
    parser.add_argument("--claims", type=int, default=80, help="claims of each")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    if not BATCH * (arguments.claims + 5) <= arguments.small <= arguments.large <= MOST:
        parser.error(f"sizes: {BATCH} × (claims + 5) ≤ small ≤ large ≤ {MOST}")
    queues = asyncio.run(run(arguments.small, arguments.large, arguments.claims))
    met = print_report(queues)
    if arguments.json:
        arguments.json.write_text(json.dumps({str(queue.size): queue.took for queue in queues}, indent=2) + "\n")
    if not met:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
