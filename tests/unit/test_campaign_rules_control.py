"""What stops a campaign: a canary that fails, a breaker that trips."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from campaigns.rules.breaker import Breaker, CallCounts, TripKind, decide_breaker, surely_at_least, surely_at_most
from campaigns.rules.canary import Canary, CanaryCounts, Step, count_left_for_canary, decide_canary

RULE = Canary(contacts=20, least_answer_rate=0.25, most_failed=0.1)
ALL_OVER = CanaryCounts(contacts=1000, dialed=20, settled=20, answered=8, failed=1)
HEALTHY = CallCounts(calls=400, answered=160, by_people=120)


def test_a_campaign_without_a_canary_goes_on() -> None:
    assert decide_canary(CanaryCounts(contacts=1000), Canary()).step is Step.GO_ON


def test_the_canary_waits_until_every_one_of_its_calls_is_over() -> None:
    assert decide_canary(replace(ALL_OVER, settled=19), RULE).step is Step.WAIT
    assert decide_canary(ALL_OVER, RULE).step is Step.GO_ON


def test_no_more_contacts_are_dialed_than_the_canary_asks_for() -> None:
    assert count_left_for_canary(CanaryCounts(contacts=1000, dialed=18), RULE) == 2
    assert count_left_for_canary(CanaryCounts(contacts=1000, dialed=25), RULE) == 0
    assert count_left_for_canary(CanaryCounts(contacts=7), RULE) == 7


def test_a_campaign_smaller_than_its_canary_is_judged_by_all_it_has() -> None:
    small = CanaryCounts(contacts=4, dialed=4, settled=4, answered=1)
    assert decide_canary(small, RULE).step is Step.GO_ON
    assert decide_canary(replace(small, answered=0), RULE).step is Step.STOP


def test_the_canary_stops_as_soon_as_its_rule_cannot_hold_any_more() -> None:
    failing = CanaryCounts(contacts=1000, dialed=5, settled=3, failed=3)
    verdict = decide_canary(failing, RULE)
    assert verdict.step is Step.STOP
    assert verdict.reason == "Canary: 3 of 20 first calls failed; at most 10% may."
    silent = CanaryCounts(contacts=1000, dialed=20, settled=16, answered=0)
    assert decide_canary(silent, RULE).step is Step.STOP
    assert decide_canary(replace(silent, settled=15), RULE).step is Step.WAIT


def test_a_share_exactly_at_its_limit_holds() -> None:
    exact = Canary(contacts=100, least_answer_rate=0.07, most_failed=0.29)
    counts = CanaryCounts(contacts=100, dialed=100, settled=100, answered=7, failed=29)
    assert decide_canary(counts, exact).step is Step.GO_ON


def test_the_score_is_waited_for_and_then_judged() -> None:
    rule = RULE.model_copy(update={"least_score": 0.8, "patience_seconds": 60.0})
    waits = decide_canary(replace(ALL_OVER, judged=7, scored=7, mean_score=0.9), rule)
    assert (waits.step, waits.reason) == (Step.WAIT, "7 of 8 answered calls are evaluated")
    late = replace(ALL_OVER, judged=7, scored=7, mean_score=0.9, quiet_seconds=61)
    assert decide_canary(late, rule).step is Step.GO_ON
    assert decide_canary(replace(ALL_OVER, quiet_seconds=61), rule).step is Step.STOP
    low = decide_canary(replace(ALL_OVER, judged=8, scored=8, mean_score=0.7), rule)
    assert low.reason == "Canary: the mean score of 8 calls is 0.70; at least 0.80 is asked for."


def test_too_few_scores_are_said_and_not_taken_for_good_ones() -> None:
    rule = RULE.model_copy(update={"least_score": 0.8, "least_scored": 3})
    few = decide_canary(replace(ALL_OVER, judged=8, scored=2, mean_score=1.0), rule)
    told = "Canary: 2 of 8 answered calls got a score; at least 3 must have one, with a mean of 0.80."
    assert (few.step, few.reason) == (Step.STOP, told)
    assert decide_canary(replace(ALL_OVER, judged=8, scored=3, mean_score=1.0), rule).step is Step.GO_ON


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_a_verdict_of_the_canary_is_never_taken_back(dialed: int, settled: int, answered: int, failed: int) -> None:
    """Whatever the open calls bring, a stop stays a stop."""
    settled, dialed = min(settled, dialed, 20), min(dialed, 20)
    answered = min(answered, settled)
    failed = min(failed, settled - answered)
    counts = CanaryCounts(contacts=1000, dialed=dialed, settled=settled, answered=answered, failed=failed)
    if decide_canary(counts, RULE).step is not Step.STOP:
        return
    still_open = 20 - settled
    best = replace(counts, dialed=20, settled=20, answered=answered + still_open)
    assert decide_canary(best, RULE).step is Step.STOP


def test_a_healthy_campaign_runs_on() -> None:
    assert decide_breaker(HEALTHY, Breaker(), before=HEALTHY) is None
    assert decide_breaker(CallCounts(), Breaker(), before=CallCounts()) is None


@pytest.mark.parametrize(
    ("window", "kind"),
    [
        (replace(HEALTHY, carrier_errors=200), TripKind.CARRIER_ERRORS),
        (replace(HEALTHY, our_failures=80), TripKind.OUR_FAILURES),
        (replace(HEALTHY, abandoned=30), TripKind.ABANDONED),
        (replace(HEALTHY, answered=12), TripKind.ANSWER_COLLAPSE),
        (CallCounts(calls=10, carrier_errors=10), TripKind.CARRIER_ERRORS),
    ],
)
def test_what_broke_pauses_the_campaign_and_is_named(window: CallCounts, kind: TripKind) -> None:
    trip = decide_breaker(window, Breaker(), before=HEALTHY)
    assert trip is not None
    assert trip.kind is kind


def test_the_reason_tells_the_figures_and_where_to_look() -> None:
    trip = decide_breaker(CallCounts(calls=60, carrier_errors=37), Breaker(), before=HEALTHY)
    assert trip is not None
    assert trip.reason == (
        "37 of the last 60 calls failed at the carrier; at most 30% may. "
        "Look at the trunk or the carrier account, then resume."
    )


def test_a_few_unlucky_calls_do_not_trip_it() -> None:
    assert decide_breaker(CallCounts(calls=12, carrier_errors=5), Breaker(), before=HEALTHY) is None
    assert decide_breaker(CallCounts(calls=9, carrier_errors=9), Breaker(), before=HEALTHY) is None
    assert decide_breaker(CallCounts(calls=40, answered=8, by_people=8, abandoned=1), Breaker(), before=HEALTHY) is None
    assert decide_breaker(replace(HEALTHY, abandoned=10), Breaker(), before=HEALTHY) is None


def test_a_low_answer_rate_that_always_was_low_is_no_collapse() -> None:
    poor = CallCounts(calls=400, answered=12, by_people=8)
    assert decide_breaker(poor, Breaker(), before=poor) is None
    assert decide_breaker(replace(poor, answered=0), Breaker(), before=CallCounts(calls=5)) is None


def test_a_limit_of_none_is_not_watched() -> None:
    bad = CallCounts(calls=100, carrier_errors=100)
    unwatched = Breaker(most_carrier_errors=None, answer_collapse=None)
    assert decide_breaker(bad, unwatched, before=HEALTHY) is None


@given(st.integers(1, 500), st.data())
def test_a_share_lies_between_its_two_sure_ends(of: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, of))
    assert -1e-9 <= surely_at_least(number, of) <= number / of + 1e-9
    assert number / of - 1e-9 <= surely_at_most(number, of) <= 1 + 1e-9


@pytest.mark.parametrize("model", [Canary, Breaker])
def test_a_setting_that_does_not_exist_is_refused(model: type[Canary] | type[Breaker]) -> None:
    assert model.model_validate({}) == model()
    with pytest.raises(ValidationError):
        model.model_validate({"contact": 5})
