"""Calls that people take, on the whole stack: an operator and the callee hear each other, a machine gets nobody, and
whom nobody greets in time hears who called."""

import csv
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from agents.record.wav import AGENT, PERSON
from app.console.demonstration.caller import Voice
from app.console.demonstration.calls import read_wav
from app.console.demonstration.stage import may_hold
from tests.live.harness import Stack, wait_for
from tests.live.operator_client import Headset, Operator, present

pytestmark = pytest.mark.live

SAYS_HELLO, SAYS_HELLO_TOO, VOICEMAIL = "+12025550117", "+12025550118", "+12025550187"
PITCH = "Good morning. I am calling about your appointment on Tuesday."
LOUD = 200.0
"""RMS of 16-bit audio in which somebody speaks; a quiet line has next to nothing."""


@pytest.fixture(scope="module")
def voice() -> Iterator[Voice]:
    voice = Voice()
    yield voice
    voice.close()


@pytest.fixture
async def simulator(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.demo["simulator_url"], timeout=20) as client:
        yield client


async def add_campaign(api: httpx.AsyncClient, phone: str) -> str:
    """A draft that dials one number for people; its id."""
    # These tests run at night too.
    fields = {"name": f"People {phone}", "team": "reminder", "mode": "progressive", "max_attempts": "1"}
    fields["calling"] = json.dumps({"defaults": False})
    contacts = f"name,phone\nAda,{phone}\n".encode()
    made = await api.post("/campaigns", data=fields, files={"file": ("contacts.csv", contacts, "text/csv")})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def find_result(api: httpx.AsyncClient, campaign_id: str) -> dict[str, str]:
    """The row of the campaign's only attempt, once it is settled."""

    async def settled() -> dict[str, str] | None:
        results = (await api.get(f"/campaigns/{campaign_id}/results")).raise_for_status().text
        return next((row for row in csv.DictReader(io.StringIO(results)) if row["disposition"]), None)

    return await wait_for(settled, timeout_seconds=40, what="the attempt's disposition")


async def find_call(api: httpx.AsyncClient, call_id: str) -> dict[str, Any]:
    call: dict[str, Any] = (await api.get(f"/calls/{call_id}")).raise_for_status().json()
    return call


async def find_call_to(api: httpx.AsyncClient, phone: str) -> dict[str, Any]:
    calls = (await api.get("/calls", params={"direction": "outbound"})).raise_for_status().json()["data"]
    return next(call for call in calls if call["to_number"] == phone)


async def fetch_heard(simulator: httpx.AsyncClient, call: dict[str, Any]) -> bytes:
    """What the callee heard, as a WAV."""
    return (await simulator.get(f"/simulator/calls/{call['carrier_call_id']}/heard.wav")).raise_for_status().content


async def event_kinds(api: httpx.AsyncClient, call: dict[str, Any]) -> list[str]:
    events = (await api.get(f"/calls/{call['id']}/events")).raise_for_status().json()["data"]
    return [event["kind"] for event in events]


async def talk(operator: Operator, headset: Headset, voice: Voice) -> None:
    """The operator speaks, and hears the callee's answer."""
    await headset.say(await voice.speak(PITCH))

    async def answered() -> bool:
        return may_hold("about my appointment", await voice.transcribe(headset.heard))

    await wait_for(answered, what="the callee's answer in the operator's ear")
    assert operator.now["state"] == "on_call"


