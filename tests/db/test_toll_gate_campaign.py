"""Campaigns at the toll gate: who meets a limit waits, who is refused for good is blocked with the reason."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.db import Database
from app.ids import OrgId
from campaigns.campaigns import Campaign
from telephony.toll_gate import store
from tests.db.campaign_carrier import LedgerCarrier
from tests.db.campaign_world import Webhooks, add_team, dialing, finish, numbers, running_campaign, until

pytestmark = pytest.mark.db


@pytest.fixture
def carrier(tmp_path: Path) -> LedgerCarrier:
    return LedgerCarrier(tmp_path / "dialed.jsonl")


async def set_rules(db: Database, org: OrgId, **rules: Any) -> None:
    async with db.system() as connection:
        await store.insert_rules(connection, org, rules, set_by=None)


async def states(db: Database, campaign: Campaign) -> dict[str, Any]:
    """(status, due in the future, blocked by, reason) of each contact, by number."""
    async with db.system() as connection:
        rows = await connection.fetch(
            "select phone, status, due_at > now() as later, blocked_by, blocked_reason from contacts"
            " where campaign_id = $1",
            campaign.id,
        )
    return {row["phone"]: tuple(row)[1:] for row in rows}


async def waits_for_later(db: Database, campaign: Campaign, carrier: LedgerCarrier, count: int) -> None:
    """Until so many are put off, and all others are dialed."""

    async def so() -> bool:
        found = await states(db, campaign)
        later = sum(status == "waiting" and later for status, later, *_ in found.values())
        return later == count and len(numbers(carrier)) == len(found) - count

    await until(so)


async def test_contacts_over_the_limit_are_due_again_when_it_has_room(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    await add_team(db, org)
    await set_rules(db, org, calls={"per_minute": 3})
    campaign = await running_campaign(db, org, 7)
    async with dialing(db, carrier):
        await waits_for_later(db, campaign, carrier, 4)
    assert len(numbers(carrier)) == 3
    async with db.system() as connection:
        due = await connection.fetchval("select max(due_at - now()) from contacts where status = 'waiting'")
        released = await connection.fetch("select detail from attempts where status = 'released'")
    assert 0 < due.total_seconds() <= 62
    assert {row["detail"] for row in released} == {"At most 3 calls in 60 seconds."}


async def test_a_spend_cap_holds_a_campaign_back_until_tomorrow(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    await add_team(db, org)
    spend = {"currency": "USD", "per_day_minor": 6, "rates": [{"prefix": "+1", "per_1000_minutes_minor": 1000}]}
    await set_rules(db, org, spend=spend)
    campaign = await running_campaign(db, org, 5)
    async with dialing(db, carrier):
        await waits_for_later(db, campaign, carrier, 3)
    assert len(numbers(carrier)) == 2
    async with db.system() as connection:
        due: datetime = await connection.fetchval("select max(due_at at time zone 'utc') from contacts")
        charged = await connection.fetch("select k.to_number from dial_charges c join calls k on k.id = c.call_id")
    assert (due.hour, due.minute) == (0, 0)
    assert {row["to_number"] for row in charged} == set(numbers(carrier)), "each charge has its call"


async def test_what_is_refused_for_good_is_blocked_and_says_why(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    await add_team(db, org)
    campaign = await running_campaign(db, org, 3)
    await set_rules(db, org, refused_prefixes=["+12025550111"])
    async with dialing(db, carrier):
        await finish(db, campaign, Webhooks(db, carrier))
    assert set(numbers(carrier)) == {"+12025550110", "+12025550112"}
    status, _, by, reason = (await states(db, campaign))["+12025550111"]
    assert (status, by) == ("blocked", "toll-gate")
    assert "does not dial" in reason
