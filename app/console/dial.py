"""`trunkline dial NUMBER --team T`: one outbound call, and what came of it."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx

from app.console.client import ask, open_client
from app.errors import Unavailable
from app.settings import Settings

POLL_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 3600
OPEN = ("queued", "ringing", "in-progress")


class StillOpen(Unavailable):
    """The call did not end while we waited."""

    code = "call_still_open"


async def place_call(settings: Settings, number: str, team: str, *, from_number: str | None = None) -> dict[str, Any]:
    """Ask the api to call; returns the call as it shows it. The key makes sure that one request dials once."""
    body = {"to": number, "team": team} | ({"from_number": from_number} if from_number else {})
    async with open_client(settings) as client:
        return await ask(client, "POST", "/calls", json=body, headers={"Idempotency-Key": str(uuid4())})


async def watch_call(settings: Settings, call_id: str, show: Callable[[str], None]) -> dict[str, Any]:
    """Show each new status and, at the end, what was said; returns the ended call. Raises StillOpen after an hour."""
    async with open_client(settings) as client:
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                call = await _until_ended(client, call_id, show)
        except TimeoutError as error:
            raise StillOpen(f"Call {call_id} has not ended; GET /api/v1/calls/{call_id} goes on telling.") from error
        for turn in await list_turns(client, call_id):
            who = turn["agent"] if turn["role"] == "agent" else turn["role"]
            show(f"  {who or 'agent':<12} {turn['text']}")
    return call


async def _until_ended(client: httpx.AsyncClient, call_id: str, show: Callable[[str], None]) -> dict[str, Any]:
    last = ""
    while True:
        call: dict[str, Any] = await ask(client, "GET", f"/calls/{call_id}")
        if call["status"] != last:
            last = call["status"]
            show(f"{last} {describe_end(call)}".strip())
        if last not in OPEN:
            return call
        await asyncio.sleep(POLL_SECONDS)


def describe_end(call: dict[str, Any]) -> str:
    """ "agent_ended (nobody at fault)", or nothing while the call is open."""
    end = call.get("end")
    return f"{end['reason']} (at fault: {end['at_fault']})" if end else ""


async def list_turns(client: httpx.AsyncClient, call_id: str) -> list[dict[str, Any]]:
    answer = await ask(client, "GET", f"/calls/{call_id}/turns")
    return list(answer["data"])
