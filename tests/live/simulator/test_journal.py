"""Faults, limits, the journal and restarts."""

import asyncio
import json
import signal

import httpx
import numpy as np
import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from app.settings import Settings
from telephony.simulator.exchange import Exchange
from tests.live.simulator.application import Application
from tests.live.simulator.carrier import ACCOUNT_SID, APP, AUTH_TOKEN, OURS, RedirectedHttp, dial, ended, start_process


async def test_a_lost_response_dials_once_and_leaves_the_client_without_an_answer(
    exchange: Exchange, twilio: Client, control: httpx.AsyncClient
) -> None:
    await control.post("/faults", json={"kind": "lose_response"})
    with pytest.raises(requests.exceptions.ConnectionError):
        await dial(twilio, "+12025550150")
    (sid,) = exchange.calls
    assert (await ended(exchange, sid)).status == "busy"
    requests_noted = [r for r in exchange.journal.read(limit=10_000) if r["kind"] == "rest.request"]
    assert [(r["call_sid"], r["status"]) for r in requests_noted] == [(sid, None)]
    second = await dial(twilio, "+12025550150")
    assert list(exchange.calls) == [sid, second]


@pytest.mark.parametrize(("kind", "status"), [("status_429", 429), ("status_500", 500)])
async def test_an_ordered_refusal_dials_nothing(
    exchange: Exchange, twilio: Client, control: httpx.AsyncClient, kind: str, status: int
) -> None:
    await control.post("/faults", json={"kind": kind, "count": 2})
    for _ in range(2):
        with pytest.raises(TwilioRestException) as refused:
            await dial(twilio, "+12025550150")
        assert refused.value.status == status
    assert not exchange.calls
    await dial(twilio, "+12025550150")


async def test_a_delayed_answer_outlasts_the_client_while_the_call_runs(
    exchange: Exchange, control: httpx.AsyncClient
) -> None:
    await control.post("/faults", json={"kind": "delay", "seconds": 2})
    hasty = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=RedirectedHttp(pool_connections=False, timeout=0.5))
    with pytest.raises(requests.exceptions.ReadTimeout):
        await dial(hasty, "+12025550150")
    assert len(exchange.calls) == 1


async def test_calls_beyond_the_limit_wait_in_the_queue(
    exchange: Exchange, twilio: Client, control: httpx.AsyncClient
) -> None:
    await control.put("/limits", json={"calls_per_second": 2})
    sids = [await dial(twilio, "+12025550150") for _ in range(4)]
    for sid in sids:
        await ended(exchange, sid)
    starts = [exchange.calls[sid].started_at.timestamp() for sid in sids]  # type: ignore[union-attr]
    gaps = np.diff(starts)
    assert min(gaps) > 0.4


async def test_the_journal_tells_the_whole_story_in_order(
    exchange: Exchange, twilio: Client, application: Application, control: httpx.AsyncClient
) -> None:
    sid = await dial(twilio, "+12025550190")
    await ended(exchange, sid)
    shown = (await control.get("/journal", params={"after": 1})).json()
    records = shown["data"]
    assert [record["seq"] for record in records] == list(range(2, shown["seq"] + 1))
    states = [r["status"] for r in records if r["kind"] == "call.state" and r["call_sid"] == sid]
    assert states == ["initiated", "ringing", "in-progress", "completed"]
    request = next(r for r in records if r["kind"] == "rest.request")
    assert (request["method"], request["status"], request["call_sid"]) == ("POST", 201, sid)
    assert ["To", "+12025550190"] in request["params"]
    created = next(r for r in records if r["kind"] == "call.created")
    assert created["seq"] < request["seq"]


async def test_after_kill_9_the_open_calls_are_listed_as_failed_and_the_journal_goes_on(
    settings: Settings, twilio: Client, control: httpx.AsyncClient
) -> None:
    process = await start_process(settings)
    await asyncio.to_thread(twilio.incoming_phone_numbers.create, phone_number=OURS, voice_url=f"{APP}/voice")
    sid = await dial(twilio, "+12025550160", status_callback="")
    process.send_signal(signal.SIGKILL)
    await process.wait()
    journal = settings.home / "simulator" / "journal.jsonl"
    before = [json.loads(line) for line in journal.read_text().splitlines()]
    assert any(record["kind"] == "rest.request" and record["call_sid"] == sid for record in before)

    process = await start_process(settings)
    call = await asyncio.to_thread(twilio.calls(sid).fetch)
    (number,) = await asyncio.to_thread(twilio.incoming_phone_numbers.list)
    after = (await control.get("/journal", params={"after": len(before)})).json()["data"]
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(5):
        assert await process.wait() == 0
    assert call.status == "failed"
    assert (number.phone_number, number.voice_url) == (OURS, f"{APP}/voice")
    assert after[0]["seq"] == len(before) + 1
    assert (after[0]["kind"], after[0]["ended_by"], after[0]["call_sid"]) == ("call.state", "restart", sid)
