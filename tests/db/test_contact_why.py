"""When a contact may be called next: every wait at once, in hours, before the deadline."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.db import Database
from app.ids import CampaignId, OrgId, new_id
from campaigns.dialing import claim_store
from campaigns.dialing.attempts import Times
from campaigns.dialing.claiming import claim_due
from campaigns.dialing.intents import commit_intents
from campaigns.gates.gates import Candidate, Gate, Verdict
from campaigns.gates.why import Why, why
from telephony.toll_gate import store as toll_store
from tests.db.campaign_world import add_team, column, running_campaign
from tests.db.gate_world import NOON, add_campaign, add_contact, dialed

pytestmark = pytest.mark.db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SATURDAY_EIGHT = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
"""The next opening in New York after NOON, which is Friday, has closed."""


async def ask(db: Database, one: Candidate, now: datetime = NOON) -> Why:
    async with db.system() as connection:
        return await why(connection, one.org_id, one.contact_id, now=now)


async def test_a_cap_that_ends_at_night_waits_for_the_morning(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org, caps={"contact": {"per_day": 1}}), due_at=NOON)
    await dialed(db, one, 10 * HOUR)  # 02:00 in New York, so room is made at 02:00 of Saturday
    told = await ask(db, one)
    [caps] = [verdict for verdict in told.verdicts if verdict.gate is Gate.CAPS]
    assert caps.next_at == NOON + 14 * HOUR
    assert told.next_at == SATURDAY_EIGHT


async def test_a_contact_that_is_due_later_waits_for_the_hours_of_that_day(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org), due_at=NOON + 12 * HOUR)
    assert (await ask(db, one)).next_at == SATURDAY_EIGHT


async def test_what_opens_only_after_the_deadline_never_opens(db: Database, org: OrgId) -> None:
    campaign = await add_campaign(db, org, deadline_at=SATURDAY_EIGHT)
    one = await add_contact(db, org, campaign, due_at=NOON + 12 * HOUR)
    assert (await ask(db, one)).next_at is None


@pytest.mark.parametrize("status", ["draft", "paused", "finished"])
async def test_a_campaign_that_does_not_run_calls_nobody_before_somebody_starts_it(
    db: Database, org: OrgId, status: str
) -> None:
    one = await add_contact(db, org, await add_campaign(db, org, status=status))
    told = await ask(db, one)
    assert told.next_at is None
    assert told.summary.startswith("not called, campaign: ")


async def test_the_next_number_is_the_one_that_is_asked_about(db: Database, org: OrgId) -> None:
    phones = ["+12025550110", "+13105550110"]
    one = await add_contact(db, org, await add_campaign(db, org), phones=phones, phone_index=1)
    told = await ask(db, one)
    assert told.contact.next_phone == phones[1]
    [hours] = [verdict for verdict in told.verdicts if verdict.gate is Gate.CALLING_HOURS]
    assert hours.source == "zone America/Los_Angeles of the number, US-CA"


async def test_asking_why_holds_nobody_up(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org, caps={"number": {"per_day": 1}}), due_at=NOON)
    async with db.system() as connection:
        await why(connection, org, one.contact_id, now=NOON)
        assert (await ask(db, one)).next_at == NOON
        locks = await connection.fetchval("select count(*) from pg_locks where locktype = 'advisory'")
    assert locks == 0


async def put_off(db: Database, one: Candidate, detail: str, by: Gate | None = None) -> None:
    """The last try was released with this reason, by this gate, and the contact is due again an hour after NOON."""
    async with db.system() as connection:
        await connection.execute(
            """
            insert into attempts (id, org_id, campaign_id, contact_id, ordinal, status, dialer, fence, lease_until,
                                  detail, put_off_by)
            values ($1, $2, $3, $4, 1, 'released', 'test', 1, now(), $5, $6)
            """,
            new_id(),
            one.org_id,
            one.campaign_id,
            one.contact_id,
            detail,
            by,
        )
        await connection.execute("update contacts set due_at = $2 where id = $1", one.contact_id, NOON + HOUR)


@pytest.mark.parametrize("answer", ["no usable answer; asked again in a minute", "whatever their words are"])
async def test_what_a_veto_put_off_is_no_open_gate(db: Database, org: OrgId, answer: str) -> None:
    campaign = await add_campaign(db, org, suppression={"url": "https://crm.example.com/veto"})
    one = await add_contact(db, org, campaign, due_at=NOON)
    assert (await ask(db, one)).summary == "called as soon as a line is free"
    await put_off(db, one, answer, Gate.SUPPRESSION)
    told = await ask(db, one)
    assert (told.summary, told.next_at) == (f"not called, suppression: {answer}", NOON + HOUR)
    [veto] = [verdict for verdict in told.verdicts if verdict.gate is Gate.SUPPRESSION]
    assert (veto.passed, veto.next_at) == (False, NOON + HOUR)
    assert (await ask(db, one, NOON + HOUR)).summary == "called as soon as a line is free"


async def test_words_like_a_vetos_are_none_where_no_veto_put_it_off(db: Database, org: OrgId) -> None:
    campaign = await add_campaign(db, org, suppression={"url": "https://crm.example.com/veto"})
    one = await add_contact(db, org, campaign, due_at=NOON)
    await put_off(db, one, "vetoed: by the carrier")
    last = "its last try was not dialed (vetoed: by the carrier)"
    assert (await ask(db, one)).summary == f"every gate is open; due later: {last}"


async def test_the_gate_that_puts_an_intent_off_is_kept_with_it_and_told(db: Database, org: OrgId) -> None:
    await add_team(db, org)
    campaign = await running_campaign(db, org, 1)
    url = "https://crm.example.com/veto"
    async with db.system() as connection:
        await connection.execute("update campaigns set suppression = $1", {"url": url})
    [[claim]] = await claim_due(db, org, dialer="one", times=Times())
    later = datetime.now(UTC) + HOUR
    veto = Verdict(Gate.SUPPRESSION, False, "ask the family first", url, later)
    assert not (await commit_intents(db, [claim], lead_seconds=0.1, vetoes={claim.contact_id: veto})).departures
    assert await column(db, "select put_off_by from attempts where campaign_id = $1", campaign.id) == ["suppression"]
    async with db.system() as connection:
        told = await why(connection, org, claim.contact_id, now=datetime.now(UTC))
    assert (told.summary, told.next_at) == ("not called, suppression: ask the family first", later)


async def test_a_try_that_reached_no_carrier_is_told_as_what_it_was(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org))
    await put_off(db, one, "Twilio refused to dial (HTTP 429, error 20429).")
    last = "its last try was not dialed (Twilio refused to dial (HTTP 429, error 20429))"
    assert (await ask(db, one)).summary == f"every gate is open; due later: {last}"


async def test_after_a_call_it_is_due_as_that_left_it(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org), due_at=NOON + HOUR)
    await dialed(db, one, HOUR)
    assert (await ask(db, one)).summary == "every gate is open; due later, as its last call left it"


async def test_a_contact_that_was_never_tried_is_not_said_to_have_had_a_call(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org), due_at=NOON + HOUR)
    assert (await ask(db, one)).summary == "every gate is open; due later"
    wish = await add_contact(
        db, org, one.campaign_id, "+12025550111", due_at=NOON + HOUR, callback_at=NOON + HOUR, attempts_made=1
    )
    assert (await ask(db, wish)).summary == "every gate is open; due later, when they asked to be called again"


async def test_where_people_take_the_calls_it_waits_for_one_who_is_idle(db: Database, org: OrgId) -> None:
    campaign = await add_campaign(db, org, mode="predictive")
    one = await add_contact(db, org, campaign, due_at=NOON)
    assert (await ask(db, one)).summary == "called as soon as an operator is idle; none is"
    async with db.system() as connection:
        await connection.execute(
            "insert into operators (id, org_id, name, state, beat_at) values ($1, $2, 'Ben', 'available', now())",
            new_id(),
            org,
        )
    assert (await ask(db, one)).summary == "called as soon as an operator and a line are free"


async def on_canary(db: Database, org: OrgId, contacts: int, **rule: float) -> CampaignId:
    """A running campaign that dials so many first, since long ago."""
    canary = {"contacts": contacts, "least_answer_rate": 0, **rule}
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    return await add_campaign(db, org, canary=canary, canary_status="dialing", resumed_at=long_ago)


async def dial_for_canary(db: Database, campaign: CampaignId, count: int, *, status: str) -> None:
    for n in range(count):
        one = await add_contact(db, await org_of(db, campaign), campaign, f"+1202555012{n}", status="finished")
        await dialed(db, one, HOUR, status=status)


async def org_of(db: Database, campaign: CampaignId) -> OrgId:
    async with db.system() as connection:
        return OrgId(await connection.fetchval("select org_id from campaigns where id = $1", campaign))


async def test_who_is_not_among_the_first_waits_for_the_canary_s_verdict(db: Database, org: OrgId) -> None:
    campaign = await on_canary(db, org, 2)
    one = await add_contact(db, org, campaign, due_at=NOON)
    assert (await ask(db, one)).summary == "called as soon as a line is free"
    await dial_for_canary(db, campaign, 2, status="placed")
    waits = "waits for the verdict of the campaign's canary: "
    assert (await ask(db, one)).summary == f"{waits}0 of 2 first calls are over"
    async with db.system() as connection:
        [room] = await claim_store.select_rooms(connection, org)
        assert room["canary_left"] == 0  # the dialer says the same
        await connection.execute("update attempts set status = 'settled', settled_at = now()")
    assert (await ask(db, one)).summary == f"{waits}all of them are over"
    later = await add_contact(db, org, campaign, "+12025550119", due_at=NOON + HOUR)
    assert (await ask(db, later)).summary == "every gate is open; due later"
    async with db.system() as connection:
        await connection.execute("update campaigns set canary_status = 'passed'")
    assert (await ask(db, one)).summary == "called as soon as a line is free"


async def test_what_stops_the_campaign_or_the_contact_is_told_before_the_canary(db: Database, org: OrgId) -> None:
    campaign = await on_canary(db, org, 1)
    one = await add_contact(db, org, campaign, due_at=NOON)
    await dial_for_canary(db, campaign, 1, status="placed")
    assert "canary" in (await ask(db, one)).summary
    night = NOON + 14 * HOUR
    assert (await ask(db, one, night)).summary.startswith("not called, calling-hours: ")
    async with db.system() as connection:
        await connection.execute("update campaigns set status = 'paused'")
    assert (await ask(db, one)).summary == "not called, campaign: the campaign is paused"


async def set_rules(db: Database, org: OrgId, **rules: Any) -> None:
    async with db.system() as connection:
        await toll_store.insert_rules(connection, org, rules, set_by=None)


async def count_dials(db: Database, org: OrgId, at: datetime, count: int) -> None:
    """So many of all calls, in the minute's bucket of that instant."""
    async with db.system() as connection:
        bucket = at.replace(microsecond=0)
        await connection.execute("insert into dial_counts values ($1, '60', $2, $3)", org, bucket, count)


