"""Tones in what the callee's side sends: the beep after which a machine records, and the three notes (SIT) before a
network's announcement. Pure signal processing on PCM, a window at a time.

A beep is one steady sine; a voice, however steady, has overtones and drifts; dial, ringing and busy tones of the US
and a pressed key are two sines at once. So a window counts as tone if nearly all of its energy lies in one narrow
peak, and a beep is a run of such windows whose peak does not move.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

WINDOW_SECONDS = 0.032
HOP_SECONDS = 0.016
LEAST_SECONDS = 0.15
LOWEST_HERTZ, HIGHEST_HERTZ = 400.0, 2000.0
MARGIN_HERTZ = 20.0
"""A 400 Hz beep is measured as 398 Hz now and then."""
PURITY = 0.85
"""Of a window's energy, in the peak and two bins to either side: the width of a Hann window's main lobe."""
QUIETEST_RMS = 0.005
"""Of full scale: -46 dB. Below, a line's hum would do."""
DRIFT_HERTZ = 25.0
WHOLE_SECONDS = 0.25
"""So much of a run is looked at as a whole: two sines close together (ringing: 440 and 480 Hz) look like one in a
window, and like two in eight of them."""
SETTLE_SECONDS = 0.3
"""So much without a tone ends a group of them: some machines beep twice."""
SIT_HERTZ = ((913.8, 985.2), (1370.6, 1428.5), (1776.7,))
"""The segments of special information tones (ITU-T E.180, Telcordia GR-674): 0.274 or 0.38 s each."""
SIT_MARGIN_HERTZ = 35.0

Samples = NDArray[np.int16]


class Sound(StrEnum):
    BEEP = "beep"
    SIT = "sit"


@dataclass(frozen=True)
class Tone:
    """Seconds count from the first sample that was heard."""

    hertz: float
    began_seconds: float
    ended_seconds: float

    @property
    def seconds(self) -> float:
        return self.ended_seconds - self.began_seconds


@dataclass(frozen=True)
class Heard:
    """A group of tones, told once it is over."""

    sound: Sound
    tones: tuple[Tone, ...]


@dataclass
class _Run:
    """Windows in a row that hold the same tone."""

    began_seconds: float
    ended_seconds: float
    hertz: list[float]
    audio: list[NDArray[np.float32]]

    def takes(self, hertz: float) -> bool:
        return abs(hertz - float(np.median(self.hertz))) <= DRIFT_HERTZ


class BeepDetector:
    """Give it the audio as it comes, in pieces of any length, and it tells of each group of tones SETTLE_SECONDS after
    its end. Keeps less than a window of audio."""

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._size = round(WINDOW_SECONDS * sample_rate)
        self._hop = round(HOP_SECONDS * sample_rate)
        self._taper = np.hanning(self._size).astype(np.float32)
        self._rest = np.zeros(0, np.float32)
        self._samples_done = 0
        self._run: _Run | None = None
        self._tones: list[Tone] = []

    @property
    def is_sounding(self) -> bool:
        """Whether a tone is, or was just now: a second one may follow."""
        return bool(self._tones) or (self._run is not None and _length(self._run) >= LEAST_SECONDS)

    def hear(self, samples: Samples) -> Heard | None:
        """Mono 16-bit PCM at the detector's rate → the group of tones that is over by now, if one is."""
        self._rest = np.concatenate([self._rest, samples.astype(np.float32) / 32768.0])
        found: Heard | None = None
        while len(self._rest) >= self._size:
            found = self._look(self._rest[: self._size]) or found
            self._rest = self._rest[self._hop :]
            self._samples_done += self._hop
        return found

    def _look(self, window: NDArray[np.float32]) -> Heard | None:
        begins = self._samples_done / self._rate
        ends = begins + WINDOW_SECONDS
        hertz = find_tone(window * self._taper, window, self._rate)
        if self._run is not None and hertz is not None and self._run.takes(hertz):
            self._run.hertz.append(hertz)
            self._run.ended_seconds = ends
            if len(self._run.audio) < WHOLE_SECONDS / HOP_SECONDS:
                self._run.audio.append(window[: self._hop])
            return None
        self._close_run()
        self._run = _Run(begins, ends, [hertz], [window[: self._hop]]) if hertz is not None else None
        if self._tones and self._run is None and begins - self._tones[-1].ended_seconds >= SETTLE_SECONDS:
            tones, self._tones = tuple(self._tones), []
            return Heard(name_sound(tones), tones)
        return None

    def _close_run(self) -> None:
        run = self._run
        if run is not None and _length(run) >= LEAST_SECONDS and is_one_sine(np.concatenate(run.audio)):
            self._tones.append(Tone(round(float(np.median(run.hertz)), 1), run.began_seconds, run.ended_seconds))


def _length(run: _Run) -> float:
    # The first and the last window may hold it in part: what is seen is up to a window more than what sounds.
    return run.ended_seconds - run.began_seconds + HOP_SECONDS


def find_tone(tapered: NDArray[np.float32], window: NDArray[np.float32], rate: int) -> float | None:
    """The frequency of the one sine that a window holds, None where it holds anything else."""
    if float(np.sqrt(np.mean(np.square(window)))) < QUIETEST_RMS:
        return None
    power = np.square(np.abs(np.fft.rfft(tapered)))
    peak = int(np.argmax(power))
    if not _is_pure(power, peak):
        return None
    # The middle of the peak lies between bins, where a parabola through the logarithms has its top.
    left, middle, right = np.log(power[peak - 1 : peak + 2] + 1e-12)
    shift = 0.5 * (left - right) / (left - 2 * middle + right)
    hertz = float((peak + shift) * rate / len(window))
    return hertz if LOWEST_HERTZ - MARGIN_HERTZ <= hertz <= HIGHEST_HERTZ + MARGIN_HERTZ else None


def is_one_sine(samples: NDArray[np.float32]) -> bool:
    """Whether a whole run, seen at once and thus sharper, is still one narrow peak."""
    power = np.square(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))))
    return _is_pure(power, int(np.argmax(power)))


def _is_pure(power: NDArray[np.floating], peak: int) -> bool:
    inside = 2 <= peak <= len(power) - 3
    return inside and bool(power[peak - 2 : peak + 3].sum() >= PURITY * power.sum())


def name_sound(tones: tuple[Tone, ...]) -> Sound:
    """SIT: three tones in a row, each where that segment may be; all else that is steady is a beep."""
    is_sit = len(tones) == len(SIT_HERTZ) and all(
        any(abs(tone.hertz - hertz) <= SIT_MARGIN_HERTZ for hertz in segment)
        for tone, segment in zip(tones, SIT_HERTZ, strict=True)
    )
    return Sound.SIT if is_sit else Sound.BEEP
