"""Calls by SIP, judged by what the caller hears: sipp dials, the audio that comes back is transcribed."""

import asyncio
import io
import os
import signal
import socket
import wave
from collections.abc import Iterator

import httpx
import numpy as np
import psutil
import pytest
import soxr

from app.console.demonstration.caller import SpokenCaller, Voice
from app.console.demonstration.calls import GREETING
from app.console.demonstration.stage import may_hold, sounds_like
from telephony.simulator.phone.sip_phone import SipCall, place_sip_call
from tests.live.harness import Stack, quickest_round, wait_for

pytestmark = pytest.mark.live

INTERRUPTIONS = (
    "Stop please, I have a different question about something else.",
    "Wait, no, I have another question for you.",
    "Hello, excuse me, one moment please.",
)


@pytest.fixture(scope="module")
def voice() -> Iterator[Voice]:
    voice = Voice()
    yield voice
    voice.close()


async def find_call(api: httpx.AsyncClient, caller: str) -> dict:
    """The newest call from that number, once it has ended."""

    async def ended() -> dict | None:
        page = (await api.get("/calls", params={"direction": "inbound"})).raise_for_status().json()
        mine = [call for call in page["data"] if call["from_number"] == caller]
        return mine[0] if mine and mine[0]["ended_at"] else None

    return await wait_for(ended, what=f"the end of the call from {caller}")


async def test_the_caller_hears_the_greeting_the_right_answer_and_another_agent(
    stack: Stack, api: httpx.AsyncClient, voice: Voice
) -> None:
    demo, number = stack.demo, "+12025550171"
    async with place_sip_call(demo["sip_host"], demo["sip_port"], demo["sip_number"], caller=number) as call:
        caller = SpokenCaller(call, voice)
        greeting = await caller.hear_greeting()
        assert may_hold("Harbor Dental", greeting.heard), greeting.heard
        answer = await caller.ask("What are your opening hours?")
        assert may_hold("Monday to Friday", answer.heard), answer.heard
        billing = await caller.ask("I have a question about my bill.")
        assert may_hold("billing", billing.heard), billing.heard
        await caller.ask("Goodbye.")
        await call.wait_over(10)
    record = await find_call(api, number)
    assert record["end"] == {"result": "completed", "reason": "agent_ended", "at_fault": "nobody"}
    turns = (await api.get(f"/calls/{record['id']}/turns")).json()["data"]
    assert may_hold("opening hours", " ".join(turn["text"] for turn in turns if turn["role"] == "person")), turns
    wanted = {"call.answered", "leg.joined", "turn.added", "handoff.made", "recording.ready", "call.ended"}

    async def kinds() -> list[str] | None:
        events = (await api.get(f"/calls/{record['id']}/events")).json()["data"]
        kinds = [event["kind"] for event in events]
        return kinds if wanted <= set(kinds) else None

    # the recording is put away a moment after the end
    assert (await wait_for(kinds, what=f"the events {wanted}"))[0] == "call.opened"


async def test_the_recording_has_the_caller_left_and_the_agent_right(
    stack: Stack, api: httpx.AsyncClient, voice: Voice, tmp_path_factory: pytest.TempPathFactory
) -> None:
    demo, number = stack.demo, "+12025550172"
    async with place_sip_call(demo["sip_host"], demo["sip_port"], demo["sip_number"], caller=number) as call:
        caller = SpokenCaller(call, voice)
        await caller.hear_greeting()
        await caller.ask("What are your opening hours?")
        await caller.ask("Goodbye.")
        await call.wait_over(10)
    record = await find_call(api, number)

    async def recording() -> bytes | None:
        response = await api.get(f"/calls/{record['id']}/recording")
        return response.content if response.status_code == 200 else None

    content = await wait_for(recording, what="the recording")
    with wave.open(io.BytesIO(content)) as file:
        assert file.getnchannels() == 2
        rate = file.getframerate()
        both = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, 2)
    left, right = (np.asarray(soxr.resample(both[:, side], rate, 8000), np.int16) for side in (0, 1))
    assert may_hold("opening hours", await voice.transcribe(left))
    agent = await voice.transcribe(right)
    assert may_hold("Harbor Dental", agent), agent
    assert may_hold("Monday to Friday", agent), agent


