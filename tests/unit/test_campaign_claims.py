"""How dialers share what can be claimed, and how one that misses its slots slows down."""

from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from app.ids import CampaignId, new_id
from campaigns.dialing.attempts import LATE_SECONDS
from campaigns.dialing.claiming import bound, count_share
from campaigns.dialing.dialer_state import SHAKEN_SECONDS, SHORTEST_LEAD_SECONDS, Dialer
from telephony.outbound import Lines

counts = st.integers(0, 500)


@given(counts, counts, st.integers(0, 50))
def test_a_dialer_claims_what_is_near_and_its_share_of_the_rest(near: int, more: int, dialers: int) -> None:
    share = count_share(near, near + more, dialers)
    assert near <= share <= near + more
    assert share - near <= more / max(1, dialers)


@given(counts, counts)
def test_a_dialer_that_is_alone_claims_everything(near: int, soon: int) -> None:
    assert count_share(near, soon, 1) == count_share(near, soon, 0) == soon


@given(st.lists(st.tuples(counts, counts), min_size=1, max_size=6), st.integers(1, 50))
def test_campaigns_that_share_a_lane_never_claim_more_than_it_gives(plans: list[tuple[int, int]], dialers: int) -> None:
    """Each of the two plans fits the lane, so the shares of it do."""
    lane = max(sum(near for near, _ in plans), sum(soon for _, soon in plans))
    assert sum(count_share(near, soon, dialers) for near, soon in plans) <= lane


class Nothing:
    """Lines that nobody dials with."""

    db = None


def test_a_dial_late_now_and_then_costs_the_lanes_nothing_and_many_late_ones_do() -> None:
    dialer = Dialer("slow", cast(Lines, Nothing()))
    for _ in range(20):
        dialer.slow_down(1)
        for _ in range(50):
            dialer.speed_up()
    assert dialer.patience == LATE_SECONDS
    assert dialer.lead > SHORTEST_LEAD_SECONDS
    for _ in range(5):
        dialer.slow_down(20)
    assert dialer.patience > LATE_SECONDS
    for _ in range(5000):
        dialer.speed_up()
    assert (dialer.patience, dialer.lead) == (LATE_SECONDS, SHORTEST_LEAD_SECONDS)


def test_what_a_database_that_was_away_made_late_says_nothing_of_the_machine() -> None:
    dialer = Dialer("shaken", cast(Lines, Nothing()))
    for _ in range(40):
        dialer.speed_up()
    dialer.most_claims(1.0)
    managed = dialer.manages
    dialer.shake()
    dialer.slow_down(500)
    dialer.most_claims(3.0)
    kept = (dialer.lead, dialer.patience, dialer.late_share, dialer.manages)
    assert kept == (SHORTEST_LEAD_SECONDS, LATE_SECONDS, 0.0, managed)
    dialer.shaken_until -= SHAKEN_SECONDS
    dialer.slow_down(500)
    dialer.most_claims(3.0)
    assert dialer.lead > SHORTEST_LEAD_SECONDS
    assert dialer.patience > LATE_SECONDS
    assert dialer.manages < managed


@given(st.lists(counts, min_size=1, max_size=6), st.integers(0, 600))
def test_a_dialer_that_can_do_so_many_claims_no_more_and_leaves_no_campaign_out(plan: list[int], most: int) -> None:
    wanted = {CampaignId(new_id()): count for count in plan}
    bounded = bound(wanted, most)
    assert bound(wanted, None) == wanted
    assert sum(bounded.values()) <= max(most + len(plan), 0)
    assert all(bounded[one] <= count and (bounded[one] > 0 or not count or not most) for one, count in wanted.items())


def test_a_dialer_whose_dials_are_late_claims_a_little_more_than_it_managed() -> None:
    dialer = Dialer("slow", cast(Lines, Nothing()))
    assert dialer.most_claims(1.0) is None
    for _ in range(40):
        for _ in range(20):
            dialer.speed_up()
        dialer.slow_down(5)
        dialer.most_claims(0.5)
    for _ in range(20):
        dialer.speed_up()
    assert dialer.most_claims(0.5) == 23  # of 40 a second
    for _ in range(500):
        dialer.speed_up()
    assert dialer.most_claims(1.0) is None