async def test_the_limit_of_a_minute_is_told_with_when_it_has_room(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org), due_at=NOON)
    await set_rules(db, org, calls={"per_minute": 3})
    await count_dials(db, org, NOON - timedelta(seconds=30), 2)
    told = await ask(db, one)
    assert (told.summary, told.next_at) == ("called as soon as a line is free", NOON)
    await count_dials(db, org, NOON - timedelta(seconds=20), 1)
    told = await ask(db, one)
    assert told.summary == "not called, toll-gate: At most 3 calls in 60 seconds"
    assert told.next_at == NOON + timedelta(seconds=31)
    [gate] = [verdict for verdict in told.verdicts if verdict.gate is Gate.TOLL_GATE]
    assert (gate.passed, gate.source, gate.next_at) == (False, "dialing rules", told.next_at)
    # It has room again before this one is due.
    later = await add_contact(db, org, one.campaign_id, "+12025550111", due_at=NOON + HOUR)
    assert (await ask(db, later)).summary == "every gate is open; due later"
    async with db.system() as connection:
        assert await connection.fetchval("select sum(dials) from dial_counts") == 3, "asking counts as no dial"


async def test_a_gate_that_is_shut_is_told_before_the_limit_that_is_asked_last(db: Database, org: OrgId) -> None:
    night = NOON + 14 * HOUR
    one = await add_contact(db, org, await add_campaign(db, org), due_at=NOON)
    await set_rules(db, org, calls={"per_minute": 1})
    await count_dials(db, org, night, 1)
    assert (await ask(db, one, night)).summary.startswith("not called, calling-hours: ")


async def test_a_spend_cap_that_is_reached_holds_it_back_until_tomorrow_s_hours(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org), due_at=NOON)
    spend = {"currency": "USD", "per_day_minor": 6, "rates": [{"prefix": "+1", "per_1000_minutes_minor": 1000}]}
    await set_rules(db, org, spend=spend)
    assert (await ask(db, one)).summary == "called as soon as a line is free"
    async with db.system() as connection:
        await connection.execute("insert into dial_spend values ($1, $2, 'USD', 4000)", org, NOON.date())
    told = await ask(db, one)
    assert told.summary == "not called, toll-gate: The spend cap of the day is reached: 6 minor units of USD"
    # The cap of the UTC day ends at 19:00 in New York, which is open still.
    assert told.next_at == NOON + 7 * HOUR
