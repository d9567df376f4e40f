"""The simulated carrier, driven by the real twilio SDK: its REST, its webhooks, its media, its restarts."""

import asyncio
import base64
import io
import json
import os
import signal
import sys
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import requests
import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.twiml.voice_response import Connect, Stream, VoiceResponse

from app.settings import Settings
from telephony.simulator.audio import mulaw
from telephony.simulator.audio.voice import Voice
from telephony.simulator.exchange import Exchange, open_exchange
from telephony.simulator.main import build_server

PORT_BASE = 25000  # the simulator's port is PORT_BASE + 1
APP_PORT = 25100
BASE = f"http://127.0.0.1:{PORT_BASE + 1}"
APP = f"http://127.0.0.1:{APP_PORT}"
MEDIA_URL = f"ws://127.0.0.1:{APP_PORT}/media"
ACCOUNT_SID = "AC" + "a1" * 16
AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
OURS = "+12025550101"
EVERY_EVENT = ["initiated", "ringing", "answered", "completed"]


class RedirectedHttp(TwilioHttpClient):
    """The SDK's own client, pointed at the simulator by base URL only."""

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        return super().request(method, url.replace("https://api.twilio.com", BASE), *args, **kwargs)


@dataclass
class Conversation:
    """What the scripted media server saw of one stream."""

    messages: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    socket: WebSocket | None = None
    closed: bool = False

    def of(self, event: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["event"] == event]

    def marks(self) -> list[str]:
        return [message["mark"]["name"] for message in self.of("mark")]

    async def send(self, event: str, **fields: Any) -> None:
        assert self.socket is not None
        await self.socket.send_json({"event": event, "streamSid": self.of("start")[0]["streamSid"], **fields})

    async def play(self, audio: bytes) -> None:
        await self.send("media", media={"payload": base64.b64encode(audio).decode()})


@dataclass
class Application:
    """The scripted application: answers webhooks with `twiml`, checks each signature, accepts media streams."""

    twiml: str = "<Response><Hangup/></Response>"
    hooks: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    statuses: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    forged: int = 0
    answer_status: int = 200
    status_failures: int = 0
    streams: list[Conversation] = field(default_factory=list[Conversation])

    def build(self) -> FastAPI:
        app, validator = FastAPI(), RequestValidator(AUTH_TOKEN)

        async def params(request: Request) -> dict[str, str]:
            form = {name: str(value) for name, value in (await request.form()).items()}
            signature = request.headers.get("X-Twilio-Signature", "")
            self.forged += not validator.validate(str(request.url), form, signature)
            return form

        @app.post("/voice")
        async def voice(request: Request) -> Response:
            self.hooks.append(await params(request))
            return Response(self.twiml, self.answer_status, media_type="text/xml")

        @app.post("/status")
        async def status(request: Request) -> Response:
            form = await params(request)
            if self.status_failures > 0:
                self.status_failures -= 1
                return Response(status_code=503)
            self.statuses.append(form)
            return Response(status_code=204)

        @app.websocket("/media")
        async def media(socket: WebSocket) -> None:
            signature = socket.headers.get("X-Twilio-Signature", "")
            self.forged += not validator.validate(MEDIA_URL, {}, signature)
            await socket.accept()
            conversation = Conversation(socket=socket)
            self.streams.append(conversation)
            try:
                while True:
                    conversation.messages.append(await socket.receive_json())
            except WebSocketDisconnect:
                conversation.closed = True

        return app

    def connect_stream(self, **parameters: str) -> None:
        response, connect, stream = VoiceResponse(), Connect(), Stream(url=MEDIA_URL)
        for name, value in parameters.items():
            stream.parameter(name=name, value=value)
        connect.append(stream)
        response.append(connect)
        self.twiml = str(response)

    def words(self, sid: str) -> list[str]:
        return [params["CallStatus"] for params in self.statuses if params["CallSid"] == sid]


