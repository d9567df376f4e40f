"""Who says in a call that they want no more calls gets none from then on, whichever way the call came about."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from agents.team.parse import parse_team
from app.db import Database
from app.ids import E164, CallId, OrgId, new_id
from campaigns.campaigns import Campaign
from campaigns.do_not_call.entries import add_entry
from telephony import outbound_store, store
from telephony.calls import AtFault, Call, End, EndReason, EndResult, end_call, load_call, mark_answered
from telephony.carriers.base import CarrierName
from telephony.hints import leave_hint
from telephony.inbound import Arrival, answer_inbound
from telephony.outbound import DialRequest, prepare_call
from tests.db.campaign_carrier import LedgerCarrier, read_ledger
from tests.db.campaign_world import (
    CALLER_ID,
    Webhooks,
    attempt_is,
    column,
    contact,
    dialing,
    finish,
    numbers,
    running_campaign,
)
from tests.db.world import make_number
from tests.unit.conversations import talk_to

pytestmark = pytest.mark.db

OURS, THEIRS = E164("+12025550100"), E164("+12025550123")
ENOUGH = {"disposition": "do_not_call"}
LISTED = "select phone || ' ' || source || ' ' || reason from do_not_call where campaign_id is null order by phone"
BLOCKED = "select data ->> 'gate' from campaign_events where kind = 'contact.blocked'"
OVER = End(EndResult.COMPLETED, EndReason.CALLEE_HUNG_UP, AtFault.NOBODY)


async def inbound(db: Database, org: OrgId, caller: str = THEIRS) -> Call:
    await make_number(db, org, OURS)
    return await answer_inbound(db, Arrival(CarrierName.SIP, "SCL_1", None, OURS, caller))


async def dialed(db: Database, org: OrgId) -> Call:
    """As the api does."""
    number = await make_number(db, org, OURS, carrier=CarrierName.TWILIO)
    version = (await column(db, "select id from team_versions"))[0]
    async with db.system() as connection:
        request = DialRequest(org, THEIRS, version, number.id)  # type: ignore[arg-type]
        return await prepare_call(connection, request, now=(await connection.fetchval("select now()")))


@pytest.mark.parametrize("arrange", [inbound, dialed])
async def test_the_number_is_on_the_list_as_soon_as_it_was_said(
    db: Database, org: OrgId, arrange: Callable[[Database, OrgId], Awaitable[Call]]
) -> None:
    call = await arrange(db, org)
    assert await leave_hint(db, call.id, {"disposition": "not_interested"})
    assert await column(db, LISTED) == []
    assert await leave_hint(db, call.id, ENOUGH)
    assert await column(db, LISTED) == [f"{THEIRS} said-in-call said in a call"]
    assert await column(db, "select org_id from do_not_call") == [org]


@pytest.mark.parametrize(
    ("shown", "listed"), [("2025550123", [THEIRS]), ("0012025550123", [THEIRS]), ("anonymous", []), ("", [])]
)
async def test_a_caller_is_listed_as_campaigns_write_them_and_one_without_a_number_is_not(
    db: Database, org: OrgId, shown: str, listed: list[str]
) -> None:
    call = await inbound(db, org, shown)
    assert await leave_hint(db, call.id, ENOUGH)
    assert await column(db, "select phone from do_not_call") == listed
    assert (await load_call(db, call.id)).hint == ENOUGH


async def test_of_a_browser_only_the_note_is_kept(db: Database, org: OrgId) -> None:
    call_id = CallId(new_id())
    async with db.system() as connection:
        await connection.execute(
            """insert into calls (id, org_id, channel, direction, status, room_name)
               values ($1, $2, 'web', 'inbound', 'in-progress', 'call-web')""",
            call_id,
            org,
        )
    assert await leave_hint(db, call_id, ENOUGH)
    assert await column(db, LISTED) == []
    assert (await load_call(db, call_id)).hint == ENOUGH


async def test_note_and_list_are_one_transaction(db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch) -> None:
    call = await inbound(db, org)

    async def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(outbound_store, "insert_do_not_call", fail)
    with pytest.raises(ZeroDivisionError):
        await leave_hint(db, call.id, ENOUGH)
    assert (await load_call(db, call.id)).hint == {}


async def test_nobody_is_talked_out_of_it_and_details_still_add_up(db: Database, org: OrgId) -> None:
    call = await inbound(db, org)
    await leave_hint(db, call.id, {"disposition": "callback", "details": {"day": "Monday"}})
    await leave_hint(db, call.id, ENOUGH)
    assert not await leave_hint(db, call.id, {"disposition": "not_interested"})
    assert not await leave_hint(db, call.id, {"disposition": "callback", "details": {"why": "angry"}})
    assert await leave_hint(db, call.id, {"details": {"day": "none"}})
    assert await leave_hint(db, call.id, ENOUGH)
    assert (await load_call(db, call.id)).hint == ENOUGH | {"details": {"day": "none", "why": "angry"}}
    assert len(await column(db, LISTED)) == 1


async def test_notes_at_the_same_moment_do_not_lose_it(db: Database, org: OrgId) -> None:
    call = await inbound(db, org)
    others = [{"disposition": "reached", "details": {str(n): n}} for n in range(8)]
    await asyncio.gather(*(leave_hint(db, call.id, hint) for hint in (*others[:4], ENOUGH, *others[4:])))
    assert (await load_call(db, call.id)).hint == ENOUGH | {"details": {str(n): n for n in range(8)}}


async def test_an_entry_that_is_there_stays_as_it_is(db: Database, org: OrgId) -> None:
    call = await inbound(db, org)
    async with db.system() as connection:
        await add_entry(connection, org, THEIRS, reason="asked by letter")
    await leave_hint(db, call.id, ENOUGH)
    assert await column(db, LISTED) == [f"{THEIRS} api asked by letter"]


async def test_the_agents_tool_lists_who_says_it(db: Database, org: OrgId) -> None:
    team = parse_team(
        "name: One\nslug: one\nentry: solo\nagents:\n  - name: solo\n    instructions: Help.\n    greeting: Hello.\n"
        "    tools: [record_outcome, schedule_callback]\n    rules:\n"
        "      - {hear: [never], say: Sorry., tool: record_outcome, arguments: {outcome: do_not_call}}\n"
        "      - {hear: [later], say: Fine., tool: schedule_callback, arguments: {when: in two hours}}\n"
    )
    call = await inbound(db, org)
    async with talk_to(team) as talk:
        talk.state.leave_hint = lambda hint: leave_hint(db, call.id, hint)
        await talk.say("Never call me again.")
        assert await column(db, LISTED) == [f"{THEIRS} said-in-call said in a call"]
        told = (await talk.say("Or call me later.")).results["schedule_callback"]
        assert "nobody will call them" in told
    assert (await load_call(db, call.id)).hint["disposition"] == "do_not_call"


# -- with campaigns


async def answered(db: Database, campaign: Campaign, carrier: LedgerCarrier) -> CallId:
    await attempt_is(db, campaign, "placed")
    call_id = CallId(UUID(read_ledger(carrier.path)[0].call_id))
    await mark_answered(db, call_id)
    return call_id


async def give_second_number(db: Database) -> None:
    async with db.system() as connection:
        await connection.execute("update contacts set phones = array[phone, '+12025550199']")


async def test_in_a_campaigns_call_the_line_is_listed_at_once_and_the_contacts_others_when_it_is_settled(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await running_campaign(db, org, 1)
    await give_second_number(db)
    async with dialing(db, carrier):
        call_id = await answered(db, campaign, carrier)
        await leave_hint(db, call_id, ENOUGH)
        said_at = await column(db, "select created_at from do_not_call where phone = '+12025550110'")
        assert await column(db, "select phone from do_not_call") == ["+12025550110"]
        details = {"callback_at": "2099-01-01T12:00:00+00:00", "callback_text": "in two hours"}
        await leave_hint(db, call_id, {"disposition": "callback", "details": details})
        await end_call(db, call_id, OVER)
        await finish(db, campaign)
    assert await column(db, LISTED) == [
        f"{phone} said-in-call said in a call" for phone in ("+12025550110", "+12025550199")
    ]
    assert await column(db, "select created_at from do_not_call where phone = '+12025550110'") == said_at
    person = await contact(db, campaign)
    assert (person["status"], person["disposition"]) == ("finished", "do-not-call")
    assert person["callback_at"] is None
    assert len(numbers(carrier)) == 1
    assert await column(db, BLOCKED) == [], "they were reached, and said so: no gate had to say it"


async def test_a_word_that_the_campaign_maps_lists_them_when_it_is_settled(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await running_campaign(db, org, 1)
    async with db.system() as connection:
        mapping = {"mapping": {"not_interested": "do-not-call"}}
        await connection.execute("update campaigns set outcomes = $2 where id = $1", campaign.id, mapping)
    async with dialing(db, carrier):
        call_id = await answered(db, campaign, carrier)
        await leave_hint(db, call_id, {"disposition": "not_interested"})
        assert await column(db, LISTED) == []
        await end_call(db, call_id, OVER)
        await finish(db, campaign)
    assert await column(db, LISTED) == ["+12025550110 said-in-call said in a call"]


async def test_who_calls_back_and_says_it_is_not_dialed_by_the_campaign_that_runs(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    """They call at the campaign's own caller id, while it waits to try them again."""
    campaign = await running_campaign(db, org, 2)
    async with db.system() as connection:
        number_id = await connection.fetchval("select id from numbers where e164 = $1", CALLER_ID)
        version = await connection.fetchval("select id from team_versions")
        row = await store.insert_call(
            connection,
            call_id=new_id(),
            org_id=org,
            channel="phone",
            direction="inbound",
            status="in-progress",
            room_name="call-back",
            carrier="twilio",
            carrier_call_id="CA-back",
            from_number="+12025550110",
            to_number=CALLER_ID,
            number_id=number_id,
            team_version_id=version,
            attempt_id=None,
            variables={},
        )
    assert row is not None
    await leave_hint(db, row["id"], ENOUGH)
    async with dialing(db, carrier):
        await finish(db, campaign, Webhooks(db, carrier))
    assert set(numbers(carrier)) == {"+12025550111"}
    statuses = await column(db, "select status from contacts where campaign_id = $1 order by phone", campaign.id)
    assert statuses == ["blocked", "finished"]
    assert await column(db, BLOCKED) == ["do-not-call"], "told once"