async def test_the_operator_and_the_callee_hear_each_other_and_the_call_ends_when_the_operator_leaves(
    stack: Stack, api: httpx.AsyncClient, simulator: httpx.AsyncClient, voice: Voice
) -> None:
    campaign_id = await add_campaign(api, SAYS_HELLO)
    async with present(api, "Ben", campaign_id) as operator:
        (await api.post(f"/campaigns/{campaign_id}/start")).raise_for_status()
        reserved = await operator.until("reserved", timeout_seconds=30)
        assert reserved["call"]["phone"] == SAYS_HELLO
        key = (await api.post(f"/operators/{reserved['id']}/join")).raise_for_status().json()
        headset = Headset()
        try:
            await headset.enter(key)
            await operator.until("on_call")
            await talk(operator, headset, voice)
        finally:
            await headset.leave()
        await operator.until("wrap_up")
        await write_up(api, reserved)
    assert operator.states == ["reserved", "on_call", "wrap_up"]
    result = await find_result(api, campaign_id)
    assert (result["disposition"], result["answered_by"], result["details.seats"]) == ("demo-booked", "person", "12")
    call = await find_call(api, reserved["call"]["id"])
    assert (call["end"]["result"], call["end"]["reason"]) == ("completed", "operator_ended")
    assert "call.abandoned" not in await event_kinds(api, call)
    said = await voice.transcribe(read_wav(await fetch_heard(simulator, call)))
    assert may_hold("about your appointment", said), said
    assert not may_hold("Rosa", said), said
    await check_recording(api, call)


async def write_up(api: httpx.AsyncClient, operator: dict[str, Any]) -> None:
    """What the call came to, in the operator's words."""
    body = {"call_id": operator["call"]["id"], "outcome": "Demo booked", "details": {"seats": 12}, "done": True}
    (await api.put(f"/operators/{operator['id']}/outcome", json=body)).raise_for_status()


async def check_recording(api: httpx.AsyncClient, call: dict[str, Any]) -> None:
    """Both have a channel of their own in it."""

    async def put_away() -> bytes | None:
        answer = await api.get(f"/calls/{call['id']}/recording")
        return answer.content if answer.status_code == 200 else None

    channels = read_wav(await wait_for(put_away, what="the recording")).reshape(-1, 2).astype(np.float64)
    for side in (PERSON, AGENT):
        frames = channels[: len(channels) // 320 * 320, side].reshape(-1, 320)
        loud = np.sqrt(np.mean(frames * frames, axis=1)) > LOUD
        assert loud.sum() * 0.02 > 1.0, side


async def test_a_machine_gets_no_operator_and_is_settled_as_voicemail(
    stack: Stack, api: httpx.AsyncClient, voice: Voice
) -> None:
    campaign_id = await add_campaign(api, VOICEMAIL)
    async with present(api, "Cleo", campaign_id) as operator:
        (await api.post(f"/campaigns/{campaign_id}/start")).raise_for_status()
        result = await find_result(api, campaign_id)
        assert operator.now["state"] == "available"
    assert (result["disposition"], result["answered_by"], operator.states) == ("voicemail", "machine", [])
    call = await find_call_to(api, VOICEMAIL)
    assert (call["end"]["result"], call["end"]["reason"]) == ("completed", "machine")
    assert "operator.reserved" not in await event_kinds(api, call)


async def test_whom_the_reserved_operator_does_not_greet_hears_who_called_and_the_operator_is_offline(
    stack: Stack, api: httpx.AsyncClient, simulator: httpx.AsyncClient, voice: Voice
) -> None:
    campaign_id = await add_campaign(api, SAYS_HELLO_TOO)
    async with present(api, "Dan", campaign_id) as operator:
        (await api.post(f"/campaigns/{campaign_id}/start")).raise_for_status()
        reserved = await operator.until("reserved", timeout_seconds=30)
        missed = await operator.until("offline")
        assert missed["missed"] == reserved["missed"] + 1
        result = await find_result(api, campaign_id)
    assert result["disposition"] == "abandoned"
    call = await find_call(api, reserved["call"]["id"])
    kinds = await event_kinds(api, call)
    assert kinds.index("operator.reserved") < kinds.index("call.abandoned")
    assert "operator.connected" not in kinds
    said = await voice.transcribe(read_wav(await fetch_heard(simulator, call)))
    assert may_hold("This was Harbor Dental", said), said
    assert may_hold("nobody is free", said), said
    assert may_hold("you can reach us at", said), said