class QuietServer(uvicorn.Server):
    """Leaves the test run's signal handlers alone."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        serving = asyncio.create_task(self._serve())
        await until(lambda: self.started)
        try:
            yield
        finally:
            self.should_exit = True
            await serving


async def until(ready: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait for a condition; a test fails when it does not come true in time."""
    async with asyncio.timeout(seconds):
        while not ready():  # noqa: ASYNC110  # what is waited for happens in many places
            await asyncio.sleep(0.01)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, port_base=PORT_BASE, twilio_account_sid=ACCOUNT_SID, twilio_auth_token=AUTH_TOKEN)  # type: ignore[call-arg]


@asynccontextmanager
async def simulator_at(settings: Settings) -> AsyncIterator[Exchange]:
    async with open_exchange(settings) as exchange:
        server = build_server(exchange)
        server.config.host, server.config.port = "127.0.0.1", settings.ports.simulator
        serving = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        try:
            yield exchange
        finally:
            server.should_exit = True
            await serving


@pytest.fixture
async def exchange(settings: Settings) -> AsyncIterator[Exchange]:
    async with simulator_at(settings) as exchange:
        exchange.numbers.buy(OURS, {"voice_url": f"{APP}/voice", "status_callback": f"{APP}/status"})
        yield exchange


@pytest.fixture
async def application() -> AsyncIterator[Application]:
    application = Application()
    config = uvicorn.Config(
        application.build(), host="127.0.0.1", port=APP_PORT, log_config=None, lifespan="off", ws="websockets-sansio"
    )
    async with QuietServer(config).running():
        yield application
    assert application.forged == 0


@pytest.fixture
def twilio() -> Client:
    return Client(ACCOUNT_SID, AUTH_TOKEN, http_client=RedirectedHttp(pool_connections=False, timeout=5))


@pytest.fixture
async def control() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{BASE}/simulator", trust_env=False) as client:
        yield client


async def dial(twilio: Client, to: str, **more: Any) -> str:
    order = {"url": f"{APP}/voice", "status_callback": f"{APP}/status", "status_callback_event": EVERY_EVENT}
    call = await asyncio.to_thread(twilio.calls.create, **{"to": to, "from_": OURS, **order, **more})
    assert call.sid is not None
    return call.sid


async def ended(exchange: Exchange, sid: str, seconds: float = 30.0) -> Any:
    await until(lambda: exchange.calls[sid].over and sid not in exchange.live, seconds)
    return exchange.calls[sid]


def inline(exchange: Exchange, **persona: Any) -> None:
    """Let +12025550199 be this persona."""
    content = exchange.personas.model_dump(mode="python")
    content["personas"]["test"] = persona
    content["numbers"]["+12025550199"] = "test"
    exchange.personas = type(exchange.personas).model_validate(content)


def kinds(exchange: Exchange, sid: str) -> list[str]:
    return [record["kind"] for record in exchange.journal.read(limit=100_000) if record["call_sid"] == sid]


def samples_of(wav: bytes) -> Any:
    with wave.open(io.BytesIO(wav)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


# -- REST by the real SDK


async def test_a_wrong_token_gets_twilios_401(exchange: Exchange) -> None:
    client = Client(ACCOUNT_SID, "wrong", http_client=RedirectedHttp(pool_connections=False))
    with pytest.raises(TwilioRestException) as refused:
        await asyncio.to_thread(client.calls("CA" + "0" * 32).fetch)
    assert (refused.value.status, refused.value.code) == (401, 20003)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"to": "not a number"}, 21211),
        ({"to": ""}, 21201),
        ({"from_": "+12025550177"}, 21210),
        ({"from_": "x"}, 21212),
        ({"from_": ""}, 21213),
        ({"url": "ftp://x"}, 21205),
        ({"url": ""}, 21205),
        ({"timeout": 100000}, 20001),
        ({"status_callback_event": ["nonsense"]}, 20001),
    ],
)
async def test_bad_dial_requests_are_refused_with_twilios_codes_and_nothing_is_dialed(
    exchange: Exchange, twilio: Client, change: dict[str, Any], code: int
) -> None:
    with pytest.raises(TwilioRestException) as refused:
        await dial(twilio, **{"to": "+12025550110", **change})
    assert (refused.value.status, refused.value.code) == (400, code)
    assert not exchange.calls


