"""Speaking without a key: Hibari, whose model and one voice are in its wheel (hibari-tts 0.2.1).

Sentence by sentence, first audio in about 40 ms. What was said before is kept (greetings, questions and goodbyes
come again in every call), so that a repeated line costs nothing.
"""

import asyncio
import os
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from hibari import Hibari
from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectionError, APIConnectOptions, tts, utils
from numpy.typing import NDArray

from app.logs import get_logger

if TYPE_CHECKING:
    Lines = OrderedDict[tuple[str, float], bytes]
else:
    Lines = OrderedDict

log = get_logger(__name__)

SAMPLE_RATE = 24_000
VOICE = "heart"
CACHE_BYTES = 64 * 1024 * 1024
"""About 23 minutes of speech."""
SENTENCE_TIMEOUT_SECONDS = 15.0
FRAME = SAMPLE_RATE // 100
SILENT = 0.001
"""Loudness (RMS, full scale is 1) that is still silence."""
LEAD_IN_FRAMES = 3
PAUSE_FRAMES = 22
"""Left before and after a sentence, in hundredths of a second."""


def trim_silence(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Hibari begins every sentence with 0.3 s of silence and ends it with 0.5 s; a caller would wait for both."""
    frames = audio[: len(audio) // FRAME * FRAME].reshape(-1, FRAME)
    loud = np.flatnonzero(np.sqrt(np.mean(frames * frames, axis=1)) > SILENT) if len(frames) else np.zeros(0, int)
    if not len(loud):
        return audio[:0]
    start = max(0, loud[0] - LEAD_IN_FRAMES) * FRAME
    return audio[start : (loud[-1] + 1 + PAUSE_FRAMES) * FRAME]


class HibariEngine:
    """The loaded voice, the threads that run it, and the lines said lately; one for a process. Close it."""

    def __init__(self, threads: int | None = None, cache_bytes: int = CACHE_BYTES) -> None:
        self._hibari = Hibari(voice=VOICE)
        self._pool = ThreadPoolExecutor(threads or min(4, os.cpu_count() or 2), thread_name_prefix="hibari")
        self._lines: Lines = OrderedDict()
        self._cache_bytes = cache_bytes
        self.kept_bytes = 0
        # Calls run in threads of their own.
        self._lock = threading.Lock()
        self._synthesize("Hello. How can I help you?", 1.0)

    async def say(self, text: str, speed: float = 1.0) -> AsyncIterator[bytes]:
        """16-bit mono PCM at 24 kHz, one piece a sentence. Raises APIConnectionError if the engine fails or hangs."""
        for sentence in Hibari.split_sentences(text):
            kept = self.recall(sentence, speed)
            yield kept if kept is not None else await self._work(sentence, speed)

    async def warm(self, texts: list[str], speed: float = 1.0) -> None:
        """Have these lines ready."""
        for text in texts:
            async for _ in self.say(text, speed):
                pass

    async def _work(self, sentence: str, speed: float) -> bytes:
        work = asyncio.get_running_loop().run_in_executor(self._pool, self._synthesize, sentence, speed)
        try:
            return await asyncio.wait_for(work, SENTENCE_TIMEOUT_SECONDS)
        except (RuntimeError, TimeoutError) as error:
            raise APIConnectionError("speech synthesis failed") from error

    def _synthesize(self, sentence: str, speed: float) -> bytes:
        # A seed: the same line sounds the same each time, kept or not.
        audio = trim_silence(self._hibari(sentence, speed=speed, seed=1))
        pcm = (np.clip(audio, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
        self._keep(sentence, speed, pcm)
        return pcm

    def recall(self, sentence: str, speed: float) -> bytes | None:
        with self._lock:
            kept = self._lines.get((sentence, speed))
            if kept is not None:
                self._lines.move_to_end((sentence, speed))
            return kept

    def _keep(self, sentence: str, speed: float, pcm: bytes) -> None:
        with self._lock:
            if (sentence, speed) in self._lines:
                return
            self._lines[sentence, speed] = pcm
            self.kept_bytes += len(pcm)
            while self.kept_bytes > self._cache_bytes:
                _, dropped = self._lines.popitem(last=False)
                self.kept_bytes -= len(dropped)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


class HibariTTS(tts.TTS[Any]):
    """LiveKit's view of the engine, for one voice; LiveKit hands it whole sentences."""

    def __init__(self, engine: HibariEngine, *, voice: str | None = None, speed: float = 1.0) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=SAMPLE_RATE, num_channels=1)
        if voice not in (None, VOICE):
            # Its other voices would be downloaded, and nothing is downloaded in a call.
            log.warning("offline voice is not in the package", wanted=voice, used=VOICE)
        self.engine = engine
        self.speed = speed

    @property
    def model(self) -> str:
        return "hibari"

    @property
    def provider(self) -> str:
        return "hibari"

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return HibariStream(self, text, conn_options)


class HibariStream(tts.ChunkedStream):
    def __init__(self, owner: HibariTTS, text: str, conn_options: APIConnectOptions) -> None:
        super().__init__(tts=owner, input_text=text, conn_options=conn_options)
        self._owner = owner

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid(), sample_rate=SAMPLE_RATE, num_channels=1, mime_type="audio/pcm"
        )
        async for pcm in self._owner.engine.say(self.input_text, self._owner.speed):
            # Nothing to speak in it (a dash, an emoji) is no failure of the provider, which no audio would mean.
            output_emitter.push(pcm or bytes(SAMPLE_RATE // 50 * 2))
        output_emitter.flush()
