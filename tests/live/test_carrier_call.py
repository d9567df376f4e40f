"""Calls over a carrier's media stream, judged by what the simulated caller heard: transcribed, and timed."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.console.demonstration.caller import Voice
from app.console.demonstration.calls import read_wav
from app.console.demonstration.stage import may_hold
from tests.live.harness import Stack, quickest_round, wait_for

pytestmark = pytest.mark.live

OVER = {"completed", "busy", "failed", "no-answer", "canceled"}


@pytest.fixture(scope="module")
def voice() -> Iterator[Voice]:
    voice = Voice()
    yield voice
    voice.close()


async def call_in(stack: Stack, caller: str, lines: list[dict[str, Any]]) -> tuple[dict[str, Any], bytes]:
    """Have the simulated caller hold that conversation; the report of it, and the WAV of what was heard."""
    body = {
        "from": caller,
        "to": stack.demo["carrier_number"],
        "persona": {"kind": "answers", "lines": lines, "hangs_up": True},
    }
    async with httpx.AsyncClient(base_url=stack.demo["simulator_url"], timeout=30) as simulator:
        placed = (await simulator.post("/simulator/calls", json=body)).raise_for_status().json()

        async def over() -> dict[str, Any] | None:
            call = (await simulator.get(f"/simulator/calls/{placed['sid']}")).raise_for_status().json()
            return call if call["status"] in OVER else None

        call = await wait_for(over, timeout_seconds=120, what="the end of the call")
        heard = (await simulator.get(f"/simulator/calls/{placed['sid']}/heard.wav")).raise_for_status().content
    return call, heard


async def find_call(api: httpx.AsyncClient, caller: str) -> dict[str, Any]:
    async def ended() -> dict[str, Any] | None:
        page = (await api.get("/calls", params={"direction": "inbound"})).raise_for_status().json()
        return next((c for c in page["data"] if c["from_number"] == caller and c["ended_at"]), None)

    return await wait_for(ended, what=f"the end of the call from {caller}")


async def test_the_caller_hears_the_greeting_the_right_answer_and_another_agent(
    stack: Stack, api: httpx.AsyncClient, voice: Voice
) -> None:
    lines = ["What are your opening hours?", "I would like to book an appointment.", "Goodbye."]
    call, heard = await call_in(stack, "+12025550141", [{"say": line} for line in lines])
    assert call["status"] == "completed"
    said = await voice.transcribe(read_wav(heard))
    assert may_hold("Harbor Dental", said), said
    assert may_hold("Monday to Friday", said), said
    assert may_hold("scheduling", said), said
    record = await find_call(api, "+12025550141")
    assert record["carrier"] == "twilio"
    assert record["end"]["result"] == "completed"
    turns = (await api.get(f"/calls/{record['id']}/turns")).json()["data"]
    assert [turn["agent"] for turn in turns if turn["role"] == "agent"][-1] == "scheduling"
    recording = await api.get(f"/calls/{record['id']}/recording")
    assert recording.status_code == 200


async def test_the_audio_stops_within_400_ms_when_the_caller_speaks_over_the_agent(stack: Stack) -> None:
    async def interrupt(number: int) -> float:
        lines = [
            {"say": "What are your opening hours?"},
            {"say": "Stop please, I have a different question about something else.", "barge_in_after_seconds": 0.9},
        ]
        call, _ = await call_in(stack, f"+120255501{60 + number}", lines)
        barged = next(said for said in call["report"]["said"] if said["barge_in"])
        return float(barged["heard_stopped_after_seconds"])

    assert await quickest_round(interrupt, within=0.4) <= 0.4


async def test_keys_that_the_caller_presses_are_events_of_the_call(stack: Stack, api: httpx.AsyncClient) -> None:
    await call_in(stack, "+12025550146", [{"digits": "42"}, {"say": "Goodbye."}])
    record = await find_call(api, "+12025550146")
    events = (await api.get(f"/calls/{record['id']}/events")).json()["data"]
    assert [event["data"]["digit"] for event in events if event["kind"] == "dtmf.received"] == ["4", "2"]


async def test_a_forged_webhook_changes_nothing(stack: Stack, api: httpx.AsyncClient) -> None:
    before = (await api.get("/calls")).json()["data"]
    form = {"CallSid": "CA" + "0" * 32, "From": "+12025550147", "To": stack.demo["carrier_number"]}
    async with httpx.AsyncClient(base_url=stack.demo["api_url"]) as stranger:
        unsigned = await stranger.post("/webhooks/twilio/voice", data=form)
        forged = await stranger.post("/webhooks/twilio/voice", data=form, headers={"X-Twilio-Signature": "Zm9yZ2Vk"})
    for answer in (unsigned, forged):
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await api.get("/calls")).json()["data"] == before
