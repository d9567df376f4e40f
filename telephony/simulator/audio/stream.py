"""A media stream as Twilio opens it: a websocket client that carries a line's audio to the server and back.

Messages: https://www.twilio.com/docs/voice/media-streams/websocket-messages. Out: connected, start, media, dtmf,
mark, stop. In: media, mark, clear.
"""

import asyncio
import base64
import binascii
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from app.errors import InvalidInput
from telephony.media.g711 import FRAME_SECONDS
from telephony.simulator.audio.ear import seconds
from telephony.simulator.audio.line import Line
from telephony.simulator.journal import Journal

CONNECT_SECONDS = 5.0
MAX_MESSAGE_BYTES = 1 << 20
MAX_WAITING_MESSAGES = 500
"""Ten seconds of frames for a server that does not read; then frames are dropped, as a network would."""
MAX_BAD_NOTED = 5


class BadMessage(InvalidInput):
    """The server sent something that Twilio would refuse (its warning 31951)."""

    code = "bad_media_message"
    title = "Invalid media stream message"


@dataclass(frozen=True)
class StreamOrder:
    """What the TwiML asked for, and who asks."""

    url: str
    parameters: Mapping[str, str]
    account_sid: str
    call_sid: str
    signature: str


@dataclass
class Counts:
    frames_sent: int = 0
    frames_dropped: int = 0
    media_received: int = 0
    bytes_received: int = 0
    bytes_lost: int = 0
    marks: int = 0
    clears: int = 0
    bad: int = 0