async def measure_barge_in(call: SipCall, voice: Voice, words_over: str) -> float:
    """Speak over the agent; seconds from the first sound of the caller to the last sound heard of the agent."""
    interruption = await voice.speak(words_over)
    question = await call.say(await voice.speak("What are your opening hours?"))

    async def answering() -> float | None:
        return call.first_loud_after(question.ended_at)

    await wait_for(answering, what="the agent's answer")
    await asyncio.sleep(0.8)
    spoken = call.rtp.say(interruption)
    await spoken.done.wait()
    # the agent's answer to the interruption comes after the caller's last word: only what lies before counts
    last = call.last_loud_before(spoken.ended_at)
    assert last is not None
    assert last > spoken.started_at, "the agent was not speaking when it was interrupted"
    return last - spoken.started_at


async def test_the_agent_falls_silent_within_400_ms_when_the_caller_speaks_over_it(stack: Stack, voice: Voice) -> None:
    demo = stack.demo

    async def interrupt(number: int) -> float:
        caller = f"+120255501{50 + number}"
        async with place_sip_call(demo["sip_host"], demo["sip_port"], demo["sip_number"], caller=caller) as call:
            await SpokenCaller(call, voice).hear_greeting()
            return await measure_barge_in(call, voice, INTERRUPTIONS[number % 3])

    assert await quickest_round(interrupt, within=0.4) <= 0.4


async def test_six_callers_at_once_all_hear_the_greeting_within_two_seconds_of_the_answer(
    stack: Stack, voice: Voice
) -> None:
    demo = stack.demo

    async def one(index: int) -> float:
        number = f"+120255501{80 + index}"
        async with place_sip_call(demo["sip_host"], demo["sip_port"], demo["sip_number"], caller=number) as call:
            greeting = await SpokenCaller(call, voice).hear_greeting(timeout_seconds=12)
            assert sounds_like(GREETING, greeting.heard), greeting.heard
            return greeting.wait_seconds

    waits = await asyncio.gather(*(one(index) for index in range(6)))
    assert max(waits) <= 2.0, waits


async def test_an_unknown_number_is_refused_with_a_sip_error(stack: Stack) -> None:
    demo = stack.demo
    async with place_sip_call(demo["sip_host"], demo["sip_port"], "+12025550199") as call:
        await call.wait_over(5)
        assert call.refused_with is not None
        assert 400 <= call.refused_with < 700
        assert call.answered_at is None


async def test_a_call_from_an_address_that_is_not_allowed_gets_no_answer_at_all(stack: Stack) -> None:
    demo = stack.demo
    async with place_sip_call(demo["sip_host"], demo["sip_port"], demo["sip_number"], source="127.0.0.2") as call:
        with pytest.raises(TimeoutError):
            await call.wait_over(4)
        assert call.answered_at is None


async def test_with_no_worker_free_the_caller_is_refused_within_five_seconds(stack: Stack) -> None:
    worker = stack.status()["parts"]["worker"]["pid"]
    family = [psutil.Process(worker), *psutil.Process(worker).children(recursive=True)]
    for process in family:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        demo = stack.demo
        async with place_sip_call(demo["sip_host"], demo["sip_port"], demo["sip_number"]) as call:
            began = asyncio.get_running_loop().time()
            await call.wait_over(8)
            assert call.refused_with is not None
            assert asyncio.get_running_loop().time() - began <= 5.0
    finally:
        for process in family:
            os.kill(process.pid, signal.SIGCONT)


def test_sipp_reaches_the_sip_server_from_another_loopback_address() -> None:
    """The control of the refused-address test: 127.0.0.2 is an address of this machine that packets come from."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(2)
        sender.bind(("127.0.0.2", 0))
        sender.sendto(b"hello", listener.getsockname())
        assert listener.recvfrom(100)[1][0] == "127.0.0.2"
