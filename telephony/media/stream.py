"""A carrier's media websocket in our words: what it may say, and what a carrier's dialect must be able to do."""

from dataclasses import dataclass, field
from typing import Protocol

from app.errors import InvalidInput

LONGEST_MESSAGE = 64 * 1024
"""Characters. A 20 ms frame takes some 300; nothing that a carrier sends comes near this."""


class BadMessage(InvalidInput):
    """A message that this protocol does not have: counted, otherwise ignored."""

    code = "bad_stream_message"
    title = "Bad stream message"


class SocketClosed(Exception):
    """The websocket is closed; `code` is RFC 6455's: 1000 or 1001 for an orderly close by the other side, 1005 or 1006
    for a connection that is gone, 1012 where our own process stops."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Socket(Protocol):
    """The websocket as the bridge needs it; the api wraps its own."""

    async def receive(self) -> str:
        """The next text message. Raises SocketClosed, BadMessage (a binary message)."""
        ...

    async def send(self, text: str) -> None:
        """Raises SocketClosed."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """No effect on a closed one."""
        ...


@dataclass(frozen=True)
class StreamStart:
    """The first thing of substance: who this is. `token` is empty where the carrier brought none."""

    stream_id: str
    carrier_call_id: str
    account_id: str
    token: str


@dataclass(frozen=True)
class CallerAudio:
    """Mu-law, 8,000 bytes a second; usually 160 bytes, never assume it."""

    payload: bytes = field(repr=False)


@dataclass(frozen=True)
class KeyPressed:
    """`digit`: one of 0-9 * # A-D."""

    digit: str


@dataclass(frozen=True)
class MarkPlayed:
    name: str


@dataclass(frozen=True)
class StreamStop:
    """The carrier's side is over: the caller hung up, or the carrier was told to."""


@dataclass(frozen=True)
class Ignorable:
    """Nothing that we act upon."""


StreamMessage = StreamStart | CallerAudio | KeyPressed | MarkPlayed | StreamStop | Ignorable


class StreamProtocol(Protocol):
    """A carrier's dialect. One object a stream: it remembers what its messages must carry."""

    def read(self, text: str) -> StreamMessage:
        """Raises BadMessage."""
        ...

    def write_audio(self, payload: bytes) -> str:
        """A message that plays mu-law audio after what was sent before."""
        ...

    def write_mark(self, name: str) -> str: ...

    def write_clear(self) -> str:
        """A message that drops what was sent and not played."""
        ...
