"""The voice of the simulated people and of the carrier's own announcements: synthesized offline, kept on disk."""

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidInput
from telephony.media.g711 import SAMPLE_RATE, encode_mulaw
from telephony.simulator.audio.wav import read_wav, resample, save_wav

ENGINE = "hibari-0.2.1"
"""Part of every cache key: another engine or voice must not be answered from old files."""

QUIET = 0.02
"""Samples below this part of full scale at either end of a synthesized line are cut: its end is the end of speech."""

PEAK = 0.6


class NothingToSay(InvalidInput):
    """The text has no word that can be spoken."""

    code = "nothing_to_say"
    title = "Nothing to say"


class Voice:
    """Text to mu-law at 8 kHz. One synthesis at a time in a thread of its own; a line is made once, then cached."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="simulator-voice")
        self._engine: Any = None  # hibari.Hibari: untyped; loaded by the first line, in the thread

    async def speak(self, text: str, speed: float = 1.0) -> bytes:
        """The mu-law of `text`; `speed` 0.5 to 2.0. Raises NothingToSay."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._fetch, text, speed)

    async def load(self, path: Path) -> bytes:
        """The mu-law of a recorded WAV file. Raises BadWav, OSError."""
        return await asyncio.to_thread(read_wav, path)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, text: str, speed: float) -> bytes:
        key = hashlib.sha256(f"{ENGINE}|{speed}|{text}".encode()).hexdigest()[:32]
        path = self._folder / f"{key}.wav"
        if not path.exists():
            save_wav(path, self._synthesize(text, speed))
        # Also the first time: two codes mean zero, and only one of them comes back from a file.
        return read_wav(path)

    def _synthesize(self, text: str, speed: float) -> bytes:
        if self._engine is None:
            from hibari import Hibari  # half a second to load: only when something is to be said

            self._engine = Hibari()
        wave: NDArray[np.float32] = self._engine(text, speed=speed, seed=0)
        trimmed = _trim(wave)
        if not trimmed.size:
            raise NothingToSay("The text has no word that can be spoken.")
        leveled = trimmed * (PEAK / float(np.abs(trimmed).max()))
        return encode_mulaw(resample(leveled, self._engine.sample_rate))


def _trim(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    loud = np.flatnonzero(np.abs(wave) > QUIET)
    return wave[loud[0] : loud[-1] + 1] if loud.size else wave[:0]


def beep(hertz: float = 1000.0, length_seconds: float = 0.5) -> bytes:
    """A sine tone as mu-law, the voicemail's beep."""
    moments = np.arange(int(SAMPLE_RATE * length_seconds)) / SAMPLE_RATE
    return encode_mulaw((np.sin(2 * np.pi * hertz * moments) * 0.5 * 32767).astype(np.int16))
