"""Who answers a call that we place: a machine gets its message after its beep, a talk with a person gets a score."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.live.harness import Stack, wait_for

pytestmark = pytest.mark.live

VOICEMAIL, CONFIRMS = "+442079460909", "+12025550119"
"""A greeting of fifteen seconds, a pause, a beep and ten seconds to record; and somebody who confirms."""


@asynccontextmanager
async def britain_allowed(api: httpx.AsyncClient) -> AsyncGenerator[None]:
    (await api.put("/dialing-rules", json={"allowed_countries": ["GB"]})).raise_for_status()
    try:
        yield
    finally:
        (await api.put("/dialing-rules", json={})).raise_for_status()


async def talk(api: httpx.AsyncClient, stack: Stack, number: str) -> dict[str, Any]:
    """A call to the end, and until it is judged."""
    body = {"to": number, "team": "reminder", "from_number": stack.demo["carrier_number"], "variables": {"name": "Ada"}}
    call_id = (await api.post("/calls", json=body)).raise_for_status().json()["id"]

    async def judged() -> dict[str, Any] | None:
        call: dict[str, Any] = (await api.get(f"/calls/{call_id}")).raise_for_status().json()
        return call if call["evaluation"] else None

    return await wait_for(judged, timeout_seconds=120, what="the call's evaluation")


async def test_the_message_for_a_machine_begins_after_its_beep(stack: Stack, api: httpx.AsyncClient) -> None:
    async with britain_allowed(api):
        call = await talk(api, stack, VOICEMAIL)
    assert call["answered_by"] == "machine"
    assert call["disposition"] == "voicemail_left"
    assert (call["evaluation"]["score"], call["evaluation"]["judge"]) == (None, "")
    events = (await api.get(f"/calls/{call['id']}/events")).raise_for_status().json()["data"]
    assert "beep" in [event["data"]["by"] for event in events if event["kind"] == "call.answered_by"]
    async with httpx.AsyncClient(base_url=stack.demo["simulator_url"]) as simulator:
        told = (await simulator.get(f"/simulator/calls/{call['carrier_call_id']}")).raise_for_status().json()["report"]
    over = next(said["to_seconds"] for said in told["said"] if said["text"] == "(beep)")
    assert [heard for heard in told["heard"] if heard["from_seconds"] < over < heard["to_seconds"]] == []
    assert [heard for heard in told["heard"] if heard["from_seconds"] >= over] != []


async def test_a_talk_with_a_person_gets_a_score(stack: Stack, api: httpx.AsyncClient) -> None:
    call = await talk(api, stack, CONFIRMS)
    assert call["answered_by"] == "person"
    assert call["evaluation"]["judge"] == "rules"
    assert call["evaluation"]["score"] >= 0.5
