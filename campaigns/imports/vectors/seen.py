"""Which numbers an import may have met before, in little memory however long the list is."""

from collections.abc import Iterable

import numpy as np

from campaigns.imports.vectors.cells import Bools, Ints

_BYTES = 1 << 24
_PLACES = 134_217_689
"""The largest prime below the number of bits: so any run of numbers is spread evenly."""


class SeenNumbers:
    """A yes may be wrong, in less than one of a hundred per million numbers met; a no never is. 16 MiB."""

    def __init__(self) -> None:
        self._bits = np.zeros(_BYTES, np.uint8)

    def meet(self, phones: Ints) -> Bools:
        """Whether each may have been met by an earlier call. `phones`: no number twice."""
        places = phones % _PLACES
        bits = (1 << (places & 7)).astype(np.uint8)
        before = (self._bits[places >> 3] & bits) != 0
        np.bitwise_or.at(self._bits, places >> 3, bits)
        return before

    def remember(self, numbers: Iterable[str]) -> None:
        """Numbers in E.164 that went another way."""
        self.meet(np.array([int(number) for number in {*numbers}], np.int64))
