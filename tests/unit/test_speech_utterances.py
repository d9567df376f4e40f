"""Cutting speech probabilities into utterances."""

from agents.speech.utterances import WINDOW_SECONDS, Bounds, Signal, Utterance


def windows(seconds: float) -> int:
    return round(seconds / WINDOW_SECONDS)


def signals(utterance: Utterance, *stretches: tuple[float, float]) -> list[Signal]:
    """What the utterance tells of (probability, seconds) stretches."""
    told = [utterance.push(level) for level, seconds in stretches for _ in range(windows(seconds))]
    return [signal for signal in told if signal is not None]


def test_a_click_is_no_utterance() -> None:
    assert signals(Utterance(), (0.0, 0.3), (0.9, WINDOW_SECONDS), (0.0, 1.0)) == []


def test_an_utterance_starts_pauses_and_ends() -> None:
    assert signals(Utterance(), (0.9, 1.0), (0.0, 0.5)) == [Signal.STARTED, Signal.PAUSED, Signal.ENDED]


def test_a_short_pause_does_not_end_an_utterance() -> None:
    told = signals(Utterance(), (0.9, 0.5), (0.0, 0.2), (0.9, 0.5), (0.0, 0.5))
    assert told == [Signal.STARTED, Signal.PAUSED, Signal.RESUMED, Signal.PAUSED, Signal.ENDED]


def test_a_soft_syllable_does_not_pause_it() -> None:
    assert signals(Utterance(), (0.9, 0.5), (0.4, 0.3), (0.9, 0.5)) == [Signal.STARTED]


def test_an_utterance_that_never_ends_is_cut_and_goes_on() -> None:
    told = signals(Utterance(Bounds(longest_seconds=2.0)), (0.9, 4.5), (0.0, 0.5))
    assert told == [Signal.STARTED, Signal.CUT, Signal.CUT, Signal.PAUSED, Signal.ENDED]


def test_after_its_end_the_next_one_starts_afresh() -> None:
    utterance = Utterance()
    assert signals(utterance, (0.9, 0.5), (0.0, 0.5))[-1] is Signal.ENDED
    assert not utterance.speaking
    assert signals(utterance, (0.9, 0.5)) == [Signal.STARTED]
