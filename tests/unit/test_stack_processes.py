"""The supervisor on real processes: small Python programs stand for the parts."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from app.stack.processes import keeper
from app.stack.processes.checks import until
from app.stack.processes.log_files import bound, follow, log_file, rotate, tail
from app.stack.processes.part import Part, PartOff
from app.stack.processes.process import Command, describe_exit
from app.stack.processes.state import PartState
from app.stack.processes.supervisor import PartFailed, Supervisor


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path


@pytest.fixture
async def supervisor(home: Path) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(home, lambda: None)
    yield supervisor
    await supervisor.stop([list(supervisor.statuses)])


def program(home: Path, name: str, code: str, **fields: object) -> Part:
    """A part that is ready once its program made the file NAME.ready (the code runs in `home`)."""

    async def prepare() -> Command:
        (home / f"{name}.ready").unlink(missing_ok=True)
        head = f"import os, pathlib, time; os.chdir({str(home)!r}); ready = pathlib.Path('{name}.ready')\n"
        return Command((sys.executable, "-c", head + code), stop_seconds=2)

    async def is_ready() -> bool:
        return (home / f"{name}.ready").exists()

    return Part(name, "", lambda: until(is_ready), prepare, **fields)  # type: ignore[arg-type]


STEADY = "ready.touch(); print('here', flush=True); time.sleep(300)"


async def eventually(condition: Callable[[], bool], what: str, seconds: float = 10) -> None:
    async def ask() -> bool:
        return condition()

    try:
        await asyncio.wait_for(until(ask), seconds)
    except TimeoutError:
        pytest.fail(f"{what}: not within {seconds} s")


def pid_of(supervisor: Supervisor, name: str) -> int:
    mark = supervisor.statuses[name].process
    assert mark is not None
    return mark.pid


async def test_a_part_starts_after_what_it_needs_is_ready(home: Path, supervisor: Supervisor) -> None:
    seen = "first.ready"
    needing = f"assert os.path.exists({seen!r}); {STEADY}"
    supervisor.watch(
        [
            program(home, "second", needing, needs=("first",)),
            program(home, "first", f"time.sleep(0.3); {STEADY}"),
        ]
    )
    await asyncio.wait_for(supervisor.wait_ready(["first", "second"]), 10)
    assert {status.state for status in supervisor.statuses.values()} == {PartState.READY}


async def test_a_killed_part_is_started_again_and_shown(home: Path, supervisor: Supervisor) -> None:
    supervisor.watch([program(home, "part", STEADY)])
    await asyncio.wait_for(supervisor.wait_ready(["part"]), 10)
    before = pid_of(supervisor, "part")
    os.kill(before, signal.SIGKILL)
    status = supervisor.statuses["part"]
    await eventually(lambda: status.restarts == 1 and status.state is PartState.READY, "ready again")
    assert pid_of(supervisor, "part") != before
    assert status.last_exit == "killed by SIGKILL"


async def test_a_part_that_hangs_says_where_and_is_started_again(
    home: Path, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "ALIVE_EVERY_SECONDS", 0.05)
    monkeypatch.setattr(keeper, "ALIVE_WITHIN_SECONDS", 0.2)
    asked = 0

    async def is_alive() -> bool:
        nonlocal asked
        asked += 1
        return (home / "part.ready").exists()

    part = program(home, "part", f"import faulthandler; faulthandler.enable(); {STEADY}", alive=lambda: until(is_alive))
    supervisor.watch([part])
    await asyncio.wait_for(supervisor.wait_ready(["part"]), 10)
    status, before = supervisor.statuses["part"], pid_of(supervisor, "part")
    await eventually(lambda: asked > 3, "asked several times, and answered")
    assert (status.restarts, pid_of(supervisor, "part")) == (0, before)
    (home / "part.ready").unlink()
    await eventually(lambda: status.restarts == 1 and status.state is PartState.READY, "ready again")
    assert pid_of(supervisor, "part") != before
    assert status.last_exit == "killed by SIGABRT"
    assert "most recent call first" in log_file(home, "part").read_text()


async def test_one_question_without_an_answer_ends_nothing(
    home: Path, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "ALIVE_EVERY_SECONDS", 0.05)
    monkeypatch.setattr(keeper, "ALIVE_WITHIN_SECONDS", 0.05)
    asked = 0

    async def now_and_then() -> None:
        nonlocal asked
        asked += 1
        if asked % keeper.HANGS_AFTER:
            await asyncio.Event().wait()

    supervisor.watch([program(home, "part", STEADY, alive=now_and_then)])
    await asyncio.wait_for(supervisor.wait_ready(["part"]), 10)
    await eventually(lambda: asked > 3 * keeper.HANGS_AFTER, "asked often")
    assert supervisor.statuses["part"].restarts == 0


async def test_what_a_killed_part_had_started_goes_with_it(home: Path, supervisor: Supervisor) -> None:
    code = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)']);"
        f"pathlib.Path('child').write_text(str(child.pid)); {STEADY}"
    )
    supervisor.watch([program(home, "part", code)])
    await asyncio.wait_for(supervisor.wait_ready(["part"]), 10)
    child = psutil.Process(int((home / "child").read_text()))
    os.kill(pid_of(supervisor, "part"), signal.SIGKILL)

    def gone() -> bool:
        return not child.is_running() or child.status() == psutil.STATUS_ZOMBIE

    with contextlib.suppress(psutil.NoSuchProcess):
        await eventually(gone, "the child is gone")


async def test_a_part_that_never_gets_ready_fails_the_start_with_its_last_words(
    home: Path, supervisor: Supervisor
) -> None:
    supervisor.watch([program(home, "part", "print('no such file'); raise SystemExit(7)")])
    with pytest.raises(PartFailed) as caught:
        await asyncio.wait_for(supervisor.wait_ready(["part"]), 20)
    assert "part did not start: ended before it was ready (exit 7)" in caught.value.detail
    assert "no such file" in caught.value.detail


async def test_a_part_that_cannot_run_here_is_off_and_the_rest_starts(home: Path, supervisor: Supervisor) -> None:
    async def prepare() -> Command:
        raise PartOff("a library is missing. Mend: install it")

    async def never() -> None:
        await asyncio.Event().wait()

    supervisor.watch([Part("sip", "", never, prepare), program(home, "part", STEADY)])
    await asyncio.wait_for(supervisor.wait_ready(["sip", "part"]), 10)
    assert supervisor.statuses["sip"].state is PartState.OFF
    assert "install it" in supervisor.statuses["sip"].note
    assert supervisor.statuses["part"].state is PartState.READY


async def test_stopping_kills_what_does_not_listen(home: Path) -> None:
    supervisor = Supervisor(home, lambda: None)
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {STEADY}"
    supervisor.watch([program(home, "part", deaf)])
    await asyncio.wait_for(supervisor.wait_ready(["part"]), 10)
    pid = pid_of(supervisor, "part")
    await asyncio.wait_for(supervisor.stop([["part"]]), 10)
    assert not psutil.pid_exists(pid)
    assert supervisor.statuses["part"].state is PartState.STOPPED


async def test_an_external_part_that_does_not_answer_fails_the_start(home: Path, supervisor: Supervisor) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    supervisor.watch([Part("postgres", "postgresql://elsewhere", never, ready_within_seconds=0.1)])
    with pytest.raises(PartFailed, match="postgresql://elsewhere does not answer"):
        await asyncio.wait_for(supervisor.wait_ready(["postgres"]), 10)


def test_the_log_of_the_last_run_is_kept_once(home: Path) -> None:
    file = log_file(home, "part")
    file.write_text("old\n")
    rotate(file)
    assert not file.exists()
    assert file.with_suffix(".log.1").read_text() == "old\n"


def test_a_log_that_grows_too_large_is_emptied_under_its_writer(home: Path) -> None:
    file = log_file(home, "part")
    with file.open("ab", buffering=0) as writer:
        writer.write(b"x" * 100)
        bound(file, largest_bytes=50)
        writer.write(b"after\n")
    assert file.read_bytes() == b"after\n"
    assert file.with_suffix(".log.1").stat().st_size == 100


def test_the_tail_is_the_last_lines(home: Path) -> None:
    file = log_file(home, "part")
    assert tail(file, 3) == []
    file.write_text("\n".join(map(str, range(100))))
    assert tail(file, 3) == ["97", "98", "99"]


async def test_following_a_log_goes_on_when_it_is_emptied(home: Path) -> None:
    file = log_file(home, "part")
    file.write_text("before, and long enough to tell\n")
    lines: list[str] = []

    async def read() -> None:
        async for line in follow(file, interval_seconds=0.01):
            lines.append(line)

    reading = asyncio.create_task(read())
    try:
        await asyncio.sleep(0)
        with file.open("a") as writer:
            writer.write("one\n")
        await eventually(lambda: lines == ["one"], "the new line")
        file.write_text("two\n")
        await eventually(lambda: lines == ["one", "two"], "the line after")
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading


@pytest.mark.parametrize(("code", "words"), [(0, "exit 0"), (3, "exit 3"), (-9, "killed by SIGKILL")])
def test_an_exit_is_told_in_words(code: int, words: str) -> None:
    assert describe_exit(code) == words
