"""Dialing ahead of people: what is expected, what is risked, and what stops it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from campaigns.rules.pace.answers import (
    USUAL_RINGS,
    AnswerRate,
    Cohort,
    draw_ring_curve,
    estimate_answer_rate,
    seconds_until,
    share_answered_by,
)
from campaigns.rules.pace.predictive import (
    MOST_PER_PERSON,
    Floor,
    Predictive,
    count_progressive,
    count_to_predict,
    find_rate,
    find_risk,
    look_ahead,
    stress,
)
from campaigns.rules.pace.steering import Outcomes, count_credit, decide_risk

RULE = Predictive()
ON_TARGET = Outcomes(dialed=4000, answered=1000, abandoned=24)
A_MONTH = Outcomes(dialed=200_000, answered=50_000, abandoned=1200)
STEADY = [Cohort(float(age), 8, 2, 0) for age in range(31, 120)]
FLOOR = Floor(idle=10, busy=30, cohorts=STEADY, recent=ON_TARGET, month=A_MONTH)


def test_how_answers_come_in_is_measured() -> None:
    curve = draw_ring_curve([4.0, 6.0, 6.5, 20.0])
    came = [share_answered_by(curve, second) for second in (3, 4, 6, 7, 19.9, 20, 500)]
    assert came == [0, 0.25, 0.5, 0.75, 0.75, 1, 1]
    assert seconds_until(curve, 0.5) == 6
    assert draw_ring_curve([]) == USUAL_RINGS


@given(st.lists(st.floats(0, 120)))
def test_a_ring_curve_never_falls_and_ends_with_all(rang: list[float]) -> None:
    curve = draw_ring_curve(rang)
    assert list(curve) == sorted(curve)
    assert curve[-1] == 1.0


def test_dials_that_ring_count_for_the_answers_they_would_have_brought_by_now() -> None:
    """A thousand dials of which 30 % will answer: the estimate is right at every age, long before the ringing ends."""
    for age in (6, 8, 12, 20, 40):
        came = round(300 * share_answered_by(USUAL_RINGS, age))
        rate = estimate_answer_rate([Cohort(age, 1000, came, 1000 - came)], USUAL_RINGS, usual=0.1)
        assert rate.share == pytest.approx(0.3, abs=0.06)


def test_an_old_rate_is_not_trusted_before_a_few_new_dials_agree() -> None:
    assert estimate_answer_rate([], USUAL_RINGS, usual=0.1).share == pytest.approx(0.5)
    some = [Cohort(40.0, 100, 10, 0)]
    assert estimate_answer_rate(some, USUAL_RINGS, usual=0.1).share == pytest.approx(0.1, abs=0.01)
    assert estimate_answer_rate([], USUAL_RINGS, usual=0.8).share == pytest.approx(0.8)


def test_a_jump_of_the_answer_rate_shows_within_seconds() -> None:
    before = find_rate(FLOOR).share
    jumped = [*STEADY, *(Cohort(float(age), 8, 4, 4) for age in range(5, 15))]
    assert find_rate(replace(FLOOR, cohorts=jumped)).share > before * 1.2


def test_more_is_dialed_than_people_are_idle_and_less_as_answers_get_likelier() -> None:
    counts = [count_to_predict(FLOOR, RULE, rate=AnswerRate(share, 0.0)) for share in (0.1, 0.2, 0.4, 0.8)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] >= 10
    assert counts[0] > 60


def test_dials_on_their_way_are_counted_by_what_they_may_still_bring() -> None:
    rate = AnswerRate(0.25, 0.001)
    alone, fresh, stale = (
        count_to_predict(replace(FLOOR, ringing=number, cohorts=[Cohort(age, 40, 0, number)]), RULE, rate=rate)
        for age, number in ((60.0, 0), (2.0, 40), (25.0, 40))
    )
    assert fresh < stale <= alone


def test_claims_that_are_not_dialed_yet_count_like_dials_made_now() -> None:
    claimed = look_ahead(replace(FLOOR, ringing=12), AnswerRate(0.3, 0.0))
    dialed = look_ahead(replace(FLOOR, ringing=12, cohorts=[Cohort(0.0, 12, 0, 12)]), AnswerRate(0.3, 0.0))
    assert [look.answers for look in claimed] == pytest.approx([look.answers for look in dialed])


def test_a_campaign_without_a_past_dials_one_number_for_each_idle_person() -> None:
    young = replace(FLOOR, recent=Outcomes(), month=Outcomes())
    assert count_to_predict(young, RULE) == count_progressive(young) == 10


def test_at_the_limit_nothing_is_dialed_ahead() -> None:
    at_limit = replace(FLOOR, month=Outcomes(dialed=4000, answered=1000, abandoned=30))
    assert count_to_predict(at_limit, RULE) == 10


def test_what_a_young_campaign_could_not_bear_is_not_dialed() -> None:
    young = Outcomes(dialed=1600, answered=400, abandoned=2)
    assert 10 <= count_to_predict(replace(FLOOR, recent=young, month=young), RULE) < count_to_predict(FLOOR, RULE)


def test_with_everybody_busy_and_callees_waiting_nothing_is_dialed() -> None:
    ringing = [*STEADY, *(Cohort(float(age), 8, 0, 8) for age in range(15))]
    full = replace(FLOOR, idle=0, busy=40, waiting=5, ringing=120, cohorts=ringing)
    assert count_to_predict(full, RULE) == 0


def test_the_risk_falls_as_more_is_abandoned_and_rises_as_less_is() -> None:
    risks = [
        decide_risk(Outcomes(4000, 1000, abandoned), most_abandoned=0.03) for abandoned in (0, 12, 24, 36, 60, 500)
    ]
    assert risks == sorted(risks, reverse=True)
    assert risks[2] == pytest.approx(0.024)
    assert risks[-1] == 0.001


def test_credit_is_what_could_still_be_abandoned() -> None:
    assert count_credit(Outcomes(4000, 1000, 20), most_abandoned=0.03) == pytest.approx(9)


def test_the_limit_cannot_be_set_above_the_law() -> None:
    assert Predictive(max_abandoned=0.01).max_abandoned == 0.01
    for beyond in ({"max_abandoned": 0.031}, {"connect_seconds": 2.5}, {"message": ""}):
        with pytest.raises(ValidationError):
            Predictive.model_validate(beyond)


floors = st.builds(
    Floor,
    idle=st.integers(0, 200),
    busy=st.integers(0, 200),
    waiting=st.integers(0, 20),
    ringing=st.integers(0, 300),
    busy_seconds=st.floats(0, 900),
    cohorts=st.lists(
        st.builds(Cohort, st.floats(0, 180), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)), max_size=40
    ),
    recent=st.builds(Outcomes, st.integers(0, 9000), st.integers(0, 1000), st.integers(0, 100)),
    month=st.builds(Outcomes, st.integers(0, 900_000), st.integers(0, 100_000), st.integers(0, 4000)),
)


@given(floors)
def test_whatever_the_floor_is_what_is_dialed_ahead_could_be_borne(floor: Floor) -> None:
    number = count_to_predict(floor, RULE)
    certain = count_progressive(floor)
    assert certain <= number <= max(certain, MOST_PER_PERSON * (floor.idle + floor.busy))
    if number > certain:
        looks = look_ahead(floor, find_rate(floor))
        credit = count_credit(floor.month, most_abandoned=RULE.max_abandoned)
        risk = decide_risk(floor.recent, most_abandoned=RULE.max_abandoned)
        assert all(stress(look, number) <= credit for look in looks)
        assert sum(find_risk(look, number) for look in looks) <= risk * len(looks)
