"""Who speaks when, from the loudness of 20 ms frames: where speech began and ended on a call's timeline."""

from dataclasses import dataclass

import numpy as np

from telephony.media.g711 import FRAME_SECONDS, decode_mulaw

VOICE_LOUDNESS = 250.0
"""About -42 dBFS: above a codec's comfort noise, below any speech that a person would hear."""

GAP_TICKS = 10
"""Shorter gaps (200 ms) belong to the speech around them: closures in stops, breaths."""

CLICK_TICKS = 3
"""Shorter sounds (60 ms) are clicks, not speech."""

_POWER = decode_mulaw(bytes(range(256))).astype(np.float64) ** 2


def loudness(frame: bytes) -> float:
    """Root mean square of mu-law audio, in 16-bit sample units (full scale 32767); 0 where there is none."""
    return float(np.sqrt(_POWER[np.frombuffer(frame, np.uint8)].mean())) if frame else 0.0


def is_voice(frame: bytes) -> bool:
    """Whether somebody speaks in these 20 ms."""
    return loudness(frame) >= VOICE_LOUDNESS


@dataclass
class Stretch:
    """An uninterrupted stretch of speech, in ticks of the line (20 ms each); `end` is the first quiet tick."""

    start: int
    end: int
    loud: int = 0


class Ear:
    """Follows one direction of a line; fed with every frame in order, also the silent ones."""

    def __init__(self) -> None:
        self._stretches: list[Stretch] = []

    def feed(self, tick: int, frame: bytes) -> None:
        if not is_voice(frame):
            return
        latest = self._stretches[-1] if self._stretches else None
        if latest is None or tick - latest.end >= GAP_TICKS:
            latest = Stretch(tick, tick)
            self._stretches.append(latest)
        latest.end = tick + 1
        latest.loud += 1

    @property
    def stretches(self) -> list[Stretch]:
        return [stretch for stretch in self._stretches if stretch.loud >= CLICK_TICKS]

    def first_after(self, tick: int) -> Stretch | None:
        """The first speech that began at `tick` or later."""
        return next((stretch for stretch in self.stretches if stretch.start >= tick), None)

    def running_at(self, tick: int) -> Stretch | None:
        """The speech that was going on at `tick`."""
        return next((stretch for stretch in self.stretches if stretch.start < tick <= stretch.end), None)

    def heard_since(self, tick: int) -> Stretch | None:
        """The latest speech of which some part lies at `tick` or later."""
        latest = self.stretches[-1] if self.stretches else None
        return latest if latest is not None and latest.end > tick else None


def seconds(ticks: int) -> float:
    return round(ticks * FRAME_SECONDS, 2)
