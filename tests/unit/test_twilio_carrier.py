"""The real Twilio SDK against a server that behaves well, badly, or not at all."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import pytest
from pydantic import SecretStr
from twilio.request_validator import RequestValidator

from app.ids import E164, CallId, new_id
from app.settings import Settings
from telephony.carriers.base import (
    CarrierUnavailable,
    DialRefused,
    DialUncertain,
    ForgedWebhook,
    NumberFault,
    OutgoingCall,
)
from telephony.carriers.twilio import NumberNotOwned, TwilioCarrier

SID = "AC" + "0" * 32
TOKEN = "a-fictional-auth-token"
Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class FakeTwilio:
    """An HTTP server that writes down each request and then replies as it is told, in order."""

    url: str
    replies: list[Reply] = field(default_factory=list[Reply])
    requests: list[tuple[str, str, dict[str, list[str]]]] = field(
        default_factory=list[tuple[str, str, dict[str, list[str]]]]
    )

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                method, path, _ = line.decode().split()
                headers = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = next((int(h.split(":")[1]) for h in headers.splitlines() if h.startswith("content-length")), 0)
                body = parse_qs((await reader.readexactly(length)).decode())
                self.requests.append((method, path, body))
                await self.replies.pop(0)(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


def answer(status: int, body: Any) -> Reply:
    async def reply(writer: asyncio.StreamWriter) -> None:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(text)) + text)
        await writer.drain()

    return reply


async def hang_up_on_it(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def say_nothing(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


def settings(url: str) -> Settings:
    return Settings(
        twilio_account_sid=SID,
        twilio_auth_token=SecretStr(TOKEN),
        twilio_api_base_url=url,
        carrier_timeout_seconds=0.5,
        public_base_url="https://calls.example.com",
    )


@asynccontextmanager
async def twilio(*replies: Reply) -> AsyncIterator[tuple[FakeTwilio, TwilioCarrier]]:
    fake = FakeTwilio("", list(replies))
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(fake.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    carrier = TwilioCarrier(settings(fake.url))
    try:
        yield fake, carrier
    finally:
        await carrier.close()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def outgoing() -> OutgoingCall:
    return OutgoingCall(
        call_id=CallId(new_id()),
        attempt_id=None,
        to=E164("+12025550123"),
        from_=E164("+12025550101"),
        ring_timeout_seconds=25,
        answer_url="https://calls.example.com/answered",
        status_url="https://calls.example.com/status",
    )


async def test_a_dial_is_one_request_and_returns_the_call_sid() -> None:
    async with twilio(answer(201, {"sid": "CA1", "status": "queued"})) as (fake, carrier):
        assert await carrier.dial(outgoing()) == "CA1"
    ((method, path, form),) = fake.requests
    assert (method, path) == ("POST", f"/2010-04-01/Accounts/{SID}/Calls.json")
    assert form == {
        "To": ["+12025550123"],
        "From": ["+12025550101"],
        "Url": ["https://calls.example.com/answered"],
        "Method": ["POST"],
        "StatusCallback": ["https://calls.example.com/status"],
        "StatusCallbackMethod": ["POST"],
        "StatusCallbackEvent": ["initiated", "ringing", "answered", "completed"],
        "Timeout": ["25"],
    }


@pytest.mark.parametrize(
    ("status", "code", "retryable", "fault"),
    [
        (400, 21211, False, NumberFault.INVALID),
        (400, 21215, False, NumberFault.FORBIDDEN),
        (400, 21216, False, NumberFault.FORBIDDEN),
        (400, 21212, False, None),  # the number called from
        (403, 20003, False, None),
        (404, 20404, False, None),
        (401, 20003, True, None),
        (429, 20429, True, None),
    ],
)
async def test_an_error_answer_of_twilio_is_a_refusal_with_its_code_and_whose_fault_it_is(
    status: int, code: int, retryable: bool, fault: NumberFault | None
) -> None:
    reply = answer(status, {"code": code, "message": "no", "status": status})
    async with twilio(reply) as (fake, carrier):
        with pytest.raises(DialRefused) as refused:
            await carrier.dial(outgoing())
    assert (refused.value.carrier_code, refused.value.retryable) == (code, retryable)
    assert refused.value.number_fault is fault
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    "reply",
    [
        hang_up_on_it,
        say_nothing,
        answer(500, {"code": 20500, "message": "oops", "status": 500}),
        answer(503, b"<html>busy</html>"),
        answer(408, b""),
        answer(302, b""),
        answer(201, b"not json"),
        answer(201, {"status": "queued"}),
    ],
)
async def test_a_lost_or_unusable_answer_leaves_the_dial_uncertain_and_is_not_asked_again(reply: Reply) -> None:
    async with twilio(reply) as (fake, carrier):
        with pytest.raises(DialUncertain):
            await carrier.dial(outgoing())
        assert len(fake.requests) == 1


async def test_nobody_listening_is_a_refusal_that_may_be_tried_again() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        carrier = TwilioCarrier(settings(f"http://127.0.0.1:{reserved.getsockname()[1]}"))
        with pytest.raises(DialRefused) as refused:
            await carrier.dial(outgoing())
        await carrier.close()
    assert refused.value.retryable


async def test_hang_up_completes_the_call() -> None:
    async with twilio(answer(200, {"sid": "CA1", "status": "completed"})) as (fake, carrier):
        await carrier.hang_up("CA1")
    assert fake.requests == [("POST", f"/2010-04-01/Accounts/{SID}/Calls/CA1.json", {"Status": ["completed"]})]


@pytest.mark.parametrize(("status", "code"), [(404, 20404), (400, 21220)])
async def test_hanging_up_a_call_that_is_over_or_unknown_is_no_error(status: int, code: int) -> None:
    async with twilio(answer(status, {"code": code, "message": "gone", "status": status})) as (_, carrier):
        await carrier.hang_up("CA1")


@pytest.mark.parametrize("reply", [say_nothing, hang_up_on_it, answer(500, b"")])
async def test_a_hang_up_that_is_not_taken_says_so(reply: Reply) -> None:
    async with twilio(reply) as (_, carrier):
        with pytest.raises(CarrierUnavailable):
            await carrier.hang_up("CA1")


def listed(sid: str, at: datetime) -> dict[str, Any]:
    return {
        "sid": sid,
        "status": "queued",
        "to": "+12025550123",
        "from": "+12025550101",
        "date_created": format_datetime(at),
    }


async def test_the_list_is_read_over_its_pages_down_to_the_moment_asked_for() -> None:
    now = datetime(2026, 11, 20, 12, 0, 30, 700_000, tzinfo=UTC)
    second = f"/2010-04-01/Accounts/{SID}/Calls.json?Page=1"
    pages = [
        {"calls": [listed("CA3", now), listed("CA2", now - timedelta(seconds=20))], "next_page_uri": second},
        {"calls": [listed("CA1", now - timedelta(seconds=30)), listed("CA0", now - timedelta(seconds=31))]},
    ]
    async with twilio(*(answer(200, page) for page in pages)) as (fake, carrier):
        found = await carrier.find_calls(to="+12025550123", from_="+12025550101", since=now - timedelta(seconds=30))
    assert [call.carrier_call_id for call in found] == ["CA3", "CA2", "CA1"]
    assert found[0].created_at == now.replace(microsecond=0)
    assert (found[0].to, found[0].from_, found[0].status) == ("+12025550123", "+12025550101", "queued")
    query = dict(parse_qsl(fake.requests[0][1].partition("?")[2]))
    assert (query["To"], query["From"]) == ("+12025550123", "+12025550101")


async def test_a_list_that_cannot_be_read_is_not_an_empty_one() -> None:
    async with twilio(answer(503, b"")) as (_, carrier):
        with pytest.raises(CarrierUnavailable):
            await carrier.find_calls(to="+12025550123", from_="+12025550101", since=datetime.now(UTC))


async def test_a_number_is_told_where_its_calls_go() -> None:
    owned = {"incoming_phone_numbers": [{"sid": "PN1", "phone_number": "+12025550101"}]}
    async with twilio(answer(200, owned), answer(200, {"sid": "PN1"})) as (fake, carrier):
        await carrier.route_number(E164("+12025550101"), voice_url="https://a/voice", status_url="https://a/status")
    assert fake.requests[1][1] == f"/2010-04-01/Accounts/{SID}/IncomingPhoneNumbers/PN1.json"
    assert fake.requests[1][2]["VoiceUrl"] == ["https://a/voice"]
    assert fake.requests[1][2]["StatusCallback"] == ["https://a/status"]


async def test_a_number_of_somebody_else_cannot_be_routed() -> None:
    async with twilio(answer(200, {"incoming_phone_numbers": []})) as (_, carrier):
        with pytest.raises(NumberNotOwned):
            await carrier.route_number(E164("+12025550199"), voice_url="https://a/v", status_url="https://a/s")


PARAMS = {"CallSid": "CA1", "From": "+12025550123", "Digits": ""}


async def test_a_webhook_signed_over_the_public_url_is_accepted() -> None:
    signature = RequestValidator(TOKEN).compute_signature("https://calls.example.com/webhooks/x?a=1", PARAMS)
    async with twilio() as (_, carrier):
        carrier.verify_webhook("/webhooks/x?a=1", PARAMS, signature)


@pytest.mark.parametrize(
    ("path", "params", "signed_for", "token"),
    [
        ("/webhooks/x", PARAMS, "https://calls.example.com/webhooks/y", TOKEN),
        ("/webhooks/x", PARAMS, "http://127.0.0.1:8080/webhooks/x", TOKEN),
        ("/webhooks/x", PARAMS | {"CallSid": "CA2"}, "https://calls.example.com/webhooks/x", TOKEN),
        ("/webhooks/x?a=2", PARAMS, "https://calls.example.com/webhooks/x?a=1", TOKEN),
        ("/webhooks/x", PARAMS, "https://calls.example.com/webhooks/x", "another token"),
        ("/webhooks/x", PARAMS, "https://calls.example.com/webhooks/x", ""),
    ],
)
async def test_a_forged_webhook_is_refused(path: str, params: dict[str, str], signed_for: str, token: str) -> None:
    signature = RequestValidator(token).compute_signature(signed_for, PARAMS)
    async with twilio() as (_, carrier):
        with pytest.raises(ForgedWebhook):
            carrier.verify_webhook(path, params, signature)


async def test_without_an_auth_token_no_webhook_is_believed() -> None:
    carrier = TwilioCarrier(settings("http://127.0.0.1:9").model_copy(update={"twilio_auth_token": SecretStr("")}))
    signature = RequestValidator("").compute_signature("https://calls.example.com/webhooks/x", PARAMS)
    with pytest.raises(ForgedWebhook):
        carrier.verify_webhook("/webhooks/x", PARAMS, signature)
    await carrier.close()
