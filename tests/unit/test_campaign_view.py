"""What a campaign looks like in a terminal: pace, forecast, and what is worth a new line."""

from typing import Any

import pytest

from app.console.campaigns.view import (
    counts_of,
    describe_canary,
    describe_pace,
    describe_progress,
    describe_span,
    is_over,
)

PROGRESS: dict[str, Any] = {
    "at": "2026-11-20T17:28:00Z",
    "status": "running",
    "contacts": {"waiting": 9, "in_flight": 3, "finished": 8, "blocked": 1},
    "dispositions": {"confirmed": 5, "busy": 3},
    "answer_rate": 0.412,
    "pace": {"dials_per_minute": 12.0, "answers_per_minute": 5.0, "finished_per_minute": 8.0},
    "finishes_at": "2026-11-20T17:40:00Z",
}


def test_a_line_tells_counts_pace_and_when_it_will_be_done() -> None:
    assert describe_progress(PROGRESS, seconds=60) == (
        "    60 s  9 waiting, 3 in flight, 8 finished: 3 busy, 5 confirmed; 41% answered, "
        "12.0 dials and 8.0 contacts done a minute, done in 12 min (17:40 UTC)"
    )


def test_what_is_not_known_yet_is_left_out() -> None:
    none = {"dials_per_minute": None, "answers_per_minute": None, "finished_per_minute": None}
    assert describe_pace({**PROGRESS, "answer_rate": None, "pace": none, "finishes_at": None}) == ""
    assert describe_pace({}) == ""


def test_another_second_is_no_news_and_another_contact_is() -> None:
    later = {**PROGRESS, "at": "2026-11-20T17:28:01Z", "pace": None, "finishes_at": None}
    assert counts_of(later) == counts_of(PROGRESS)
    assert counts_of({**PROGRESS, "dispositions": {"confirmed": 6}}) != counts_of(PROGRESS)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (45, "45 s"), (119, "119 s"), (720, "12 min"), (12_600, "3.5 h"), (400_000, "5 days")],
)
def test_a_span_is_told_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert describe_span(seconds) == text


def test_the_first_dials_are_told_beside_the_counts_while_they_are_judged() -> None:
    counts = {"dialed": 12, "settled": 9, "answered": 4, "failed": 0}
    look = {"status": "dialing", **counts, "judged": 3, "scored": 2, "mean_score": 0.905, "reason": "9 of 50 are over"}
    told = "dialing: 12 dialed, 9 settled, 4 answered, 0 failed, 2 of 3 evaluated calls scored 0.91. 9 of 50 are over"
    assert describe_canary(look) == told
    assert describe_progress({**PROGRESS, "canary": look}, seconds=60).endswith(f"; canary {told}")
    passed = {"status": "passed", **counts, "judged": 0, "scored": 0, "mean_score": None, "reason": ""}
    assert describe_canary(passed) == "passed: 12 dialed, 9 settled, 4 answered, 0 failed"


def test_a_line_tells_that_it_paused_and_why() -> None:
    paused = {**PROGRESS, "status": "paused", "pause_reason": "canary: too few answered"}
    assert describe_progress(paused, seconds=60).endswith("; paused: canary: too few answered")
    assert describe_progress({**paused, "pause_reason": None}, seconds=60).endswith("; paused")


def test_it_is_over_when_finished_or_when_it_paused_itself_and_the_last_call_has_ended() -> None:
    paused = {**PROGRESS, "status": "paused", "pause_reason": "canary: too few answered"}
    ended = {"contacts": PROGRESS["contacts"] | {"in_flight": 0}}
    assert not is_over(PROGRESS)
    assert not is_over(paused)
    assert is_over(paused | ended)
    assert not is_over(paused | ended | {"pause_reason": None})
    assert is_over(PROGRESS | ended | {"status": "finished"})
