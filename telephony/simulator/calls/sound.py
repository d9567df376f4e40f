"""What TwiML makes audible on a line, or, where only the signaling is played, how long that would take."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from telephony.simulator.audio.line import Line
from telephony.simulator.audio.stream import MediaStream, StreamOrder
from telephony.simulator.audio.voice import Voice
from telephony.simulator.audio.wav import read_wav
from telephony.simulator.calls.twiml import ConnectStream
from telephony.simulator.calls.webhooks import Webhooks
from telephony.simulator.faults import Fault
from telephony.simulator.journal import Journal
from telephony.simulator.mode import Mode
from telephony.simulator.people.silent import speech_seconds

SILENT_PLAY_SECONDS = 5.0
"""How long a file that nobody fetches is taken to be."""


class Sound(Protocol):
    """Each returns when the person has heard it all, or, for a stream, when the server closed it."""

    async def say(self, text: str, loop: int) -> None: ...

    async def play(self, url: str, loop: int) -> None: ...

    async def pause(self, seconds: float) -> None: ...

    async def stream(self, verb: ConnectStream) -> None: ...


@dataclass
class Audible:
    """The real thing. `take_fault`: what shall happen to the media stream, if anything."""

    call_sid: str
    account_sid: str
    line: Line
    voice: Voice
    webhooks: Webhooks
    journal: Journal
    take_fault: Callable[[], Fault | None]

    async def say(self, text: str, loop: int) -> None:
        """Raises NothingToSay."""
        await self._play(await self.voice.speak(text), loop)

    async def play(self, url: str, loop: int) -> None:
        """Raises WebhookFailed, BadWav."""
        file = await self.webhooks.fetch_media(self.call_sid, url)
        await self._play(await asyncio.to_thread(read_wav, file), loop)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def stream(self, verb: ConnectStream) -> None:
        signature = self.webhooks.sign(verb.url, {})
        order = StreamOrder(verb.url, verb.parameters, self.account_sid, self.call_sid, signature)
        fault = self.take_fault()
        cut = fault.seconds if fault is not None else None
        await MediaStream(order, self.line, self.journal, cut_after_seconds=cut).run()

    async def _play(self, audio: bytes, loop: int) -> None:
        try:
            for _ in range(loop or 1000):
                await self.line.play(audio)
        finally:
            self.line.clear()


@dataclass
class Silent:
    """Signaling only: time passes, nothing sounds, and nobody is at the other end of a stream."""

    mode: Mode

    async def say(self, text: str, loop: int) -> None:
        await self.mode.wait(speech_seconds(text) * (loop or 1000))

    async def play(self, url: str, loop: int) -> None:
        await self.mode.wait(SILENT_PLAY_SECONDS * (loop or 1000))

    async def pause(self, seconds: float) -> None:
        await self.mode.wait(seconds)

    async def stream(self, verb: ConnectStream) -> None:
        """Goes on until somebody hangs up."""
        await asyncio.get_running_loop().create_future()
