"""The proofs of pace, small; `make prove ONLY=slots,predictive` runs them at full size."""

from tests.prove.pace.pace import PredictiveProof, SlotsProof, count_most
from tests.prove.pace.predictive_world import DAY_SECONDS, Second, find_worst_window
from tests.prove.proof import Sizes

SMALL = Sizes({"PROVE_DAYS": "8", "PROVE_DIALS": "20000", "PROVE_PERCENT_OF_ORACLE": "90"})
"""Two days a campaign: on the first, it has no past yet to dial ahead on."""


async def test_no_second_holds_a_call_more_than_the_rate_and_slots_without_a_margin_are_caught() -> None:
    assert (await SlotsProof().run(SMALL)).held
    assert not (await SlotsProof().control(SMALL)).held


async def test_predictive_dialing_stays_under_three_percent_and_near_the_oracle_and_naive_ones_are_caught() -> None:
    figures = await PredictiveProof().run(SMALL)
    assert figures.held, figures.rows
    control = await PredictiveProof().control(SMALL)
    assert not control.held, control.rows


def test_the_judge_counts_a_closed_window() -> None:
    assert count_most([0.0, 1.0, 1.5, 2.0], 1.0) == 3
    assert count_most([0.0, 1.01, 2.02], 1.0) == 1


def test_the_judge_finds_thirty_bad_days_between_good_ones() -> None:
    good = [Second(day * DAY_SECONDS, 100, 1) for day in range(90)]
    bad = [Second(day * DAY_SECONDS, 100, 4 if 30 <= day < 60 else 1) for day in range(90)]
    assert find_worst_window(good) == 0.01
    assert find_worst_window(bad) > 0.0385
