"""Whether, when and on which number a contact is tried again: pure, so tested without anything running."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.ids import E164
from campaigns.rules.retries import MOST_CALLBACKS, Facts, NextTry, RetryRule, plan_next
from campaigns.rules.spreading import spread_over_day

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")
MOBILE, LANDLINE, OFFICE = E164("+12025550110"), E164("+12025550111"), E164("+12025550112")


def rule(**changes: object) -> RetryRule:
    return RetryRule.model_validate({"max_attempts": 5} | changes)


def facts(disposition: str, **changes: object) -> Facts:
    usual = {"attempts_made": 1, "phone_index": 0, "phones": (MOBILE,), "now": NOON}
    return Facts(disposition, **(usual | changes))  # type: ignore[arg-type]


def after(seconds: float, phone_index: int = 0) -> NextTry:
    return NextTry(NOON + timedelta(seconds=seconds), phone_index)


def test_each_dial_has_its_own_delay_and_the_last_one_goes_on() -> None:
    busy = rule(outcomes={"busy": {"delays_seconds": [60, 300]}})
    assert [plan_next(busy, facts("busy", attempts_made=n)) for n in (1, 2, 3, 4)] == [
        after(60),
        after(300),
        after(300),
        after(300),
    ]
    assert plan_next(busy, facts("busy", attempts_made=5)) is None


def test_an_outcome_that_the_rule_does_not_name_is_final() -> None:
    assert plan_next(rule(outcomes={"busy": {"delays_seconds": [60]}}), facts("no-answer")) is None
    assert plan_next(rule(), facts("a word of their own")) is None


def test_the_next_number_of_the_contact_is_tried_and_after_the_last_the_first_again() -> None:
    phones = (MOBILE, LANDLINE, OFFICE)
    no_answer = rule(outcomes={"no-answer": {"delays_seconds": [60], "next_number": True}})
    chosen = [plan_next(no_answer, facts("no-answer", phones=phones, phone_index=n)) for n in (0, 1, 2)]
    assert [planned and planned.phone_index for planned in chosen] == [1, 2, 0]


def test_without_next_number_the_same_number_is_tried_again() -> None:
    same = rule(outcomes={"no-answer": {"delays_seconds": [1800]}})
    planned = plan_next(same, facts("no-answer", phones=(MOBILE, LANDLINE), phone_index=1))
    assert planned == after(1800, phone_index=1)


@pytest.mark.parametrize(("outcome", "delay"), [("no-answer", 1800), ("busy", 300), ("failed", 300)])
def test_by_default_every_number_of_a_contact_gets_its_turn(outcome: str, delay: float) -> None:
    planned = [plan_next(rule(), facts(outcome, phones=(MOBILE, LANDLINE), phone_index=n)) for n in (0, 1)]
    assert planned == [after(delay, phone_index=1), after(delay, phone_index=0)]


def test_outcomes_are_spelled_like_ours_however_they_are_written() -> None:
    written = rule(outcomes={"No_Answer": {"delays_seconds": [60]}})
    assert plan_next(written, facts("no-answer")) == after(60)
    older = RetryRule.read({"delay_seconds": {"no_answer": 90}})
    assert plan_next(older, facts("no-answer")) == after(90)
    twice = rule(outcomes={"no-answer": {"delays_seconds": [60]}, "no_answer": {"next_number": True}})
    assert plan_next(twice, facts("no-answer", phones=(MOBILE, LANDLINE))) == after(60, phone_index=1)


def test_who_asks_to_be_called_again_without_a_time_is_called_two_hours_later() -> None:
    assert plan_next(rule(), facts("callback")) == after(7200)
    assert plan_next(rule(callback_seconds=600), facts("callback", attempts_made=5)) == after(600)
    assert plan_next(rule(callback_seconds=600), facts("callback", attempts_made=5 + MOST_CALLBACKS)) is None
    assert plan_next(rule(callback_seconds="never"), facts("callback")) is None
    own = rule(outcomes={"callback": {"delays_seconds": [60]}})
    assert plan_next(own, facts("callback")) == after(60)
    assert plan_next(own, facts("callback", attempts_made=5)) is None


def test_a_wrong_number_leads_to_the_next_one_at_once_and_never_back_to_a_wrong_one() -> None:
    phones = (MOBILE, LANDLINE)
    assert plan_next(rule(), facts("wrong-number", phones=phones)) == after(0, phone_index=1)
    again = facts("wrong-number", phones=phones, phone_index=1, attempts_made=2, wrong_numbers={MOBILE})
    assert plan_next(rule(), again) is None
    assert plan_next(rule(), facts("wrong-number")) is None
    turning = rule(outcomes={"no-answer": {"delays_seconds": [60], "next_number": True}})
    kept = plan_next(turning, facts("no-answer", phones=phones, phone_index=1, wrong_numbers={MOBILE}))
    assert kept == after(60, phone_index=1)


def test_a_number_that_the_carrier_refuses_is_not_tried_again_and_the_others_are() -> None:
    two = (MOBILE, LANDLINE)
    staying = rule(outcomes={"failed": {"delays_seconds": [60]}})
    assert plan_next(staying, facts("failed", phones=two)) == after(60)
    for outcome in ("failed", "wrong-number", "carrier-blocked"):
        assert plan_next(staying, facts(outcome, phones=two, refused=True)) == after(60, phone_index=1)
        assert plan_next(staying, facts(outcome, refused=True)) is None
        last = facts(outcome, phones=two, phone_index=1, wrong_numbers={MOBILE}, refused=True)
        assert plan_next(staying, last) is None
    assert plan_next(rule(), facts("wrong-number", phones=two, refused=True)) == after(0, phone_index=1)
    assert plan_next(rule(), facts("carrier-blocked", phones=two)) is None


def test_a_word_of_the_campaigns_own_for_a_refused_number_means_what_the_rule_says() -> None:
    two = (MOBILE, LANDLINE)
    for outcome in ("do-not-call", "their-word"):
        assert plan_next(rule(), facts(outcome, phones=two, refused=True)) is None
    assert plan_next(rule(), facts("callback", phones=two, refused=True)) == after(7200, phone_index=1)
    assert plan_next(rule(), facts("callback", refused=True)) is None


def test_tries_of_one_number_fall_on_different_times_of_day() -> None:
    spread = rule(spread_hours=3, outcomes={"no-answer": {"delays_seconds": [1800]}})
    assert plan_next(spread, facts("no-answer")) == after(3 * 3600)
    tomorrow = rule(spread_hours=3, outcomes={"no-answer": {"delays_seconds": [86_400]}})
    assert plan_next(tomorrow, facts("no-answer")) == after(27 * 3600)


def test_a_busy_line_is_tried_again_soon_whatever_the_spread_unless_the_rule_says_so() -> None:
    spread = rule(spread_hours=3, outcomes={"busy": {"delays_seconds": [60]}})
    assert plan_next(spread, facts("busy")) == after(60)
    said = rule(spread_hours=3, outcomes={"busy": {"delays_seconds": [60], "spread": True}})
    assert plan_next(said, facts("busy")) == after(3 * 3600)


def test_another_number_of_the_same_round_does_not_wait_for_another_time_of_day() -> None:
    spread = rule(spread_hours=3, outcomes={"no-answer": {"delays_seconds": [60], "next_number": True}})
    two = (MOBILE, LANDLINE)
    assert plan_next(spread, facts("no-answer", phones=two)) == after(60, phone_index=1)
    assert plan_next(spread, facts("no-answer", phones=two, phone_index=1)) == after(3 * 3600, phone_index=0)


def test_a_callback_is_made_at_the_instant_asked_for_on_the_number_that_answered() -> None:
    asked = NOON + timedelta(hours=26)
    told = facts("callback", callback_at=asked, phone_index=1, phones=(MOBILE, LANDLINE))
    assert plan_next(rule(), told) == NextTry(asked, 1)


def test_a_callback_for_an_instant_that_has_passed_is_made_now() -> None:
    assert plan_next(rule(), facts("callback", callback_at=NOON - timedelta(hours=1))) == after(0)


def test_a_callback_is_kept_although_the_dials_are_used_up_but_not_for_ever() -> None:
    asked = NOON + timedelta(hours=1)
    assert plan_next(rule(), facts("callback", callback_at=asked, attempts_made=5)) == NextTry(asked, 0)
    assert plan_next(rule(), facts("callback", callback_at=asked, attempts_made=5 + MOST_CALLBACKS)) is None


def test_the_older_form_of_a_rule_is_read() -> None:
    older = RetryRule.read({"max_attempts": 2, "delay_seconds": {"busy": 90}})
    assert older.outcomes["busy"].delays_seconds == (90,)
    assert "no-answer" not in older.outcomes
    assert RetryRule.read(older.to_json()) == older


@pytest.mark.parametrize(
    "wrong",
    [
        {"outcomes": {"busy": {"delays_seconds": []}}},
        {"outcomes": {"busy": {"delays_seconds": [-1]}}},
        {"outcomes": {"busy": {"delay": [1]}}},
        {"max_attempts": 0},
        {"spread_hours": 13},
        {"surprise": 1},
        {"delay_seconds": 5},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RetryRule.model_validate(wrong)


@given(
    minutes=st.integers(0, 2 * 365 * 24 * 60),
    delay=st.integers(0, 10 * 86_400),
    hours=st.floats(0.25, 12),
)
def test_spread_tries_are_so_far_apart_on_the_clock_and_never_earlier_or_a_day_late(
    minutes: int, delay: int, hours: float
) -> None:
    last_at = NOON + timedelta(minutes=minutes)
    due = last_at + timedelta(seconds=delay)
    moved = spread_over_day(due, last_at=last_at, zone=None, hours=hours)
    apart = (moved - last_at) % timedelta(days=1)
    assert min(apart, timedelta(days=1) - apart) >= timedelta(hours=hours) - timedelta(microseconds=1)
    assert due <= moved < due + timedelta(days=1)


OUTCOMES = ["busy", "no-answer", "failed", "wrong-number", "callback", "reached", "voicemail"]


@given(
    outcomes=st.lists(st.sampled_from(OUTCOMES), min_size=12, max_size=30),
    numbers=st.integers(1, 3),
    next_number=st.booleans(),
    spread_hours=st.sampled_from([0, 3]),
)
def test_whatever_calls_come_to_a_contact_is_finished_in_time_and_no_wrong_number_is_dialed(
    outcomes: list[str], numbers: int, next_number: bool, spread_hours: int
) -> None:
    again = {"delays_seconds": [60, 600], "next_number": next_number}
    tried = rule(
        spread_hours=spread_hours, outcomes={word: again for word in OUTCOMES if word not in ("reached", "callback")}
    )
    phones, now, at = (MOBILE, LANDLINE, OFFICE)[:numbers], NOON, 0
    wrong: set[str] = set()
    for made, outcome in enumerate(outcomes, start=1):
        assert phones[at] not in wrong
        wrong |= {phones[at]} if outcome == "wrong-number" else set()
        callback_at = now + timedelta(hours=2) if outcome == "callback" else None
        planned = plan_next(tried, Facts(outcome, made, at, phones, now, None, callback_at, wrong))
        if planned is None:
            assert made <= tried.max_attempts + MOST_CALLBACKS
            return
        assert planned.due_at >= now
        now, at = planned.due_at, planned.phone_index
    raise AssertionError("it is called for ever")


def test_spreading_goes_by_the_clock_on_the_wall_across_summer_time() -> None:
    saturday = datetime(2026, 10, 31, 10, tzinfo=NEW_YORK)
    sunday = datetime(2026, 11, 1, 10, tzinfo=NEW_YORK)  # 25 hours later: clocks went back
    moved = spread_over_day(sunday, last_at=saturday, zone=NEW_YORK, hours=3)
    assert moved == datetime(2026, 11, 1, 13, tzinfo=NEW_YORK)
