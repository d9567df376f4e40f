"""The short ways of reading a number and of allowing it say exactly what the long ways say."""

import re
from collections.abc import Callable

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat

from app.ids import E164
from campaigns.imports.plain_numbers import Allowed, NumberReader
from telephony.lines.numbers import InvalidNumber, parse_number
from telephony.toll_gate.destinations import DialingRules

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
MARKS = ["", "", "", " ", "-", ".", "(", ")", "/", "  ", "\u00a0", "\u2011", ",", "x", "+", "*", "\u0661", "\uff11"]
READERS = {region: NumberReader(region) for region in REGIONS}


def outcome(read: Callable[[], str]) -> str:
    try:
        return read()
    except InvalidNumber as error:
        return f"! {error.detail}"


def agree(written: str, region: str) -> None:
    assert outcome(lambda: READERS[region].read(written)) == outcome(lambda: parse_number(written, region)), (
        written,
        region,
    )


@st.composite
def marked(draw: st.DrawFn, digits: str) -> str:
    """The digits with what people, and hostile people, put between them."""
    return "".join(draw(st.sampled_from(MARKS)) + digit for digit in digits) + draw(st.sampled_from(MARKS))


@st.composite
def near_numbers(draw: st.DrawFn) -> tuple[str, str]:
    """A number of a country, changed a little, and the region it is read in."""
    home, region = (
        draw(st.sampled_from(REGIONS)),
        draw(st.sampled_from(["US", "GB", "DE", "IN", "BR", "MX", "IT", "AR"])),
    )
    kinds = [n for kind in range(11) if (n := phonenumbers.example_number_for_type(home, kind)) is not None]
    number = draw(st.sampled_from(kinds or [phonenumbers.example_number("US")]))
    form = draw(st.sampled_from([PhoneNumberFormat.E164, PhoneNumberFormat.NATIONAL, PhoneNumberFormat.INTERNATIONAL]))
    text = phonenumbers.format_number(number, form)
    at = draw(st.integers(0, len(text)))
    change = draw(st.sampled_from(["", "", "0", "1", "9", "00", "011", "1", "+", " "]))
    drop = draw(st.integers(0, 2))
    return text[:at] + change + text[at + drop :], draw(st.sampled_from([home, region]))


@given(near_numbers())
@example(("310-1234", "CA"))
@settings(max_examples=3000, deadline=None)
def test_numbers_of_every_country_are_read_as_by_the_long_way(case: tuple[str, str]) -> None:
    agree(*case)


@given(st.text("0123456789", min_size=1, max_size=16).flatmap(lambda digits: marked(digits)), st.sampled_from(REGIONS))
@settings(max_examples=2000, deadline=None)
def test_any_digits_and_marks_are_read_as_by_the_long_way(written: str, region: str) -> None:
    agree(written, region)
    agree(f"+{written}", region)


@given(st.integers(2000000000, 9999999999), st.sampled_from(["{}", "+1{}", "1{}", "({:.3}) {:.3}-{:.4}"]))
@settings(max_examples=1000, deadline=None)
def test_north_american_numbers_are_read_as_by_the_long_way(number: int, form: str) -> None:
    digits = str(number)
    written = form.format(digits) if "." not in form else f"({digits[:3]}) {digits[3:6]}-{digits[6:]}"
    agree(written, "US")
    agree(written, "CA")


@pytest.mark.parametrize("region", REGIONS)
def test_every_kind_of_number_of_a_country_is_allowed_or_refused_as_by_the_rules(region: str) -> None:
    rules = DialingRules(region, ["US", "GB", "IT"], ["+12025550101"], ("+120255501",))
    allowed = Allowed(rules)
    for home in (region, "US", "CA"):
        for kind in range(11):
            number = phonenumbers.example_number_for_type(home, kind)
            if number is not None:
                to = phonenumbers.format_number(number, PhoneNumberFormat.E164)
                for near in (to, to[:-1], to + "0", to[:-4] + "0000", to[:3] + "9" + to[4:], to[:3] + "0" + to[4:]):
                    if re.fullmatch(r"\+[1-9][0-9]{6,14}", near):
                        assert allowed.why_not(E164(near)) == rules.why_not(E164(near)), near


@given(st.sampled_from(["+1", "+44", "+49", "+39", "+7", "+52", "+61", "+91"]), st.integers(10**7, 10**11))
@settings(max_examples=2000, deadline=None)
def test_any_number_is_allowed_or_refused_as_by_the_rules(code: str, national: int) -> None:
    rules = DialingRules("US", ["GB", "DE", "IT", "RU", "MX", "AU", "IN"], [], ())
    to = E164(f"{code}{national}"[:16])
    assert Allowed(rules).why_not(to) == rules.why_not(to)


def test_pay_per_call_exchanges_and_directory_assistance_are_refused_by_the_short_way_too() -> None:
    allowed = Allowed(DialingRules("US"))
    for to in ("+12029760123", "+12025551212", "+19005550123"):
        assert allowed.why_not(E164(to)) is not None
    assert allowed.why_not(E164("+12025550123")) is None
