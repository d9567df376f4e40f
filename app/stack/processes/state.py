"""What the supervisor knows, written down: `.trunkline/pids/state.json`.

`status`, `down` and the next `up` read it. Every process stands there with its start time, so that a pid that
the system has given to someone else meanwhile is never signaled.
"""

import fcntl
import os
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import psutil
from pydantic import BaseModel, ValidationError

from app.errors import Conflict


class AlreadyRunning(Conflict):
    """Another `trunkline up` holds this home folder."""

    code = "stack_running"


class PartState(StrEnum):
    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"
    EXTERNAL = "external"
    OFF = "off"
    STOPPED = "stopped"


class Phase(StrEnum):
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


class ProcessMark(BaseModel):
    """One process, once: `created` is its start in seconds since the epoch as the kernel tells it."""

    pid: int
    created: float


class PartStatus(BaseModel):
    name: str
    state: PartState
    process: ProcessMark | None = None
    restarts: int = 0
    last_exit: str = ""
    since: datetime
    endpoint: str = ""
    note: str = ""


class StackState(BaseModel):
    supervisor: ProcessMark
    phase: Phase
    started_at: datetime
    note: str = ""
    failure: str = ""
    parts: dict[str, PartStatus] = {}


def mark_process(pid: int) -> ProcessMark | None:
    """Its mark, or None where it is gone already."""
    try:
        return ProcessMark(pid=pid, created=psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def find_process(mark: ProcessMark | None) -> psutil.Process | None:
    """The very process that was marked, if it still runs (a zombie does not)."""
    if mark is None:
        return None
    try:
        process = psutil.Process(mark.pid)
        same = abs(process.create_time() - mark.created) < 0.05
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def make_home(home: Path) -> Path:
    """The folder for everything that this installation keeps, closed to others."""
    for folder in (home, home / "logs", home / "pids"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    return home


def state_file(home: Path) -> Path:
    return home / "pids" / "state.json"


def read_state(home: Path) -> StackState | None:
    """The last state written, or None where there is none or it cannot be read."""
    try:
        return StackState.model_validate_json(state_file(home).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def write_state(home: Path, state: StackState) -> None:
    """Replace the file in one step: a reader sees the old one or the new one."""
    file = state_file(home)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_text(state.model_dump_json(indent=1))
    fresh.replace(file)


class StackLock:
    """Held by the one supervisor of a home folder; the kernel frees it however that process ends."""

    def __init__(self, home: Path) -> None:
        self._file = home / "pids" / "lock"
        self._descriptor: int | None = None

    def take(self) -> None:
        """Raises AlreadyRunning where another process holds it."""
        self._file.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise AlreadyRunning("Trunkline runs already in this folder.") from None
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_running(home: Path) -> bool:
    """Whether a supervisor holds this home folder now."""
    if not (home / "pids").is_dir():
        return False
    lock = StackLock(home)
    try:
        lock.take()
    except AlreadyRunning:
        return True
    lock.release()
    return False
