"""A caller who speaks and listens: a SIP phone with a voice and ears, for the demo, live tests and the benchmark."""

from dataclasses import dataclass

import numpy as np
import soxr

from agents.speech.hibari import SAMPLE_RATE as VOICE_RATE
from agents.speech.hibari import HibariEngine
from agents.speech.moonshine import SAMPLE_RATE as EAR_RATE
from agents.speech.moonshine import MoonshineEngine
from telephony.media.g711 import SAMPLE_RATE, Samples
from telephony.simulator.phone.sip_phone import SipCall


@dataclass(frozen=True)
class Exchange:
    """What was said, the words of what came back, and how long the caller waited for the first sound of it."""

    said: str
    heard: str
    wait_seconds: float


class Voice:
    """Text to telephone audio and back, offline. Close it: it owns threads."""

    def __init__(self) -> None:
        self._mouth = HibariEngine(threads=1)
        self._ears = MoonshineEngine(transcribers=1)

    async def speak(self, text: str) -> Samples:
        """`text` as 16-bit PCM, 8 kHz, mono."""
        pieces = [np.frombuffer(pcm, np.int16) async for pcm in self._mouth.say(text)]
        return np.asarray(soxr.resample(np.concatenate(pieces), VOICE_RATE, SAMPLE_RATE), np.int16)

    async def transcribe(self, pcm: Samples) -> str:
        """The words in 8 kHz audio; pieces between pauses are recognized one by one."""
        words = [await self._ears.recognize(piece) for piece in split_at_pauses(pcm)]
        return " ".join(word for word in words if word)

    def close(self) -> None:
        self._mouth.close()
        self._ears.close()


def split_at_pauses(pcm: Samples, *, longest_seconds: float = 12.0) -> list[Samples]:
    """Cut 8 kHz audio at its pauses into pieces of 16 kHz that a whole-utterance recognizer takes."""
    wide = np.asarray(soxr.resample(pcm, SAMPLE_RATE, EAR_RATE), np.int16)
    step = EAR_RATE // 50
    frames = wide[: len(wide) // step * step].reshape(-1, step).astype(np.float32)
    loud = np.sqrt(np.mean(frames * frames, axis=1)) > 150 if len(frames) else np.zeros(0, bool)
    pieces: list[Samples] = []
    start: int | None = None
    quiet = 0
    for index, is_loud in enumerate(loud):
        if is_loud and start is None:
            start = index
        quiet = 0 if is_loud else quiet + 1
        long = start is not None and (index - start) * 0.02 > longest_seconds
        if start is not None and (quiet == 35 or (long and quiet >= 5)):
            pieces.append(wide[max(0, start - 10) * step : (index + 1) * step])
            start = None
    if start is not None:
        pieces.append(wide[max(0, start - 10) * step :])
    return [np.pad(piece, (0, EAR_RATE // 4)) for piece in pieces]


class SpokenCaller:
    """Holds a conversation over a call of the phone. Times are those of the event loop's clock."""

    def __init__(self, call: SipCall, voice: Voice) -> None:
        self.call = call
        self.voice = voice
        self.exchanges: list[Exchange] = []

    async def hear_greeting(self, *, timeout_seconds: float = 10) -> Exchange:
        """Wait for the answer and the greeting; `wait_seconds` counts from the answer to the first sound."""
        answered_at = await self.call.wait_answered(timeout_seconds)
        reply = await self.call.hear_reply(answered_at, timeout_seconds=timeout_seconds)
        heard = await self.voice.transcribe(self.call.heard_between(reply.started_at - 0.1, reply.ended_at + 0.1))
        return self._keep(Exchange("", heard, reply.started_at - answered_at))

    async def ask(self, text: str, *, timeout_seconds: float = 15, quiet_seconds: float = 1.2) -> Exchange:
        """Say `text`, hear the reply to its end. Raises NobodySpoke when none comes."""
        spoken = await self.call.say(await self.voice.speak(text))
        reply = await self.call.hear_reply(
            spoken.ended_at, quiet_seconds=quiet_seconds, timeout_seconds=timeout_seconds
        )
        heard = await self.voice.transcribe(self.call.heard_between(reply.started_at - 0.1, reply.ended_at + 0.1))
        return self._keep(Exchange(text, heard, reply.started_at - spoken.ended_at))

    def _keep(self, exchange: Exchange) -> Exchange:
        self.exchanges.append(exchange)
        return exchange
