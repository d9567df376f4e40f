"""`make prove ONLY=simulator`, small: every change of every call told once and in order, and what is lost is missed."""

from tests.prove.simulator import play


async def test_hundreds_of_calls_in_fast_time_are_told_once_and_in_order() -> None:
    figures = await play(300)
    assert figures.held, figures.rows


async def test_callbacks_that_never_came_are_missed() -> None:
    figures = await play(300, lose=0.02)
    assert not figures.held