@dataclass
class MediaStream:
    """One stream of one call; `run` returns when the server closes it, and closes it when cancelled.

    `cut_after_seconds`: a fault; the connection is cut then, without a word."""

    order: StreamOrder
    line: Line
    journal: Journal
    cut_after_seconds: float | None = None
    sid: str = field(default_factory=lambda: f"MZ{uuid4().hex}")
    counts: Counts = field(default_factory=Counts)
    _sequence: int = 0
    _chunk: int = 0
    _started_tick: int = 0
    _waiting: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(MAX_WAITING_MESSAGES))

    async def run(self) -> None:
        """Relay audio; a server that cannot be reached is journaled and ends the stream, not the call."""
        headers = {"X-Twilio-Signature": self.order.signature}
        try:
            socket = await connect(
                self.order.url,
                additional_headers=headers,
                user_agent_header="TwilioMediaStreams/1.0",
                open_timeout=CONNECT_SECONDS,
                close_timeout=1.0,
                max_size=MAX_MESSAGE_BYTES,
                compression=None,
                proxy=None,
            )
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
            self._note("media.failed", url=self.order.url, error=f"{type(error).__name__}: {error}")
            return
        await self._relay(socket)

    async def _relay(self, socket: ClientConnection) -> None:
        self._note("media.started", url=self.order.url, at_seconds=seconds(self.line.tick))
        self._attach()
        sender = asyncio.create_task(self._send(socket), name=f"{self.sid}-send")
        by = "call"
        try:
            async with asyncio.timeout(self.cut_after_seconds):
                await self._receive(socket)
            by = "server"
        except TimeoutError:
            by = "fault"
            socket.transport.abort()
        finally:
            self._detach()
            sender.cancel()
            with contextlib.suppress(ConnectionClosed, TimeoutError):
                async with asyncio.timeout(2.0):
                    await socket.send(self._stop())
                    await socket.close()
            self._note("media.stopped", by=by, close_code=socket.close_code, counts=vars(self.counts))

    # -- from the line to the server

    def _attach(self) -> None:
        self._started_tick = self.line.tick
        self._post({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        start = {
            "accountSid": self.order.account_sid,
            "streamSid": self.sid,
            "callSid": self.order.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": dict(self.order.parameters),
        }
        self._post(self._numbered({"event": "start", "start": start}))
        self.line.on_frame, self.line.on_mark, self.line.on_digit = self._media, self._mark, self._digit

    def _detach(self) -> None:
        """Nobody listens any more, and audio that was not played yet is lost, as with Twilio."""
        self.line.on_frame = self.line.on_mark = self.line.on_digit = None
        self.line.drop_marks()
        self.line.clear()

    def _media(self, frame: bytes) -> None:
        self._chunk += 1
        elapsed = round((self.line.tick - self._started_tick) * FRAME_SECONDS * 1000)
        media = {
            "track": "inbound",
            "chunk": str(self._chunk),
            "timestamp": str(elapsed),
            "payload": base64.b64encode(frame).decode(),
        }
        if self._post(self._numbered({"event": "media", "media": media})):
            self.counts.frames_sent += 1
        else:
            self.counts.frames_dropped += 1

    def _mark(self, name: str) -> None:
        self._note("media.mark_played", name=name, at_seconds=seconds(self.line.tick))
        self._post(self._numbered({"event": "mark", "mark": {"name": name}}))

    def _digit(self, digit: str) -> None:
        self._note("media.dtmf", digit=digit, at_seconds=seconds(self.line.tick))
        self._post(self._numbered({"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": digit}}))

    def _stop(self) -> str:
        stop = {"accountSid": self.order.account_sid, "callSid": self.order.call_sid}
        return json.dumps(self._numbered({"event": "stop", "stop": stop}))

    def _numbered(self, message: dict[str, Any]) -> dict[str, Any]:
        self._sequence += 1
        return {**message, "sequenceNumber": str(self._sequence), "streamSid": self.sid}

    def _post(self, message: dict[str, Any]) -> bool:
        try:
            self._waiting.put_nowait(json.dumps(message))
        except asyncio.QueueFull:
            return False
        return True

    async def _send(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.send(await self._waiting.get())

    # -- from the server to the line

    async def _receive(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in socket:
                try:
                    self._obey(text)
                except BadMessage as bad:
                    self._complain(bad)

    def _obey(self, text: str | bytes) -> None:
        message = _parse(text)
        match message.get("event"):
            case "media":
                self._enqueue(_payload(message))
            case "mark":
                self.counts.marks += 1
                self.line.mark(str(_part(message, "mark").get("name", "")))
            case "clear":
                self.counts.clears += 1
                thrown = self.line.clear()
                self._note("media.cleared", at_seconds=seconds(self.line.tick), bytes=thrown)
            case other:
                raise BadMessage(f"unknown event {other!r}")

    def _enqueue(self, payload: bytes) -> None:
        self.counts.media_received += 1
        self.counts.bytes_received += len(payload)
        lost = self.line.enqueue(payload)
        if lost and not self.counts.bytes_lost:
            self._note("media.overflow", at_seconds=seconds(self.line.tick), bytes=lost)
        self.counts.bytes_lost += lost

    def _complain(self, bad: BadMessage) -> None:
        self.counts.bad += 1
        if self.counts.bad <= MAX_BAD_NOTED:
            self._note("media.bad_message", error_code=31951, detail=bad.detail)

    def _note(self, kind: str, **fields: Any) -> None:
        self.journal.note(kind, call_sid=self.order.call_sid, stream_sid=self.sid, **fields)


def _parse(text: str | bytes) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except ValueError as error:
        raise BadMessage("not JSON") from error
    if not isinstance(message, dict):
        raise BadMessage("not a JSON object")
    return cast(dict[str, Any], message)


def _part(message: dict[str, Any], name: str) -> dict[str, Any]:
    part = message.get(name)
    if not isinstance(part, dict):
        raise BadMessage(f"{name!r} is missing")
    return cast(dict[str, Any], part)


def _payload(message: dict[str, Any]) -> bytes:
    try:
        return base64.b64decode(_part(message, "media")["payload"], validate=True)
    except (KeyError, TypeError, binascii.Error, ValueError) as error:
        raise BadMessage("media.payload is not base64") from error
