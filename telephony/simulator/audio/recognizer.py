"""What a simulated person understands of what they hear: needed only by those who hang up at a word."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from telephony.media.g711 import SAMPLE_RATE, decode_mulaw

MODEL_RATE = 16_000
SHORTEST_SECONDS = 0.5
LONGEST_SECONDS = 8.0


class Recognizer:
    """Moonshine's tiny English model in a thread of its own, loaded when it is first needed. Close it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="simulator-ear")
        self._model: Any = None  # moonshine_voice.transcriber.Transcriber: untyped

    async def recognize(self, mulaw: bytes) -> str:
        """The words in the last LONGEST_SECONDS of `mulaw` at 8 kHz, or ""."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._recognize, mulaw)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _recognize(self, mulaw: bytes) -> str:
        if len(mulaw) < SHORTEST_SECONDS * SAMPLE_RATE:
            return ""
        if self._model is None:
            self._model = _load_model()
        samples = decode_mulaw(mulaw[-int(LONGEST_SECONDS * SAMPLE_RATE) :]).astype(np.float32) / 32768.0
        wide = soxr.resample(samples, SAMPLE_RATE, MODEL_RATE)
        lines = self._model.transcribe_without_streaming(wide.tolist(), MODEL_RATE).lines
        return " ".join(line.text.strip() for line in lines)


def _load_model() -> Any:
    # Half a second and 200 MB: only where somebody listens for a word.
    import moonshine_voice
    from moonshine_voice.moonshine_api import ModelArch
    from moonshine_voice.transcriber import Transcriber

    model = Path(moonshine_voice.__file__).parent / "assets" / "tiny-en"
    options = {"vad_threshold": "0.0", "return_audio_data": "false", "identify_speakers": "false"}
    return Transcriber(model, ModelArch.TINY, options=options)
