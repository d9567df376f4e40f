"""Pacing, silence, marks and barge-in, on a clock that the test moves."""

import numpy as np
import pytest

from telephony.media.g711 import FRAME_SAMPLES, FRAME_SECONDS, SILENT_FRAME, Samples, decode_mulaw, encode_mulaw
from telephony.media.playout import (
    HANGOVER_FRAMES,
    LEAD_IN_FRAMES,
    LEAD_SECONDS,
    LONGEST_QUEUE_FRAMES,
    SETTLE_FRAMES,
    Mark,
    Mixer,
    Playout,
)

QUIET: Samples = np.zeros(FRAME_SAMPLES, dtype=np.int16)


def voice(level: int = 5000) -> Samples:
    return np.full(FRAME_SAMPLES, level, dtype=np.int16)


class Carrier:
    """What Twilio does with what it gets: plays it as it comes, one frame after the other."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, bytes | Mark]] = []
        self.empty_at = 0.0
        self.longest_backlog = 0.0
        self.gaps = 0

    def take(self, now: float, items: list[bytes | Mark]) -> None:
        for item in items:
            self.sent.append((now, item))
            if isinstance(item, bytes):
                self.gaps += self.empty_at < now
                self.empty_at = max(self.empty_at, now) + FRAME_SECONDS
                self.longest_backlog = max(self.longest_backlog, self.empty_at - now)

    @property
    def frames(self) -> list[bytes]:
        return [item for _, item in self.sent if isinstance(item, bytes)]

    @property
    def marks(self) -> list[str]:
        return [item.name for _, item in self.sent if isinstance(item, Mark)]


def run(playout: Playout, carrier: Carrier, arrivals: list[tuple[float, Samples]], until: float) -> None:
    """Push frames when they arrive and let the sender act exactly when it asked to."""
    pending = sorted(arrivals, key=lambda arrival: arrival[0])
    now = 0.0
    while True:
        due = playout.next_due()
        times = ([max(due, now)] if due is not None else []) + ([pending[0][0]] if pending else [])
        if not times or min(times) > until:
            return
        now = min(times)
        while pending and pending[0][0] <= now:
            playout.push(pending.pop(0)[1])
        carrier.take(now, playout.take_due(now))


def talk(start: float, frames: int, *, drift: float = 1.0) -> list[tuple[float, Samples]]:
    return [(start + n * FRAME_SECONDS * drift, voice()) for n in range(frames)]


def hush(start: float, frames: int) -> list[tuple[float, Samples]]:
    return [(start + n * FRAME_SECONDS, QUIET) for n in range(frames)]


def test_a_voice_is_passed_on_as_it_comes_behind_a_short_lead_in() -> None:
    playout, carrier = Playout(), Carrier()
    run(playout, carrier, talk(1.0, 50), until=9)
    assert carrier.frames == [SILENT_FRAME] * LEAD_IN_FRAMES + [encode_mulaw(voice())] * 50
    delays = [at - (1.0 + n * FRAME_SECONDS) for n, (at, _) in enumerate(carrier.sent[LEAD_IN_FRAMES:])]
    assert max(delays) < 0.001


def test_the_carrier_never_holds_more_than_the_lead_even_when_everything_comes_at_once() -> None:
    playout, carrier = Playout(), Carrier()
    run(playout, carrier, [(1.0, voice()) for _ in range(40)], until=9)
    assert carrier.longest_backlog <= LEAD_SECONDS + 0.0001
    assert len(carrier.frames) == 40 + LEAD_IN_FRAMES
    assert carrier.gaps == 1


@pytest.mark.parametrize("drift", [0.999, 1.0, 1.001])
def test_ten_minutes_of_talk_do_not_drift(drift: float) -> None:
    playout, carrier = Playout(), Carrier()
    arrivals = talk(0.0, 30_000, drift=drift)
    run(playout, carrier, arrivals, until=1000)
    assert carrier.longest_backlog <= LEAD_SECONDS + 0.0001
    last_arrival, last_sent = arrivals[-1][0], carrier.sent[-1][0]
    # A faster source fills our queue up to its bound, and no further; a slower one leaves nothing behind.
    assert last_sent - last_arrival < (LONGEST_QUEUE_FRAMES + 1) * FRAME_SECONDS


def test_a_late_tick_is_made_up_for_and_the_next_ones_are_on_time() -> None:
    playout, carrier = Playout(), Carrier()
    arrivals = talk(0.0, 10) + [(0.35, voice()) for _ in range(8)] + talk(0.36, 20)
    run(playout, carrier, arrivals, until=9)
    assert carrier.longest_backlog <= LEAD_SECONDS + 0.0001
    assert len(carrier.frames) == LEAD_IN_FRAMES + 38
    assert carrier.gaps == 1


def test_silence_at_rest_is_not_sent() -> None:
    playout, carrier = Playout(), Carrier()
    run(playout, carrier, hush(0.0, 100), until=9)
    assert carrier.sent == []
    assert playout.is_played_out


def test_after_an_utterance_comes_a_mark_and_then_rest() -> None:
    playout, carrier = Playout(), Carrier()
    run(playout, carrier, talk(0.0, 10) + hush(0.2, 100) + talk(3.0, 10) + hush(3.2, 50), until=9)
    assert carrier.marks == ["utterance-1", "utterance-2"]
    assert len(carrier.frames) == 2 * (LEAD_IN_FRAMES + 10 + HANGOVER_FRAMES - 1)
    assert not playout.is_played_out
    assert playout.note_mark("utterance-1")
    assert not playout.note_mark("utterance-1")
    assert not playout.note_mark("utterance-7")
    assert playout.note_mark("utterance-2")
    assert playout.is_played_out


def test_a_short_pause_inside_an_utterance_is_kept() -> None:
    playout, carrier = Playout(), Carrier()
    run(playout, carrier, talk(0.0, 5) + hush(0.1, HANGOVER_FRAMES - 2) + talk(0.26, 5), until=9)
    assert len(carrier.frames) == LEAD_IN_FRAMES + 5 + HANGOVER_FRAMES - 2 + 5
    assert carrier.marks == []


def test_a_backlog_is_worked_off_in_pauses() -> None:
    playout, carrier = Playout(), Carrier()
    arrivals = talk(0.0, 5) + [(0.5, voice()) for _ in range(20)] + hush(0.5, 8) + talk(0.66, 5)
    run(playout, carrier, arrivals, until=9)
    assert playout.frames_dropped == 8


def test_what_is_too_old_is_dropped() -> None:
    playout = Playout()
    for _ in range(3 * LONGEST_QUEUE_FRAMES):
        playout.push(voice())
    assert playout.frames_dropped == 2 * LONGEST_QUEUE_FRAMES + LEAD_IN_FRAMES


def test_barge_in_empties_the_queue_and_swallows_the_rest_of_the_voice() -> None:
    playout = Playout()
    for _ in range(20):
        playout.push(voice())
    playout.take_due(1.0)
    assert playout.clear(1.0)
    assert playout.take_due(9.0) == []
    for _ in range(5):
        playout.push(voice())
    assert playout.take_due(9.0) == []


def test_the_carrier_is_told_to_clear_once_for_what_it_got() -> None:
    playout = Playout()
    assert not playout.clear(0.0)
    playout.push(voice())
    playout.take_due(1.0)
    assert [playout.clear(1.0 + n / 25) for n in range(4)] == [True, False, False, False]


def test_after_barge_in_the_next_utterance_is_heard_from_its_start() -> None:
    playout, carrier = Playout(), Carrier()
    playout.push(voice())
    playout.take_due(0.0)
    playout.clear(0.01)
    run(playout, carrier, talk(0.02, 4) + hush(0.1, 10) + talk(0.3, 5), until=9)
    assert carrier.frames == [SILENT_FRAME] * LEAD_IN_FRAMES + [encode_mulaw(voice())] * 5


def test_a_voice_that_never_pauses_after_barge_in_is_held_back_for_a_quarter_second_only() -> None:
    playout = Playout()
    playout.push(voice())
    playout.clear(0.0)
    for _ in range(SETTLE_FRAMES + 1):
        playout.push(voice())
    assert encode_mulaw(voice()) in playout.take_due(1.0)


def test_barge_in_in_a_pause_does_not_swallow_what_is_said_next() -> None:
    playout = Playout()
    for frame in (voice(), QUIET, QUIET):
        playout.push(frame)
    playout.clear(0.0)
    playout.push(voice())
    assert encode_mulaw(voice()) in playout.take_due(0.0)


def test_one_track_is_passed_on_at_once() -> None:
    mixer = Mixer()
    assert [len(mixer.push("a", voice())) for _ in range(3)] == [1, 1, 1]


def test_two_tracks_are_added_up() -> None:
    mixer = Mixer()
    mixer.add("a")
    mixer.add("b")
    assert mixer.push("a", voice(1000)) == []
    (mixed,) = mixer.push("b", voice(-300))
    assert set(mixed) == {700}


def test_two_loud_tracks_clip_instead_of_wrapping() -> None:
    mixer = Mixer()
    mixer.add("b")
    mixer.push("a", voice(30000))
    (mixed,) = mixer.push("b", voice(30000))
    assert set(mixed) == {32767}


def test_a_track_that_stopped_holds_the_others_for_one_frame_at_most() -> None:
    mixer = Mixer()
    mixer.add("stopped")
    assert [len(mixer.push("a", voice())) for _ in range(4)] == [0, 1, 1, 1]
    mixer.remove("stopped")
    assert len(mixer.push("a", voice())) == 2


def test_loud_and_quiet_survive_the_way_to_the_carrier() -> None:
    assert abs(int(decode_mulaw(encode_mulaw(voice(5000)))[0]) - 5000) < 150
