"""Tasks that somebody owns: failures are told, ends are waited for, nothing is left running."""

import asyncio

import pytest

from app.tasks import Tasks


async def fail() -> None:
    raise ValueError("on purpose")


async def test_a_task_that_fails_is_told_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    tasks, done = Tasks("it went wrong"), asyncio.Event()

    async def succeed() -> None:
        done.set()

    tasks.keep(fail(), name="the bad one")
    tasks.keep(succeed(), name="the good one")
    await tasks.drain(within_seconds=5)
    assert done.is_set()
    assert len(tasks) == 0
    told = capsys.readouterr()
    assert "it went wrong" in told.out + told.err
    assert "the bad one" in told.out + told.err


async def test_close_ends_what_runs() -> None:
    tasks, ended = Tasks("failed"), asyncio.Event()

    async def run_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    tasks.keep(run_for_ever(), name="for ever")
    await asyncio.sleep(0)
    await tasks.close()
    assert ended.is_set()
    assert len(tasks) == 0


async def test_drain_waits_for_what_tasks_start_and_cuts_off_what_takes_too_long() -> None:
    tasks, second = Tasks("failed"), asyncio.Event()

    async def start_another() -> None:
        tasks.keep(note_second(), name="second")

    async def note_second() -> None:
        second.set()

    tasks.keep(start_another(), name="first")
    await tasks.drain(within_seconds=5)
    assert second.is_set()

    tasks.keep(asyncio.sleep(3600), name="too long")
    await asyncio.wait_for(tasks.drain(within_seconds=0.01), 5)
    assert len(tasks) == 0
