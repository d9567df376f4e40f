"""Twilio's webhooks, signed as Twilio signs them, against the real app and database."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast
from uuid import UUID
from xml.etree import ElementTree

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from twilio.request_validator import RequestValidator

from app.api.carriers import webhooks
from app.api.dependencies import State
from app.api.wire.problems import install_problems
from app.clock import utc_now
from app.db import Database
from app.ids import E164, AttemptId, CallId, OrgId, new_id
from app.live import LiveEvents
from app.settings import Settings
from telephony.calls import Call, CallStatus, End, EndReason, EndResult, end_call, load_call
from telephony.carriers.base import CarrierName, DialUncertain
from telephony.carriers.twilio import TwilioCarrier
from telephony.media.stream_token import verify_stream_token
from telephony.outbound import DialRequest, Lines, place_call, prepare_call
from telephony.switchboard import Switchboard
from tests.db.world import make_number
from tests.fakes import FakeSwitchboard

OURS = E164("+12025550101")
PERSON = E164("+12025550123")
TOKEN = "a-fictional-auth-token"
PUBLIC = "https://calls.example.com"

SETTINGS = Settings(
    twilio_account_sid="AC" + "0" * 32,
    twilio_auth_token=SecretStr(TOKEN),
    twilio_api_base_url="http://127.0.0.1:9",
    public_base_url=PUBLIC,
    secret_key=SecretStr("a-secret-key-of-at-least-32-bytes!"),
    livekit_url="ws://127.0.0.1:9",
    livekit_api_key="key",
    livekit_api_secret=SecretStr("a-livekit-secret-of-32-characters!!!"),
)


class LostAnswers(TwilioCarrier):
    """Twilio that takes dial requests whose answers are lost."""

    async def dial(self, call: Any) -> str:
        raise DialUncertain("lost")


class World:
    """The app with one Twilio number of one organization."""

    def __init__(self, db: Database, org: OrgId, lines: Lines, client: httpx.AsyncClient) -> None:
        self.db = db
        self.org = org
        self.lines = lines
        self._client = client

    async def post(self, path: str, form: dict[str, str], *, signed: bool = True) -> httpx.Response:
        signature = RequestValidator(TOKEN if signed else "guess").compute_signature(PUBLIC + path, form)
        return await self._client.post(path, data=form, headers={"X-Twilio-Signature": signature})

    async def raw(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        return await self._client.post(path, content=body, headers=headers)

    async def calls(self) -> list[Call]:
        async with self.db.system() as connection:
            ids = [row["id"] for row in await connection.fetch("select id from calls")]
        return [await load_call(self.db, CallId(call_id)) for call_id in ids]

    async def event_kinds(self, call_id: UUID) -> list[str]:
        async with self.db.system() as connection:
            rows = await connection.fetch("select kind from call_events where call_id = $1 order by id", call_id)
        return [row["kind"] for row in rows]

    async def dialed(self, attempt_id: AttemptId | None = None) -> Call:
        """A call whose dial request went out and whose answer was lost."""
        number = await self._number()
        async with self.db.system() as connection:
            version = await connection.fetchval("select id from team_versions")
            request = DialRequest(self.org, PERSON, version, number, attempt_id=attempt_id)
            call = await prepare_call(connection, request, now=utc_now())
        with pytest.raises(DialUncertain):
            await place_call(self.lines, call)
        return await load_call(self.db, call.id)

    async def _number(self) -> Any:
        async with self.db.system() as connection:
            return await connection.fetchval("select id from numbers")


@pytest.fixture
async def world(db: Database, database_url: str, org: OrgId) -> AsyncIterator[World]:
    await make_number(db, org, OURS, carrier=CarrierName.TWILIO)
    carrier = LostAnswers(SETTINGS)
    lines = Lines(db, cast(Switchboard, FakeSwitchboard()), {CarrierName.TWILIO: carrier}, SETTINGS)
    app = FastAPI()
    install_problems(app)
    app.include_router(webhooks.router)
    app.state.trunkline = State(SETTINGS, db, lines, LiveEvents(database_url))
    # Another Host than the public one: the signature must not care.
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://10.0.0.7:8080") as client:
        yield World(db, org, lines, client)
    await lines.close()


def arriving(call_sid: str = "CA1", to: str = OURS) -> dict[str, str]:
    return {"CallSid": call_sid, "From": PERSON, "To": to, "CallStatus": "ringing", "ForwardedFrom": ""}


def news(status: str, call_sid: str = "CA1", **more: str) -> dict[str, str]:
    return {"CallSid": call_sid, "From": OURS, "To": PERSON, "CallStatus": status, **more}


def verbs(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/xml")
    return [verb.tag for verb in ElementTree.fromstring(response.text)]


async def test_a_call_to_our_number_is_connected_to_a_stream_with_a_token_of_its_own(world: World) -> None:
    response = await world.post("/webhooks/twilio/voice", arriving())
    assert verbs(response) == ["Connect", "Say", "Hangup"]
    stream = ElementTree.fromstring(response.text).find("Connect/Stream")
    assert stream is not None
    assert stream.attrib["url"] == "wss://calls.example.com/media/twilio"
    parameter = stream.find("Parameter")
    assert parameter is not None
    assert parameter.attrib["name"] == "token"
    (call,) = await world.calls()
    grant = verify_stream_token(SETTINGS, parameter.attrib["value"], carrier_call_id="CA1")
    assert grant.call_id == call.id
    assert (call.status, call.carrier_call_id) == (CallStatus.RINGING, "CA1")


async def test_the_same_call_asked_about_twice_is_one_call(world: World) -> None:
    answers = await asyncio.gather(*(world.post("/webhooks/twilio/voice", arriving()) for _ in range(4)))
    assert all(verbs(answer)[0] == "Connect" for answer in answers)
    assert len(await world.calls()) == 1


@pytest.mark.parametrize("to", ["+12025550199", "anonymous", ""])
async def test_a_number_that_is_not_ours_is_rejected(world: World, to: str) -> None:
    assert verbs(await world.post("/webhooks/twilio/voice", arriving(to=to))) == ["Reject"]
    assert await world.calls() == []


async def test_when_the_fault_is_ours_the_caller_hears_an_apology(world: World) -> None:
    async with world.db.system() as connection:
        await connection.execute("alter table calls rename to broken")
    response = await world.post("/webhooks/twilio/voice", arriving())
    assert verbs(response) == ["Say", "Hangup"]
    assert "sorry" in response.text


@pytest.mark.parametrize("path", ["/webhooks/twilio/voice", "/webhooks/twilio/status"])
async def test_a_forged_webhook_is_a_403_problem_and_changes_nothing(world: World, path: str) -> None:
    response = await world.post(path, arriving(), signed=False)
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "forged_webhook"
    assert await world.calls() == []


@pytest.mark.parametrize("kind", ["answered", "status"])
async def test_a_forged_callback_of_a_call_changes_nothing(world: World, kind: str) -> None:
    call = await world.dialed()
    response = await world.post(f"/webhooks/twilio/{kind}/{call.id}", news("completed"), signed=False)
    assert response.status_code == 403
    assert await load_call(world.db, call.id) == call


async def test_a_signature_for_one_call_does_not_fit_another(world: World) -> None:
    call = await world.dialed()
    path = f"/webhooks/twilio/status/{call.id}"
    signature = RequestValidator(TOKEN).compute_signature(f"{PUBLIC}/webhooks/twilio/status/{new_id()}", news("busy"))
    response = await world.raw(
        path,
        b"CallSid=CA1&CallStatus=busy",
        {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"},
    )
    assert response.status_code == 403


async def test_an_answered_call_is_marked_and_connected(world: World) -> None:
    call = await world.dialed()
    response = await world.post(f"/webhooks/twilio/answered/{call.id}", news("in-progress"))
    assert verbs(response) == ["Connect", "Say", "Hangup"]
    after = await load_call(world.db, call.id)
    assert (after.status, after.carrier_call_id) == (CallStatus.IN_PROGRESS, "CA1")


async def test_a_call_that_was_ended_while_it_rang_is_hung_up_when_answered(world: World) -> None:
    call = await world.dialed()
    await end_call(world.db, call.id, End(EndResult.CANCELED, EndReason.API_ENDED))
    response = await world.post(f"/webhooks/twilio/answered/{call.id}", news("in-progress"))
    assert verbs(response) == ["Hangup"]


async def test_an_answer_for_a_call_that_nobody_knows_apologizes(world: World) -> None:
    response = await world.post(f"/webhooks/twilio/answered/{new_id()}", news("in-progress"))
    assert verbs(response) == ["Say", "Hangup"]


async def test_the_first_callback_of_a_lost_dial_brings_the_carriers_id(world: World) -> None:
    call = await world.dialed(AttemptId(new_id()))
    assert call.carrier_call_id is None
    response = await world.post(f"/webhooks/twilio/status/{call.id}?attempt={call.attempt_id}", news("initiated"))
    assert response.status_code == 204
    after = await load_call(world.db, call.id)
    assert (after.carrier_call_id, after.carrier_status, after.status) == ("CA1", "initiated", CallStatus.QUEUED)


@pytest.mark.parametrize(
    "order",
    [
        ["initiated", "ringing", "in-progress", "completed"],
        ["completed", "in-progress", "ringing", "initiated"],
        ["ringing", "completed", "in-progress", "initiated", "completed", "ringing"],
    ],
)
async def test_callbacks_in_any_order_and_number_come_to_the_same_end(world: World, order: list[str]) -> None:
    call = await world.dialed()
    for status in order:
        assert (await world.post(f"/webhooks/twilio/status/{call.id}", news(status))).status_code == 204
    after = await load_call(world.db, call.id)
    assert after.end == End(EndResult.COMPLETED, EndReason.CALLEE_HUNG_UP)
    assert (after.status, after.carrier_status) == (CallStatus.COMPLETED, "completed")
    assert (await world.event_kinds(call.id)).count("call.ended") == 1


@pytest.mark.parametrize(
    ("status", "sip_code", "result", "reason"),
    [
        ("busy", "486", "busy", "busy"),
        ("busy", "603", "rejected", "rejected"),
        ("no-answer", "480", "no-answer", "no_answer"),
        ("canceled", "", "canceled", "api_ended"),
        ("failed", "404", "failed", "invalid_number"),
        ("failed", "503", "failed", "carrier_error"),
        ("failed", "", "failed", "carrier_error"),
        ("failed", "nonsense", "failed", "carrier_error"),
    ],
)
async def test_every_way_not_to_be_answered_is_told_apart(
    world: World, status: str, sip_code: str, result: str, reason: str
) -> None:
    call = await world.dialed()
    await world.post(f"/webhooks/twilio/status/{call.id}", news(status, SipResponseCode=sip_code))
    after = await load_call(world.db, call.id)
    assert after.end is not None
    assert (after.end.result, after.end.reason) == (result, reason)
    assert after.sip_code == (int(sip_code) if sip_code.isdecimal() else None)
    assert cast(FakeSwitchboard, world.lines.switchboard).closed == [call.room_name]


async def test_news_of_another_call_of_the_carrier_is_refused(world: World) -> None:
    call = await world.dialed()
    await world.post(f"/webhooks/twilio/status/{call.id}", news("ringing"))
    response = await world.post(f"/webhooks/twilio/status/{call.id}", news("completed", call_sid="CA2"))
    assert (response.status_code, response.json()["code"]) == (409, "foreign_carrier_call")
    assert (await load_call(world.db, call.id)).end is None


async def test_one_call_of_the_carrier_cannot_become_two_of_ours(world: World) -> None:
    first, second = await world.dialed(), await world.dialed()
    await world.post(f"/webhooks/twilio/status/{first.id}", news("ringing"))
    response = await world.post(f"/webhooks/twilio/status/{second.id}", news("ringing"))
    assert response.status_code == 409
    assert (await load_call(world.db, second.id)).carrier_call_id is None


async def test_a_callback_for_no_call_of_ours_is_a_404(world: World) -> None:
    assert (await world.post(f"/webhooks/twilio/status/{new_id()}", news("ringing"))).status_code == 404


async def test_the_numbers_own_status_url_ends_an_inbound_call_that_never_streamed(world: World) -> None:
    await world.post("/webhooks/twilio/voice", arriving())
    assert (await world.post("/webhooks/twilio/status", news("completed"))).status_code == 204
    (call,) = await world.calls()
    assert call.end == End(EndResult.COMPLETED, EndReason.CALLER_HUNG_UP)


async def test_a_status_of_a_call_that_we_do_not_know_passes(world: World) -> None:
    assert (await world.post("/webhooks/twilio/status", news("completed", call_sid="CA9"))).status_code == 204


async def test_a_webhook_that_livekit_did_not_sign_is_refused(world: World) -> None:
    switchboard = await Switchboard.connect(SETTINGS)
    object.__setattr__(world.lines, "switchboard", switchboard)
    response = await world.raw("/webhooks/livekit", b'{"event": "room_finished"}', {"Authorization": "nonsense"})
    assert (response.status_code, response.json()["code"]) == (401, "forged_webhook")
