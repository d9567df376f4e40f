from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from app.stack.processes.state import PartState, PartStatus, Phase, ProcessMark, StackState, write_state
from app.stack.status import Progress, describe_age, describe_stack, status_notes, status_table

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def stack(**parts: PartStatus) -> StackState:
    gone = ProcessMark(pid=2**22 - 1, created=1)
    return StackState(supervisor=gone, phase=Phase.READY, started_at=NOW, parts=parts)


def part(state: PartState, **fields: object) -> PartStatus:
    return PartStatus(name="x", state=state, since=NOW, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7300, "2 h"), (200000, "2 d"), (-5, "0 s")]
)
def test_an_age_is_told_roughly(seconds: int, words: str) -> None:
    assert describe_age(NOW, NOW + timedelta(seconds=seconds)) == words


def test_a_state_without_its_supervisor_counts_as_killed(tmp_path: Path) -> None:
    write_state(tmp_path, stack(redis=part(PartState.READY)))
    described = describe_stack(tmp_path)
    assert (described["running"], described["phase"], described["leftovers"]) == (False, "killed", 0)


def test_a_folder_where_nothing_was_started_is_stopped(tmp_path: Path) -> None:
    described = describe_stack(tmp_path)
    assert (described["running"], described["phase"], described["parts"]) == (False, "stopped", {})


def test_the_table_shows_each_part_and_the_notes_why(tmp_path: Path) -> None:
    parts = {
        "redis": part(PartState.READY, endpoint="redis://127.0.0.1:1", restarts=2, last_exit="killed by SIGKILL"),
        "sip": part(PartState.OFF, note="a library is missing. Mend: install it"),
    }
    write_state(tmp_path, stack(**parts))
    described = describe_stack(tmp_path)
    console = Console(width=100, record=True)
    console.print(status_table(described))
    shown = console.export_text()
    assert "redis://127.0.0.1:1" in shown
    assert "off" in shown
    assert status_notes(described) == [
        "redis: last exit: killed by SIGKILL",
        "sip: a library is missing. Mend: install it",
    ]


def test_progress_tells_each_change_once() -> None:
    progress = Progress()
    assert progress.news(stack(redis=part(PartState.STARTING))) == []
    ready = stack(redis=part(PartState.READY, endpoint="redis://x"))
    assert len(progress.news(ready)) == 1
    assert progress.news(ready) == []
    (line,) = progress.news(stack(redis=part(PartState.RESTARTING, restarts=1, note="ended\nmore")))
    assert "ended" in line
    assert "more" not in line
