"""Calls to our numbers, and who may order them."""

from typing import Any

import httpx
import pytest

from telephony.simulator.exchange import Exchange
from telephony.simulator.main import create_simulator
from tests.live.simulator.application import Application
from tests.live.simulator.carrier import ACCOUNT_SID, BASE, OURS, ended, kinds, until


async def test_an_inbound_call_asks_the_numbers_webhook_and_reaches_its_stream(
    exchange: Exchange, application: Application, control: httpx.AsyncClient
) -> None:
    application.connect_stream()
    persona = {"name": "asker", "lines": [{"say": "Hello?", "wait_seconds": 0}, "Are you there?"]}
    placed = await control.post("/calls", json={"from": "+12025550120", "to": OURS, "persona": persona})
    assert placed.status_code == 201
    sid = placed.json()["sid"]
    await until(lambda: application.streams and application.streams[0].of("media"))
    hook = application.hooks[0]
    assert (hook["CallSid"], hook["Direction"], hook["CallStatus"]) == (sid, "inbound", "ringing")
    assert (hook["From"], hook["To"], hook["AccountSid"]) == ("+12025550120", OURS, ACCOUNT_SID)
    await until(lambda: "callee.spoke" in kinds(exchange, sid))
    await control.post(f"/calls/{sid}/hangup")
    record = await ended(exchange, sid)
    assert (record.status, record.ended_by) == ("completed", "control")
    assert application.words(sid) == ["completed"]
    shown = (await control.get(f"/calls/{sid}")).json()
    assert shown["persona"] == "asker"
    assert shown["report"]["said"][0]["text"] == "Hello?"


async def test_a_rejected_inbound_call_is_never_answered(
    exchange: Exchange, application: Application, control: httpx.AsyncClient
) -> None:
    application.twiml = "<Response><Reject reason='busy'/></Response>"
    placed = await control.post("/calls", json={"from": "+12025550120", "to": OURS})
    record = await ended(exchange, placed.json()["sid"])
    assert (record.status, record.answered_at) == ("busy", None)


@pytest.mark.parametrize(
    ("order", "status", "code"),
    [
        ({"from": "+12025550120", "to": "+12025550188"}, 404, "number_not_owned"),
        ({"from": "+12025550150", "to": OURS}, 422, "persona_cannot_call"),
        ({"from": "+12025550120", "to": OURS, "persona": {"kind": "answers", "linez": []}}, 422, "invalid_personas"),
        ({"from": "+12025550120", "to": OURS, "persona": "nobody"}, 404, "not_found"),
    ],
)
async def test_impossible_inbound_calls_are_refused(
    exchange: Exchange, control: httpx.AsyncClient, order: dict[str, Any], status: int, code: str
) -> None:
    refused = await control.post("/calls", json=order)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


async def test_the_control_api_refuses_a_name_that_is_not_loopback(
    exchange: Exchange, control: httpx.AsyncClient
) -> None:
    refused = await control.get("/journal", headers={"Host": "rebound.example"})
    assert (refused.status_code, refused.json()["code"]) == (403, "loopback_only")


async def test_the_control_api_refuses_a_client_from_elsewhere(exchange: Exchange) -> None:
    elsewhere = httpx.ASGITransport(create_simulator(exchange), client=("192.0.2.7", 40000))
    async with httpx.AsyncClient(base_url=BASE, transport=elsewhere) as client:
        refused = await client.get("/simulator/journal")
    assert (refused.status_code, refused.json()["code"]) == (403, "loopback_only")
