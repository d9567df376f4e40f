"""Dial slots: through however many lanes, from however many dialers, never one too many in any second."""

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from campaigns.dialing.lanes.slots import Track, lay_slots

rates = st.floats(min_value=0.05, max_value=2000, allow_nan=False)
starts = st.floats(min_value=-1e6, max_value=5.0, allow_nan=False)
ROUNDING = 1e-6


@given(st.lists(st.tuples(starts, rates), min_size=1, max_size=4), st.integers(0, 60), st.floats(0.0, 2.0))
def test_slots_keep_the_spacing_of_every_lane(lanes: list[tuple[float, float]], count: int, earliest: float) -> None:
    tracks = [Track.of_rate(str(index), start, rate) for index, (start, rate) in enumerate(lanes)]
    layout = lay_slots(tracks, count, earliest=earliest, latest=60.0)
    assert len(layout.slots) <= count
    for slot in layout.slots:
        assert slot >= earliest
        assert all(slot >= track.next_in_seconds - ROUNDING for track in tracks)
    widest = max(track.spacing_seconds for track in tracks)
    for one, after in zip(layout.slots, layout.slots[1:], strict=False):
        assert after - one >= widest - ROUNDING
    for track in tracks:
        if layout.slots:
            assert layout.next_in_seconds[track.key] >= layout.slots[-1] + track.spacing_seconds - ROUNDING


@given(rates, st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_no_window_of_a_second_holds_more_than_the_rate_however_the_slots_were_taken(
    rate: float, batches: list[int]
) -> None:
    """Each batch is another dialer's: it sees only what the last one wrote down."""
    following, taken = -1e9, list[float]()
    for count in batches:
        layout = lay_slots([Track.of_rate("lane", following, rate)], count, earliest=0.1, latest=1e9)
        taken += layout.slots
        following = layout.next_in_seconds["lane"]
    allowed = max(1, ceil(rate))
    window = max(1.0, 1 / rate)
    for first, one_more in zip(taken, taken[allowed:], strict=False):
        assert one_more - first > window


def test_a_slot_too_far_away_is_not_taken() -> None:
    layout = lay_slots([Track.of_rate("lane", 3.0, 1.0)], 5, earliest=0.1, latest=2.0)
    assert (layout.slots, layout.next_in_seconds) == ([], {"lane": 3.0})


def test_without_a_rate_nothing_is_spaced() -> None:
    assert lay_slots([Track.of_rate("lane", 0.0, None)], 3, earliest=0.1, latest=2.0).slots == [0.1, 0.1, 0.1]
