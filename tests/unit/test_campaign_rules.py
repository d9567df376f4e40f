"""The decisions of a campaign: pure, so tested without anything running."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from app.ids import CampaignId
from campaigns.outcomes.tables import neutralize_formula
from campaigns.rules.dispositions import Disposition, decide_disposition
from campaigns.rules.pacing import Room, count_wanted, slot_spacing_seconds
from campaigns.rules.retries import Facts, RetryRule, due_after_no_dial, plan_next
from telephony.calls import AtFault, End, EndReason, EndResult

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HUNG_UP = End(EndResult.COMPLETED, EndReason.CALLEE_HUNG_UP)


@pytest.mark.parametrize(
    ("end", "disposition"),
    [
        (HUNG_UP, "reached"),
        (End(EndResult.BUSY, EndReason.BUSY), "busy"),
        (End(EndResult.NO_ANSWER, EndReason.NO_ANSWER), "no-answer"),
        (End(EndResult.REJECTED, EndReason.REJECTED), "refused"),
        (End(EndResult.COMPLETED, EndReason.MACHINE), "voicemail"),
        (End(EndResult.FAILED, EndReason.INVALID_NUMBER), "wrong-number"),
        (End(EndResult.FAILED, EndReason.CARRIER_ERROR, AtFault.CARRIER), "failed"),
        (End(EndResult.FAILED, EndReason.TOLL_GATE), "blocked"),
        (End(EndResult.CANCELED, EndReason.API_ENDED), "canceled"),
        (End(EndResult.INDETERMINATE, EndReason.LOST, AtFault.US), "unknown"),
    ],
)
def test_each_end_of_a_call_has_one_disposition(end: End, disposition: str) -> None:
    assert decide_disposition(end, {}, answered=end.result is EndResult.COMPLETED) == disposition


def test_every_result_of_a_call_is_known_to_the_dispositions() -> None:
    for result in EndResult:
        assert decide_disposition(End(result, EndReason.LOST), {}, answered=False)


def test_what_the_conversation_recorded_wins_if_there_was_a_conversation() -> None:
    assert decide_disposition(HUNG_UP, {"disposition": " callback "}, answered=True) == "callback"
    no_answer = End(EndResult.NO_ANSWER, EndReason.NO_ANSWER)
    assert decide_disposition(no_answer, {"disposition": "callback"}, answered=False) == "no-answer"


def test_a_recorded_word_is_spelled_like_ours_whatever_its_separators() -> None:
    assert decide_disposition(HUNG_UP, {"disposition": "Do_not call"}, answered=True) == Disposition.DO_NOT_CALL


@pytest.mark.parametrize("hint", [{}, {"disposition": ""}, {"disposition": 7}, {"disposition": None}])
def test_a_hint_without_a_word_changes_nothing(hint: dict[str, object]) -> None:
    assert decide_disposition(HUNG_UP, hint, answered=True) == Disposition.REACHED


def next_try(rule: RetryRule, disposition: str, *, attempts_made: int) -> datetime | None:
    """When a contact with one number is due again."""
    planned = plan_next(rule, Facts(disposition, attempts_made, 0, (), NOON))
    return planned.due_at if planned else None


def test_a_busy_contact_is_due_again_after_the_delay_of_its_outcome() -> None:
    rule = RetryRule(max_attempts=2, delay_seconds={"busy": 90})
    assert next_try(rule, "busy", attempts_made=1) == NOON + timedelta(seconds=90)


def test_after_the_last_attempt_a_contact_is_finished() -> None:
    rule = RetryRule(max_attempts=2, delay_seconds={"busy": 90})
    assert next_try(rule, "busy", attempts_made=2) is None


@pytest.mark.parametrize("final", ["reached", "refused", "wrong-number", "unknown", "voicemail", "a word of their own"])
def test_an_outcome_without_a_delay_is_final(final: str) -> None:
    assert next_try(RetryRule(), final, attempts_made=1) is None


def test_a_retry_rule_survives_storage() -> None:
    rule = RetryRule.uniform(4, 2.5)
    assert RetryRule.read(rule.to_json()) == rule
    assert RetryRule.read({}) == RetryRule()


def test_tries_that_reached_no_carrier_back_off_to_five_minutes() -> None:
    waits = [(due_after_no_dial(earlier=n, now=NOON) - NOON).total_seconds() for n in range(9)]
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]


@pytest.mark.parametrize("rate", [0.2, 0.5, 1.0, 1.5, 2, 5, 30, 200])
def test_slots_never_put_more_dials_into_a_window_than_the_rate_allows(rate: float) -> None:
    window = max(1.0, 1 / rate)
    most_dials = 1 + int(window / slot_spacing_seconds(rate))
    assert most_dials <= max(1, math.ceil(rate * window))


def claims(**changed: float) -> int:
    usual = Room(CampaignId(uuid4()), max_concurrent=10, calls_per_second=1.0)
    return count_wanted(replace(usual, **changed), now=NOON)  # type: ignore[arg-type]


def test_only_contacts_with_a_dial_slot_soon_are_claimed() -> None:
    assert claims() == 1
    assert claims(next_slot_in_seconds=0.9) == 0
    assert claims(calls_per_second=20.0) == 10
    assert claims(calls_per_second=10.0) == 5


def test_contacts_that_wait_for_a_slot_already_count_against_it() -> None:
    assert claims(waiting_for_slot=1, open_attempts=1) == 0


def test_open_attempts_leave_what_is_free_under_the_concurrency() -> None:
    assert claims(calls_per_second=100.0, open_attempts=7) == 3
    assert claims(calls_per_second=100.0, open_attempts=12) == 0


@pytest.mark.parametrize("cell", ["=1+1", "+1+1", "-2", "@SUM(A1)", "\t=1", "+12025550100x"])
def test_a_cell_that_a_spreadsheet_would_run_is_defused(cell: str) -> None:
    assert neutralize_formula(cell) == "'" + cell


@pytest.mark.parametrize("cell", ["", "Ada", "+12025550100", "1-2"])
def test_an_ordinary_cell_stays_as_it_is(cell: str) -> None:
    assert neutralize_formula(cell) == cell
