"""When each of several dials goes out, where all go through the same lanes. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from campaigns.rules.pacing import slot_spacing_seconds


@dataclass(frozen=True)
class Track:
    """One thing that paces: the campaign itself, or a lane. `next_in_seconds`: when its next dial may go out, from
    now; below zero or zero: at once. `spacing_seconds`: between two dials of it."""

    key: str
    next_in_seconds: float
    spacing_seconds: float

    @classmethod
    def of_rate(cls, key: str, next_in_seconds: float, calls_per_second: float | None) -> "Track":
        """Without a rate nothing is spaced."""
        spacing = 0.0 if calls_per_second is None else slot_spacing_seconds(calls_per_second)
        return cls(key, next_in_seconds, spacing)


@dataclass(frozen=True)
class Layout:
    """`slots`: seconds from now, ascending. `next_in_seconds`: by track, when its next dial may go out after these."""

    slots: list[float]
    next_in_seconds: dict[str, float]


def lay_slots(tracks: Sequence[Track], count: int, *, earliest: float, latest: float) -> Layout:
    """Slots for up to `count` dials through all of `tracks`, none before `earliest` or after `latest`.

    Each keeps the spacing of every track from the slot before it and from what was taken earlier.
    """
    following = {track.key: track.next_in_seconds for track in tracks}
    slots: list[float] = []
    for _ in range(count):
        slot = max(earliest, *following.values())
        if slot > latest:
            break
        slots.append(slot)
        for track in tracks:
            following[track.key] = slot + track.spacing_seconds
    return Layout(slots, following)
