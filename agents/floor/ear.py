"""What the callee's side has said so far, measured in seconds of audio: how long, and how long they have been quiet.

A busy machine gets audio late, and then much of it at once. Samples that were heard are a clock that no load can
hurry: a pause is one when it was heard, not when nothing arrived.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from livekit import local_inference

from agents.answering.beep import BeepDetector, Samples

WINDOW = local_inference.VAD_WINDOW_SAMPLES
RATE = 16_000
WINDOW_SECONDS = WINDOW / RATE
BEGINS, GOES_ON = 0.5, 0.35
"""How likely a window is speech for a stretch of it to begin, and to go on: a soft syllable does not end a word."""
PAUSE_SECONDS = 0.3
"""Less than that lies between words."""


@dataclass(frozen=True)
class Voice:
    """Seconds of audio. `spoke`: of speech, its pauses left out. `unbroken`: the longest stretch of it without a
    pause. `quiet`: since the last speech, or since the beginning. `beeped`: a machine's or a network's
    tone was there; `sounding`: one is, or was just now."""

    heard: float = 0.0
    spoke: float = 0.0
    unbroken: float = 0.0
    quiet: float = 0.0
    beeped: bool = False
    sounding: bool = False


class Ear:
    """Give it the audio as it comes, in pieces of any length. `predict`: how likely a window of 32 ms is speech."""

    def __init__(self, predict: Callable[[Samples], float] | None = None) -> None:
        self._predict = predict or local_inference.VAD().predict
        self.forget()

    def forget(self) -> None:
        """Begin anew: what came before was not the callee."""
        self._detector = BeepDetector(RATE)
        self._rest = np.zeros(0, np.int16)
        self._windows = 0
        self._spoke = self._stretch = self._unbroken = self._quiet = 0
        self._beeped = False

    @property
    def voice(self) -> Voice:
        counted = (self._windows, self._spoke, self._unbroken, self._quiet)
        return Voice(
            *(count * WINDOW_SECONDS for count in counted), beeped=self._beeped, sounding=self._detector.is_sounding
        )

    def hear(self, samples: Samples) -> None:
        """Mono 16-bit PCM at 16 kHz."""
        self._beeped = self._detector.hear(samples) is not None or self._beeped
        self._rest = np.concatenate([self._rest, samples])
        while len(self._rest) >= WINDOW:
            self._count(self._predict(self._rest[:WINDOW]))
            self._rest = self._rest[WINDOW:]

    def _count(self, probability: float) -> None:
        self._windows += 1
        in_stretch = self._stretch > 0 and self._quiet * WINDOW_SECONDS < PAUSE_SECONDS
        if probability < (GOES_ON if in_stretch else BEGINS):
            self._quiet += 1
            return
        self._stretch = self._stretch + self._quiet + 1 if in_stretch else 1
        self._unbroken = max(self._unbroken, self._stretch)
        self._spoke += 1
        self._quiet = 0
