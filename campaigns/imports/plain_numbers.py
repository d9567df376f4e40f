"""Phone numbers in the plain forms that nearly every row has, read without the whole machinery.

`NumberReader.read` gives exactly what `parse_number` does, and `Allowed.why_not` what `DialingRules.why_not` does; what
is not plain is left to them. The shapes come from phonenumbers' own metadata.
"""

import re
from collections.abc import Collection, Sequence
from functools import cache

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
from phonenumbers.phonemetadata import PhoneMetadata, PhoneNumberDesc

from app.ids import E164
from telephony.lines.numbers import InvalidNumber, parse_number
from telephony.toll_gate.destinations import REFUSED_PATTERNS, DialingRules

SHORTEST_PLAIN = 7
"""National digits. Shorter ones may be emergency and short numbers."""

SPECIAL_KINDS = ("premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail")
_MARKS = str.maketrans("", "", " -().")


class NumberReader:
    """Reads numbers as of one region (ISO 3166) where no + is written."""

    def __init__(self, region: str) -> None:
        self.region = region
        metadata = PhoneMetadata.metadata_for_region(region)
        self.code = str(metadata.country_code) if metadata else ""
        self._national = _national_pattern(metadata) if metadata else None

    def read(self, written: str) -> E164:
        """Raises InvalidNumber."""
        digits = written.translate(_MARKS)
        if self.reads_plainly(digits) and (written[:1] == "+" or digits[:1] != "+"):
            return E164(digits if digits[:1] == "+" else f"+{self.code}{digits}")
        return parse_number(written, self.region)

    def reads_plainly(self, digits: str) -> bool:
        """Whether this is nothing but "+", code and national digits, or national digits of the region itself."""
        if digits[:1] == "+":
            code = calling_code(digits)
            return code != "" and international_pattern(code).fullmatch(digits) is not None
        return self._national is not None and self._national.fullmatch(digits) is not None

    def can_read(self, written: str) -> bool:
        try:
            self.read(written.strip())
        except InvalidNumber:
            return False
        return True


class Allowed:
    """Where an organization may dial. Ordinary numbers of a code's main country are told by one pattern."""

    def __init__(self, rules: DialingRules) -> None:
        self._rules = rules
        countries = {rules.org_country, *rules.allowed_countries}
        codes = {str(phonenumbers.country_code_for_region(country)) for country in countries}
        patterns = [rf"{code}(?:{_ordinary(code, countries)})" for code in sorted(codes & _CODES)]
        refused = "|".join(f"(?:{pattern.pattern})$" for pattern, _ in REFUSED_PATTERNS)
        usual = "|".join(patterns) or r"(?!)"
        self._plain = re.compile(rf"(?!{refused})\+(?:{usual})", re.ASCII)

    def why_not(self, number: E164) -> str | None:
        """The reason why it is not dialed, or None."""
        rules = self._rules
        if (
            not self._plain.fullmatch(number)
            or number in rules.own_numbers
            or number.startswith(rules.refused_prefixes)
            or not rules.is_priced(number)
        ):
            return rules.why_not(number)
        return None

    def allows_range(self, prefix: str) -> bool:
        """Whether all ten thousand numbers of this prefix ("+" and all digits but the last four) may be dialed: as far
        as the patterns go that leave those four free."""
        rules = self._rules
        if any(longer.startswith(prefix) for longer in (*rules.own_numbers, *rules.refused_prefixes)):
            return False
        if rules.priced_prefixes is not None and not prefix.startswith(rules.priced_prefixes):
            return False
        return not prefix.startswith(rules.refused_prefixes) and self._plain.fullmatch(f"{prefix}0000") is not None


def _ordinary(code: str, countries: Collection[str]) -> str:
    """National digits that are surely a fixed line or a mobile of the code's main country, if that is allowed."""
    metadata = _main_metadata(code)
    if metadata is None or metadata.id not in countries or metadata.leading_digits:
        return "(?!)"
    special = "|".join(filter(None, (_shape(getattr(metadata, name)) for name in SPECIAL_KINDS)))
    usual = "|".join(dict.fromkeys(filter(None, (_shape(metadata.fixed_line), _shape(metadata.mobile)))))
    barred = "|".join(filter(None, (special and f"(?:{special})$", metadata.national_prefix_for_parsing, "0")))
    return rf"(?!{barred})(?={_shape(metadata.general_desc)}$)(?:{usual})"


def _shape(desc: PhoneNumberDesc | None) -> str:
    return f"(?:{desc.national_number_pattern})" if desc and desc.national_number_pattern else ""


def calling_code(number: str) -> str:
    """The country code of "+…", or nothing where there is none of it."""
    return next((number[1:end] for end in (2, 3, 4) if number[1:end] in _CODES), "")


_CODES = frozenset(str(code) for code in COUNTRY_CODE_TO_REGION_CODE)


@cache
def international_pattern(code: str) -> re.Pattern[str]:
    """ "+", the code, and national digits that no rule of the country rewrites."""
    metadata = _main_metadata(code)
    return re.compile(rf"\+{code}{_digits(metadata)}", re.ASCII) if metadata else re.compile(r"(?!)")


def _national_pattern(metadata: PhoneMetadata) -> re.Pattern[str]:
    """National digits that are neither read as an international number nor rewritten."""
    international = metadata.international_prefix
    barred = "|".join(part for part in (international, str(metadata.country_code)) if part)
    # Lengths are judged by the code's main country, wherever one is: seven digits are dialed in Canada, and are no +1.
    main = _main_metadata(str(metadata.country_code))
    return re.compile(rf"(?!{barred}){_digits(metadata, _lengths(main) if main else ())}", re.ASCII)


def _lengths(metadata: PhoneMetadata) -> Sequence[int]:
    general = metadata.general_desc
    assert general is not None  # every region has one
    return general.possible_length


def _digits(metadata: PhoneMetadata, judged: Sequence[int] | None = None) -> str:
    """Digits of a length the country has, and that is among those `judged` good, without what looks like a national
    prefix. A leading 0 is never plain."""
    lengths = [n for n in _lengths(metadata) if n >= SHORTEST_PLAIN and (judged is None or n in judged)]
    bodies = "|".join(rf"[1-9]\d{{{length - 1}}}" for length in lengths)
    prefix = metadata.national_prefix_for_parsing
    barred = rf"(?!{prefix})" if prefix else ""
    return rf"{barred}(?:{bodies})(?!\d)" if lengths else "(?!)"


def _main_metadata(code: str) -> PhoneMetadata | None:
    region = COUNTRY_CODE_TO_REGION_CODE[int(code)][0]
    if region == "001":
        return None
    return PhoneMetadata.metadata_for_region(region)
