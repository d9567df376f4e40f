"""What the carrier refuses: the contact goes on by its campaign's rule, and a number refused for good is left alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.db import Database
from app.ids import OrgId
from campaigns.campaigns import Campaign, load_campaign
from campaigns.dialing.attempts import Departure, Times
from campaigns.dialing.claiming import claim_due
from campaigns.dialing.intents import commit_intents
from campaigns.dialing.recording import Outcome, Refused, record_outcomes
from campaigns.lifecycle.watch import judge_breakers
from campaigns.rules.retries import RetryRule
from telephony.carriers.base import DialRefused, NumberFault
from telephony.sip_dial import dial_error
from tests.db.campaign_carrier import LedgerCarrier, read_ledger
from tests.db.campaign_world import (
    Webhooks,
    attempt_is,
    column,
    contact,
    dialing,
    finish,
    numbers,
    running_campaign,
    until,
)

pytestmark = pytest.mark.db

FIRST, SECOND = "+12025550110", "+12025550190"
INVALID = DialRefused("No such number.", carrier_code=21211, number_fault=NumberFault.INVALID)
NOT_ALLOWED = DialRefused("Not from this account.", carrier_code=21215, number_fault=NumberFault.FORBIDDEN)
BLOCKED = DialRefused("Blocked.", carrier_code=21216, number_fault=NumberFault.FORBIDDEN)
NO_TRUNK = dial_error("not_found", "requested sip trunk does not exist")


async def with_two_numbers(db: Database, org: OrgId, retry: RetryRule | None = None) -> Campaign:
    """A running campaign with one contact, who has FIRST and SECOND."""
    campaign = await running_campaign(db, org, 1, retry=retry or RetryRule())
    async with db.system() as connection:
        await connection.execute("update contacts set phones = array[phone, $1]", SECOND)
    return campaign


async def set_outcomes(db: Database, campaign: Campaign, outcomes: dict[str, Any]) -> None:
    async with db.system() as connection:
        await connection.execute("update campaigns set outcomes = $2 where id = $1", campaign.id, outcomes)


async def tries(db: Database) -> list[tuple[Any, ...]]:
    """Of every settled attempt, in order: its ordinal, the number, what it came to and why it was not dialed."""
    async with db.system() as connection:
        rows = await connection.fetch(
            "select ordinal, phone, disposition, detail from attempts where status = 'settled' order by claimed_at"
        )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("retry", [RetryRule(), RetryRule.uniform(3, 0.05)], ids=["default", "without next_number"])
@pytest.mark.parametrize(
    ("refusal", "disposition"), [(INVALID, "wrong-number"), (NOT_ALLOWED, "failed"), (BLOCKED, "carrier-blocked")]
)
async def test_after_a_number_that_the_carrier_refuses_for_good_the_next_one_is_dialed(
    db: Database, org: OrgId, carrier: LedgerCarrier, refusal: DialRefused, disposition: str, retry: RetryRule
) -> None:
    campaign = await with_two_numbers(db, org, retry)
    carrier.refusals[FIRST] = refusal
    async with dialing(db, carrier):
        await finish(db, campaign, Webhooks(db, carrier), hurry=True)
    assert await tries(db) == [(1, FIRST, disposition, refusal.detail), (2, SECOND, "reached", None)]
    assert (carrier.refused, dict(numbers(carrier))) == ([FIRST], {SECOND: 1})
    last = await contact(db, campaign)
    assert (last["status"], last["disposition"], last["attempts_made"]) == ("finished", "reached", 2)


async def test_a_refused_number_is_never_come_back_to_while_the_others_are_tried_again(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await with_two_numbers(db, org, RetryRule(max_attempts=4))
    carrier.refusals[FIRST] = NOT_ALLOWED
    async with dialing(db, carrier):
        await finish(db, campaign, Webhooks(db, carrier, status="no-answer"), hurry=True)
    assert [phone for _, phone, *_ in await tries(db)] == [FIRST, SECOND, SECOND, SECOND]
    assert carrier.refused == [FIRST]


@pytest.mark.parametrize("refusal", [INVALID, NOT_ALLOWED, BLOCKED], ids=str)
async def test_who_has_no_other_number_is_finished(
    db: Database, org: OrgId, carrier: LedgerCarrier, refusal: DialRefused
) -> None:
    campaign = await running_campaign(db, org, 1, retry=RetryRule.uniform(3, 0.01))
    carrier.refusals[FIRST] = refusal
    async with dialing(db, carrier):
        await finish(db, campaign)
    [(ordinal, phone, _, detail)] = await tries(db)
    assert (ordinal, phone, detail) == (1, FIRST, refusal.detail)


async def test_a_fault_of_the_trunk_is_tried_again_as_the_rule_says_of_a_failure(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    assert isinstance(NO_TRUNK, DialRefused)
    campaign = await running_campaign(db, org, 1, retry=RetryRule())
    carrier.refusals[FIRST] = NO_TRUNK
    async with dialing(db, carrier):
        began = datetime.now(UTC)
        await attempt_is(db, campaign, "settled")
        waiting = await contact(db, campaign)
        delay = waiting["due_at"] - began  # type: ignore[operator]
        assert (waiting["status"], waiting["disposition"], waiting["attempts_made"]) == ("waiting", "failed", 1)
        assert timedelta(seconds=298) < delay < timedelta(seconds=310)
        [told] = await column(db, "select data from campaign_events where kind = 'attempt.settled'")
        assert isinstance(told, dict)
        assert (told["disposition"], told["detail"]) == ("failed", NO_TRUNK.detail)
        assert datetime.fromisoformat(told["due_at"]) == waiting["due_at"]
        carrier.refusals.clear()
        await finish(db, campaign, Webhooks(db, carrier), hurry=True)
    assert [(phone, disposition) for _, phone, disposition, _ in await tries(db)] == [
        (FIRST, "failed"),
        (FIRST, "reached"),
    ]


async def test_a_fault_of_the_trunk_uses_up_the_dials_that_the_rule_allows(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    assert isinstance(NO_TRUNK, DialRefused)
    campaign = await running_campaign(db, org, 1, retry=RetryRule.uniform(3, 0.01))
    carrier.refusals[FIRST] = NO_TRUNK
    async with dialing(db, carrier):
        await finish(db, campaign)
    assert [ordinal for ordinal, *_ in await tries(db)] == [1, 2, 3]
    assert read_ledger(carrier.path) == []


async def test_a_trunk_that_is_gone_trips_the_breaker_and_costs_no_contact(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    assert isinstance(NO_TRUNK, DialRefused)
    campaign = await running_campaign(db, org, 12, retry=RetryRule())
    carrier.refusals = {f"+12025550{n}": NO_TRUNK for n in range(110, 122)}

    async def all_settled() -> bool:
        return await column(db, "select count(*) from attempts where status = 'settled'") == [12]

    async with dialing(db, carrier):
        await until(all_settled)
    await judge_breakers(db)
    seen = await load_campaign(db, org, campaign.id)
    assert (seen.status, "failed at the carrier" in (seen.pause_reason or "")) == ("paused", True), seen.pause_reason
    assert await column(db, "select distinct status from contacts") == ["waiting"]


async def test_numbers_that_are_none_do_not_trip_the_breaker(db: Database, org: OrgId, carrier: LedgerCarrier) -> None:
    campaign = await running_campaign(db, org, 13)
    carrier.refusals = {f"+12025550{n}": INVALID for n in range(110, 123)}
    async with db.system() as connection:
        # The last one waits, so that the campaign is not finished.
        await connection.execute("update contacts set due_at = now() + interval '1 hour' where phone like '%122'")

    async def others_finished() -> bool:
        return await column(db, "select count(*) from contacts where status = 'finished'") == [12]

    async with dialing(db, carrier):
        await until(others_finished)
    await judge_breakers(db)
    assert (await load_campaign(db, org, campaign.id)).status == "running"


async def test_the_campaigns_own_word_for_a_refusal_decides_what_follows(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    again = {"line-down": {"delays_seconds": [0.01], "next_number": True}}
    campaign = await with_two_numbers(db, org, RetryRule.read({"max_attempts": 2, "outcomes": again}))
    await set_outcomes(db, campaign, {"mapping": {"failed": "line-down"}})
    carrier.refusals[FIRST] = NOT_ALLOWED
    async with dialing(db, carrier):
        await finish(db, campaign, Webhooks(db, carrier))
    assert [(phone, word) for _, phone, word, _ in await tries(db)] == [(FIRST, "line-down"), (SECOND, "reached")]


async def test_a_refusal_that_the_campaign_maps_to_do_not_call_is_final_and_lists_the_contact(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await with_two_numbers(db, org)
    await set_outcomes(db, campaign, {"mapping": {"carrier-blocked": "do-not-call"}})
    carrier.refusals[FIRST] = BLOCKED
    async with dialing(db, carrier):
        await finish(db, campaign)
    assert [(phone, word) for _, phone, word, _ in await tries(db)] == [(FIRST, "do-not-call")]
    assert await column(db, "select phone from do_not_call order by phone") == [FIRST, SECOND]


async def departures_of(db: Database, org: OrgId) -> list[Departure]:
    """The committed intents for all contacts of the only campaign."""
    [claims] = await claim_due(db, org, dialer="one", times=Times())
    return (await commit_intents(db, claims, lead_seconds=0.1)).departures


async def test_refusals_that_are_written_together_are_each_their_own(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    await running_campaign(db, org, 4, retry=RetryRule())
    departures = sorted(await departures_of(db, org), key=lambda one: one.claim.to)
    said = [
        Refused("Later.", retryable=True),
        Refused("No trunk.", retryable=False),
        Refused("No number.", retryable=False, carrier_code=21211, number_fault=NumberFault.INVALID),
        Refused("Blocked.", retryable=False, carrier_code=21216, number_fault=NumberFault.FORBIDDEN),
    ]
    outcomes = [Outcome(departure, answer) for departure, answer in zip(departures, said, strict=True)]
    # Written twice, as after a lost connection.
    for _ in range(2):
        await record_outcomes(db, outcomes, Times())
    async with db.system() as connection:
        rows = await connection.fetch(
            """select a.status, a.disposition, a.detail, c.status as contact, c.attempts_made, k.end_reason
               from attempts a join contacts c on c.id = a.contact_id join calls k on k.id = a.call_id
               order by a.phone"""
        )
    assert [tuple(row) for row in rows] == [
        ("released", "not-dialed", "Later.", "waiting", 0, "carrier_error"),
        ("settled", "failed", "No trunk.", "waiting", 1, "carrier_error"),
        ("settled", "wrong-number", "No number.", "finished", 1, "invalid_number"),
        ("settled", "carrier-blocked", "Blocked.", "finished", 1, "carrier_error"),
    ]
    kinds = "select kind from campaign_events where kind in ('attempt.settled', 'attempt.released') order by kind"
    assert await column(db, kinds) == ["attempt.released", *["attempt.settled"] * 3]
