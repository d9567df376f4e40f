"""Dialers that die or freeze, as processes of their own. The carrier's ledger, synced to disk at each dial, judges."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.db import Database
from app.ids import OrgId
from campaigns.dialing.attempts import Point
from tests.db.campaign_carrier import LedgerCarrier, read_ledger
from tests.db.campaign_doomed import Doomed, ForkServer, fork_dialers, state
from tests.db.campaign_driver import AFTER_REQUEST, BEFORE_REQUEST
from tests.db.campaign_world import QUICK, Webhooks, dialing, finish, running_campaign, until

STATE = """
    select (select jsonb_agg(to_jsonb(c) order by c.id) from contacts c),
           (select jsonb_agg(to_jsonb(a) order by a.id) from attempts a),
           (select jsonb_agg(to_jsonb(k) order by k.id) from calls k),
           (select jsonb_agg(to_jsonb(g) order by g.id) from campaigns g)
"""


@pytest.fixture(scope="module")
def fork_server() -> Iterator[ForkServer]:
    with fork_dialers() as server:
        yield server


@pytest.fixture
def doomed(fork_server: ForkServer, database_url: str, tmp_path: Path) -> Iterator[Doomed]:
    one = Doomed(fork_server, database_url, tmp_path / "ledger.jsonl")
    yield one
    one.kill_all()


@pytest.mark.parametrize("point", [*(p.value for p in Point), BEFORE_REQUEST, AFTER_REQUEST])
async def test_a_dialer_killed_at_any_point_leaves_no_number_dialed_twice_and_none_lost(
    db: Database, org: OrgId, carrier: LedgerCarrier, doomed: Doomed, point: str
) -> None:
    campaign = await running_campaign(db, org, 4)
    nth = 1 if point in (Point.CLAIMED, Point.SETTLING) else 2
    pid = doomed.start("kill", point, nth)
    webhooks = Webhooks(db, carrier)

    async def dead() -> bool:
        await webhooks.deliver()
        return state(pid) == "Z"

    await until(dead, seconds=40)
    assert doomed.wait(pid) == -signal.SIGKILL
    async with dialing(db, carrier, name="heir"):
        await finish(db, campaign, webhooks, hurry=True)
    dials = Counter(one.to for one in read_ledger(carrier.path))
    assert dials == Counter({f"+12025550{n}": 1 for n in range(110, 114)})
    async with db.system() as connection:
        assert await connection.fetchval("select count(*) from attempts where status = 'settled'") == 4
        assert await connection.fetchval("select count(*) from contacts where status = 'finished'") == 4


async def test_a_dial_whose_answer_died_with_its_dialer_is_found_in_the_carriers_list(
    db: Database, org: OrgId, carrier: LedgerCarrier, doomed: Doomed
) -> None:
    campaign = await running_campaign(db, org, 1)
    pid = doomed.start("kill", AFTER_REQUEST, 1)

    async def dead() -> bool:
        return state(pid) == "Z"

    await until(dead, seconds=40)
    carrier.statuses["+12025550110"] = "no-answer"
    async with dialing(db, carrier, name="heir"):
        await finish(db, campaign)
    assert len(read_ledger(carrier.path)) == 1
    async with db.system() as connection:
        assert await connection.fetchval("select disposition from contacts") == "no-answer"


@pytest.mark.parametrize(
    "point", [Point.CLAIMED.value, Point.BEFORE_INTENT.value, Point.INTENT_COMMITTED.value, AFTER_REQUEST]
)
async def test_a_frozen_dialer_that_wakes_after_its_lease_changes_nothing(
    db: Database, org: OrgId, carrier: LedgerCarrier, doomed: Doomed, point: str
) -> None:
    campaign = await running_campaign(db, org, 2)
    pid = doomed.start("freeze", point, 1)

    async def frozen() -> bool:
        return state(pid) == "T"

    await until(frozen, seconds=40)
    lease_over = time.monotonic() + QUICK.lease
    async with dialing(db, carrier, name="heir"):
        await finish(db, campaign, Webhooks(db, carrier), hurry=True)
    async with db.system() as connection:
        before = list(await connection.fetchrow(STATE))
    ledger = read_ledger(carrier.path)
    assert Counter(one.to for one in ledger) == Counter({"+12025550110": 1, "+12025550111": 1})

    await asyncio.sleep(max(0.0, lease_over - time.monotonic()))  # what is proved is about a lease that is over
    os.kill(pid, signal.SIGCONT)
    await asyncio.sleep(0.5)  # awake, with its tasks going on, before it is told to stop
    os.kill(pid, signal.SIGTERM)
    assert await asyncio.to_thread(doomed.wait, pid) == 0
    async with db.system() as connection:
        after = list(await connection.fetchrow(STATE))
    assert after == before
    assert read_ledger(carrier.path) == ledger


async def test_dialers_killed_one_after_the_other_finish_the_campaign_all_the_same(
    db: Database, org: OrgId, carrier: LedgerCarrier, doomed: Doomed
) -> None:
    campaign = await running_campaign(db, org, 12, calls_per_second=20.0, max_concurrent=3)
    webhooks = Webhooks(db, carrier)
    for point in (AFTER_REQUEST, Point.INTENT_COMMITTED, Point.ANSWERED_BY_CARRIER):
        pid = doomed.start("kill", point, 2)

        async def dead(pid: int = pid) -> bool:
            await webhooks.deliver()
            return state(pid) == "Z"

        await until(dead, seconds=40)
        assert doomed.wait(pid) == -signal.SIGKILL
    async with dialing(db, carrier, name="heir"):
        await finish(db, campaign, webhooks, hurry=True)
    dials = Counter(one.to for one in read_ledger(carrier.path))
    assert dials == Counter({f"+12025550{n}": 1 for n in range(110, 122)})
