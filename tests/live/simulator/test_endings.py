"""How calls end, and what the application is told."""

import asyncio

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from telephony.simulator.exchange import Exchange
from tests.live.simulator.application import Application
from tests.live.simulator.carrier import dial, ended, until


@pytest.mark.parametrize(
    ("to", "status", "sip_code", "told"),
    [
        ("+12025550150", "busy", 486, ["initiated", "ringing", "busy"]),
        ("+12025550160", "no-answer", 487, ["initiated", "ringing", "no-answer"]),
        ("+12025550170", "busy", 603, ["initiated", "ringing", "busy"]),
        ("+12025550175", "failed", 404, ["initiated", "failed"]),
    ],
)
async def test_personas_that_do_not_pick_up_end_the_call_with_their_status(
    exchange: Exchange, twilio: Client, application: Application, to: str, status: str, sip_code: int, told: list[str]
) -> None:
    sid = await dial(twilio, to, timeout=2)
    record = await ended(exchange, sid)
    assert (record.status, record.sip_code) == (status, sip_code)
    assert application.words(sid) == told
    last = application.statuses[-1]
    assert last["SipResponseCode"] == str(sip_code)
    assert [params["SequenceNumber"] for params in application.statuses] == [str(n) for n in range(len(told))]
    assert last["CallbackSource"] == "call-progress-events"
    assert not application.hooks
    fetched = await asyncio.to_thread(twilio.calls(sid).fetch)
    assert (fetched.status, fetched.direction, fetched.to, fetched.duration) == (status, "outbound-api", to, "0")


async def test_a_callee_that_hangs_up_early_completes_the_call(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    application.twiml = "<Response><Pause length='30'/></Response>"
    sid = await dial(twilio, "+12025550190")
    record = await ended(exchange, sid)
    assert (record.status, record.ended_by) == ("completed", "persona")
    assert application.words(sid) == ["initiated", "ringing", "in-progress", "completed"]
    assert application.hooks[0]["CallStatus"] == "in-progress"
    assert application.statuses[-1]["CallDuration"] in ("1", "2")


async def test_a_ringing_call_is_canceled_and_a_talking_one_completed_by_the_api(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    application.twiml = "<Response><Pause length='30'/></Response>"
    ringing = await dial(twilio, "+12025550160")
    talking = await dial(twilio, "+12025550198")
    await until(lambda: exchange.calls[ringing].status == "ringing")
    await until(lambda: exchange.calls[talking].status == "in-progress")
    await asyncio.to_thread(twilio.calls(ringing).update, status="completed")
    await asyncio.to_thread(twilio.calls(talking).update, status="canceled")
    assert (await ended(exchange, ringing)).status == "canceled"
    assert exchange.calls[talking].status == "in-progress"
    await asyncio.to_thread(twilio.calls(talking).update, status="completed")
    assert (await ended(exchange, talking)).status == "completed"
    with pytest.raises(TwilioRestException) as over:
        await asyncio.to_thread(twilio.calls(talking).update, status="completed")
    assert over.value.code == 21220


async def test_a_live_call_is_redirected_to_new_twiml(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    application.twiml = "<Response><Pause length='30'/></Response>"
    sid = await dial(twilio, "+12025550198")
    await until(lambda: len(application.hooks) == 1)
    await asyncio.to_thread(twilio.calls(sid).update, twiml="<Response><Say>Goodbye now.</Say></Response>")
    record = await ended(exchange, sid)
    assert (record.status, record.ended_by) == ("completed", "twiml")
    assert record.report["heard"]


async def test_the_time_limit_ends_a_call(exchange: Exchange, twilio: Client, application: Application) -> None:
    application.twiml = "<Response><Pause length='30'/></Response>"
    sid = await dial(twilio, "+12025550198", time_limit=1)
    assert (await ended(exchange, sid)).ended_by == "time_limit"


@pytest.mark.parametrize(
    ("twiml", "status", "error_code"),
    [
        ("<Response><Dial>+12025550111</Dial></Response>", 200, 12200),
        ("this is not XML", 200, 12100),
        ("<!DOCTYPE r [<!ENTITY a 'b'>]><Response><Say>&a;</Say></Response>", 200, 12100),
        ("<Response/>", 500, 11200),
    ],
)
async def test_bad_instructions_are_an_application_error_that_the_callee_hears(
    exchange: Exchange, twilio: Client, application: Application, twiml: str, status: int, error_code: int
) -> None:
    application.twiml, application.answer_status = twiml, status
    sid = await dial(twilio, "+12025550198")
    await until(lambda: exchange.live[sid].line.ear.stretches)
    exchange.live[sid].hang_up("control")
    record = await ended(exchange, sid)
    errors = [r for r in exchange.journal.read(limit=10_000) if r["kind"] == "call.application_error"]
    assert [error["error_code"] for error in errors] == [error_code]
    assert record.status == "completed"
    assert record.report["heard"]


async def test_a_failed_status_callback_is_sent_once_more(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    application.status_failures = 1
    sid = await dial(twilio, "+12025550175", status_callback_event=["completed"])
    await ended(exchange, sid)
    assert application.words(sid) == ["failed"]
    answers = [r["status"] for r in exchange.journal.read(limit=10_000) if r["kind"] == "webhook.answered"]
    assert answers == [503, 204]


async def test_an_application_that_is_down_costs_the_call_nothing_but_its_words(
    exchange: Exchange, twilio: Client
) -> None:
    sid = await dial(twilio, "+12025550150")
    assert (await ended(exchange, sid)).status == "busy"
    failed = [r for r in exchange.journal.read(limit=10_000) if r["kind"] == "webhook.answered"]
    assert {record["error"] for record in failed} == {"ClientConnectorError"}
