"""How many contacts each campaign claims: limits, ramp, priority and shares."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ids import CampaignId, new_id
from campaigns.rules.pace.predictive import Floor
from campaigns.rules.pace.ramp import Ramp, share_of_pace
from campaigns.rules.pacing import (
    Lane,
    Mode,
    OrgLimits,
    Pace,
    Room,
    count_free_lines,
    count_free_on_lane,
    count_wanted,
    plan_claims,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NO_LIMITS = OrgLimits()


def room(**changed: object) -> Room:
    return replace(Room(CampaignId(new_id()), max_concurrent=1000, calls_per_second=1000.0), **changed)  # type: ignore[arg-type]


def test_a_campaign_that_is_alone_claims_what_fits_its_own_limits() -> None:
    one = room(max_concurrent=10, open_attempts=7)
    assert plan_claims([one], [], NO_LIMITS, now=NOON) == {one.campaign_id: 3}


def test_no_more_is_claimed_than_contacts_are_due() -> None:
    assert count_wanted(room(due=2), now=NOON) == 2


def test_a_campaign_over_its_limits_claims_nothing_and_disturbs_nobody() -> None:
    over, other = room(max_concurrent=5, open_attempts=9, lanes=("t",)), room(lanes=("t",))
    plan = plan_claims([over, other], [Lane("t", max_concurrent=4)], NO_LIMITS, now=NOON)
    assert plan == {over.campaign_id: 0, other.campaign_id: 4}


def test_every_lane_of_a_dial_bounds_it() -> None:
    one = room(lanes=("trunk", "number"))
    lanes = [Lane("trunk", max_concurrent=8, open_calls=1), Lane("number", max_concurrent=30, open_calls=27)]
    assert plan_claims([one], lanes, NO_LIMITS, now=NOON)[one.campaign_id] == 3


def test_a_lane_gives_slots_of_the_near_future_only() -> None:
    assert count_free_on_lane(Lane("t", calls_per_second=1.0)) == 1
    assert count_free_on_lane(Lane("t", calls_per_second=1.0, waiting_for_slot=1)) == 0
    assert count_free_on_lane(Lane("t", calls_per_second=1.0, next_slot_in_seconds=0.9)) == 0
    assert count_free_on_lane(Lane("t", calls_per_second=20.0)) == 10


def test_the_lines_kept_for_callers_are_used_by_callers_first() -> None:
    limits = OrgLimits(max_concurrent=20, inbound_share=0.25)
    assert count_free_lines(limits) == 15
    assert count_free_lines(replace(limits, open_inbound=5)) == 15
    assert count_free_lines(replace(limits, open_inbound=8, open_outbound=10)) == 2
    assert count_free_lines(replace(limits, open_inbound=25)) == 0


def test_a_higher_priority_takes_first_and_the_rest_is_left_to_the_others() -> None:
    low, high = room(lanes=("t",)), room(lanes=("t",), priority=1, due=6)
    plan = plan_claims([low, high], [Lane("t", max_concurrent=10)], NO_LIMITS, now=NOON)
    assert plan == {high.campaign_id: 6, low.campaign_id: 4}


def test_equal_campaigns_are_served_in_proportion_to_their_shares() -> None:
    one, three = room(served=0.0, lanes=("t",)), room(share=3.0, served=0.0, lanes=("t",))
    plan = plan_claims([one, three], [Lane("t", max_concurrent=80)], NO_LIMITS, now=NOON)
    assert plan == {one.campaign_id: 20, three.campaign_id: 60}


@pytest.mark.parametrize("counted", [True, False])
def test_over_many_rounds_of_one_slot_shares_come_true(counted: bool) -> None:
    rooms = [room(share=share, served=0.0 if counted else None, lanes=("t",)) for share in (1.0, 2.0, 5.0)]
    got: Counter[CampaignId] = Counter()
    for number in range(2000):
        known = [replace(one, served=got[one.campaign_id] if counted else None) for one in rooms]
        lanes = [Lane("t", calls_per_second=1.0)]
        got.update(plan_claims(known, lanes, NO_LIMITS, now=NOON + timedelta(seconds=number)))
    assert sum(got.values()) == 2000
    for one in rooms:
        assert got[one.campaign_id] / 2000 == pytest.approx(one.share / 8, abs=0.001 if counted else 0.06)


@pytest.mark.parametrize("counted", [True, False])
def test_a_low_priority_gets_a_tenth_of_its_fair_share_however_busy_the_higher_one_is(counted: bool) -> None:
    low, high = room(lanes=("t",)), room(priority=9, lanes=("t",))
    got: Counter[CampaignId] = Counter()
    for number in range(2000):
        known = [replace(one, served=got[one.campaign_id] if counted else None) for one in (low, high)]
        at = NOON + timedelta(seconds=number)
        got.update(plan_claims(known, [Lane("t", calls_per_second=1.0)], NO_LIMITS, now=at))
    assert got[low.campaign_id] == pytest.approx(100, abs=2 if counted else 50)


def test_a_campaign_that_just_began_catches_up_without_stopping_the_others() -> None:
    old, new = room(served=12_000.0, lanes=("t",)), room(served=0.0, lanes=("t",))
    plan = plan_claims([old, new], [Lane("t", max_concurrent=100)], NO_LIMITS, now=NOON)
    assert plan[new.campaign_id] > plan[old.campaign_id] >= 25


@given(
    st.lists(
        st.tuples(
            st.integers(0, 40),
            st.integers(-2, 2),
            st.floats(0.1, 9.0),
            st.one_of(st.none(), st.floats(0, 500)),
            st.sets(st.sampled_from("abc")),
        ),
        max_size=8,
    ),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 30)),
    st.one_of(st.none(), st.integers(0, 60)),
)
def test_no_limit_is_passed_and_nothing_useful_is_left_over(
    wishes: list[tuple[int, int, float, float | None, set[str]]], held: dict[str, int], most: int | None
) -> None:
    rooms = [
        room(due=due, priority=priority, share=share, served=served, lanes=tuple(sorted(keys)))
        for due, priority, share, served, keys in wishes
    ]
    lanes = [Lane(key, max_concurrent=number) for key, number in held.items()]
    plan = plan_claims(rooms, lanes, OrgLimits(max_concurrent=most), now=NOON)
    left = {
        key: number - sum(plan[one.campaign_id] for one in rooms if key in one.lanes) for key, number in held.items()
    }
    total_left = (most if most is not None else 10**6) - sum(plan.values())
    assert min([total_left, *left.values()]) >= 0
    for one in rooms:
        assert 0 <= plan[one.campaign_id] <= (one.due or 0)
        if plan[one.campaign_id] < (one.due or 0):
            assert total_left == 0 or any(left.get(key) == 0 for key in one.lanes)


def test_a_ramp_opens_the_pace_in_a_straight_line() -> None:
    ramp = Ramp(seconds=600, start_share=0.2)
    shares = [share_of_pace(ramp, running_since=NOON, now=NOON + timedelta(seconds=s)) for s in (-5, 0, 300, 600, 9999)]
    assert shares == pytest.approx([0.2, 0.2, 0.6, 1.0, 1.0])
    assert share_of_pace(Ramp(), running_since=None, now=NOON) == 1.0


def test_a_campaign_in_its_ramp_claims_its_part_and_at_least_one() -> None:
    gentle = Pace(ramp=Ramp(seconds=600, start_share=0.01))
    assert count_wanted(room(max_concurrent=20, pace=gentle, running_since=NOON), now=NOON) == 1
    later = NOON + timedelta(seconds=300)
    assert count_wanted(room(max_concurrent=20, pace=gentle, running_since=NOON), now=later) == 10


def test_progressive_dials_one_number_for_each_idle_person() -> None:
    floor = Floor(idle=5, waiting=1, ringing=1)
    assert count_wanted(room(mode=Mode.PROGRESSIVE, floor=floor), now=NOON) == 3


@pytest.mark.parametrize("mode", [Mode.PROGRESSIVE, Mode.PREDICTIVE])
def test_a_campaign_for_people_without_people_dials_nobody(mode: Mode) -> None:
    assert count_wanted(room(mode=mode), now=NOON) == 0
