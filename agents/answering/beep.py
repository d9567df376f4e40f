"""Tones in what the callee's side sends: the beep after which a machine records, and the three notes (SIT) before a
network's announcement. Pure signal processing on PCM, a window at a time.

A beep is one steady sine; a voice, however steady, has overtones and drifts; dial, ringing and busy tones of the US
and a pressed key are two sines at once. So a window counts as tone if nearly all of its energy lies in one narrow
peak, and a beep is a run of such windows whose peak neither moves nor fades. Music has notes like that; but a machine
beeps once or a few times, on one pitch or two, and then is quiet, for it records.
"""

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

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
QUIET_SHARE, QUIET_LEVEL = 0.75, 0.25
"""So much of that time is quiet, if a machine has begun to record, and so much below the tone: 12 dB."""
MOST_TONES, MOST_PITCHES = 4, 2
MUSIC_SECONDS = 4.0
"""After a group of more than that, a melody, its next notes are no beep either."""
FADE = 2.5
"""Between the loudest and the softest window of a tone (8 dB): plucked and struck notes fade more."""
RINGING_HERTZ, RINGING_MARGIN_HERTZ, RINGING_SECONDS = 425.0, 8.0, 0.65
"""Most networks outside of North America ring, and dial, with this one sine (ITU-T E.180): heard where a call is passed
on after the answer. Shorter, it may be a beep."""
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
    levels: list[float]
    audio: list[NDArray[np.float32]]

    @property
    def tone(self) -> Tone:
        return Tone(round(float(np.median(self.hertz)), 1), self.began_seconds, self.ended_seconds)

    def takes(self, hertz: float) -> bool:
        return abs(hertz - float(np.median(self.hertz))) <= DRIFT_HERTZ


class BeepDetector:
    """Give it the audio as it comes, in pieces of any length, and it tells of each group of tones SETTLE_SECONDS after
    its end. Keeps less than half a second of audio."""

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._size = round(WINDOW_SECONDS * sample_rate)
        self._hop = round(HOP_SECONDS * sample_rate)
        self._taper = np.hanning(self._size).astype(np.float32)
        self._rest = np.zeros(0, np.float32)
        self._samples_done = 0
        self._run: _Run | None = None
        self._tones: list[Tone] = []
        self._level = 0.0
        self._levels_since: list[float] = []
        self._melody_until = 0.0

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
        level = float(np.sqrt(np.mean(np.square(window))))
        hertz = find_tone(window * self._taper, level, self._rate)
        if self._tones and begins >= self._tones[-1].ended_seconds:
            self._levels_since.append(level)
        if self._run is not None and hertz is not None and self._run.takes(hertz):
            self._run.hertz.append(hertz)
            self._run.levels.append(level)
            self._run.ended_seconds = ends
            if len(self._run.audio) < WHOLE_SECONDS / HOP_SECONDS:
                self._run.audio.append(window[: self._hop])
            return None
        self._close_run()
        self._run = _Run(begins, ends, [hertz], [level], [window[: self._hop]]) if hertz is not None else None
        if self._tones and self._run is None and begins - self._tones[-1].ended_seconds >= SETTLE_SECONDS:
            return self._close_group()
        return None

    def _close_run(self) -> None:
        run = self._run
        if run is None or _length(run) < LEAST_SECONDS or not is_one_sine(np.concatenate(run.audio)):
            return
        if not is_even(run.levels) or is_ringing(run.tone):
            return
        self._tones.append(run.tone)
        self._level, self._levels_since = float(np.median(run.levels)), []

    def _close_group(self) -> Heard | None:
        tones, self._tones = tuple(self._tones), []
        quiet = sum(level < QUIET_LEVEL * self._level for level in self._levels_since)
        is_quiet = quiet >= QUIET_SHARE * len(self._levels_since)
        if is_sit(tones):
            return Heard(Sound.SIT, tones)
        in_melody = tones[0].began_seconds < self._melody_until
        if in_melody or is_melody(tones):
            self._melody_until = tones[-1].ended_seconds + MUSIC_SECONDS
            return None
        return Heard(Sound.BEEP, tones) if is_quiet else None


def _length(run: _Run) -> float:
    # The first and the last window may hold it in part: what is seen is up to a window more than what sounds.
    return run.ended_seconds - run.began_seconds + HOP_SECONDS


def find_tone(tapered: NDArray[np.float32], level: float, rate: int) -> float | None:
    """The frequency of the one sine that a window of that RMS holds, None where it holds anything else."""
    if level < QUIETEST_RMS:
        return None
    power = np.square(np.abs(np.fft.rfft(tapered)))
    peak = int(np.argmax(power))
    if not _is_pure(power, peak):
        return None
    # The middle of the peak lies between bins, where a parabola through the logarithms has its top.
    left, middle, right = np.log(power[peak - 1 : peak + 2] + 1e-12)
    shift = 0.5 * (left - right) / (left - 2 * middle + right)
    hertz = float((peak + shift) * rate / len(tapered))
    return hertz if LOWEST_HERTZ - MARGIN_HERTZ <= hertz <= HIGHEST_HERTZ + MARGIN_HERTZ else None


def is_one_sine(samples: NDArray[np.float32]) -> bool:
    """Whether a whole run, seen at once and thus sharper, is still one narrow peak."""
    power = np.square(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))))
    return _is_pure(power, int(np.argmax(power)))


def _is_pure(power: NDArray[np.floating], peak: int) -> bool:
    inside = 2 <= peak <= len(power) - 3
    return inside and bool(power[peak - 2 : peak + 3].sum() >= PURITY * power.sum())


def is_even(levels: list[float]) -> bool:
    """Whether a tone is as loud in the end as it was in the beginning; its first and last windows hold it in part."""
    whole = levels[2:-2] or levels
    return max(whole) <= FADE * min(whole)


def is_ringing(tone: Tone) -> bool:
    return abs(tone.hertz - RINGING_HERTZ) <= RINGING_MARGIN_HERTZ and tone.seconds >= RINGING_SECONDS


def is_sit(tones: tuple[Tone, ...]) -> bool:
    """Three tones in a row, each where that segment may be."""
    return len(tones) == len(SIT_HERTZ) and all(
        any(abs(tone.hertz - hertz) <= SIT_MARGIN_HERTZ for hertz in segment)
        for tone, segment in zip(tones, SIT_HERTZ, strict=True)
    )


def is_melody(tones: tuple[Tone, ...]) -> bool:
    """More of them, or of more pitches, than a machine beeps."""
    steps = sum(above - below > DRIFT_HERTZ for below, above in pairwise(sorted(tone.hertz for tone in tones)))
    return len(tones) > MOST_TONES or steps >= MOST_PITCHES
