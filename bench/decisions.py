"""Durable dial decisions per second, ours against procrastinate and pgqueuer: `make bench BENCH=decisions`.

A decision: a due contact is claimed, its intent committed, the carrier's answer recorded, its end settled. All on the
same Postgres with fsync on, in turns of one run, each in one process; the carrier takes no time. Ours passes every gate
and takes dial slots on the way (`campaigns/dialing`); the others are given less to do (`bench/rivals.py`).

    python -m bench.decisions [--contacts 3000] [--rounds 3] [--json FILE]
"""

import argparse
import asyncio
import json
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from rich.console import Console
from rich.table import Table

from app.db import Database
from app.ids import CampaignId, OrgId, new_id
from bench.rivals import run_pgqueuer, run_procrastinate
from campaigns.dialing.attempts import Departure, Times
from campaigns.dialing.claiming import claim_due
from campaigns.dialing.departures import mark
from campaigns.dialing.intents import commit_intents
from campaigns.dialing.recording import Outcome, Placed, Recorder
from campaigns.dialing.settling import settle_ended
from tests.prove.destinations.allow_list import US_AREAS
from tests.prove.world import Ground, proving_ground

TARGETS = {"procrastinate": 3.0, "pgqueuer": 1.5}
DIALERS = 2
IN_HAND = 1000
LONGEST_SECONDS = 120.0
TIMES = Times(last_words=0.0)


@dataclass
class Lap:
    """Decisions per second of one contender, a figure a round."""

    name: str
    rates: list[float] = field(default_factory=list[float])

    @property
    def median(self) -> float:
        return statistics.median(self.rates)


async def make_campaign(db: Database, org: OrgId, contacts: int) -> tuple[CampaignId, list[UUID]]:
    """A running campaign without pace, and its contacts: fictional numbers, all due."""
    campaign, ids = CampaignId(new_id()), [new_id() for _ in range(contacts)]
    phones = [f"+1{area}555{line:04d}" for line in range(102, 200) for area in US_AREAS][:contacts]
    async with db.system() as connection:
        await connection.execute("update campaigns set status = 'finished' where status = 'running'")
        await connection.execute(
            """
            insert into campaigns (id, org_id, name, team_id, from_number_id, status, max_concurrent, calls_per_second,
                                   retry, calling, started_at)
            select $1, $2, 'Bench', t.id, n.id, 'running', $3, 99999, '{"max_attempts": 1}', '{"defaults": false}',
                   now()
            from teams t, numbers n where t.org_id = $2 and n.org_id = $2
            """,
            campaign,
            org,
            IN_HAND,
        )
        await connection.execute(
            "insert into contacts (id, org_id, campaign_id, phone) select id, $1, $2, phone"
            " from unnest($3::uuid[], $4::text[]) as u (id, phone)",
            org,
            campaign,
            ids,
            phones,
        )
    async with db.system() as connection:
        await connection.execute("analyze contacts, attempts, calls")
    return campaign, ids


async def run_trunkline(url: str, org: OrgId, contacts: int) -> float:
    """Two dialers in one process, every step of theirs but the waiting for a slot's instant."""
    db = await Database.connect(url, max_size=12)
    left = [contacts]
    try:
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(LONGEST_SECONDS):
            await asyncio.gather(*(dial(db, org, f"bench-{n}", left) for n in range(DIALERS)))
        return asyncio.get_running_loop().time() - began
    finally:
        await db.close()


async def dial(db: Database, org: OrgId, name: str, left: list[int]) -> None:
    recorder = Recorder(db, TIMES)
    while left[0] > 0:
        batches = await claim_due(db, org, dialer=name, times=TIMES)
        if not batches:
            await asyncio.sleep(0.001)
        for claims in batches:
            waiting = claims
            while waiting:
                intents = await commit_intents(db, waiting, lead_seconds=0.0)
                waiting = intents.later
                await depart(db, recorder, intents.departures)
        settled = await settle_ended(db, TIMES)
        left[0] -= settled


