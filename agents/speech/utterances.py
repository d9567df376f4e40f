"""Where one utterance begins, pauses and ends, decided from speech probabilities: pure, no audio, no clock.

The probabilities come from LiveKit's local VAD, one for every 32 ms. A recognizer that takes whole utterances needs
two things beyond start and end: a *pause*, early enough to begin recognizing while the silence still lasts, and a
*cut*, because an utterance must not grow for ever.
"""

from dataclasses import dataclass
from enum import Enum, auto

WINDOW_SECONDS = 512 / 16_000


class Signal(Enum):
    STARTED = auto()
    PAUSED = auto()
    RESUMED = auto()
    ENDED = auto()
    CUT = auto()
    """Too long for one piece: recognize what there is and go on listening."""


@dataclass(frozen=True)
class Bounds:
    """Thresholds are probabilities, the rest is seconds."""

    speech: float = 0.5
    """At least this to begin."""
    silence: float = 0.35
    """Below this once begun: hysteresis, so that a soft syllable does not end a word."""
    start_seconds: float = 0.06
    pause_seconds: float = 0.09
    end_seconds: float = 0.30
    longest_seconds: float = 20.0


class Utterance:
    """Follows one speaker. `push` every window's probability; what it returns has just happened."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self.speaking = False
        self._paused = False
        self._speech = 0.0
        self._silence = 0.0
        self.seconds = 0.0
        """Since the utterance began, its pauses included."""

    def push(self, probability: float) -> Signal | None:
        return self._listen(probability) if self.speaking else self._wait(probability)

    def _wait(self, probability: float) -> Signal | None:
        if probability < self._bounds.speech:
            self._speech = 0.0
            return None
        self._speech += WINDOW_SECONDS
        if self._speech < self._bounds.start_seconds:
            return None
        self.speaking, self._paused = True, False
        self.seconds, self._silence = self._speech, 0.0
        return Signal.STARTED

    def _listen(self, probability: float) -> Signal | None:
        self.seconds += WINDOW_SECONDS
        if probability >= self._bounds.silence:
            return self._hear_speech()
        self._silence += WINDOW_SECONDS
        if self._silence >= self._bounds.end_seconds:
            self.reset()
            return Signal.ENDED
        if not self._paused and self._silence >= self._bounds.pause_seconds:
            self._paused = True
            return Signal.PAUSED
        return None

    def _hear_speech(self) -> Signal | None:
        self._silence = 0.0
        if self._paused:
            self._paused = False
            return Signal.RESUMED
        if self.seconds >= self._bounds.longest_seconds:
            self.seconds = 0.0
            return Signal.CUT
        return None

    def reset(self) -> None:
        self.speaking = self._paused = False
        self._speech = self._silence = 0.0
