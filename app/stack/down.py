"""Ending the stack: through its supervisor if that lives, else process by process from the state file."""

from pathlib import Path

import psutil

from app.errors import TrunklineError
from app.stack.processes.names import POSTGRES, REDIS, STOP_WAVES
from app.stack.processes.process import stop_leftovers
from app.stack.processes.state import PartState, Phase, find_process, is_running, read_state, write_state

SUPERVISOR_SECONDS = 45
# Longer for those that write to disk at the end.
PATIENCE_SECONDS = {POSTGRES: 15.0, REDIS: 15.0}


class StackWillNotStop(TrunklineError):
    """The supervisor neither ended nor could be killed."""

    code = "stack_will_not_stop"


def stop_stack(home: Path) -> str:
    """End every process of this home folder; returns the line to show."""
    if not is_running(home):
        left = sweep_leftovers(home)
        return f"Trunkline was not running; {left} processes that were left are ended." if left else "Not running."
    state = read_state(home)
    supervisor = find_process(state.supervisor) if state else None
    if supervisor is None:
        raise StackWillNotStop("Another command is starting or stopping this folder's stack; try again in a moment.")
    supervisor.terminate()
    try:
        supervisor.wait(SUPERVISOR_SECONDS)
    except psutil.TimeoutExpired:
        supervisor.kill()
        supervisor.wait(5)
    sweep_leftovers(home)
    return "Stopped."


def sweep_leftovers(home: Path) -> int:
    """End what a killed supervisor left behind; returns how many processes still ran. Call with no supervisor."""
    state = read_state(home)
    if state is None:
        return 0
    left = 0
    for wave in STOP_WAVES:
        parts = [state.parts[name] for name in wave if name in state.parts]
        marks = [part.process for part in parts if part.process is not None]
        patience = max(PATIENCE_SECONDS.get(name, 4.0) for name in wave)
        left += stop_leftovers(marks, patience_seconds=patience)
        for part in parts:
            part.process = None
            if part.state not in (PartState.OFF, PartState.FAILED):
                part.state = PartState.STOPPED
    if state.phase is not Phase.FAILED:
        state.phase = Phase.STOPPED
    write_state(home, state)
    return left