async def test_numbers_are_bought_listed_and_pointed_at_a_webhook(exchange: Exchange, twilio: Client) -> None:
    def story() -> Any:
        bought = twilio.incoming_phone_numbers.create(phone_number="+12025550100", voice_url=f"{APP}/a")
        twilio.incoming_phone_numbers(str(bought.sid)).update(voice_url=f"{APP}/b", status_callback=f"{APP}/s")
        with pytest.raises(TwilioRestException) as taken:
            twilio.incoming_phone_numbers.create(phone_number="+12025550100")
        return taken.value.code, twilio.incoming_phone_numbers.list(phone_number="+12025550100")

    code, (number,) = await asyncio.to_thread(story)
    assert code == 21422
    assert (number.voice_url, number.status_callback) == (f"{APP}/b", f"{APP}/s")
    assert isinstance(number.date_created, datetime)


async def test_a_list_is_paged_by_the_sdk_and_filtered_by_number_status_and_time(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    before = datetime.now(UTC)
    busy = [await dial(twilio, "+12025550150") for _ in range(5)]
    other = await dial(twilio, "+12025550175")
    for sid in [*busy, other]:
        await ended(exchange, sid)

    def story() -> Any:
        return (
            [call.sid for call in twilio.calls.list(to="+12025550150", page_size=2)],
            [call.sid for call in twilio.calls.list(from_=OURS, status="failed", start_time_after=before)],
            twilio.calls.list(start_time_after=before + timedelta(hours=1)),
        )

    paged, failed, later = await asyncio.to_thread(story)
    assert paged == busy[::-1]
    assert failed == [other]
    assert later == []


async def test_an_unknown_call_is_twilios_404(exchange: Exchange, twilio: Client) -> None:
    with pytest.raises(TwilioRestException) as missing:
        await asyncio.to_thread(twilio.calls("CA" + "0" * 32).fetch)
    assert (missing.value.status, missing.value.code) == (404, 20404)


# -- how calls end


@pytest.mark.parametrize(
    ("to", "status", "sip_code", "told"),
    [
        ("+12025550150", "busy", 486, ["initiated", "ringing", "busy"]),
        ("+12025550160", "no-answer", 487, ["initiated", "ringing", "no-answer"]),
        ("+12025550170", "busy", 603, ["initiated", "ringing", "busy"]),
        ("+12025550175", "failed", 404, ["initiated", "failed"]),
    ],
)
async def test_personas_that_do_not_pick_up_end_the_call_with_their_status(
    exchange: Exchange, twilio: Client, application: Application, to: str, status: str, sip_code: int, told: list[str]
) -> None:
    sid = await dial(twilio, to, timeout=2)
    record = await ended(exchange, sid)
    assert (record.status, record.sip_code) == (status, sip_code)
    assert application.words(sid) == told
    last = application.statuses[-1]
    assert last["SipResponseCode"] == str(sip_code)
    assert [params["SequenceNumber"] for params in application.statuses] == [str(n) for n in range(len(told))]
    assert last["CallbackSource"] == "call-progress-events"
    assert not application.hooks
    fetched = await asyncio.to_thread(twilio.calls(sid).fetch)
    assert (fetched.status, fetched.direction, fetched.to, fetched.duration) == (status, "outbound-api", to, "0")


async def test_a_callee_that_hangs_up_early_completes_the_call(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    application.twiml = "<Response><Pause length='30'/></Response>"
    sid = await dial(twilio, "+12025550190")
    record = await ended(exchange, sid)
    assert (record.status, record.ended_by) == ("completed", "persona")
    assert application.words(sid) == ["initiated", "ringing", "in-progress", "completed"]
    assert application.hooks[0]["CallStatus"] == "in-progress"
    assert application.statuses[-1]["CallDuration"] in ("1", "2")


async def test_a_ringing_call_is_canceled_and_a_talking_one_completed_by_the_api(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    application.twiml = "<Response><Pause length='30'/></Response>"
    ringing = await dial(twilio, "+12025550160")
    talking = await dial(twilio, "+12025550198")
    await until(lambda: exchange.calls[ringing].status == "ringing")
    await until(lambda: exchange.calls[talking].status == "in-progress")
    await asyncio.to_thread(twilio.calls(ringing).update, status="completed")
    await asyncio.to_thread(twilio.calls(talking).update, status="canceled")
    assert (await ended(exchange, ringing)).status == "canceled"
    assert exchange.calls[talking].status == "in-progress"
    await asyncio.to_thread(twilio.calls(talking).update, status="completed")
    assert (await ended(exchange, talking)).status == "completed"
    with pytest.raises(TwilioRestException) as over:
        await asyncio.to_thread(twilio.calls(talking).update, status="completed")
    assert over.value.code == 21220


async def test_a_live_call_is_redirected_to_new_twiml(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    application.twiml = "<Response><Pause length='30'/></Response>"
    sid = await dial(twilio, "+12025550198")
    await until(lambda: len(application.hooks) == 1)
    await asyncio.to_thread(twilio.calls(sid).update, twiml="<Response><Say>Goodbye now.</Say></Response>")
    record = await ended(exchange, sid)
    assert (record.status, record.ended_by) == ("completed", "twiml")
    assert record.report["heard"]


async def test_the_time_limit_ends_a_call(exchange: Exchange, twilio: Client, application: Application) -> None:
    application.twiml = "<Response><Pause length='30'/></Response>"
    sid = await dial(twilio, "+12025550198", time_limit=1)
    assert (await ended(exchange, sid)).ended_by == "time_limit"


@pytest.mark.parametrize(
    ("twiml", "status", "error_code"),
    [
        ("<Response><Dial>+12025550111</Dial></Response>", 200, 12200),
        ("this is not XML", 200, 12100),
        ("<!DOCTYPE r [<!ENTITY a 'b'>]><Response><Say>&a;</Say></Response>", 200, 12100),
        ("<Response/>", 500, 11200),
    ],
)
async def test_bad_instructions_are_an_application_error_that_the_callee_hears(
    exchange: Exchange, twilio: Client, application: Application, twiml: str, status: int, error_code: int
) -> None:
    application.twiml, application.answer_status = twiml, status
    sid = await dial(twilio, "+12025550198")
    await until(lambda: exchange.live[sid].line.ear.stretches)
    exchange.live[sid].hang_up("control")
    record = await ended(exchange, sid)
    errors = [r for r in exchange.journal.read(limit=10_000) if r["kind"] == "call.application_error"]
    assert [error["error_code"] for error in errors] == [error_code]
    assert record.status == "completed"
    assert record.report["heard"]


async def test_a_failed_status_callback_is_sent_once_more(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    application.status_failures = 1
    sid = await dial(twilio, "+12025550175", status_callback_event=["completed"])
    await ended(exchange, sid)
    assert application.words(sid) == ["failed"]
    answers = [r["status"] for r in exchange.journal.read(limit=10_000) if r["kind"] == "webhook.answered"]
    assert answers == [503, 204]


async def test_an_application_that_is_down_costs_the_call_nothing_but_its_words(
    exchange: Exchange, twilio: Client
) -> None:
    sid = await dial(twilio, "+12025550150")
    assert (await ended(exchange, sid)).status == "busy"
    failed = [r for r in exchange.journal.read(limit=10_000) if r["kind"] == "webhook.answered"]
    assert {record["error"] for record in failed} == {"ConnectError"}


# -- media


async def test_a_conversation_by_media_stream_is_paced_marked_and_heard_in_full(
    exchange: Exchange, twilio: Client, application: Application, control: httpx.AsyncClient
) -> None:
    inline(
        exchange,
        kind="answers",
        rings_seconds=0.1,
        lines=[{"say": "Yes, I confirm.", "wait_seconds": 10}],
        hangs_up=True,
    )
    application.connect_stream(token="abc", call="42")
    voice = Voice(exchange.audio_dir / "test-voice")
    greeting, answer = await voice.speak("Hello, this is the clinic."), await voice.speak("Thank you, goodbye.")
    voice.close()
    sid = await dial(twilio, "+12025550199")
    await until(lambda: application.streams and application.streams[0].of("media"))
    stream = application.streams[0]
    await stream.play(greeting)
    await stream.send("mark", mark={"name": "greeted"})
    await until(lambda: stream.marks() == ["greeted"])
    position = exchange.live[sid].line.tick * 0.02
    assert position >= len(greeting) / 8000
    await until(lambda: "callee.spoke" in kinds(exchange, sid))
    await stream.play(answer)
    record = await ended(exchange, sid)
    assert record.ended_by == "persona"
    await until(lambda: stream.closed)

    start = stream.of("start")[0]
    assert start["start"]["customParameters"] == {"token": "abc", "call": "42"}
    assert start["start"]["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    assert stream.messages[0]["event"] == "connected"
    assert stream.messages[-1]["event"] == "stop"
    numbered = [int(m["sequenceNumber"]) for m in stream.messages[1:-1]]
    assert numbered == list(range(1, len(numbered) + 1))
    media = stream.of("media")
    spoken = b"".join(base64.b64decode(message["media"]["payload"]) for message in media)
    assert len(spoken) == 160 * len(media)
    said = record.report["said"][0]
    assert said["text"] == "Yes, I confirm."
    assert 0 <= said["reply_after_seconds"] < 1.5
    greeting_ends = record.report["heard"][0]["to_seconds"]
    assert said["from_seconds"] >= greeting_ends + 0.68

    heard_wav = samples_of((await control.get(f"/calls/{sid}/heard.wav")).content)
    spoken_wav = samples_of((await control.get(f"/calls/{sid}/spoken.wav")).content)
    assert len(heard_wav) == len(spoken_wav)
    assert mulaw.decode(greeting).tobytes() in heard_wav.tobytes()
    assert mulaw.decode(answer).tobytes() in heard_wav.tobytes()
    seconds = (media[-1]["media"], media[0]["media"])
    assert int(seconds[0]["timestamp"]) - int(seconds[1]["timestamp"]) == (len(media) - 1) * 20


async def test_clear_stops_the_audio_at_once_and_returns_the_marks_that_waited(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    application.connect_stream()
    sid = await dial(twilio, "+12025550198")
    await until(lambda: application.streams and application.streams[0].of("media"))
    stream, line = application.streams[0], exchange.live[sid].line
    tone = mulaw.encode((np.sin(np.arange(8000 * 10) / 5) * 8000).astype(np.int16))
    await stream.play(tone)
    await stream.send("mark", mark={"name": "end"})
    await until(lambda: line.ear.stretches)
    assert stream.marks() == []
    await stream.send("clear")
    await until(lambda: stream.marks() == ["end"])
    cleared_at = line.tick
    await until(lambda: line.tick > cleared_at + 25)
    assert line.ear.stretches[-1].end <= cleared_at + 1
    await stream.socket.close()  # type: ignore[union-attr]
    record = await ended(exchange, sid)
    assert (record.ended_by, record.status) == ("twiml", "completed")


async def test_bad_media_messages_are_noted_and_disturb_nothing(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    application.connect_stream()
    sid = await dial(twilio, "+12025550198")
    await until(lambda: application.streams and application.streams[0].of("media"))
    stream = application.streams[0]
    assert stream.socket is not None
    for bad in (
        "not json",
        "[]",
        '{"event":"dance"}',
        '{"event":"media","media":{"payload":"%%%"}}',
        '{"event":"media"}',
    ):
        await stream.socket.send_text(bad)
    await stream.send("mark", mark={"name": "still here"})
    await until(lambda: stream.marks() == ["still here"])
    assert kinds(exchange, sid).count("media.bad_message") == 5


async def test_a_callee_talks_over_the_greeting_and_presses_keys(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    inline(
        exchange,
        kind="answers",
        rings_seconds=0.1,
        lines=[{"say": "Excuse me.", "barge_in_after_seconds": 0.6, "digits": "12"}],
        hangs_up=True,
        patience_seconds=1,
    )
    application.connect_stream()
    sid = await dial(twilio, "+12025550199")
    await until(lambda: application.streams and application.streams[0].of("media"))
    stream = application.streams[0]
    await stream.play(mulaw.encode((np.sin(np.arange(8000 * 10) / 5) * 8000).astype(np.int16)))
    await until(lambda: len(stream.of("dtmf")) == 2)
    assert [message["dtmf"]["digit"] for message in stream.of("dtmf")] == ["1", "2"]
    callee, line = exchange.live[sid].callee, exchange.live[sid].line
    assert callee is not None
    await until(lambda: callee.said and line.tick > callee.said[0].start + 5)
    await stream.send("clear")
    record = await ended(exchange, sid)
    said = record.report["said"][0]
    assert said["barge_in"]
    assert 0 <= said["heard_stopped_after_seconds"] < 0.3


async def test_voicemail_greets_beeps_records_and_hangs_up(
    exchange: Exchange, twilio: Client, application: Application, control: httpx.AsyncClient
) -> None:
    inline(exchange, kind="voicemail", rings_seconds=0.1, greeting="Leave a message.", records_seconds=1)
    application.connect_stream()
    sid = await dial(twilio, "+12025550199")
    record = await ended(exchange, sid)
    assert record.ended_by == "persona"
    beep = record.report["said"][1]
    spoken = samples_of((await control.get(f"/calls/{sid}/spoken.wav")).content)
    part = spoken[round(beep["from_seconds"] * 8000) : round(beep["to_seconds"] * 8000)]
    spectrum = np.abs(np.fft.rfft(part))
    assert len(part) == 4000
    assert np.argmax(spectrum) * 8000 / len(part) == pytest.approx(1000, abs=5)


async def test_a_media_server_that_refuses_ends_the_stream_and_the_next_verb_runs(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    application.twiml = (
        f'<Response><Connect><Stream url="{MEDIA_URL}-nowhere"/></Connect><Say>Nobody is here.</Say></Response>'
    )
    sid = await dial(twilio, "+12025550198")
    record = await ended(exchange, sid)
    assert "media.failed" in kinds(exchange, sid)
    assert record.report["heard"]


# -- inbound


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


# -- faults, limits, the journal


async def test_a_lost_response_dials_once_and_leaves_the_client_without_an_answer(
    exchange: Exchange, twilio: Client, control: httpx.AsyncClient
) -> None:
    await control.post("/faults", json={"kind": "lose_response"})
    with pytest.raises(requests.exceptions.ConnectionError):
        await dial(twilio, "+12025550150")
    (sid,) = exchange.calls
    assert (await ended(exchange, sid)).status == "busy"
    second = await dial(twilio, "+12025550150")
    assert list(exchange.calls) == [sid, second]


@pytest.mark.parametrize(("kind", "status"), [("status_429", 429), ("status_500", 500)])
async def test_an_ordered_refusal_dials_nothing(
    exchange: Exchange, twilio: Client, control: httpx.AsyncClient, kind: str, status: int
) -> None:
    await control.post("/faults", json={"kind": kind, "count": 2})
    for _ in range(2):
        with pytest.raises(TwilioRestException) as refused:
            await dial(twilio, "+12025550150")
        assert refused.value.status == status
    assert not exchange.calls
    await dial(twilio, "+12025550150")


async def test_a_delayed_answer_outlasts_the_client_while_the_call_runs(
    exchange: Exchange, control: httpx.AsyncClient
) -> None:
    await control.post("/faults", json={"kind": "delay", "seconds": 2})
    hasty = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=RedirectedHttp(pool_connections=False, timeout=0.5))
    with pytest.raises(requests.exceptions.ReadTimeout):
        await dial(hasty, "+12025550150")
    assert len(exchange.calls) == 1


async def test_calls_beyond_the_limit_wait_in_the_queue(
    exchange: Exchange, twilio: Client, control: httpx.AsyncClient
) -> None:
    await control.put("/limits", json={"calls_per_second": 2})
    sids = [await dial(twilio, "+12025550150") for _ in range(4)]
    for sid in sids:
        await ended(exchange, sid)
    starts = [exchange.calls[sid].started_at.timestamp() for sid in sids]  # type: ignore[union-attr]
    gaps = np.diff(starts)
    assert min(gaps) > 0.4


async def test_the_journal_tells_the_whole_story_in_order(
    exchange: Exchange, twilio: Client, application: Application, control: httpx.AsyncClient
) -> None:
    sid = await dial(twilio, "+12025550190")
    await ended(exchange, sid)
    shown = (await control.get("/journal", params={"after": 1})).json()
    records = shown["data"]
    assert [record["seq"] for record in records] == list(range(2, shown["seq"] + 1))
    states = [r["status"] for r in records if r["kind"] == "call.state" and r["call_sid"] == sid]
    assert states == ["initiated", "ringing", "in-progress", "completed"]
    request = next(r for r in records if r["kind"] == "rest.request")
    assert (request["method"], request["status"], request["call_sid"]) == ("POST", 201, sid)
    assert ["To", "+12025550190"] in request["params"]
    created = next(r for r in records if r["kind"] == "call.created")
    assert created["seq"] < request["seq"]


async def test_after_kill_9_the_open_calls_are_listed_as_failed_and_the_journal_goes_on(
    settings: Settings, twilio: Client, control: httpx.AsyncClient
) -> None:
    process = await start_process(settings)
    await asyncio.to_thread(twilio.incoming_phone_numbers.create, phone_number=OURS, voice_url=f"{APP}/voice")
    sid = await dial(twilio, "+12025550160", status_callback="")
    process.send_signal(signal.SIGKILL)
    await process.wait()
    journal = settings.home / "simulator" / "journal.jsonl"
    before = [json.loads(line) for line in journal.read_text().splitlines()]
    assert any(record["kind"] == "rest.request" and record["call_sid"] == sid for record in before)

    process = await start_process(settings)
    call = await asyncio.to_thread(twilio.calls(sid).fetch)
    (number,) = await asyncio.to_thread(twilio.incoming_phone_numbers.list)
    after = (await control.get("/journal", params={"after": len(before)})).json()["data"]
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(5):
        assert await process.wait() == 0
    assert call.status == "failed"
    assert (number.phone_number, number.voice_url) == (OURS, f"{APP}/voice")
    assert after[0]["seq"] == len(before) + 1
    assert (after[0]["kind"], after[0]["ended_by"], after[0]["call_sid"]) == ("call.state", "restart", sid)


async def start_process(settings: Settings) -> asyncio.subprocess.Process:
    """The simulator as the process that it is."""
    environment = {
        **os.environ,
        "TRUNKLINE_HOME": str(settings.home),
        "TRUNKLINE_PORT_BASE": str(PORT_BASE),
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
    }
    code = (
        "import asyncio; from app.settings import Settings; from telephony.simulator.main import run_simulator; "
        "asyncio.run(run_simulator(Settings.load()))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, env=environment)
    async with httpx.AsyncClient(trust_env=False) as client:
        async with asyncio.timeout(20):
            while True:
                try:
                    await client.get(f"{BASE}/simulator/healthz")
                except httpx.ConnectError:
                    await asyncio.sleep(0.05)
                else:
                    return process
