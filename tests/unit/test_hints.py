"""What a conversation leaves behind: how notes add up, and whose number is meant."""

from typing import Any

import pytest

from agents.tools.signatures import Outcome
from campaigns.do_not_call.asking import Source
from campaigns.rules.dispositions import Disposition
from telephony.hints import DO_NOT_CALL, SAID_IN_CALL, merge_hint, read_caller, read_word, spell


def test_all_who_speak_of_it_use_one_word() -> None:
    assert spell(Outcome.DO_NOT_CALL) == DO_NOT_CALL == Disposition.DO_NOT_CALL
    assert Source.SAID_IN_CALL == SAID_IN_CALL


@pytest.mark.parametrize(
    ("kept", "hint", "merged"),
    [
        ({}, {"disposition": "reached"}, {"disposition": "reached"}),
        ({"disposition": "reached"}, {"disposition": "callback"}, {"disposition": "callback"}),
        ({"disposition": "callback"}, {"disposition": "do_not_call"}, {"disposition": "do_not_call"}),
        ({"disposition": "do_not_call"}, {"disposition": "callback"}, {"disposition": "do_not_call"}),
        ({"disposition": "Do not call"}, {"disposition": "not_interested"}, {"disposition": "Do not call"}),
        (
            {"disposition": "do-not-call", "details": {"a": 1}},
            {"disposition": "callback", "details": {"b": 2}},
            {"disposition": "do-not-call", "details": {"a": 1, "b": 2}},
        ),
    ],
)
def test_the_later_word_counts_but_never_over_who_wants_no_more_calls(
    kept: dict[str, Any], hint: dict[str, Any], merged: dict[str, Any]
) -> None:
    assert merge_hint(kept, hint) == merged


def test_a_word_is_one_whatever_way_it_is_spelled() -> None:
    assert {read_word({"disposition": word}) for word in ("do_not_call", "Do Not  Call", "do-not-call")} == {
        DO_NOT_CALL
    }
    assert [read_word(hint) for hint in ({}, {"disposition": None}, {"disposition": " "})] == [None] * 3


@pytest.mark.parametrize(
    ("shown", "country", "phone"),
    [
        ("+12025550123", "US", "+12025550123"),
        ("12025550123", "US", "+12025550123"),
        ("2025550123", "US", "+12025550123"),
        ("00442079460018", "US", "+442079460018"),
        ("442079460018", "US", "+442079460018"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("sip:+12025550123@carrier.example", "US", "+12025550123"),
        ("anonymous", "US", None),
        ("+266696687", "US", None),  # how Twilio writes it
        ("100", "US", None),
        ("911", "US", None),
        ("", "US", None),
    ],
)
def test_a_caller_is_read_as_campaigns_write_numbers(shown: str, country: str, phone: str | None) -> None:
    assert read_caller(shown, country) == phone
