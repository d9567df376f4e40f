"""Processes that a proof starts, and no other: each is stopped, killed and frozen by its own id."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
STOP_SECONDS = 15.0


class ProcessEnded(RuntimeError):
    """A process that should run has ended; the message has the last of its log."""


@dataclass
class Process:
    """One process in a session of its own, with its log in a file. Made by `Processes.start`."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def check(self) -> None:
        """Raises ProcessEnded."""
        if not self.running:
            tail = self.log.read_text(errors="replace")[-3000:]
            raise ProcessEnded(f"{self.name} ended with {self.popen.returncode}:\n{tail}")

    def kill(self) -> None:
        """As a power cut would; returns when the kernel has let go of it."""
        self.popen.kill()
        self.popen.wait()

    def freeze(self) -> None:
        self.popen.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self.popen.send_signal(signal.SIGCONT)

    async def stop(self) -> int:
        """Ask it to end, and return its exit status; killed when it does not within STOP_SECONDS."""
        if self.running:
            self.wake()
            self.popen.terminate()
        try:
            return await asyncio.to_thread(self.popen.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.popen.returncode


@dataclass
class Processes:
    """All that one proof has started; logs under `folder`. Those that still run are stopped at the end."""

    folder: Path
    started: list[Process] = field(default_factory=list[Process])

    def start(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Process:
        """`python ARGUMENTS`, with our environment plus this one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / f"{name}.log"
        with log.open("ab") as out:
            popen = subprocess.Popen(
                [sys.executable, *arguments],
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                cwd=ROOT,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.started.append(Process(name, popen, log))
        return self.started[-1]

    def check(self, *names: str) -> None:
        """Raises ProcessEnded if one of these (all: without a name) does not run any more."""
        for process in self.started:
            if not names or process.name in names:
                process.check()


@asynccontextmanager
async def processes(folder: Path) -> AsyncGenerator[Processes]:
    """A place to start processes in, which leaves none behind."""
    group = Processes(folder)
    try:
        yield group
    finally:
        await asyncio.gather(*(process.stop() for process in reversed(group.started)))
