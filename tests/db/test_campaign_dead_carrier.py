"""A carrier that takes no dials: no call fails, since none is made, and yet the campaign stops and says why."""

from collections.abc import Callable
from typing import Any

import pytest

from app.db import Database
from app.ids import OrgId
from campaigns.campaigns import Campaign, load_campaign
from campaigns.lifecycle.watch import judge_breakers, judge_canaries
from telephony.carriers.base import DialRefused, DialUncertain
from tests.db.campaign_carrier import LedgerCarrier, read_ledger
from tests.db.campaign_world import column, dialing, running_campaign, until

pytestmark = pytest.mark.db


def answer_with_an_error() -> None:
    raise DialUncertain("Twilio failed on the dial request (HTTP 500).")


def be_unreachable() -> None:
    raise DialRefused("Twilio cannot be reached; nothing was dialed.", retryable=True)


def ask_for_patience() -> None:
    raise DialRefused("Twilio refused to dial (HTTP 429, error 20429).", retryable=True, throttled=True)


async def give_up_dials(db: Database, carrier: LedgerCarrier, failing: Callable[[], None]) -> None:
    """A dialer tries until twelve dials are given up."""
    carrier.before_dial = failing

    async def enough() -> bool:
        [released] = await column(db, "select count(*) from attempts where status = 'released'")
        return isinstance(released, int) and released >= 12

    async with dialing(db, carrier):
        await until(enough)
    assert read_ledger(carrier.path) == []


async def look(db: Database, campaign: Campaign) -> tuple[str, str | None]:
    seen = await load_campaign(db, campaign.org_id, campaign.id)
    return seen.status, seen.pause_reason


@pytest.mark.parametrize("failing", [answer_with_an_error, be_unreachable])
async def test_a_carrier_that_takes_no_dials_trips_the_breaker_though_no_call_was_made(
    db: Database, org: OrgId, carrier: LedgerCarrier, failing: Callable[[], None]
) -> None:
    campaign = await running_campaign(db, org, 12)
    await give_up_dials(db, carrier, failing)
    await judge_breakers(db)
    status, reason = await look(db, campaign)
    assert (status, "failed at the carrier" in (reason or "")) == ("paused", True), reason
    assert await column(db, "select distinct status from contacts") == ["waiting"]


async def test_a_carrier_that_wants_fewer_requests_is_not_broken(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await running_campaign(db, org, 12)
    await give_up_dials(db, carrier, ask_for_patience)
    await judge_breakers(db)
    assert await look(db, campaign) == ("running", None)


async def set_canary(db: Database, campaign: Campaign, rule: dict[str, Any]) -> None:
    async with db.system() as connection:
        await connection.execute(
            "update campaigns set canary = $2, canary_status = 'dialing' where id = $1", campaign.id, rule
        )


@pytest.mark.parametrize(
    ("failing", "expected"),
    [(answer_with_an_error, "paused"), (be_unreachable, "paused"), (ask_for_patience, "running")],
)
async def test_a_carrier_that_takes_no_dials_stops_the_canary(
    db: Database, org: OrgId, carrier: LedgerCarrier, failing: Callable[[], None], expected: str
) -> None:
    campaign = await running_campaign(db, org, 12)
    await set_canary(db, campaign, {"contacts": 12})
    await give_up_dials(db, carrier, failing)
    await judge_canaries(db)
    status, reason = await look(db, campaign)
    assert status == expected
    assert ("first calls failed" in (reason or "")) is (expected == "paused"), reason


async def test_a_dial_whose_answer_is_lost_counts_as_failed_while_the_carrier_cannot_be_asked(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await running_campaign(db, org, 12)
    carrier.before_dial, carrier.reachable = answer_with_an_error, False

    async def all_uncertain() -> bool:
        return await column(db, "select count(*) from attempts where status = 'uncertain'") == [12]

    async with dialing(db, carrier):
        await until(all_uncertain)
    await judge_breakers(db)
    assert await look(db, campaign) == ("running", None)
    async with db.system() as connection:
        await connection.execute("update attempts set dialed_at = dialed_at - interval '1 minute'")
    await judge_breakers(db)
    assert (await look(db, campaign))[0] == "paused"
