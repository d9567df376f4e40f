"""The media bridge on real parts: a real LiveKit room, a real websocket that behaves like Twilio's, real Postgres."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import uvicorn
from fastapi import FastAPI
from livekit import api, rtc
from pydantic import SecretStr
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from app.api.carriers import media
from app.api.dependencies import State
from app.db import Database
from app.ids import E164, OrgId, new_id
from app.live import LiveEvents
from app.settings import Settings
from telephony import store
from telephony.calls import AtFault, Call, CallStatus, End, EndReason, EndResult, end_call, load_call
from telephony.carriers.base import CarrierName
from telephony.inbound import Arrival, answer_inbound
from telephony.media.g711 import FRAME_SAMPLES, FRAME_SECONDS, SILENT_FRAME, decode_mulaw, encode_mulaw
from telephony.media.playout import LEAD_SECONDS
from telephony.media.room_leg import PLAYOUT_TOPIC
from telephony.media.stream_token import StreamGrant, sign_stream_token
from telephony.outbound import Lines
from telephony.switchboard import Switchboard
from tests.db.world import make_number
from tests.fakes import FakeCarrier
from tests.live.harness import free_port_block, wait_for
from tests.live.livekit_parts import running_livekit

pytestmark = pytest.mark.live

OURS = E164("+12025550101")
AGENT_TONE, CALLER_TONE = 600, 440


@pytest.fixture(scope="module")
async def livekit(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Settings]:
    async with running_livekit(tmp_path_factory.mktemp("livekit")) as settings:
        yield settings.model_copy(update={"secret_key": SecretStr("a-secret-key-of-at-least-32-bytes!")})


@dataclass
class Api:
    """The media websocket as the api serves it, with a carrier that only writes down what it is told."""

    url: str
    lines: Lines
    carrier: FakeCarrier
    server: uvicorn.Server

    async def open_call(self) -> Call:
        arrival = Arrival(CarrierName.TWILIO, f"CA{new_id().hex}", None, OURS, "+12025550123")
        return await answer_inbound(self.lines.db, arrival)

    async def load(self, call: Call) -> Call:
        return await load_call(self.lines.db, call.id)

    async def wait_ended(self, call: Call, timeout_seconds: float = 10) -> Call:
        async def ended() -> Call | None:
            now = await self.load(call)
            return now if now.end else None

        return await wait_for(ended, timeout_seconds=timeout_seconds, what="the end of the call")

    async def wait_room_gone(self, call: Call) -> None:
        async def gone() -> bool:
            return not await self.lines.switchboard.list_rooms([call.room_name])

        await wait_for(gone, what="the end of the room")

    async def legs(self, call: Call) -> list[tuple[str, str, bool]]:
        async with self.lines.db.system() as connection:
            rows = await store.select_legs(connection, call.id)
        return [(row["kind"], row["identity"], row["left_at"] is not None) for row in rows]


@asynccontextmanager
async def serving(settings: Settings, db: Database, database_url: str) -> AsyncGenerator[Api]:
    carrier = FakeCarrier()
    lines = Lines(db, await Switchboard.connect(settings), {CarrierName.TWILIO: carrier}, settings)
    app = FastAPI()
    app.include_router(media.router)
    app.state.trunkline = State(settings, db, lines, LiveEvents(database_url))
    port = free_port_block()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    try:
        await wait_for(started, what="the server")
        yield Api(f"ws://127.0.0.1:{port}/media/twilio", lines, carrier, server)
    finally:
        server.should_exit = True
        await task
        await lines.close()


@pytest.fixture
async def bridge(livekit: Settings, db: Database, database_url: str, org: OrgId) -> AsyncIterator[Api]:
    await make_number(db, org, OURS, carrier=CarrierName.TWILIO)
    async with serving(livekit, db, database_url) as served:
        yield served


@dataclass
class TwilioSide:
    """What Twilio does on a media websocket: start, 50 frames a second, marks echoed when their audio was played."""

    socket: ClientConnection
    call: Call
    echo_marks: bool = True
    speaking: bool = False
    received: list[tuple[float, dict[str, Any]]] = field(default_factory=list[tuple[float, dict[str, Any]]])
    close_code: int | None = None
    closed_at: float | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    played_until: float = 0.0

    async def start(self, token: str, *, call_sid: str | None = None) -> None:
        sid = call_sid or self.call.carrier_call_id
        content = {
            "accountSid": "AC0",
            "streamSid": "MZ1",
            "callSid": sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": token},
        }
        await self.say({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        await self.say({"event": "start", "sequenceNumber": "1", "start": content, "streamSid": "MZ1"})
        self.tasks = [asyncio.create_task(self._send_audio()), asyncio.create_task(self._listen())]

    async def say(self, message: dict[str, Any] | str) -> None:
        await self.socket.send(message if isinstance(message, str) else json.dumps(message))

    async def stop(self) -> None:
        await self.say({"event": "stop", "streamSid": "MZ1", "stop": {"callSid": self.call.carrier_call_id}})
        await self.socket.close()

    async def _send_audio(self) -> None:
        clock = asyncio.get_running_loop().time
        begin, n = clock(), np.arange(FRAME_SAMPLES)
        try:
            for frame in range(100_000):
                tone = np.sin(2 * np.pi * CALLER_TONE * (n + frame * FRAME_SAMPLES) / 8000) * 10_000
                payload = encode_mulaw(tone.astype(np.int16)) if self.speaking else SILENT_FRAME
                content = {"track": "inbound", "payload": base64.b64encode(payload).decode()}
                await self.say({"event": "media", "streamSid": "MZ1", "media": content})
                await asyncio.sleep(max(0.0, begin + (frame + 1) * FRAME_SECONDS - clock()))
        except ConnectionClosed:
            return

    async def _listen(self) -> None:
        clock = asyncio.get_running_loop().time
        try:
            async for text in self.socket:
                message, now = json.loads(text), clock()
                self.received.append((now, message))
                if message["event"] == "media":
                    self.played_until = max(self.played_until, now) + FRAME_SECONDS
                if message["event"] == "clear":
                    self.played_until = now
                if message["event"] == "mark" and self.echo_marks:
                    asyncio.get_running_loop().call_at(self.played_until, self._echo, message["mark"]["name"])
        except ConnectionClosed:
            pass
        self.closed_at, self.close_code = clock(), self.socket.close_code

    def _echo(self, name: str) -> None:
        text = json.dumps({"event": "mark", "streamSid": "MZ1", "mark": {"name": name}})
        self.tasks.append(asyncio.create_task(self.socket.send(text)))

    async def wait_closed(self, timeout_seconds: float = 10) -> int:
        async def closed() -> int | None:
            return self.close_code

        return await wait_for(closed, timeout_seconds=timeout_seconds, what="the close of the websocket")

    def frames(self) -> list[tuple[float, bytes]]:
        media_messages = [(at, m["media"]["payload"]) for at, m in self.received if m["event"] == "media"]
        return [(at, base64.b64decode(payload)) for at, payload in media_messages]

    def voice(self) -> list[tuple[float, bytes]]:
        """Frames with something in them."""
        return [(at, frame) for at, frame in self.frames() if np.abs(decode_mulaw(frame).astype(int)).max() > 1000]

    def events(self, name: str) -> list[float]:
        return [at for at, message in self.received if message["event"] == name]


def token_for(served: Api, call: Call, *, now: datetime | None = None) -> str:
    grant = StreamGrant(call.id, call.carrier_call_id or "")
    return sign_stream_token(served.lines.settings, grant, now=now or datetime.now(UTC))


@asynccontextmanager
async def stream(served: Api, call: Call, token: str | None = None) -> AsyncGenerator[TwilioSide]:
    async with connect(served.url) as socket:
        side = TwilioSide(socket, call)
        await side.start(token_for(served, call) if token is None else token)
        try:
            yield side
        finally:
            for task in side.tasks:
                task.cancel()
            await asyncio.gather(*side.tasks, return_exceptions=True)


class AgentSide:
    """An agent's participant without an agent in it: speaks a tone, hears, interrupts."""

    def __init__(self, room: rtc.Room, source: rtc.AudioSource) -> None:
        self.room = room
        self.source = source
        self.heard: list[tuple[float, np.ndarray]] = []
        self.digits: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def speak(self, seconds: float, hertz: int = AGENT_TONE) -> float:
        """Say a tone as fast as the room takes it; returns when its first sample was given away."""
        began, n = asyncio.get_running_loop().time(), np.arange(480)
        for frame in range(round(seconds * 50)):
            tone = np.sin(2 * np.pi * hertz * (n + frame * 480) / 24000) * 10_000
            await self.source.capture_frame(rtc.AudioFrame(tone.astype(np.int16).tobytes(), 24000, 1, 480))
        return began

    async def interrupt(self) -> None:
        self.source.clear_queue()
        await self.room.local_participant.publish_data(b'{"type":"clear"}', topic=PLAYOUT_TOPIC)

    async def hear(self, track: rtc.Track) -> None:
        audio = rtc.AudioStream.from_track(track=track, sample_rate=8000, num_channels=1, frame_size_ms=20)
        try:
            async for event in audio:
                now = asyncio.get_running_loop().time()
                self.heard.append((now, np.frombuffer(event.frame.data, dtype=np.int16)))
        finally:
            await audio.aclose()

    def voice(self) -> list[tuple[float, np.ndarray]]:
        return [(at, frame) for at, frame in self.heard if np.abs(frame.astype(int)).max() > 2000]


