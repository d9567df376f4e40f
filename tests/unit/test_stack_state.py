import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from app.stack.down import stop_stack, sweep_leftovers
from app.stack.processes.state import (
    AlreadyRunning,
    PartState,
    PartStatus,
    Phase,
    ProcessMark,
    StackLock,
    StackState,
    find_process,
    is_running,
    mark_process,
    read_state,
    state_file,
    write_state,
)

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, as every part is."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True) as process:
        yield process
        process.kill()


def own_mark() -> ProcessMark:
    mark = mark_process(os.getpid())
    assert mark is not None
    return mark


def state_with(mark: ProcessMark | None, phase: Phase = Phase.READY) -> StackState:
    part = PartStatus(name="redis", state=PartState.READY, process=mark, since=NOW)
    return StackState(supervisor=own_mark(), phase=phase, started_at=NOW, parts={"redis": part})


def test_the_state_survives_being_written_and_read(tmp_path: Path) -> None:
    state = state_with(own_mark())
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state


def test_a_state_file_that_cannot_be_read_counts_as_none(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    state_file(tmp_path).parent.mkdir()
    state_file(tmp_path).write_text('{"half a ')
    assert read_state(tmp_path) is None


def test_a_pid_with_another_start_time_is_a_stranger() -> None:
    mark = own_mark()
    assert find_process(mark) is not None
    assert find_process(ProcessMark(pid=mark.pid, created=mark.created - 5)) is None


def test_leftovers_are_ended(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    write_state(tmp_path, state_with(mark_process(sleeper.pid)))
    assert sweep_leftovers(tmp_path) == 1
    assert not psutil.pid_exists(sleeper.pid)
    after = read_state(tmp_path)
    assert after is not None
    assert after.parts["redis"].process is None
    assert after.phase is Phase.STOPPED


def test_a_recycled_pid_is_never_signaled(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    mark = mark_process(sleeper.pid)
    assert mark is not None
    write_state(tmp_path, state_with(ProcessMark(pid=mark.pid, created=mark.created - 100)))
    assert sweep_leftovers(tmp_path) == 0
    assert psutil.Process(sleeper.pid).is_running()
    assert sleeper.poll() is None


def test_the_reason_of_a_failed_start_outlives_the_sweep(tmp_path: Path) -> None:
    state = state_with(None, Phase.FAILED)
    state.failure = "redis did not start"
    write_state(tmp_path, state)
    sweep_leftovers(tmp_path)
    after = read_state(tmp_path)
    assert after is not None
    assert (after.phase, after.failure) == (Phase.FAILED, "redis did not start")


def test_only_one_supervisor_holds_a_home(tmp_path: Path) -> None:
    first, second = StackLock(tmp_path), StackLock(tmp_path)
    first.take()
    assert is_running(tmp_path)
    with pytest.raises(AlreadyRunning):
        second.take()
    first.release()
    assert not is_running(tmp_path)
    second.take()
    second.release()


def test_asking_whether_it_runs_makes_no_folder(tmp_path: Path) -> None:
    assert not is_running(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
    assert stop_stack(tmp_path / "absent") == "Not running."
