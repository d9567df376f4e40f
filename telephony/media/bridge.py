"""The media bridge: one carrier stream, one call's room, and everything between them until either side ends.

The carrier's websocket is the clock of what the caller says; what the caller hears leaves by `Playout`. Every way
out is a `StreamEnd`; `telephony.media.stream_call` says what becomes of the call by each.
"""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum

from app.errors import Unavailable
from app.logs import get_logger
from telephony.media.g711 import FRAME_SAMPLES, SAMPLE_RATE, Samples, decode_mulaw
from telephony.media.playout import Mark, Playout
from telephony.media.room_leg import RoomEnd, RoomLeg
from telephony.media.stream import (
    BadMessage,
    CallerAudio,
    KeyPressed,
    MarkPlayed,
    Socket,
    SocketClosed,
    StreamMessage,
    StreamProtocol,
    StreamStop,
)

log = get_logger(__name__)

AGENT_SECONDS = 5.0
"""How long a caller listens to nothing before we say that nobody is there."""
SEND_SECONDS = 5.0
CLOSE_SECONDS = 1.0
PLAY_OUT_SECONDS = 3.0
MOST_BAD_MESSAGES = 50
MOST_AHEAD_SECONDS = 1.0
"""Audio faster than life is no phone call: what comes further ahead of the clock is dropped."""


# RFC 6455, section 7.4.1. Not 1005: our server says that of a broken connection, too. 1012 is what it says when it is
# told to stop.
ORDERLY_CLOSES = frozenset({1000, 1001})
CLOSED_BY_US = 1012


class StreamEnd(StrEnum):
    """Why the bridge stopped."""

    CALLER_LEFT = "caller_left"
    ROOM_CLOSED = "room_closed"
    ROOM_LOST = "room_lost"
    NO_AGENT = "no_agent"
    CARRIER_LOST = "carrier_lost"
    WE_STOP = "we_stop"
    BAD_STREAM = "bad_stream"


class CallerVoice:
    """The caller's bytes as they come, cut to whole 20 ms frames. `now`: seconds, monotonic."""

    def __init__(self, now: float) -> None:
        self._started = now
        self._rest = b""
        self._taken = 0
        self.bytes_dropped = 0

    def take(self, payload: bytes, now: float) -> bytes:
        """What can be passed on now: some whole number of frames, maybe none."""
        allowed = (now - self._started + MOST_AHEAD_SECONDS) * SAMPLE_RATE
        if self._taken + len(payload) > allowed:
            self.bytes_dropped += len(payload)
            return b""
        self._taken += len(payload)
        waiting = self._rest + payload
        whole = len(waiting) - len(waiting) % FRAME_SAMPLES
        self._rest = waiting[whole:]
        return waiting[:whole]


