"""`trunkline up --detach`: start the supervisor in a session of its own and wait for it. Light: imports no part."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from app.errors import Unavailable
from app.stack.processes.log_files import log_file, rotate, tail
from app.stack.processes.state import Phase, StackState, is_running, make_home, read_state

# The first build of LiveKit is most of it.
LONGEST_START_SECONDS = 1500
SUPERVISOR_LOG = "up"

Tell = Callable[[StackState], None]


class StartFailed(Unavailable):
    """The stack did not come up; `detail` says which part, with its last log lines."""

    code = "start_failed"


def start_detached(home: Path, tell: Tell) -> StackState:
    """Start the supervisor in a session of its own and wait until everything is ready.

    Raises StartFailed with what the supervisor said when it gave up, or when the time is over.
    """
    make_home(home)
    log = log_file(home, SUPERVISOR_LOG)
    rotate(log)
    with log.open("ab") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "up"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + LONGEST_START_SECONDS
    while time.monotonic() < deadline:
        ended = supervisor.poll() is not None
        state = read_state(home)
        if state is not None and state.supervisor.pid == supervisor.pid:
            tell(state)
            if state.phase is Phase.READY:
                # It lives on without us; nobody waits for it.
                supervisor.returncode = 0
                return state
            if ended and state.failure:
                raise StartFailed(state.failure)
        if ended:
            raise StartFailed("`trunkline up` ended at once. The end of its log:\n" + "\n".join(tail(log, 15)))
        time.sleep(0.1)
    supervisor.terminate()
    raise StartFailed(f"Not ready after {LONGEST_START_SECONDS} s; stopped. See `trunkline logs {SUPERVISOR_LOG}`.")


def wait_for_other(home: Path, tell: Tell) -> StackState | None:
    """Another `up` holds the folder: wait until it is ready, or gone (None)."""
    deadline = time.monotonic() + LONGEST_START_SECONDS
    while time.monotonic() < deadline and is_running(home):
        state = read_state(home)
        if state is not None and state.phase is Phase.READY:
            return state
        if state is not None:
            tell(state)
        time.sleep(0.2)
    return None
