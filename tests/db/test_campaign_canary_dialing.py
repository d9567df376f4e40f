"""A canary with a real dialer: no more than the first contacts until they are judged, then all."""

from pathlib import Path

import pytest

from app.db import Database
from app.ids import OrgId
from campaigns.campaigns import Plan, load_campaign
from campaigns.creating import create_campaign
from campaigns.lifecycle.control import start_campaign
from campaigns.lifecycle.watch import judge_canaries
from campaigns.rules.retries import RetryRule
from tests.db.campaign_carrier import LedgerCarrier
from tests.db.campaign_world import Webhooks, dialing, finish, numbers, until
from tests.db.lifecycle_world import add_team
from tests.db.outcome_world import add_contacts

pytestmark = pytest.mark.db


async def test_only_its_first_contacts_are_dialed_until_they_are_judged_and_then_all(
    db: Database, org: OrgId, tmp_path: Path
) -> None:
    await add_team(db, org)
    plan = Plan(
        name="Recall",
        team="reception",
        calls_per_second=100,
        max_concurrent=50,
        retry=RetryRule(max_attempts=1),
        settings={"calling": {"defaults": False}, "canary": {"contacts": 3, "least_answer_rate": 0}},
    )
    campaign = await create_campaign(db, org, plan)
    async with db.system() as connection:
        await add_contacts(connection, org, campaign.id, 10)
    await start_campaign(db, org, campaign.id)
    carrier = LedgerCarrier(tmp_path / "ledger.jsonl")
    webhooks = Webhooks(db, carrier)

    async def first_are_over() -> bool:
        await webhooks.deliver()
        async with db.system() as connection:
            over = "select count(*) from attempts where status = 'settled' and dialed_at is not null"
            return await connection.fetchval(over) == 3

    async with dialing(db, carrier):
        await until(first_are_over)
        # Time enough for a dialer to claim more, were it allowed to: a round takes a quarter of a second.
        async with db.system() as connection:
            await connection.fetchval("select pg_sleep(1)")
        assert numbers(carrier).total() == 3
        await judge_canaries(db)
        assert (await load_campaign(db, org, campaign.id)).canary_status == "passed"
        await finish(db, campaign, webhooks)
    # One of the ten is the number that is called from: the toll gate forbids it, and the canary does not wait for it.
    assert numbers(carrier).total() == 9
