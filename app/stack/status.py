"""`trunkline status`: the state file, checked against the processes that really run."""

from datetime import datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from app.clock import utc_now
from app.stack.processes.names import NAMES
from app.stack.processes.state import PartState, PartStatus, Phase, StackState, find_process, is_running, read_state

_COLORS = {
    PartState.READY: "green",
    PartState.EXTERNAL: "green",
    PartState.STARTING: "yellow",
    PartState.WAITING: "yellow",
    PartState.RESTARTING: "red",
    PartState.FAILED: "red",
}


def describe_stack(home: Path) -> dict[str, Any]:
    """What `status --json` prints: {"running", "phase", "note", "failure", "leftovers", "parts": {name: {"state",
    "pid", "restarts", "last_exit", "endpoint", "since", "note"}}}.

    `leftovers` counts processes whose supervisor was killed; they are ended by the next `up` or `down`.
    """
    state, running = read_state(home), is_running(home)
    alive = {} if state is None else {name: find_process(part.process) for name, part in state.parts.items()}
    return {
        "running": running,
        "phase": _phase(state, running),
        "note": state.note if state and running else "",
        "failure": state.failure if state else "",
        "leftovers": 0 if running else sum(process is not None for process in alive.values()),
        "parts": {} if state is None else {name: _describe(state.parts[name]) for name in NAMES if name in state.parts},
    }


def _phase(state: StackState | None, running: bool) -> str:
    if state is None:
        return Phase.STARTING if running else Phase.STOPPED
    if not running and state.phase not in (Phase.STOPPED, Phase.FAILED):
        return "killed"
    return state.phase


def _describe(part: PartStatus) -> dict[str, Any]:
    return {
        "state": str(part.state),
        "pid": part.process.pid if part.process else None,
        "restarts": part.restarts,
        "last_exit": part.last_exit,
        "endpoint": part.endpoint,
        "since": part.since.isoformat(),
        "note": part.note,
    }


def status_table(described: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("part", "state", "pid", "restarts", "where", "since"):
        table.add_column(title, no_wrap=title != "where", overflow="fold")
    for name, part in described["parts"].items():
        color = _COLORS.get(PartState(part["state"]), "dim")
        table.add_row(
            name,
            f"[{color}]{part['state']}[/]",
            str(part["pid"] or ""),
            str(part["restarts"] or ""),
            part["endpoint"],
            describe_age(datetime.fromisoformat(part["since"]), utc_now()),
        )
    return table


def status_notes(described: dict[str, Any]) -> list[str]:
    """What does not fit into a column: why a part is off or was restarted, what is done now, what went wrong."""
    lines = [
        f"{name}: {part['note'] or 'last exit: ' + part['last_exit']}"
        for name, part in described["parts"].items()
        if part["note"] or part["last_exit"]
    ]
    lines += [line for line in (described["note"], described["failure"]) if line]
    if described["leftovers"]:
        lines.append(
            f"{described['leftovers']} processes were left behind: `trunkline up` or `trunkline down` ends them."
        )
    return lines


def describe_age(since: datetime, now: datetime) -> str:
    """How long ago, roughly: "42 s", "5 min", "3 h", "2 d"."""
    seconds = max(0, int((now - since).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


class Progress:
    """Turns the states of a start into lines, each once."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[PartState, int]] = {}
        self._note = ""
        self.finished = False

    def news(self, state: StackState) -> list[str]:
        """The lines for what is new since the last call."""
        lines: list[str] = []
        if state.note and state.note != self._note:
            lines.append(f"  [dim]{state.note}[/]")
        self._note = state.note
        for name, part in state.parts.items():
            seen = (part.state, part.restarts)
            if self._told.get(name) == seen:
                continue
            self._told[name] = seen
            if part.state in (PartState.READY, PartState.EXTERNAL):
                lines.append(f"  [green]{part.state:<10}[/] {name:<10} {part.endpoint}")
            elif part.state in (PartState.OFF, PartState.RESTARTING, PartState.FAILED):
                why = part.note or part.last_exit
                lines.append(f"  [yellow]{part.state:<10}[/] {name:<10} {why.splitlines()[0] if why else ''}")
        return lines
