"""Signaling only: every webhook of a call, none of its sound, in a fraction of its time."""

import asyncio
import time
from collections import Counter

import httpx
from twilio.rest import Client

from app.settings import Settings
from telephony.simulator.exchange import Exchange
from tests.live.simulator.application import Application
from tests.live.simulator.carrier import dial, ended, inline, kinds, simulator_at, until

FAST = {"signaling_only": True, "time_scale": 100}


async def test_a_call_of_a_minute_is_over_in_a_second_and_says_that_it_took_a_minute(
    exchange: Exchange, twilio: Client, application: Application, control: httpx.AsyncClient
) -> None:
    await control.put("/mode", json=FAST)
    inline(exchange, kind="answers", rings_seconds=10, talks_between=[60, 60])
    application.connect_stream()
    began = time.monotonic()
    sid = await dial(twilio, "+12025550199")
    record = await ended(exchange, sid)
    assert time.monotonic() - began < 3
    assert application.words(sid) == ["initiated", "ringing", "in-progress", "completed"]
    assert len(application.hooks) == 1
    assert not application.streams
    assert 59 <= record.duration_seconds <= 75
    assert application.statuses[-1]["CallDuration"] == str(record.duration_seconds)
    assert kinds(exchange, sid)[0] == "call.created"
    assert (await control.get(f"/calls/{sid}/heard.wav")).status_code == 404


async def test_the_application_hangs_up_fast_calls_too(
    exchange: Exchange, twilio: Client, application: Application, control: httpx.AsyncClient
) -> None:
    await control.put("/mode", json=FAST)
    inline(exchange, kind="answers", talks_between=[600, 600], max_seconds=600)
    application.twiml = "<Response><Say>Thank you, goodbye.</Say><Hangup/></Response>"
    sid = await dial(twilio, "+12025550199")
    assert (await ended(exchange, sid)).ended_by == "twiml"
    application.connect_stream()
    sid = await dial(twilio, "+12025550199")
    await until(lambda: exchange.calls[sid].status == "in-progress")
    await asyncio.to_thread(twilio.calls(sid).update, status="completed")
    assert (await ended(exchange, sid)).ended_by == "api"


async def test_a_crowd_repeats_itself_with_the_same_seed(settings: Settings, twilio: Client) -> None:
    async def crowd(seed: int) -> Counter[tuple[str, str]]:
        async with simulator_at(settings) as exchange:
            exchange.set_mode(exchange.mode.model_copy(update={**FAST, "time_scale": 1000.0, "seed": seed}))
            exchange.calls = type(exchange.calls)()
            if exchange.numbers.find("+12025550101") is None:
                exchange.numbers.buy("+12025550101", {})
            for n in range(90, 100):
                for _ in range(2):
                    await dial(twilio, f"+4420794609{n}", status_callback="")
            await until(lambda: not exchange.live)
            return Counter((record.to, record.persona) for record in exchange.calls.values())

    first = await crowd(7)
    assert len({persona for _, persona in first}) > 1
    assert await crowd(7) == first
    assert await crowd(8) != first


async def test_the_mode_outlives_a_restart(settings: Settings, twilio: Client) -> None:
    async with simulator_at(settings) as exchange:
        exchange.set_mode(exchange.mode.model_copy(update=FAST))
    async with simulator_at(settings) as exchange:
        assert exchange.mode.signaling_only
        assert exchange.mode.time_scale == 100
