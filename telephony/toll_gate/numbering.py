"""What the numbering plans say of a number: its country and its kind.

phonenumbers knows, at some 50 µs a number; a campaign asks for millions. What is plainly a fixed line or a mobile of
its code's main country is read from the same metadata in a few µs, with exactly the same answer; all else is left to
phonenumbers. Only E.164 to the letter comes in here (`require_canonical`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberType
from phonenumbers.phonemetadata import PhoneNumberDesc

from app.ids import E164

NO_COUNTRY = "001"
"""What phonenumbers calls the region of codes that belong to no country: satellites (+870, +881 …) and the like."""

_SPECIAL = ("premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail")
"""What phonenumbers looks for before it calls a number a fixed line or a mobile."""

_CODES = frozenset(str(code) for code in COUNTRY_CODE_TO_REGION_CODE)


@dataclass(frozen=True, slots=True)
class Destination:
    """`country`: ISO 3166, or "001". `kind`: a phonenumbers.PhoneNumberType."""

    country: str
    kind: int


class NotInAnyPlan(ValueError):
    """No numbering plan has this number: nobody can say which country it is in, or what it costs."""


def read_destination(to: E164) -> Destination:
    """Where a number in E.164 form leads. Raises NotInAnyPlan."""
    return _read_plain(to) or read_with_phonenumbers(to)


def read_with_phonenumbers(to: E164) -> Destination:
    """The slow way, for what is not plain. Raises NotInAnyPlan."""
    try:
        number = phonenumbers.parse(to)
    except phonenumbers.NumberParseException as error:
        raise NotInAnyPlan("No country has this number's code.") from error
    if phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) != to:
        raise NotInAnyPlan("The number could be read as another one.")
    if phonenumbers.region_code_for_country_code(number.country_code or 0) == NO_COUNTRY:
        return Destination(NO_COUNTRY, PhoneNumberType.UNKNOWN)
    country = phonenumbers.region_code_for_number(number)
    if country is None:
        raise NotInAnyPlan("No numbering plan has this number: it is in no range that is in use.")
    return Destination(country, phonenumbers.number_type(number))


def _read_plain(to: str) -> Destination | None:
    for end in (2, 3, 4):
        if to[1:end] in _CODES:
            plain = _plain_reader(to[1:end])
            return plain(to[end:]) if plain else None
    return None


@cache
def _plain_reader(code: str) -> Callable[[str], Destination | None] | None:
    """Reads national digits of the code's main country, which phonenumbers asks first; None for what it cannot read."""
    country = COUNTRY_CODE_TO_REGION_CODE[int(code)][0]
    metadata = PhoneMetadata.metadata_for_region(country) if country != NO_COUNTRY else None
    if metadata is None or metadata.leading_digits:
        return None
    general, fixed, mobile = (_matcher(getattr(metadata, name)) for name in ("general_desc", "fixed_line", "mobile"))
    special = [_matcher(getattr(metadata, name)) for name in _SPECIAL]
    rewritten = re.compile(metadata.national_prefix_for_parsing or r"(?!)", re.ASCII)
    either = Destination(country, PhoneNumberType.FIXED_LINE_OR_MOBILE)
    kinds = {
        (True, True): either,
        (True, False): Destination(country, PhoneNumberType.FIXED_LINE),
        (False, True): Destination(country, PhoneNumberType.MOBILE),
    }

    def read(national: str) -> Destination | None:
        if national[0] == "0" or rewritten.match(national) or not general(national):
            return None
        if any(is_special(national) for is_special in special):
            return None
        return kinds.get((fixed(national), mobile(national)))

    return read


def _matcher(desc: PhoneNumberDesc | None) -> Callable[[str], bool]:
    """Whether national digits are of this kind, as phonenumbers decides it: a possible length, then the pattern."""
    if desc is None or desc.national_number_pattern is None:
        return lambda national: False
    lengths, pattern = frozenset(desc.possible_length), re.compile(desc.national_number_pattern, re.ASCII)
    if not lengths:
        return lambda national: pattern.fullmatch(national) is not None
    return lambda national: len(national) in lengths and pattern.fullmatch(national) is not None
