"""Starting one process in a group of its own, and ending it with everything it started."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from app.stack.processes.state import ProcessMark, find_process


@dataclass(frozen=True)
class Command:
    """What to run. `account`: the system account to run as (None: as ourselves).

    `stop_signals` are sent one after the other; what still runs after `stop_seconds` is killed.
    """

    argv: tuple[str, ...]
    account: str | None = None
    stop_signals: tuple[signal.Signals, ...] = (signal.SIGTERM,)
    stop_seconds: float = 6.0


async def spawn(command: Command, log: Path) -> asyncio.subprocess.Process:
    """Start it in a session of its own (Ctrl-C on our terminal is for us alone), its output appended to the log."""
    account = command.account
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *command.argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            user=account,
            group=account,
            extra_groups=[] if account else None,
            cwd="/" if account else None,
        )


async def stop(process: asyncio.subprocess.Process, mark: ProcessMark | None, command: Command) -> None:
    """Ask, wait, kill; then end what is left of its group."""
    for number in command.stop_signals:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            # The same signal twice at once counts once.
            await asyncio.sleep(0.05)
    try:
        await asyncio.wait_for(process.wait(), command.stop_seconds)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if mark is not None:
        kill_group(mark)


def kill_group(mark: ProcessMark) -> None:
    """Kill what is left of the group that this process led.

    While a member lives, the kernel gives the leader's pid to nobody else; so a process with that pid and another
    start time means that the group is empty, and the pid is a stranger's.
    """
    if psutil.pid_exists(mark.pid) and find_process(mark) is None:
        try:
            if psutil.Process(mark.pid).status() != psutil.STATUS_ZOMBIE:
                return
        except psutil.NoSuchProcess:
            pass
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(mark.pid, signal.SIGKILL)


def stop_leftovers(marks: Iterable[ProcessMark], *, patience_seconds: float) -> int:
    """End processes that a killed supervisor left behind; returns how many still ran.

    All our parts end in order on SIGINT (for Postgres it is the fast shutdown).
    """
    marks = list(marks)
    running = [process for mark in marks if (process := find_process(mark)) is not None]
    for process in running:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGINT)
    psutil.wait_procs(running, timeout=patience_seconds)
    for mark in marks:
        kill_group(mark)
    psutil.wait_procs(running, timeout=5)
    return len(running)


def describe_exit(code: int) -> str:
    """ "exit 1", or "killed by SIGKILL"."""
    if code >= 0:
        return f"exit {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
