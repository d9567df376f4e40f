"""The caller's seat in the call's room: what a carrier stream says goes in, what the others say comes out."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from enum import StrEnum

import numpy as np
from livekit import rtc
from livekit.rtc.participant import PublishDTMFError, PublishTrackError

from app.errors import Unavailable
from app.logs import get_logger
from telephony.media.g711 import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE, Samples
from telephony.media.playout import Mixer

PLAYOUT_TOPIC = "trunkline.playout"
"""Agents tell the bridge on this topic what to do with audio that it holds: {"type": "clear"} on an interruption."""

CAPTURE_SAMPLES = SAMPLE_RATE // 100
"""An audio source without a queue takes exactly 10 ms at a time."""

JOIN_SECONDS = 8.0
ATTEMPT_SECONDS = 2.5
LEAVE_SECONDS = 3.0
RECONNECT_SECONDS = 6.0
"""How long the caller is left in silence while the SDK looks for the server."""

# RFC 4733 codes of the keys.
DTMF_CODES = {digit: code for code, digit in enumerate("0123456789*#ABCD")}

# Someone on our side closed the room or took the caller out of it.
CLOSED_REASONS = frozenset(
    {
        rtc.DisconnectReason.ROOM_DELETED,
        rtc.DisconnectReason.ROOM_CLOSED,
        rtc.DisconnectReason.PARTICIPANT_REMOVED,
    }
)

log = get_logger(__name__)


class RoomUnreachable(Unavailable):
    """LiveKit does not let the caller in."""

    code = "room_unreachable"


class RoomEnd(StrEnum):
    CLOSED = "closed"
    LOST = "lost"


class RoomLeg:
    """One participant of one room. Close it with `leave`; it owns native handles and tasks.

    `on_audio` gets 20 ms of everybody's voice, `on_interrupt` is called when an agent was interrupted; both on the
    event loop, both must not wait.
    """

    def __init__(self, *, on_audio: Callable[[Samples], None], on_interrupt: Callable[[], None]) -> None:
        self._on_audio = on_audio
        self._on_interrupt = on_interrupt
        self._room = rtc.Room()
        # No queue: a frame goes to the encoder as it comes, and the carrier's clock is the track's clock. A queue
        # would add its own timer, 10-20 ms, and drift between the two.
        self._source = rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=0)
        self._mixer = Mixer()
        self._listening: dict[str, asyncio.Task[None]] = {}
        self._reconnect_limit: asyncio.TimerHandle | None = None
        self._agent_heard = asyncio.Event()
        self.ended: asyncio.Future[RoomEnd] = asyncio.get_running_loop().create_future()

    async def join(self, url: str, token: str) -> None:
        """Enter the room and publish the caller's track. Raises RoomUnreachable."""
        self._room.on("track_published", self._want)
        self._room.on("track_subscribed", self._listen)
        self._room.on("track_unsubscribed", self._stop_listening)
        self._room.on("data_received", self._hear_data)
        self._room.on("reconnecting", self._start_reconnect_limit)
        self._room.on("reconnected", self._stop_reconnect_limit)
        self._room.on("disconnected", self._note_disconnected)
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                # Only what can be heard is subscribed to: a phone has no use for a camera.
                await self._room.connect(
                    url, token, rtc.RoomOptions(auto_subscribe=False, connect_timeout=ATTEMPT_SECONDS)
                )
                for participant in self._room.remote_participants.values():
                    for publication in participant.track_publications.values():
                        self._want(publication, participant)
                track = rtc.LocalAudioTrack.create_audio_track("caller", self._source)
                options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False, red=False)
                await self._room.local_participant.publish_track(track, options)
        except (rtc.ConnectError, PublishTrackError, TimeoutError) as error:
            raise RoomUnreachable("The room cannot be entered.") from error

    async def speak(self, samples: Samples) -> None:
        """Say `samples` (any whole number of 10 ms) into the room; dropped while the room is unreachable."""
        for first in range(0, len(samples), CAPTURE_SAMPLES):
            part = samples[first : first + CAPTURE_SAMPLES]
            await self._source.capture_frame(rtc.AudioFrame(part.tobytes(), SAMPLE_RATE, 1, CAPTURE_SAMPLES))

    async def press(self, digit: str) -> None:
        """Pass a key on as the SIP service would. Lost keys are logged, not raised: the call goes on."""
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._room.local_participant.publish_dtmf(code=DTMF_CODES[digit], digit=digit)
        except (PublishDTMFError, TimeoutError):
            log.warning("a key did not reach the room")

    async def wait_for_agent(self, timeout_seconds: float) -> bool:
        """Whether an agent's voice is connected, at once or within the time; False also when the room ends."""
        heard = asyncio.ensure_future(self._agent_heard.wait())
        try:
            await asyncio.wait({heard, self.ended}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
            return self._agent_heard.is_set()
        finally:
            heard.cancel()

    async def leave(self) -> None:
        """Go, whatever state the room is in."""
        self._stop_reconnect_limit()
        if not self.ended.done():
            self.ended.set_result(RoomEnd.CLOSED)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._room.disconnect()
        tasks = list(self._listening.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._source.aclose()

    def _want(self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant) -> None:
        if publication.kind == rtc.TrackKind.KIND_AUDIO:
            publication.set_subscribed(True)

    def _listen(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if track.kind != rtc.TrackKind.KIND_AUDIO or publication.sid in self._listening:
            return
        self._mixer.add(publication.sid)
        self._listening[publication.sid] = asyncio.create_task(self._pass_on(track, publication.sid))
        if is_agent(participant):
            self._agent_heard.set()

    def _stop_listening(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        task = self._listening.pop(publication.sid, None)
        if task is not None:
            task.cancel()

    async def _pass_on(self, track: rtc.Track, sid: str) -> None:
        """One track's audio into the mix, 20 ms at a time, resampled to 8 kHz by the SDK."""
        stream = rtc.AudioStream.from_track(
            track=track, sample_rate=SAMPLE_RATE, num_channels=1, frame_size_ms=FRAME_MS
        )
        try:
            async for event in stream:
                frame = np.frombuffer(event.frame.data, dtype=np.int16)
                if len(frame) != FRAME_SAMPLES:
                    continue
                for mixed in self._mixer.push(sid, frame):
                    self._on_audio(mixed)
        finally:
            self._mixer.remove(sid)
            await stream.aclose()

    def _hear_data(self, packet: rtc.DataPacket) -> None:
        from_agent = packet.participant is not None and is_agent(packet.participant)
        if packet.topic == PLAYOUT_TOPIC and from_agent and is_clear(packet.data):
            self._on_interrupt()

    def _start_reconnect_limit(self) -> None:
        self._stop_reconnect_limit()
        loop = asyncio.get_running_loop()
        self._reconnect_limit = loop.call_later(RECONNECT_SECONDS, self._end, RoomEnd.LOST)

    def _stop_reconnect_limit(self) -> None:
        if self._reconnect_limit is not None:
            self._reconnect_limit.cancel()
            self._reconnect_limit = None

    def _note_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        self._stop_reconnect_limit()
        self._end(RoomEnd.CLOSED if reason in CLOSED_REASONS else RoomEnd.LOST)

    def _end(self, how: RoomEnd) -> None:
        if not self.ended.done():
            self.ended.set_result(how)


def is_agent(participant: rtc.RemoteParticipant) -> bool:
    return participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


def is_clear(data: bytes) -> bool:
    """Whether a message on the playout topic asks to drop what was not played; anything else is not for us."""
    try:
        message = json.loads(data)
    except ValueError:
        return False
    return isinstance(message, dict) and message.get("type") == "clear"
