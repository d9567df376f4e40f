"""kill -9 of the worker in the middle of a call: the caller is not left in silence, and the row says why."""

import asyncio
import os
import signal
from collections.abc import Iterator

import httpx
import psutil
import pytest

from app.console.demonstration.caller import SpokenCaller, Voice
from app.console.demonstration.stage import may_hold, sounds_like
from telephony.simulator.phone.sip_phone import place_sip_call
from tests.live.harness import Stack, wait_for

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def voice() -> Iterator[Voice]:
    voice = Voice()
    yield voice
    voice.close()


async def test_the_caller_hears_an_apology_within_15_seconds_and_the_call_goes_on(
    stack: Stack, api: httpx.AsyncClient, voice: Voice
) -> None:
    demo, number = stack.demo, "+12025550169"
    async with place_sip_call(demo["sip_host"], demo["sip_port"], demo["sip_number"], caller=number) as call:
        caller = SpokenCaller(call, voice)
        await caller.hear_greeting()
        await caller.ask("What are your opening hours?")
        worker = stack.status()["parts"]["worker"]["pid"]
        killed_at = asyncio.get_running_loop().time()
        for process in (psutil.Process(worker), *psutil.Process(worker).children(recursive=True)):
            os.kill(process.pid, signal.SIGKILL)
        reply = await call.hear_reply(killed_at + 0.3, timeout_seconds=15)
        assert reply.started_at - killed_at <= 15
        apology = await voice.transcribe(call.heard_between(reply.started_at - 0.1, reply.ended_at + 0.1))
        assert sounds_like("Sorry, I lost you for a moment. Could you say that again, please?", apology), apology
        again = await caller.ask("I have a question about my bill.")
        assert may_hold("billing", again.heard), again.heard

    async def ended() -> dict | None:
        page = (await api.get("/calls", params={"direction": "inbound"})).json()
        return next((c for c in page["data"] if c["from_number"] == number and c["ended_at"]), None)

    # as long as LiveKit may take to notice a caller's goodbye (docs/decisions/0008)
    record = await wait_for(ended, timeout_seconds=40, what="the end of the call")

    async def rescued() -> bool | None:
        events = (await api.get(f"/calls/{record['id']}/events", params={"limit": 200})).json()["data"]
        return "call.rescued" in [event["kind"] for event in events] or None

    # an event is listed once everything that began before it is written
    assert await wait_for(rescued, what="the event of the rescue")
    turns = (await api.get(f"/calls/{record['id']}/turns")).json()["data"]
    said = " ".join(turn["text"] for turn in turns)
    assert may_hold("opening hours", said), "what was said before the kill is stored"
    assert may_hold("billing", said), "and so is what came after"
