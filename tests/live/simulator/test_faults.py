"""Faults of webhooks, of the carrier's list and of media streams."""

import asyncio
import json

import httpx
import pytest
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

from telephony.simulator.exchange import Exchange
from tests.live.simulator.application import Application
from tests.live.simulator.carrier import dial, ended, kinds, until

BUSY = "+12025550150"
WHOLE = ["initiated", "ringing", "busy"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            {"kind": "webhook_duplicate", "count": None},
            ["initiated", "initiated", "ringing", "ringing", "busy", "busy"],
        ),
        ({"kind": "webhook_missing", "event": "completed"}, ["initiated", "ringing"]),
        ({"kind": "webhook_out_of_order", "event": "ringing"}, ["initiated", "busy", "ringing"]),
        ({"kind": "webhook_out_of_order", "event": "completed"}, WHOLE),
        ({"kind": "webhook_late", "event": "initiated", "seconds": 2}, ["ringing", "busy", "initiated"]),
        ({"kind": "webhook_missing", "to": "+44"}, WHOLE),
    ],
)
async def test_status_callbacks_come_twice_late_out_of_order_or_not_at_all(
    exchange: Exchange,
    twilio: Client,
    application: Application,
    control: httpx.AsyncClient,
    fault: dict[str, object],
    words: list[str],
) -> None:
    assert (await control.post("/faults", json=fault)).status_code == 201
    sid = await dial(twilio, BUSY)
    await ended(exchange, sid)
    assert application.words(sid) == words
    if words != WHOLE:
        assert "fault.met" in kinds(exchange, sid)


@pytest.mark.parametrize("kind", ["accept_then_500", "status_503"])
async def test_an_answer_of_5xx_says_nothing_about_whether_the_call_exists(
    exchange: Exchange, twilio: Client, control: httpx.AsyncClient, kind: str
) -> None:
    await control.post("/faults", json={"kind": kind})
    with pytest.raises(TwilioRestException) as failed:
        await dial(twilio, BUSY)
    assert failed.value.status in (500, 503)
    assert len(exchange.calls) == (kind == "accept_then_500")


async def test_the_list_of_calls_may_fail_too(exchange: Exchange, twilio: Client, control: httpx.AsyncClient) -> None:
    await control.post("/faults", json={"kind": "list_500"})
    with pytest.raises(TwilioException, match="HTTP 500"):
        await asyncio.to_thread(twilio.calls.list)
    assert await asyncio.to_thread(twilio.calls.list) == []


async def test_a_media_stream_that_is_cut_closes_without_a_word_and_the_next_verb_runs(
    exchange: Exchange, twilio: Client, application: Application, control: httpx.AsyncClient
) -> None:
    await control.post("/faults", json={"kind": "cut_media", "seconds": 0.5})
    application.connect_stream()
    application.twiml = application.twiml.replace("</Response>", "<Say>Nobody is here.</Say></Response>")
    sid = await dial(twilio, "+12025550198")
    await until(lambda: application.streams and application.streams[0].closed)
    assert not application.streams[0].of("stop")
    record = await ended(exchange, sid)
    assert record.report["heard"]
    stopped = [r for r in exchange.journal.read(limit=10_000) if r["kind"] == "media.stopped"]
    assert [one["by"] for one in stopped] == ["fault"]


async def test_orders_are_listed_journaled_and_taken_back(exchange: Exchange, control: httpx.AsyncClient) -> None:
    await control.post("/faults", json={"kind": "webhook_late", "count": None, "rate": 0.5, "seconds": 1})
    (shown,) = (await control.get("/faults")).json()["data"]
    assert (shown["kind"], shown["rate"], shown["left"]) == ("webhook_late", 0.5, None)
    refused = await control.post("/faults", json={"kind": "webhook_late", "event": "sometimes"})
    assert refused.status_code == 422
    await control.delete("/faults")
    assert (await control.get("/faults")).json() == {"data": []}
    noted = [json.dumps(r) for r in exchange.journal.read(limit=100) if r["kind"].startswith("fault")]
    assert len(noted) == 2
