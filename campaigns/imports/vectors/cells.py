"""Many cells as one run of bytes: worked on all at once, without an object each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Cells:
    """UTF-8. Cell n is `text[starts[n] : starts[n] + lengths[n]]`; one more byte stands behind the last."""

    text: Bytes
    starts: Ints
    lengths: Ints

    def take(self, chosen: NDArray[Any]) -> "Cells":
        """Those of these numbers, or where it is true."""
        return Cells(self.text, self.starts[chosen], self.lengths[chosen])

    def cell(self, n: int) -> str:
        start = int(self.starts[n])
        return self.text[start : start + int(self.lengths[n])].tobytes().decode()

    def copy_to(self, out: Bytes, places: Ints) -> None:
        """Cell n to `out[places[n] :]`."""
        ends = np.cumsum(self.lengths)
        within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - self.lengths, self.lengths)
        out[np.repeat(places, self.lengths) + within] = self.text[np.repeat(self.starts, self.lengths) + within]


def join_cells(cells: Sequence[str]) -> Cells | None:
    """None where one of them holds what is no text: a NUL, half of a surrogate pair."""
    try:
        text = np.frombuffer(("\0".join(cells) + "\0").encode(), np.uint8)
    except UnicodeEncodeError:
        return None
    ends = np.flatnonzero(text == 0)
    if len(ends) != len(cells):
        return None
    starts = np.concatenate((np.zeros(1, np.int64), ends[:-1] + 1))
    return Cells(text, starts, ends - starts)
