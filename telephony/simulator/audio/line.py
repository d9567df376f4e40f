"""The two-way audio of an answered call: what the person hears and says, frame by frame at real time.

One steady clock moves both directions, so that the two recordings are in step: sample n of one was heard at the
moment when sample n of the other was spoken.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from telephony.media.g711 import FRAME_SAMPLES, FRAME_SECONDS, SAMPLE_RATE, SILENCE_CODE, SILENT_FRAME
from telephony.simulator.audio.ear import Ear

MAX_BUFFERED_BYTES = 300 * SAMPLE_RATE
"""Five minutes of audio sent ahead; the rest is dropped, as any carrier's buffer would."""


class Line:
    """`enqueue` what the other side plays, `say` what the person speaks; `run` moves both every 20 ms.

    The three listeners are set while a media stream is attached: `on_frame` gets each frame that the person
    speaks, silence included; `on_mark` the name of each mark once all audio enqueued before it was played;
    `on_digit` each key that the person presses.
    """

    def __init__(self) -> None:
        self.tick = 0
        self.heard = bytearray()
        self.spoken = bytearray()
        self.ear = Ear()
        self.on_frame: Callable[[bytes], None] | None = None
        self.on_mark: Callable[[str], None] | None = None
        self.on_digit: Callable[[str], None] | None = None
        self._playout = bytearray()
        self._mouth = bytearray()
        self._passed = 0  # bytes played or cleared since the beginning
        self._marks: deque[tuple[int, str]] = deque()
        self._beat = asyncio.Event()

    async def run(self) -> None:
        """Move audio until cancelled. Late beats are made up at once: the timeline never stretches."""
        started = time.monotonic()
        while True:
            self._move_frame()
            delay = started + self.tick * FRAME_SECONDS - time.monotonic()
            await asyncio.sleep(max(0.0, delay))

    def _move_frame(self) -> None:
        waiting = len(self._playout)
        heard, spoken = _take_frame(self._playout), _take_frame(self._mouth)
        self._passed += waiting - len(self._playout)
        self.heard += heard
        self.spoken += spoken
        self.ear.feed(self.tick, heard)
        self.tick += 1
        if self.on_frame is not None:
            self.on_frame(spoken)
        self._pass_marks()
        self._beat.set()
        self._beat = asyncio.Event()

    async def next_tick(self) -> None:
        """Wait for the next frame to have moved."""
        await self._beat.wait()

    # -- towards the person

    def enqueue(self, payload: bytes) -> int:
        """Queue mu-law audio of any length; returns how many bytes found no room and are lost."""
        room = max(0, MAX_BUFFERED_BYTES - len(self._playout))
        self._playout += payload[:room]
        return max(0, len(payload) - room)

    def mark(self, name: str) -> None:
        """Have `on_mark` told when everything enqueued so far was played; at once if nothing waits."""
        self._marks.append((self._passed + len(self._playout), name))
        self._pass_marks()

    def clear(self) -> int:
        """Throw away what was not played yet; its marks come back at once. Returns the bytes thrown away."""
        thrown = len(self._playout)
        self._playout.clear()
        self._passed += thrown
        self._pass_marks()
        return thrown

    def drop_marks(self) -> None:
        """Forget marks that nobody waits for any more."""
        self._marks.clear()

    async def play(self, payload: bytes) -> None:
        """Queue audio and wait until the person heard all of it."""
        self.enqueue(payload)
        wanted = self._passed + len(self._playout)
        while self._passed < wanted:
            await self.next_tick()

    def _pass_marks(self) -> None:
        while self._marks and self._marks[0][0] <= self._passed:
            _, name = self._marks.popleft()
            if self.on_mark is not None:
                self.on_mark(name)

    def heard_between(self, start: int, end: int) -> bytes:
        """The mu-law that the person heard from one tick to another."""
        return bytes(self.heard[start * FRAME_SAMPLES : end * FRAME_SAMPLES])

    # -- from the person

    async def say(self, payload: bytes) -> None:
        """Speak mu-law audio and wait until the last frame went out."""
        self._mouth += payload
        while self._mouth:
            await self.next_tick()

    def press(self, digit: str) -> None:
        if self.on_digit is not None:
            self.on_digit(digit)


def _take_frame(buffer: bytearray) -> bytes:
    if not buffer:
        return SILENT_FRAME
    # In mu-law, a sample is a byte.
    frame = bytes(buffer[:FRAME_SAMPLES])
    del buffer[:FRAME_SAMPLES]
    return frame.ljust(FRAME_SAMPLES, bytes([SILENCE_CODE]))