async def depart(db: Database, recorder: Recorder, departures: Sequence[Departure]) -> None:
    """Marked, sent, recorded; and the carrier tells at once that nobody answered."""
    marked = await mark(db, departures)
    outcomes = [Outcome(one, Placed(f"CA{one.call.id.hex}")) for one in departures if one.claim.attempt_id in marked]
    await asyncio.gather(*(recorder.record(outcome) for outcome in outcomes))
    async with db.system() as connection:
        await connection.execute(
            """
            update calls set status = 'no-answer', end_result = 'no-answer', end_reason = 'no_answer',
                             end_at_fault = 'nobody', ended_at = now()
            where id = any($1::uuid[]) and ended_at is null
            """,
            [one.call.id for one in departures],
        )


async def check(db: Database, campaign: CampaignId, contacts: int) -> None:
    """The same is true after everybody's turn. Raises AssertionError: a figure of undone work is none."""
    async with db.system() as connection:
        done = await connection.fetchrow(
            """
            select (select count(*) from contacts where campaign_id = $1 and status = 'finished') as contacts,
                   (select count(*) from attempts where campaign_id = $1 and status = 'settled') as attempts,
                   (select count(*) from attempts a join calls k on k.id = a.call_id
                    where campaign_id = $1 and k.ended_at is not null and k.carrier_call_id is not null) as calls,
                   (select count(*) from campaign_events where campaign_id = $1 and kind = 'attempt.settled') as told
            """,
            campaign,
        )
    assert done is not None
    assert set(done.values()) == {contacts}, dict(done)


async def race(ground: Ground, contacts: int, rounds: int) -> list[Lap]:
    async def ours(ids: Sequence[UUID]) -> float:
        return await run_trunkline(ground.url, ground.org, len(ids))

    contenders: dict[str, Callable[[Sequence[UUID]], Awaitable[float]]] = {
        "trunkline": ours,
        "procrastinate": lambda ids: run_procrastinate(ground.url, ids),
        "pgqueuer": lambda ids: run_pgqueuer(ground.url, ids),
    }
    laps = {name: Lap(name) for name in contenders}
    for number in range(rounds + 1):
        for name, run in contenders.items():
            size = contacts if number else max(200, contacts // 10)
            campaign, ids = await make_campaign(ground.db, ground.org, size)
            seconds = await run(ids)
            await check(ground.db, campaign, size)
            if number:  # the first round warms caches and is not counted
                laps[name].rates.append(size / seconds)
    return list(laps.values())


def print_report(laps: Sequence[Lap]) -> bool:
    """Whether every target is met."""
    ours = laps[0]
    table = Table(title="Durable dial decisions per second (one run, same Postgres, fsync on)")
    for column in ("", "median", "each round", "ours against it", "target"):
        table.add_column(column, justify="left" if not column else "right")
    met = True
    for lap in laps:
        ratio, target = ours.median / lap.median, TARGETS.get(lap.name)
        met = met and (target is None or ratio >= target)
        each = " ".join(f"{rate:,.0f}" for rate in lap.rates)
        goal = "" if target is None else f"≥ {target}× {'✓' if ratio >= target else '✗'}"
        table.add_row(lap.name, f"{lap.median:,.0f}", each, "" if lap is ours else f"{ratio:.2f}×", goal)
    Console().print(table)
    return met


async def run(contacts: int, rounds: int) -> list[Lap]:
    async with proving_ground() as ground:
        return await race(ground, contacts, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contacts", type=int, default=3000, help="decisions of each contender in each round")
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds, all contenders in turn")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    laps = asyncio.run(run(arguments.contacts, arguments.rounds))
    met = print_report(laps)
    if arguments.json:
        arguments.json.write_text(json.dumps({lap.name: lap.rates for lap in laps}, indent=2) + "\n")
    if not met:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
