"""What an attempt came to: our words, the conversation's, and the campaign's own."""

import pytest

from campaigns.rules.dispositions import (
    SETTLED_FOR_GOOD,
    Disposition,
    InvalidOutcomes,
    OutcomeCodes,
    decide_disposition,
)
from telephony.calls import AtFault, End, EndReason, EndResult

HUNG_UP = End(EndResult.COMPLETED, EndReason.CALLEE_HUNG_UP)
BUSY = End(EndResult.BUSY, EndReason.BUSY)


@pytest.mark.parametrize(
    ("tool_word", "disposition"),
    [
        ("voicemail_left", Disposition.VOICEMAIL_LEFT),
        ("callback", Disposition.CALLBACK),
        ("do_not_call", Disposition.DO_NOT_CALL),
        ("wrong_number", Disposition.WRONG_NUMBER),
        ("reached", Disposition.REACHED),
    ],
)
def test_what_the_tool_records_is_one_of_our_own_words(tool_word: str, disposition: Disposition) -> None:
    assert decide_disposition(HUNG_UP, {"disposition": tool_word}, answered=True) == disposition


def test_an_answered_call_that_nobody_took_is_abandoned_and_an_unanswered_one_failed() -> None:
    nobody = End(EndResult.FAILED, EndReason.NO_WORKER, AtFault.US)
    assert decide_disposition(nobody, {}, answered=True) == Disposition.ABANDONED
    assert decide_disposition(nobody, {}, answered=False) == Disposition.FAILED


def test_a_campaign_maps_the_words_of_its_conversations_to_what_is_acted_upon() -> None:
    codes = OutcomeCodes.read({"mapping": {"Remove me": "do_not_call", "refused": "no-answer"}})
    assert decide_disposition(HUNG_UP, {"disposition": "remove_me"}, answered=True, codes=codes) == "do-not-call"
    refused = End(EndResult.REJECTED, EndReason.REJECTED)
    assert decide_disposition(refused, {}, answered=False, codes=codes) == "no-answer"
    assert decide_disposition(BUSY, {}, answered=False, codes=codes) == "busy"


@pytest.mark.parametrize("word", sorted(SETTLED_FOR_GOOD))
def test_no_campaign_redefines_what_the_promises_of_the_engine_hang_on(word: str) -> None:
    with pytest.raises(InvalidOutcomes) as raised:
        OutcomeCodes.read({"mapping": {word: "no-answer"}})
    assert "always means itself" in raised.value.extra["errors"][0]["message"]


@pytest.mark.parametrize(
    "stored",
    [{"mapping": {"sold": "blocked"}}, {"mapping": {" ": "busy"}}, {"codes": {"busy": ""}}, {"unheard": 1}],
)
def test_codes_that_cannot_be_used_are_refused_by_name(stored: dict[str, object]) -> None:
    with pytest.raises(InvalidOutcomes) as raised:
        OutcomeCodes.read(stored)
    assert raised.value.extra["errors"][0]["path"].startswith("outcomes")


def test_the_code_of_an_outcome_is_that_of_the_word_recorded_else_of_the_disposition_else_itself() -> None:
    codes = OutcomeCodes.read({"mapping": {"sold": "reached"}, "codes": {"sold": "SALE", "busy": "B"}})
    assert codes.code_of("reached", {"disposition": "Sold"}) == "SALE"
    assert codes.code_of("reached", {}) == "reached"
    assert codes.code_of("busy", {}) == "B"
    assert codes.code_of(None, {}) is None
    # A word left on a call that ended otherwise after all does not lend it its code.
    assert codes.code_of("busy", {"disposition": "sold"}) == "B"


def test_the_default_codes_change_nothing() -> None:
    assert OutcomeCodes.read({}) == OutcomeCodes()
    assert OutcomeCodes().code_of("no-answer", {}) == "no-answer"


def test_an_answer_that_was_heard_to_be_a_machine_is_voicemail_unless_the_conversation_says_more() -> None:
    over = End(EndResult.COMPLETED, EndReason.CALLEE_HUNG_UP)
    assert decide_disposition(over, {}, answered=True, by_machine=True) == Disposition.VOICEMAIL
    left = {"disposition": "voicemail_left"}
    assert decide_disposition(over, left, answered=True, by_machine=True) == Disposition.VOICEMAIL_LEFT
    lost = End(EndResult.FAILED, EndReason.LOST)
    assert decide_disposition(lost, {}, answered=True, by_machine=True) == Disposition.FAILED