@asynccontextmanager
async def agent(served: Api, call: Call, *, identity: str = "agent-test") -> AsyncGenerator[AgentSide]:
    settings = served.lines.settings
    token = (
        api.AccessToken(settings.livekit_api_key, settings.livekit_api_secret.get_secret_value())
        .with_identity(identity)
        .with_kind("agent")
        .with_grants(api.VideoGrants(room_join=True, room=call.room_name))
    )
    room, source = rtc.Room(), rtc.AudioSource(24000, 1, queue_size_ms=200)
    side = AgentSide(room, source)
    room.on("track_subscribed", lambda track, *_: side.tasks.append(asyncio.create_task(side.hear(track))))
    room.on("sip_dtmf_received", lambda dtmf: side.digits.append(dtmf.digit))
    await room.connect(settings.livekit_url, token.to_jwt())
    track = rtc.LocalAudioTrack.create_audio_track("voice", source)
    published = await room.local_participant.publish_track(
        track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    )
    await asyncio.wait_for(published.wait_for_subscription(), 5)
    try:
        yield side
    finally:
        for task in side.tasks:
            task.cancel()
        await asyncio.gather(*side.tasks, return_exceptions=True)
        await room.disconnect()
        await source.aclose()


def pitch(frames: list[np.ndarray]) -> float:
    """The strongest frequency, in Hz, of 8 kHz audio."""
    samples = np.concatenate(frames).astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * 8000 / len(samples)


