"""What nobody knows of a dial is found out, and what is too late changes nothing."""

from collections import Counter

import pytest

from app.db import Database
from app.ids import OrgId
from campaigns.dialing.attempts import Departure, Times
from campaigns.dialing.claiming import claim_due
from campaigns.dialing.departures import mark
from campaigns.dialing.intents import Intents, commit_intents, give_back
from campaigns.dialing.recording import Answer, NotSent, Outcome, Placed, Refused, Unclear, record_outcomes
from campaigns.rules.retries import RetryRule
from telephony.carriers.base import DialUncertain, NumberFault
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


async def test_an_uncertain_dial_that_the_carrier_lists_is_adopted_not_dialed_again(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    def lose_the_answer() -> None:
        raise DialUncertain("The answer was lost.")

    campaign = await running_campaign(db, org, 1)
    carrier.after_dial = lose_the_answer
    carrier.statuses["+12025550110"] = "no-answer"
    async with dialing(db, carrier):
        await finish(db, campaign)
    [dialed] = read_ledger(carrier.path)
    assert (await contact(db, campaign))["disposition"] == "no-answer"
    assert await column(db, "select carrier_call_id from calls") == [dialed.sid]


async def test_an_uncertain_dial_that_the_carrier_does_not_list_is_due_again(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    def fail_before() -> None:
        raise DialUncertain("The answer was lost.")

    campaign = await running_campaign(db, org, 1)
    carrier.before_dial = fail_before
    async with dialing(db, carrier):
        await attempt_is(db, campaign, "uncertain")
        carrier.before_dial = lambda: None
        await attempt_is(db, campaign, "released")
        assert carrier.listed >= 1
        await finish(db, campaign, Webhooks(db, carrier), hurry=True)
    assert numbers(carrier) == Counter({"+12025550110": 1})
    details = await column(db, "select detail from attempts where status = 'released'")
    assert details == ["the carrier's list shows no such call"]


async def test_an_uncertain_dial_stays_so_while_the_carriers_list_cannot_be_read(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    def lose_the_answer() -> None:
        raise DialUncertain("The answer was lost.")

    campaign = await running_campaign(db, org, 1)
    carrier.after_dial = lose_the_answer
    carrier.reachable = False
    async with dialing(db, carrier):

        async def asked_twice() -> bool:
            return carrier.listed >= 2

        await until(asked_twice)
        assert await column(db, "select status from attempts") == ["uncertain"]
        carrier.reachable = True
        await attempt_is(db, campaign, "placed")
        await finish(db, campaign, Webhooks(db, carrier))
    assert numbers(carrier) == Counter({"+12025550110": 1})


async def test_of_two_lost_dials_to_one_number_neither_takes_the_others_call_and_none_is_repeated(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    """The same number in two campaigns: the carrier has the first dial and never had the second."""

    def lose_the_answer() -> None:
        raise DialUncertain("The answer was lost.")

    carrier.after_dial = lose_the_answer
    first = await running_campaign(db, org, 1)
    async with dialing(db, carrier):
        await attempt_is(db, first, "uncertain")
        carrier.before_dial = lose_the_answer
        second = await running_campaign(db, org, 1)
        for campaign in (second, first):
            await attempt_is(db, campaign, "settled")
    assert numbers(carrier) == Counter({"+12025550110": 1})
    assert {(await contact(db, campaign))["disposition"] for campaign in (first, second)} == {"unknown"}


async def test_a_lost_dial_is_found_once_its_twin_has_its_own_call(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    """As above, but a webhook tells of the first: then the list speaks of the second, which is due again."""

    def lose_the_answer() -> None:
        raise DialUncertain("The answer was lost.")

    carrier.after_dial = lose_the_answer
    first = await running_campaign(db, org, 1)
    async with dialing(db, carrier):
        await attempt_is(db, first, "uncertain")
        carrier.before_dial = lose_the_answer
        second = await running_campaign(db, org, 1)
        await attempt_is(db, second, "uncertain")
        await Webhooks(db, carrier).deliver()
        await attempt_is(db, second, "released")
    assert numbers(carrier) == Counter({"+12025550110": 1})
    assert await column(db, "select carrier_call_id is null from calls order by created_at limit 2") == [False, True]


async def test_the_call_of_one_attempt_is_never_adopted_by_another(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    """The same number in two campaigns: one is placed, the other's request never reached the carrier."""
    first = await running_campaign(db, org, 1)
    async with dialing(db, carrier):
        await attempt_is(db, first, "placed")

        def fail_before() -> None:
            raise DialUncertain("The answer was lost.")

        carrier.before_dial = fail_before
        second = await running_campaign(db, org, 1)
        await attempt_is(db, second, "released")
    assert await column(db, "select carrier_call_id is null from calls order by created_at") == [False, True]


async def test_webhooks_alone_settle_an_uncertain_dial(db: Database, org: OrgId, carrier: LedgerCarrier) -> None:
    def lose_the_answer() -> None:
        raise DialUncertain("The answer was lost.")

    campaign = await running_campaign(db, org, 1)
    carrier.after_dial = lose_the_answer
    async with dialing(db, carrier, times=Times(lease=60, request=20, grace=3600)):
        await attempt_is(db, campaign, "uncertain")
        await finish(db, campaign, Webhooks(db, carrier))
    assert (carrier.listed, len(read_ledger(carrier.path))) == (0, 1)


async def test_a_placed_call_whose_end_nobody_told_is_asked_about(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await running_campaign(db, org, 1)
    async with dialing(db, carrier):
        await attempt_is(db, campaign, "placed")
        carrier.statuses["+12025550110"] = "busy"
        async with db.system() as connection:
            await connection.execute("update attempts set lease_until = now()")
        await finish(db, campaign)
    assert (await contact(db, campaign))["disposition"] == "busy"


async def test_a_placed_call_that_the_carrier_lost_ends_as_unknown_and_is_not_dialed_again(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await running_campaign(db, org, 1, retry=RetryRule.uniform(3, 0.01))
    async with dialing(db, carrier):
        await attempt_is(db, campaign, "placed")
        carrier.path.rename(carrier.path.with_suffix(".kept"))
        async with db.system() as connection:
            await connection.execute("update attempts set lease_until = now()")
        await finish(db, campaign)
    assert (await contact(db, campaign))["disposition"] == "unknown"
    assert read_ledger(carrier.path) == []


async def test_a_database_that_goes_away_stops_nothing_for_good(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await running_campaign(db, org, 12, calls_per_second=20.0)
    webhooks = Webhooks(db, carrier)
    async with dialing(db, carrier):

        async def some() -> bool:
            return len(read_ledger(carrier.path)) >= 3

        await until(some)
        async with db.system() as connection:
            await connection.execute(
                """select pg_terminate_backend(pid) from pg_stat_activity
                   where datname = current_database() and pid <> pg_backend_pid()"""
            )
        await finish(db, campaign, webhooks, hurry=True)
    assert numbers(carrier) == Counter({f"+12025550{n}": 1 for n in range(110, 122)})


EVERYTHING = """select to_jsonb(a) || to_jsonb(c) || coalesce(to_jsonb(k), '{}')
                 from attempts a join contacts c on true left join calls k on true"""
ANSWERS: list[Answer] = [
    Placed("CA1"),
    Refused("No.", retryable=True),
    Refused("No.", retryable=False),
    Refused("No.", retryable=False, number_fault=NumberFault.INVALID),
    Unclear(),
]


async def test_a_claim_that_somebody_else_took_over_is_not_dialed(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    await running_campaign(db, org, 1)
    [[claim]] = await claim_due(db, org, dialer="stale", times=Times())
    for status in ("claimed", "dialing", "placed", "uncertain", "settled", "released"):
        async with db.system() as connection:
            await connection.execute("update attempts set status = $1, fence = nextval('attempt_fences')", status)
        before = await column(db, EVERYTHING)
        assert await commit_intents(db, [claim], lead_seconds=0.1) == Intents()
        assert await give_back(db, [claim], why="") == 0
        assert await column(db, EVERYTHING) == before
    assert await column(db, "select id from calls") == []
    assert await column(db, "select next_dial_at = '-infinity' from campaigns") == [True]


async def departure_of(db: Database, org: OrgId) -> Departure:
    """The committed intent for the only contact of the only campaign."""
    [[claim]] = await claim_due(db, org, dialer="stale", times=Times())
    [departure] = (await commit_intents(db, [claim], lead_seconds=0.1)).departures
    return departure


@pytest.mark.parametrize("answer", [*ANSWERS, NotSent("No.")], ids=str)
async def test_what_is_said_of_a_dial_that_somebody_else_took_over_changes_no_attempt(
    db: Database, org: OrgId, carrier: LedgerCarrier, answer: Answer
) -> None:
    await running_campaign(db, org, 1)
    departure = await departure_of(db, org)
    for status in ("dialing", "uncertain", "placed", "settled", "released"):
        async with db.system() as connection:
            await connection.execute("update attempts set status = $1, fence = nextval('attempt_fences')", status)
        both = "select to_jsonb(a) || to_jsonb(c) from attempts a join contacts c on true"
        before = await column(db, both)
        assert await mark(db, [departure]) == set()
        await record_outcomes(db, [Outcome(departure, answer)], Times())
        assert await column(db, both) == before


async def test_an_intent_after_the_lease_is_not_committed(db: Database, org: OrgId, carrier: LedgerCarrier) -> None:
    await running_campaign(db, org, 1)
    [claims] = await claim_due(db, org, dialer="late", times=Times(lease=0.0))
    assert await commit_intents(db, claims, lead_seconds=0.1) == Intents()
    assert await column(db, "select id from calls") == []
    assert await column(db, "select next_dial_at = '-infinity' from campaigns") == [True]


async def test_a_dial_is_marked_as_sent_once(db: Database, org: OrgId, carrier: LedgerCarrier) -> None:
    await running_campaign(db, org, 1)
    departure = await departure_of(db, org)
    assert await mark(db, [departure]) == {departure.claim.attempt_id}
    assert await mark(db, [departure]) == set()
