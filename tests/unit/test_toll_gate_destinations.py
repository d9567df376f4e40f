"""Which numbers pass the toll gate: decisions without a database."""

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneNumberType

from app.ids import E164, AttemptId, CallId, new_id
from telephony.carriers.base import DialRefused, NumberFault, OutgoingCall
from telephony.toll_gate.destinations import DialingRules, TollGateRefused, require_canonical
from telephony.toll_gate.numbering import Destination, NotInAnyPlan, read_destination, read_with_phonenumbers

RULES = DialingRules("US", frozenset({"GB", "DE"}), frozenset({"+12025550101"}), ("+1212",))


def why_not(to: str) -> str:
    return RULES.why_not(E164(to)) or ""


@pytest.mark.parametrize("to", ["+12025550123", "+442079460000", "+18005550199", "+493023125000"])
def test_ordinary_numbers_of_allowed_countries_pass(to: str) -> None:
    assert why_not(to) == ""


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("+19005550100", "premium"),
        ("+449098790000", "premium"),
        ("+491801234567", "shared-cost"),
        ("+448431234567", "premium"),
        ("+447012345678", "personal"),
        ("+15005550100", "personal"),
        ("+12029765010", "pay-per-call"),
        ("+12025551212", "directory assistance"),
        ("+870773111632", "satellites"),
        ("+881612345678", "satellites"),
        ("+88216123456", "satellites"),
        ("+979123456789", "satellites"),
        ("+18765550100", "JM"),
        ("+14165550100", "CA"),
        ("+447781123456", "GG"),
        ("+77012345678", "KZ"),
        ("+12125550100", "a range that the organization does not dial"),
        ("+12025550101", "own numbers"),
        ("+999123456789", "No country"),
        ("+15550100123", "No numbering plan"),
        ("+1202555010", "No numbering plan"),
        ("+1911555", "No numbering plan"),
    ],
)
def test_what_costs_extra_or_leads_elsewhere_is_refused_with_the_reason(to: str, why: str) -> None:
    assert why in why_not(to)


@pytest.mark.parametrize(
    "to",
    [
        "",
        "+",
        "12025550123",
        "0012025550123",
        "+02025550123",
        "+1 202 555 0123",
        "+1(202)5550123",
        "+1-202-555-0123",
        "+12025550123\n",
        "+12025550123\r\nX-Evil: 1",
        "\n+12025550123",
        "+12025550123\0",
        "+12025550123;ext=5",
        "+12025550123,,5",
        "+12025550123#",
        "+12025550123w900",
        "+12025550123@sip.example.com",
        "tel:+12025550123",
        "sip:+12025550123@example.com",
        "+12025550123;phone-context=+1900",
        "\uff0b12025550123",
        "+\u0661\u0662\u0660\u0662\u0665\u0665\u0665\u0660\u0661\u0662\u0663",
        "+1202555\uff10123",
        "+l2025550123",
        "+12O25550123",
        "+1202555\u200b0123",
        "+1202555\u00ad0123",
        "+1202555012312345678",
        "+120255",
    ],
)
def test_only_the_one_form_that_cannot_be_read_two_ways_passes(to: str) -> None:
    assert "E.164" in why_not(to)
    ours = E164("+12025550101")
    # Of the number called from it is no fault of who is called.
    for called, from_, fault in ((E164(to), ours, NumberFault.INVALID), (ours, E164(to), None)):
        with pytest.raises(DialRefused) as refused:
            OutgoingCall(CallId(new_id()), AttemptId(new_id()), called, from_, 30, "https://a", "https://b")
        assert refused.value.number_fault is fault


@given(st.text(st.characters(), max_size=20) | st.from_regex(r"\+1202555\d{4}.?", fullmatch=True))
def test_whatever_text_comes_only_ascii_digits_after_a_plus_pass(text: str) -> None:
    try:
        passed = require_canonical(text)
    except TollGateRefused:
        return
    assert passed == text
    assert text.isascii()
    assert text[0] == "+"
    assert text[1:].isdecimal()
    assert 7 <= len(text) - 1 <= 15


def test_a_refused_number_is_never_part_of_the_reason() -> None:
    assert "5550123" not in why_not("+12025550123;ext=5")
    assert "8765550" not in why_not("+18765550100")


CODES = sorted(COUNTRY_CODE_TO_REGION_CODE)


@st.composite
def numbers(draw: st.DrawFn) -> E164:
    """Mostly of real ranges: an example number of some kind and country, with digits changed at its end or anywhere."""
    if draw(st.integers(0, 3)) == 0:
        code = str(draw(st.sampled_from(CODES)))
        return E164(f"+{code}{draw(st.text('0123456789', min_size=7 - len(code), max_size=15 - len(code)))}")
    digits = list(draw(st.sampled_from(EXAMPLES)))
    for _ in range(draw(st.integers(0, 6))):
        digits[draw(st.integers(min(3, len(digits) - 1), len(digits) - 1))] = draw(st.sampled_from("0123456789"))
    return E164("".join(digits))


def examples() -> list[str]:
    found: set[str] = set()
    for region in phonenumbers.SUPPORTED_REGIONS:
        for kind in PhoneNumberType.values():
            example = phonenumbers.example_number_for_type(region, kind)
            if example is not None:
                found.add(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164))
    return sorted(number for number in found if 8 <= len(number) <= 16)


EXAMPLES = examples()


def slowly(to: E164) -> Destination | str:
    try:
        return read_with_phonenumbers(to)
    except NotInAnyPlan as error:
        return str(error)


def quickly(to: E164) -> Destination | str:
    try:
        return read_destination(to)
    except NotInAnyPlan as error:
        return str(error)


@settings(max_examples=3000, deadline=None)
@given(numbers())
def test_the_quick_reading_of_a_number_is_the_slow_one(to: E164) -> None:
    assert quickly(to) == slowly(to)


def test_the_quick_reading_is_the_slow_one_for_an_example_of_every_kind_and_country() -> None:
    assert [to for to in EXAMPLES if quickly(E164(to)) != slowly(E164(to))] == []
    assert len(EXAMPLES) > 800