def until(check: Callable[[], Any], what: str) -> Awaitable[Any]:
    async def checked() -> Any:
        return check()

    return wait_for(checked, what=what)


def longest_backlog(frames: list[tuple[float, bytes]]) -> float:
    """How many seconds of audio the carrier ever held unplayed."""
    played_until, longest = 0.0, 0.0
    for at, _ in frames:
        played_until = max(played_until, at) + FRAME_SECONDS
        longest = max(longest, played_until - at)
    return longest


async def test_a_tone_arrives_both_ways_soon_and_paced(bridge: Api) -> None:
    call = await bridge.open_call()
    async with stream(bridge, call) as twilio, agent(bridge, call) as voice:
        await until(lambda: voice.heard, "the caller's track")
        began = await voice.speak(2.0)
        await until(lambda: twilio.events("mark"), "the mark after the utterance")
        speaking_since = asyncio.get_running_loop().time()
        twilio.speaking = True
        await until(lambda: len(voice.voice()) >= 50, "the caller's tone")
        assert (await bridge.load(call)).status is CallStatus.IN_PROGRESS

    frames = twilio.frames()
    assert {len(frame) for _, frame in frames} == {FRAME_SAMPLES}
    assert abs(pitch([decode_mulaw(frame) for _, frame in twilio.voice()[10:90]]) - AGENT_TONE) < 5
    assert abs(pitch([frame for _, frame in voice.voice()[10:50]]) - CALLER_TONE) < 5
    assert 98 <= len(twilio.voice()) <= 108
    assert twilio.voice()[0][0] - began < 0.25
    assert voice.voice()[0][0] - speaking_since < 0.35
    gaps = sorted(after - before for (before, _), (after, _) in pairwise(twilio.voice()[5:]))
    assert 0.018 < gaps[len(gaps) // 2] < 0.022
    # The lead, and what a busy machine may deliver late and together.
    assert longest_backlog(frames) < LEAD_SECONDS + 0.045


async def test_an_interruption_clears_within_a_tenth_of_a_second_and_nothing_follows(bridge: Api) -> None:
    call = await bridge.open_call()
    async with stream(bridge, call) as twilio, agent(bridge, call) as voice:
        talking = asyncio.create_task(voice.speak(5.0))
        await until(lambda: len(twilio.voice()) > 40, "the agent's voice")
        talking.cancel()
        interrupted = asyncio.get_running_loop().time()
        await voice.interrupt()
        await until(lambda: twilio.events("clear"), "clear")
        (cleared,) = twilio.events("clear")
        assert cleared - interrupted < 0.1
        await asyncio.sleep(0.5)
        assert [at for at, _ in twilio.voice() if at > cleared] == []
        # What is said next is heard again.
        await voice.speak(0.4)
        await until(lambda: twilio.voice()[-1][0] > cleared, "the next utterance")


async def test_a_message_of_somebody_else_on_the_playout_topic_clears_nothing(bridge: Api) -> None:
    call = await bridge.open_call()
    async with stream(bridge, call) as twilio, agent(bridge, call) as voice:
        guest, settings = rtc.Room(), bridge.lines.settings
        token = api.AccessToken(settings.livekit_api_key, settings.livekit_api_secret.get_secret_value())
        grants = api.VideoGrants(room_join=True, room=call.room_name)
        await guest.connect(settings.livekit_url, token.with_identity("guest").with_grants(grants).to_jwt())
        await guest.local_participant.publish_data(b'{"type":"clear"}', topic=PLAYOUT_TOPIC)
        await voice.room.local_participant.publish_data(b"not json", topic=PLAYOUT_TOPIC)
        await voice.speak(0.4)
        await until(lambda: twilio.events("mark"), "the mark")
        await guest.disconnect()
        assert twilio.events("clear") == []


async def test_two_voices_in_the_room_are_heard_together(bridge: Api) -> None:
    call = await bridge.open_call()
    async with stream(bridge, call) as twilio, agent(bridge, call) as first:
        async with agent(bridge, call, identity="operator-test") as second:
            await asyncio.gather(first.speak(1.0), second.speak(1.0, hertz=970))
            await until(lambda: twilio.events("mark"), "the mark")
        loudest = max(np.abs(decode_mulaw(frame).astype(int)).max() for _, frame in twilio.voice())
        assert loudest > 13_000
        # One of the two leaves: the other is still heard.
        before = len(twilio.voice())
        await first.speak(0.4)
        await until(lambda: len(twilio.voice()) >= before + 18, "the voice that stayed")


async def test_keys_reach_the_agent_in_order_and_the_calls_events(bridge: Api) -> None:
    call = await bridge.open_call()
    async with stream(bridge, call) as twilio, agent(bridge, call) as voice:

        async def press(digit: str) -> None:
            content = {"track": "inbound_track", "digit": digit}
            await twilio.say({"event": "dtmf", "streamSid": "MZ1", "dtmf": content})

        async def heard_a_first_one() -> bool:
            await press("0")
            return bool(voice.digits)

        # LiveKit drops data for whoever has just come in and whose channel is not open yet.
        await wait_for(heard_a_first_one, what="a key")
        for digit in "42*#":
            await press(digit)
        await until(lambda: "#" in voice.digits, "the keys")
        assert "".join(voice.digits).lstrip("0") == "42*#"

        async def recorded() -> str | None:
            async with bridge.lines.db.system() as connection:
                rows = await store.select_events(connection, call.id)
            digits = "".join(row["data"]["digit"] for row in rows if row["kind"] == "dtmf.received")
            return digits if digits.endswith("#") else None

        assert (await wait_for(recorded, what="the events")).lstrip("0") == "42*#"


async def test_when_the_caller_hangs_up_the_call_and_its_room_end(bridge: Api) -> None:
    call = await bridge.open_call()
    async with stream(bridge, call) as twilio, agent(bridge, call):
        assert await bridge.legs(call) == [("stream", "caller", False)]
        await twilio.stop()
        ended = await bridge.wait_ended(call)
        await bridge.wait_room_gone(call)
    assert ended.end == End(EndResult.COMPLETED, EndReason.CALLER_HUNG_UP)
    assert await bridge.legs(call) == [("stream", "caller", True)]


async def test_a_carrier_whose_connection_breaks_is_told_apart_from_a_hang_up(bridge: Api) -> None:
    call = await bridge.open_call()
    async with stream(bridge, call) as twilio, agent(bridge, call):
        twilio.socket.transport.abort()
        ended = await bridge.wait_ended(call)
    assert ended.end == End(EndResult.INDETERMINATE, EndReason.MEDIA_LOST, AtFault.CARRIER)


async def test_when_our_side_ends_the_last_words_are_played_before_the_carrier_hangs_up(bridge: Api) -> None:
    call = await bridge.open_call()
    async with stream(bridge, call) as twilio, agent(bridge, call) as voice:
        await voice.speak(1.0)
        await voice.source.wait_for_playout()
        await end_call(bridge.lines.db, call.id, End(EndResult.COMPLETED, EndReason.AGENT_ENDED))
        await bridge.lines.switchboard.close_room(call.room_name)
        assert await twilio.wait_closed() == 1000
        assert twilio.events("mark")
        assert twilio.closed_at is not None
        assert twilio.closed_at >= twilio.played_until
    assert bridge.carrier.hung_up == [call.carrier_call_id]
    assert (await bridge.load(call)).end == End(EndResult.COMPLETED, EndReason.AGENT_ENDED)


async def test_a_carrier_that_echoes_no_mark_does_not_hold_the_call_up(bridge: Api) -> None:
    call = await bridge.open_call()
    async with stream(bridge, call) as twilio, agent(bridge, call) as voice:
        twilio.echo_marks = False
        await voice.speak(0.5)
        await end_call(bridge.lines.db, call.id, End(EndResult.COMPLETED, EndReason.AGENT_ENDED))
        began = asyncio.get_running_loop().time()
        await bridge.lines.switchboard.close_room(call.room_name)
        assert await twilio.wait_closed() == 1000
        assert asyncio.get_running_loop().time() - began < 4


async def test_an_end_that_is_our_fault_closes_the_stream_so_that_the_carrier_apologizes(bridge: Api) -> None:
    call = await bridge.open_call()
    async with stream(bridge, call) as twilio, agent(bridge, call):
        await end_call(bridge.lines.db, call.id, End(EndResult.FAILED, EndReason.WORKER_LOST, AtFault.US))
        await bridge.lines.switchboard.close_room(call.room_name)
        assert await twilio.wait_closed() == 1011
    assert bridge.carrier.hung_up == []


async def test_a_caller_whom_no_agent_meets_is_not_left_in_silence(bridge: Api) -> None:
    call = await bridge.open_call()
    began = asyncio.get_running_loop().time()
    async with stream(bridge, call) as twilio:
        assert await twilio.wait_closed() == 1011
    assert asyncio.get_running_loop().time() - began < 6.5
    assert (await bridge.wait_ended(call)).end == End(EndResult.FAILED, EndReason.NO_WORKER, AtFault.US)
    await bridge.wait_room_gone(call)


async def refused(served: Api, call: Call, token: str, *, call_sid: str | None = None) -> None:
    async with connect(served.url) as socket:
        side = TwilioSide(socket, call)
        await side.start(token, call_sid=call_sid)
        assert await side.wait_closed() == 1008
        await asyncio.gather(*side.tasks, return_exceptions=True)
    assert side.received == []
    assert await served.load(call) == call
    assert await served.legs(call) == []
    assert await served.lines.switchboard.list_rooms([call.room_name]) == set()


async def test_without_a_valid_token_for_this_very_call_nothing_happens(bridge: Api) -> None:
    call, other = await bridge.open_call(), await bridge.open_call()
    expired = token_for(bridge, call, now=datetime.now(UTC) - timedelta(seconds=61))
    for token in ("", "nonsense", expired, token_for(bridge, other)):
        await refused(bridge, call, token)
    await refused(bridge, call, token_for(bridge, call), call_sid="CA-another")


async def test_a_call_that_is_over_has_no_stream(bridge: Api) -> None:
    call = await bridge.open_call()
    token = token_for(bridge, call)
    await end_call(bridge.lines.db, call.id, End(EndResult.COMPLETED, EndReason.CALLER_HUNG_UP))
    await refused(bridge, await bridge.load(call), token)


async def test_a_second_stream_of_a_call_is_refused_and_the_first_goes_on(bridge: Api) -> None:
    call = await bridge.open_call()
    async with stream(bridge, call) as first, agent(bridge, call) as voice:
        async with stream(bridge, call) as second:
            assert await second.wait_closed() == 1008
        await voice.speak(0.4)
        await until(lambda: first.voice(), "the voice on the first stream")
        assert (await bridge.load(call)).end is None


BAD_FRAMES = [
    "not json",
    '{"event": "media", "media": {"payload": "!!!"}}',
    '{"event": "media"}',
    '{"event": "start"}',
    '{"event": "dtmf", "dtmf": {"digit": "boom"}}',
    '{"event": "unheard-of"}',
    "x" * 100_000,
]


async def test_bad_frames_are_ignored_and_another_call_hears_nothing_of_them(bridge: Api) -> None:
    call, other = await bridge.open_call(), await bridge.open_call()
    async with (
        stream(bridge, other) as undisturbed,
        agent(bridge, other) as other_voice,
        stream(bridge, call) as twilio,
        agent(bridge, call) as voice,
    ):
        for text in BAD_FRAMES:
            await twilio.say(text)
        await twilio.socket.send(b"\x00\x01 binary")
        await asyncio.gather(voice.speak(0.4), other_voice.speak(0.4))
        await until(lambda: twilio.voice() and undisturbed.voice(), "both voices")
        for _ in range(8):
            for text in BAD_FRAMES:
                await twilio.say(text)
        assert await twilio.wait_closed() == 1007
        before = len(undisturbed.voice())
        await other_voice.speak(0.4)
        await until(lambda: len(undisturbed.voice()) > before + 15, "the other call's voice")
    assert (await bridge.load(call)).end == End(EndResult.INDETERMINATE, EndReason.MEDIA_LOST, AtFault.CARRIER)


async def test_a_stream_that_never_starts_properly_is_closed(bridge: Api) -> None:
    async with connect(bridge.url) as socket:
        for _ in range(10):
            await socket.send('{"event": "media", "media": {"payload": "/////w=="}}')
        await asyncio.wait_for(socket.wait_closed(), 5)
        assert socket.close_code == 1008


async def test_when_livekit_is_away_the_stream_closes_at_once_with_our_fault(
    livekit: Settings, db: Database, database_url: str, org: OrgId
) -> None:
    await make_number(db, org, OURS, carrier=CarrierName.TWILIO)
    nobody_there = livekit.model_copy(update={"livekit_url": "ws://127.0.0.1:9"})
    async with serving(nobody_there, db, database_url) as served:
        call = await served.open_call()
        async with stream(served, call) as twilio:
            assert await twilio.wait_closed() == 1011
        assert (await served.load(call)).end == End(EndResult.FAILED, EndReason.MEDIA_LOST, AtFault.US)


async def test_when_livekit_dies_in_the_middle_of_a_call_the_caller_is_told(
    livekit: Settings, tmp_path: Path, db: Database, database_url: str, org: OrgId
) -> None:
    await make_number(db, org, OURS, carrier=CarrierName.TWILIO)
    if (built := livekit.home / "bin").exists():
        (tmp_path / "bin").symlink_to(built)
    async with running_livekit(tmp_path) as settings:
        settings = settings.model_copy(update={"secret_key": SecretStr("a-secret-key-of-at-least-32-bytes!")})
        async with serving(settings, db, database_url) as served:
            call = await served.open_call()
            async with stream(served, call) as twilio:
                async with agent(served, call) as voice:
                    await voice.speak(0.2)
                    await until(lambda: twilio.voice(), "the voice")
                    (server,) = [
                        child
                        for child in psutil.Process().children()
                        if str(tmp_path) in " ".join(child.cmdline()) and "server" in child.name()
                    ]
                    server.kill()
                assert await twilio.wait_closed(timeout_seconds=15) == 1011
            assert (await served.load(call)).end == End(EndResult.FAILED, EndReason.MEDIA_LOST, AtFault.US)


async def test_when_our_process_stops_the_row_says_that_it_was_us(bridge: Api) -> None:
    call = await bridge.open_call()
    async with stream(bridge, call) as twilio, agent(bridge, call) as voice:
        await voice.speak(0.2)
        await until(lambda: twilio.voice(), "the voice")
        bridge.server.should_exit = True
        assert await twilio.wait_closed() == 1012
        ended = await bridge.wait_ended(call)
    assert ended.end == End(EndResult.FAILED, EndReason.MEDIA_LOST, AtFault.US)
