"""A running campaign: who is dialed, when, how often, and what is written down of it."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from app.db import Database
from app.ids import CallId, OrgId, new_id
from campaigns.dialing.attempts import Point, Times
from campaigns.lifecycle.control import pause_campaign
from campaigns.outcomes.progress import load_progress
from campaigns.outcomes.report import COLUMNS, stream_report
from campaigns.rules.retries import RetryRule
from telephony.calls import AtFault, End, EndReason, EndResult, end_call, mark_answered
from telephony.carriers.base import CarrierName, DialRefused
from telephony.hints import leave_hint
from telephony.watch.carrier_events import CarrierNews, take_news
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


async def test_every_contact_is_dialed_once_and_finished(db: Database, org: OrgId, carrier: LedgerCarrier) -> None:
    campaign = await running_campaign(db, org, 8)
    async with dialing(db, carrier):
        await finish(db, campaign, Webhooks(db, carrier))
    assert numbers(carrier) == Counter({f"+12025550{n}": 1 for n in range(110, 118)})
    progress = await load_progress(db, org, campaign.id)
    assert progress.contacts == {"waiting": 0, "in_flight": 0, "finished": 8, "blocked": 0}
    assert progress.dispositions == {"reached": 8}
    assert (progress.attempts["settled"], progress.attempts["dialed"]) == (8, 8)


async def test_two_dialers_share_a_campaign_and_never_dial_a_number_twice(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await running_campaign(db, org, 60, max_concurrent=60)
    async with dialing(db, carrier, name="one"), dialing(db, carrier, name="two"):
        await finish(db, campaign, Webhooks(db, carrier))
    assert numbers(carrier) == Counter({f"+12025550{n}": 1 for n in range(110, 170)})


async def test_a_busy_contact_is_dialed_again_until_its_attempts_are_used_up(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await running_campaign(db, org, 1, retry=RetryRule.uniform(3, 0.05))
    async with dialing(db, carrier):
        await finish(db, campaign, Webhooks(db, carrier, status="busy"))
    ordinals = await column(
        db,
        "select ordinal from attempts where campaign_id = $1 and status = 'settled' order by claimed_at",
        campaign.id,
    )
    assert (len(read_ledger(carrier.path)), ordinals) == (3, [1, 2, 3])
    last = await contact(db, campaign)
    assert (last["status"], last["disposition"], last["attempts_made"]) == ("finished", "busy", 3)


async def test_calls_per_second_hold_across_dialers_and_a_restart(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await running_campaign(db, org, 16, calls_per_second=6.0)
    webhooks = Webhooks(db, carrier)

    async def half() -> bool:
        await webhooks.deliver()
        return len(webhooks.told) >= 6

    async with dialing(db, carrier, name="one"), dialing(db, carrier, name="two"):
        await until(half)
    async with dialing(db, carrier, name="three"), dialing(db, carrier, name="four"):
        await finish(db, campaign, webhooks)
    slots = await column(db, "select dialed_at from attempts where status = 'settled' order by dialed_at")
    assert len(slots) == 16
    for first, seventh in zip(slots, slots[6:], strict=False):
        assert seventh - first > timedelta(seconds=1)  # type: ignore[operator]


async def test_concurrency_is_counted_from_rows_and_never_exceeded(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await running_campaign(db, org, 6, max_concurrent=2)
    most_open = 0
    webhooks = Webhooks(db, carrier)
    async with dialing(db, carrier, name="one"), dialing(db, carrier, name="two"):

        async def next_two() -> bool:
            nonlocal most_open
            most_open = max(most_open, len(read_ledger(carrier.path)) - len(webhooks.told))
            return len(read_ledger(carrier.path)) == len(webhooks.told) + 2

        for _ in range(3):
            await until(next_two)
            await asyncio.sleep(0.6)  # two ticks in which a third might be dialed
            assert len(read_ledger(carrier.path)) == len(webhooks.told) + 2
            await webhooks.deliver()
        await finish(db, campaign, webhooks)
    assert most_open == 2


async def test_a_paused_campaign_is_not_dialed_and_goes_on_where_it_stopped(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await running_campaign(db, org, 6, max_concurrent=2)
    webhooks = Webhooks(db, carrier)
    async with dialing(db, carrier):

        async def two_dialed() -> bool:
            return len(read_ledger(carrier.path)) == 2

        await until(two_dialed)
        await pause_campaign(db, org, campaign.id)
        await webhooks.deliver()

        async def both_settled() -> bool:
            return (await load_progress(db, org, campaign.id)).attempts["settled"] == 2

        await until(both_settled)
        await asyncio.sleep(0.6)  # two ticks in which a paused campaign might be dialed
        progress = await load_progress(db, org, campaign.id)
        assert (progress.status, progress.contacts["waiting"], len(read_ledger(carrier.path))) == ("paused", 4, 2)
        async with db.system() as connection:
            await connection.execute("update campaigns set status = 'running' where id = $1", campaign.id)
        await finish(db, campaign, webhooks)
    assert set(numbers(carrier).values()) == {1}
    assert len(numbers(carrier)) == 6


@pytest.mark.parametrize("reached", [Point.BEFORE_INTENT, Point.INTENT_COMMITTED])
async def test_a_stopping_dialer_gives_back_what_waits_for_its_slot(
    db: Database, org: OrgId, carrier: LedgerCarrier, reached: Point
) -> None:
    campaign = await running_campaign(db, org, 3, calls_per_second=4.0)
    slow = Times(lease=60, request=1, grace=1, look_again=60)
    async with dialing(db, carrier, times=slow) as dialer:

        def stop(point: Point) -> None:
            if point is reached:
                dialer.stopping.set()

        dialer.failpoint = stop
        await asyncio.wait_for(dialer.stopping.wait(), 20)
    progress = await load_progress(db, org, campaign.id)
    assert progress.attempts["claimed"] == progress.attempts["dialing"] == 0
    assert progress.contacts["waiting"] + progress.contacts["in_flight"] == 3
    assert progress.contacts["in_flight"] == len(read_ledger(carrier.path))


async def test_a_dial_that_the_carrier_puts_off_is_due_again_and_does_not_count(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    def refuse() -> None:
        raise DialRefused("Too many requests.", retryable=True)

    campaign = await running_campaign(db, org, 1)
    carrier.before_dial = refuse
    async with dialing(db, carrier):
        await attempt_is(db, campaign, "released")
        waiting = await contact(db, campaign)
        assert (waiting["status"], waiting["attempts_made"]) == ("waiting", 0)
        assert waiting["due_at"] > waiting["created_at"] + timedelta(seconds=4)  # type: ignore[operator]
        carrier.before_dial = lambda: None
        await finish(db, campaign, Webhooks(db, carrier), hurry=True)
    assert numbers(carrier) == Counter({"+12025550110": 1})


@pytest.mark.parametrize(
    ("sip_code", "outcomes", "disposition", "listed"),
    [
        (607, {}, "refused", ["carrier"]),
        (608, {}, "carrier-blocked", []),
        (608, {"carrier_replies": {"blocked": "do-not-call"}}, "refused", ["carrier"]),
        (603, {}, "refused", []),
    ],
)
async def test_a_reply_that_refuses_is_an_outcome_or_an_entry_of_the_list_as_the_campaign_says(
    db: Database,
    org: OrgId,
    carrier: LedgerCarrier,
    sip_code: int,
    outcomes: dict[str, Any],
    disposition: str,
    listed: list[str],
) -> None:
    campaign = await running_campaign(db, org, 1)
    async with db.system() as connection:
        await connection.execute("update campaigns set outcomes = $2 where id = $1", campaign.id, outcomes)
    async with dialing(db, carrier):
        await attempt_is(db, campaign, "placed")
        dialed = read_ledger(carrier.path)[0]
        news = CarrierNews(CarrierName.TWILIO, dialed.sid, "failed", sip_code)
        await take_news(db, CallId(UUID(dialed.call_id)), news)
        await finish(db, campaign)
    assert (await contact(db, campaign))["disposition"] == disposition
    assert await column(db, "select source from do_not_call") == listed


async def test_the_do_not_call_list_is_read_at_the_last_moment(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await running_campaign(db, org, 2)
    async with db.system() as connection:
        await connection.execute(
            "insert into do_not_call (id, org_id, phone) values ($1, $2, '+12025550110')", new_id(), org
        )
    async with dialing(db, carrier):
        await finish(db, campaign, Webhooks(db, carrier))
    assert numbers(carrier) == Counter({"+12025550111": 1})
    progress = await load_progress(db, org, campaign.id)
    assert (progress.contacts["blocked"], progress.dispositions) == (1, {"do-not-call": 1, "reached": 1})


async def test_what_the_conversation_noted_becomes_disposition_list_and_results(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await running_campaign(db, org, 1)
    async with dialing(db, carrier):
        await attempt_is(db, campaign, "placed")
        call_id = CallId(UUID(read_ledger(carrier.path)[0].call_id))
        await mark_answered(db, call_id)
        await leave_hint(db, call_id, {"disposition": "do-not-call", "details": {"why": "=angry"}})
        await end_call(db, call_id, End(EndResult.COMPLETED, EndReason.CALLEE_HUNG_UP, AtFault.NOBODY))
        await finish(db, campaign)
    assert await column(db, "select phone from do_not_call") == ["+12025550110"]
    text = "".join([page async for page in stream_report(db, org, campaign.id)])
    header, row = text.splitlines()
    assert header == ",".join((*COLUMNS, "details.why", "other_details"))
    assert row.startswith("2,+12025550110,Contact 0,1,do-not-call,completed,callee_hung_up,20")
    assert f'{call_id},"{{""why"": ""=angry""}}"' in row
    assert row.endswith(",'=angry,")


async def test_the_agent_is_told_the_contacts_name_and_columns(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await running_campaign(db, org, 1)
    async with dialing(db, carrier):
        await attempt_is(db, campaign, "placed")
    assert await column(db, "select variables from calls") == [{"name": "Contact 0"}]


async def test_a_hint_that_comes_just_after_the_hang_up_still_counts(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await running_campaign(db, org, 1)
    async with dialing(db, carrier, times=Times()):
        await attempt_is(db, campaign, "placed")
        call_id = CallId(UUID(read_ledger(carrier.path)[0].call_id))
        await mark_answered(db, call_id)
        await end_call(db, call_id, End(EndResult.COMPLETED, EndReason.CALLEE_HUNG_UP, AtFault.NOBODY))
        await asyncio.sleep(0.6)  # two ticks in which it might be settled
        await leave_hint(db, call_id, {"disposition": "do_not_call"})
        await finish(db, campaign)
    assert (await contact(db, campaign))["disposition"] == "do-not-call"
