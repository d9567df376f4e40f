"""Keys that a caller presses reach the agent as what the caller says, by SIP and by a carrier's stream alike."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from app.console.demonstration.caller import SpokenCaller, Voice
from telephony.simulator.phone.sip_phone import place_sip_call
from tests.live.harness import Stack, wait_for
from tests.live.test_carrier_call import call_in
from tests.live.test_carrier_call import find_call as find_carrier_call
from tests.live.test_sip_call import find_call

pytestmark = pytest.mark.live

BETWEEN_KEYS_SECONDS = 0.4


@pytest.fixture(scope="module")
def voice() -> Iterator[Voice]:
    voice = Voice()
    yield voice
    voice.close()


async def read_keys(api: httpx.AsyncClient, call_id: str) -> tuple[list[str], list[str]]:
    """The digits of the call's events, and what the person said."""
    events = (await api.get(f"/calls/{call_id}/events")).raise_for_status().json()["data"]
    turns = (await api.get(f"/calls/{call_id}/turns")).raise_for_status().json()["data"]
    digits = [event["data"]["digit"] for event in events if event["kind"] == "dtmf.received"]
    return digits, [turn["text"] for turn in turns if turn["role"] == "person"]


async def test_keys_pressed_on_a_sip_phone_are_one_turn_that_the_agent_answers(
    stack: Stack, api: httpx.AsyncClient, voice: Voice
) -> None:
    demo, number = stack.demo, "+12025550178"
    async with place_sip_call(demo["sip_host"], demo["sip_port"], demo["sip_number"], caller=number) as call:
        caller = SpokenCaller(call, voice)
        await caller.hear_greeting()
        pressed_at = asyncio.get_running_loop().time()
        for digit in "42":
            call.rtp.press(digit)
            await asyncio.sleep(BETWEEN_KEYS_SECONDS)
        await call.hear_reply(pressed_at, timeout_seconds=10)
        await caller.ask("Goodbye.")
        await call.wait_over(15)
    record = await find_call(api, number)
    digits, said = await read_keys(api, record["id"])
    assert digits == ["4", "2"]
    assert said[0] == "42"


async def test_keys_of_a_carriers_stream_are_recorded_once_and_are_a_turn(stack: Stack, api: httpx.AsyncClient) -> None:
    number = "+12025550149"
    await call_in(stack, number, [{"digits": "42"}, {"say": "What are your opening hours?"}, {"say": "Goodbye."}])
    record = await find_carrier_call(api, number)
    digits, said = await read_keys(api, record["id"])
    assert digits == ["4", "2"]
    assert "42" in said


async def test_the_workers_log_tells_of_the_call_without_numbers_or_words(stack: Stack, api: httpx.AsyncClient) -> None:
    log = stack.home / "logs" / "worker.log"

    async def told() -> str | None:
        text = log.read_text()
        return text if '"call ended"' in text or "call ended" in text else None

    text = await wait_for(told, what="the end of a call in the log")
    for event in ("ready", "call taken", "call answered", "call ended"):
        assert event in text
    assert "+1202555" not in text
