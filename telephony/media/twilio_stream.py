"""Twilio Media Streams (bidirectional, `<Connect><Stream>`): JSON messages with base64 mu-law inside."""

import base64
import json

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from telephony.media.stream import (
    LONGEST_MESSAGE,
    BadMessage,
    CallerAudio,
    Ignorable,
    KeyPressed,
    MarkPlayed,
    StreamMessage,
    StreamStart,
    StreamStop,
)

LONGEST_PAYLOAD = 8000
"""Bytes: one second of audio in one message."""


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Format(_Wire):
    encoding: str
    sample_rate: int = Field(alias="sampleRate")
    channels: int


class _Start(_Wire):
    stream_sid: str = Field(alias="streamSid", min_length=1, max_length=64)
    call_sid: str = Field(alias="callSid", min_length=1, max_length=64)
    account_sid: str = Field(alias="accountSid", max_length=64)
    media_format: _Format = Field(alias="mediaFormat")
    custom_parameters: dict[str, str] = Field(alias="customParameters", default_factory=dict)


class _Media(_Wire):
    track: str = "inbound"
    payload: str


class _Dtmf(_Wire):
    digit: str = Field(pattern=r"^[0-9*#A-D]$")


class _Mark(_Wire):
    name: str = Field(max_length=256)


class _Message(_Wire):
    event: str
    start: _Start | None = None
    media: _Media | None = None
    dtmf: _Dtmf | None = None
    mark: _Mark | None = None


class TwilioStream:
    """`StreamProtocol` for Twilio."""

    def __init__(self) -> None:
        self._stream_sid = ""

    def read(self, text: str) -> StreamMessage:
        """See `StreamProtocol.read`. The order is checked here: audio before `start`, or a second one, is bad."""
        message = parse_message(text)
        match message:
            case _Message(event="start", start=_Start() as start):
                return self._open(start)
            case _Message(event="connected"):
                return Ignorable()
            case _Message() if not self._stream_sid:
                raise BadMessage("The stream has not started.")
            case _Message(event="media", media=_Media() as media):
                return read_audio(media)
            case _Message(event="dtmf", dtmf=_Dtmf() as dtmf):
                return KeyPressed(dtmf.digit)
            case _Message(event="mark", mark=_Mark() as mark):
                return MarkPlayed(mark.name)
            case _Message(event="stop"):
                return StreamStop()
            case _:
                raise BadMessage("An event that the protocol does not have, or one without its content.")

    def _open(self, start: _Start) -> StreamStart:
        if self._stream_sid:
            raise BadMessage("The stream has started already.")
        wire = start.media_format
        if (wire.encoding, wire.sample_rate, wire.channels) != ("audio/x-mulaw", 8000, 1):
            raise BadMessage("Only one channel of mu-law at 8,000 Hz is understood.")
        self._stream_sid = start.stream_sid
        token = start.custom_parameters.get("token", "")
        return StreamStart(start.stream_sid, start.call_sid, start.account_sid, token)

    def write_audio(self, payload: bytes) -> str:
        return self._write("media", media={"payload": base64.b64encode(payload).decode("ascii")})

    def write_mark(self, name: str) -> str:
        return self._write("mark", mark={"name": name})

    def write_clear(self) -> str:
        return self._write("clear")

    def _write(self, event: str, **content: dict[str, str]) -> str:
        return json.dumps({"event": event, "streamSid": self._stream_sid, **content}, separators=(",", ":"))


def parse_message(text: str) -> _Message:
    if len(text) > LONGEST_MESSAGE:
        raise BadMessage("The message is too long.")
    try:
        return _Message.model_validate_json(text)
    except ValidationError as error:
        raise BadMessage("The message is no JSON of the protocol.") from error


def read_audio(media: _Media) -> StreamMessage:
    """The caller's track; ours, where a carrier plays it back to us, is left alone."""
    if media.track != "inbound":
        return Ignorable()
    try:
        payload = base64.b64decode(media.payload, validate=True)
    except ValueError as error:
        raise BadMessage("The audio is not base64.") from error
    if not 0 < len(payload) <= LONGEST_PAYLOAD:
        raise BadMessage("The audio has an impossible length.")
    return CallerAudio(payload)