class Bridge:
    """Carries one call's media. `run` it once; it owns its tasks, not the socket and not the room leg's life.

    `on_key` is awaited for every key pressed, in order, off the path of the audio; it may raise Unavailable.
    """

    def __init__(self, socket: Socket, protocol: StreamProtocol, *, on_key: Callable[[str], Awaitable[None]]) -> None:
        self._socket = socket
        self._protocol = protocol
        self._on_key = on_key
        self._playout = Playout()
        self._clock = asyncio.get_running_loop().time
        self._voice = CallerVoice(self._clock())
        self._wake = asyncio.Event()
        self._played_out = asyncio.Event()
        self._clear_wanted = False
        self._keys: asyncio.Queue[str] = asyncio.Queue(maxsize=64)
        self.bad_messages = 0

    def hear(self, frame: Samples) -> None:
        """20 ms from the room."""
        self._playout.push(frame)
        self._wake.set()

    def interrupt(self) -> None:
        """An agent was interrupted: nothing of what it was saying may be heard any more."""
        if self._playout.clear(self._clock()):
            self._clear_wanted = True
            self._wake.set()

    async def run(self, room: RoomLeg) -> StreamEnd:
        """Carry media both ways until one side ends; then let the caller hear what is left, if it is our side."""
        socket = {asyncio.create_task(self._receive(room)), asyncio.create_task(self._send())}
        tasks = {*socket, asyncio.create_task(self._watch_room(room)), asyncio.create_task(self._pass_keys(room))}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            end = done.pop().result()
            if end is StreamEnd.ROOM_CLOSED:
                await self._play_out(socket)
            return end
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _receive(self, room: RoomLeg) -> StreamEnd:
        """What the carrier says, in order, until it stops."""
        while self.bad_messages < MOST_BAD_MESSAGES:
            try:
                message = self._protocol.read(await self._socket.receive())
            except SocketClosed as closed:
                return end_by_close(closed.code)
            except BadMessage:
                self.bad_messages += 1
                continue
            if isinstance(message, StreamStop):
                return StreamEnd.CALLER_LEFT
            await self._take(message, room)
        return StreamEnd.BAD_STREAM

    async def _take(self, message: StreamMessage, room: RoomLeg) -> None:
        match message:
            case CallerAudio(payload):
                voice = self._voice.take(payload, self._clock())
                if voice:
                    await room.speak(decode_mulaw(voice))
            case KeyPressed(digit):
                if not self._keys.full():
                    self._keys.put_nowait(digit)
            case MarkPlayed(name):
                self._playout.note_mark(name)
                if self._playout.is_played_out:
                    self._played_out.set()
            case _:
                pass

    async def _send(self) -> StreamEnd:
        """What the caller is to hear, when it is due."""
        try:
            while True:
                self._wake.clear()
                if self._clear_wanted:
                    self._clear_wanted = False
                    await self._write(self._protocol.write_clear())
                for item in self._playout.take_due(self._clock()):
                    match item:
                        case Mark(name):
                            await self._write(self._protocol.write_mark(name))
                        case payload:
                            await self._write(self._protocol.write_audio(payload))
                await self._sleep_until(self._playout.next_due())
        except SocketClosed:
            # Why it closed is at the end of what `_receive` has still to read.
            await asyncio.sleep(CLOSE_SECONDS)
            return StreamEnd.CARRIER_LOST
        except TimeoutError:
            return StreamEnd.CARRIER_LOST

    async def _write(self, text: str) -> None:
        async with asyncio.timeout(SEND_SECONDS):
            await self._socket.send(text)

    async def _sleep_until(self, due: float | None) -> None:
        """Until then, or until something new is to be sent."""
        try:
            async with asyncio.timeout_at(due):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _watch_room(self, room: RoomLeg) -> StreamEnd:
        if not await room.wait_for_agent(AGENT_SECONDS) and not room.ended.done():
            return StreamEnd.NO_AGENT
        ended = await asyncio.shield(room.ended)
        return StreamEnd.ROOM_CLOSED if ended is RoomEnd.CLOSED else StreamEnd.ROOM_LOST

    async def _pass_keys(self, room: RoomLeg) -> StreamEnd:
        """Keys in their order, off the path of the audio. Never ends by itself."""
        while True:
            digit = await self._keys.get()
            await room.press(digit)
            try:
                await self._on_key(digit)
            except Unavailable as error:
                # The room has the key; the conversation is worth more than the note of it.
                log.warning("a key was not recorded", error=error.code)

    async def _play_out(self, socket: "set[asyncio.Task[StreamEnd]]") -> None:
        """Our side is done: the caller hears the last words to their end, or the time for it is up."""
        self._playout.end_utterance()
        self._wake.set()
        if self._playout.is_played_out:
            return
        heard = asyncio.create_task(self._played_out.wait())
        try:
            await asyncio.wait({heard, *socket}, timeout=PLAY_OUT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            heard.cancel()


def end_by_close(code: int) -> StreamEnd:
    """What a websocket that closed without `stop` means."""
    if code in ORDERLY_CLOSES:
        return StreamEnd.CALLER_LEFT
    return StreamEnd.WE_STOP if code == CLOSED_BY_US else StreamEnd.CARRIER_LOST
