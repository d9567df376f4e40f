"""North American numbers, thousands at once: exactly what `NumberReader.read` and `Allowed.why_not` say of each.

What the numbering plan says of a number follows from its first six digits; the last four are free. That is not
believed but looked up in phonenumbers' own patterns, and where a future edition says otherwise nothing is read here.
So what is known of one number of an exchange is known of its ten thousand.
"""

import re

import numpy as np
from phonenumbers.phonemetadata import PhoneMetadata

from campaigns.imports.plain_numbers import SPECIAL_KINDS, Allowed, NumberReader
from campaigns.imports.vectors.cells import Bools, Cells, Ints
from telephony.toll_gate.destinations import REFUSED_PATTERNS

CODE = "1"
LONGEST = 18
""" "+1 (202) 555-0142" and a blank. What is longer is read the long way."""

_KNOWN, _ABROAD, _HOME = 128, 1, 2
_DIRECTORY = 1212
"""The one ending that a refused pattern names: such numbers are read the long way."""
_LAST_FOUR_FREE = re.compile(r".*(\\d|\[0-9\])\{([4-9]|10)\}", re.DOTALL)
_ZERO, _PLUS = ord("0"), ord("+")
_IS_MARK = np.zeros(256, bool)
_IS_MARK[[ord(mark) for mark in " -()."]] = True


class NorthAmerica:
    """Reads as of the region of `numbers` where no + is written; knows what `allowed` says of every exchange it met."""

    def __init__(self, numbers: NumberReader, allowed: Allowed) -> None:
        self._numbers = numbers
        self._allowed = allowed
        self._usable = last_four_are_free()
        self._exchanges = np.zeros(1_000_000, np.uint8)

    def read(self, cells: Cells) -> Ints:
        """Of each cell the digits of the number as an integer, if it is plain and may be dialed, else 0. `cells`:
        without blanks around them."""
        found = np.zeros(len(cells.lengths), np.int64)
        likely = np.flatnonzero((cells.lengths >= 10) & (cells.lengths <= LONGEST))
        if not self._usable or not len(likely):
            return found
        within = np.arange(LONGEST)
        places = np.minimum(cells.starts[likely, None] + within, len(cells.text) - 1)
        signs = np.where(within < cells.lengths[likely, None], cells.text[places], ord(" "))
        has_plus = signs[:, 0] == _PLUS
        signs[has_plus, 0] = ord(" ")
        is_digit = (signs >= _ZERO) & (signs < _ZERO + 10)
        plain = (is_digit | _IS_MARK[signs]).all(axis=1)
        count = is_digit.sum(axis=1)
        is_home = self._numbers.code == CODE
        for digits, wanted in (
            (11, plain & (count == 11) & (has_plus | is_home)),
            (10, plain & (count == 10) & ~has_plus & is_home),
        ):
            rows = np.flatnonzero(wanted)
            figures = signs[rows][is_digit[rows]].reshape(len(rows), digits).astype(np.int64) - _ZERO
            numbers = figures @ (10 ** np.arange(digits - 1, -1, -1, dtype=np.int64))
            national = numbers % 10**10
            right = (numbers - national == (10**10 if digits == 11 else 0)) & (national >= 2 * 10**9)
            good = right & self._may_be_dialed(national, _ABROAD if digits == 11 else _HOME)
            found[likely[rows[good]]] = national[good] + 10**10
        return found

    def _may_be_dialed(self, national: Ints, form: int) -> Bools:
        exchanges = national // 10_000
        for exchange in np.unique(exchanges[self._exchanges[exchanges] == 0]).tolist():
            self._exchanges[exchange] = self._look_up(f"{exchange:06}")
        return ((self._exchanges[exchanges] & form) != 0) & (national % 10_000 != _DIRECTORY)

    def _look_up(self, exchange: str) -> int:
        if not self._allowed.allows_range(f"+{CODE}{exchange}"):
            return _KNOWN
        is_home = self._numbers.reads_plainly(f"{exchange}0000")
        is_abroad = self._numbers.reads_plainly(f"+{CODE}{exchange}0000")
        return _KNOWN | _ABROAD * is_abroad | _HOME * is_home


def last_four_are_free() -> bool:
    """Whether no pattern of the numbering plan, and none that is refused, looks at the last four digits."""
    metadata = PhoneMetadata.metadata_for_region("US")
    assert metadata is not None  # phonenumbers knows the country
    kinds = [getattr(metadata, name) for name in ("general_desc", "fixed_line", "mobile", *SPECIAL_KINDS)]
    patterns = [kind.national_number_pattern for kind in kinds if kind and kind.national_number_pattern]
    refused = [pattern.pattern for pattern, _ in REFUSED_PATTERNS]
    known = [pattern for pattern in refused if pattern.endswith(str(_DIRECTORY))]
    return all(
        _LAST_FOUR_FREE.fullmatch(part)
        for pattern in [*patterns, *(p for p in refused if p not in known)]
        for part in alternatives(pattern)
    )


def alternatives(pattern: str) -> list[str]:
    """A pattern split at each | that stands in no parenthesis and no class."""
    parts, depth = [""], 0
    for part in re.findall(r"\\.|\[[^]]*\]|.", pattern, re.DOTALL):
        depth += {"(": 1, ")": -1}.get(part, 0)
        if part == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += part
    return parts
