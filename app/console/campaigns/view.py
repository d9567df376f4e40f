"""What a running campaign looks like in a terminal: pure, from the counts that the api gives."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

RATE_WINDOW_SECONDS = 10.0
BAR_WIDTH = 32
MOST_FAULTS_SHOWN = 10
IDLE_SECONDS = 10.0
"""A dialer claims what is due within a second or two; after this long it is probably not there."""


@dataclass
class Rate:
    """Dials per second over the last ten seconds, from a count that grows."""

    seen: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])

    def note(self, seconds: float, dialed: int) -> float:
        self.seen.append((seconds, dialed))
        while seconds - self.seen[0][0] > RATE_WINDOW_SECONDS:
            self.seen.popleft()
        passed = seconds - self.seen[0][0]
        return (dialed - self.seen[0][1]) / passed if passed > 0 else 0.0


def show_import(report: Mapping[str, Any]) -> RenderableType:
    """What became of the file's rows, and the first of those that did not go in."""
    blocked = f", {report['blocked']} of them on the do-not-call list" if report.get("blocked") else ""
    counts = (
        f"{report['rows']} rows: {report['accepted']} accepted{blocked}, {report['rejected']} rejected, "
        f"{report['duplicates']} repeated."
    )
    faults = Table.grid(padding=(0, 2))
    errors = report["errors"]
    for error in errors[:MOST_FAULTS_SHOWN]:
        faults.add_row(Text(f"  line {error['line']}"), Text(error["value"] or "-"), Text(error["reason"]))
    if len(errors) > MOST_FAULTS_SHOWN:
        faults.add_row(Text(f"  and {len(errors) - MOST_FAULTS_SHOWN} more"))
    warnings = [Text(f"warning: {warning}", "yellow") for warning in report.get("warnings", ())]
    return Group(Text(counts), *warnings, faults)


def show_progress(name: str, progress: Mapping[str, Any], *, seconds: float, rate: float) -> RenderableType:
    """The live display: the funnel of contacts, the pace and the forecast, and the outcomes so far."""
    contacts, attempts = progress["contacts"], progress["attempts"]
    total = sum(contacts.values())
    funnel_counts = progress.get("funnel", {})
    head = Text.assemble(
        (name, "bold"),
        f"  {progress['status']}  {seconds:.0f} s  {rate:.1f} dials/s  {attempts.get('dialed', 0)} dialed",
        (f"  {attempts['uncertain']} uncertain", "yellow") if attempts.get("uncertain") else "",
    )
    funnel = Table.grid(padding=(0, 2))
    rows = (("waiting", "waiting"), ("in flight", "in_flight"), ("finished", "finished"), ("blocked", "blocked"))
    for label, key in rows:
        funnel.add_row(f"  {label}", _bar(contacts[key], total), str(contacts[key]))
    for label, key in (("called", "called"), ("talked to", "talked_to")):
        if key in funnel_counts:
            funnel.add_row(f"  {label}", _bar(funnel_counts[key], total), str(funnel_counts[key]))
    return Group(head, *_notes(progress), funnel, show_outcomes(progress["dispositions"]))


def _notes(progress: Mapping[str, Any]) -> list[RenderableType]:
    """A line of pace and forecast, and why it is paused."""
    notes: list[RenderableType] = []
    if pace := describe_pace(progress):
        notes.append(Text(f"  {pace}"))
    if progress.get("canary"):
        notes.append(Text(f"  canary {describe_canary(progress['canary'])}", "cyan"))
    if progress.get("pause_reason"):
        notes.append(Text(f"  paused: {progress['pause_reason']}", "yellow"))
    return notes


def describe_canary(look: Mapping[str, Any]) -> str:
    """ "dialing: 12 dialed, 9 settled, 4 answered, 0 failed, 2 of 3 evaluated calls scored 0.91. 9 of 50 first …"."""
    counts = [f"{look[word]} {word}" for word in ("dialed", "settled", "answered", "failed")]
    if look["judged"]:
        mean = "" if look["mean_score"] is None else f" {look['mean_score']:.2f}"
        counts.append(f"{look['scored']} of {look['judged']} evaluated calls scored{mean}")
    reason = f". {look['reason']}" if look["reason"] else ""
    return f"{look['status'] or 'no canary'}: {', '.join(counts)}{reason}"


def describe_pace(progress: Mapping[str, Any]) -> str:
    """ "41 % answered, 12.0 dials and 8.0 contacts done a minute, done in 12 min (17:40 UTC)"; what is not known yet is
    left out."""
    said: list[str] = []
    if progress.get("answer_rate") is not None:
        said.append(f"{progress['answer_rate']:.0%} answered")
    pace: Mapping[str, Any] = progress.get("pace") or {}
    if pace.get("dials_per_minute") is not None:
        said.append(
            f"{pace['dials_per_minute']:.1f} dials and {pace['finished_per_minute']:.1f} contacts done a minute"
        )
    if progress.get("finishes_at"):
        at, now = (datetime.fromisoformat(progress[key]) for key in ("finishes_at", "at"))
        said.append(f"done in {describe_span((at - now).total_seconds())} ({at:%H:%M} UTC)")
    return ", ".join(said)


def describe_span(seconds: float) -> str:
    """ "45 s", "12 min", "3.5 h", "4 days"."""
    for unit, length, digits in (("days", 86400 * 2, 0), ("h", 7200, 1), ("min", 120, 0)):
        if seconds >= length:
            return f"{seconds / {'days': 86400, 'h': 3600, 'min': 60}[unit]:.{digits}f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def show_outcomes(dispositions: Mapping[str, int]) -> RenderableType:
    """A bar for each outcome, the most frequent first."""
    total = sum(dispositions.values())
    outcomes = Table.grid(padding=(0, 2))
    for word, count in sorted(dispositions.items(), key=lambda item: (-item[1], item[0])):
        outcomes.add_row(Text(f"  {word}", "cyan"), _bar(count, total), str(count))
    return outcomes


def describe_progress(progress: Mapping[str, Any], *, seconds: float) -> str:
    """The same in one line, for what is not a terminal."""
    contacts = progress["contacts"]
    outcomes = ", ".join(f"{count} {word}" for word, count in sorted(progress["dispositions"].items()))
    pace = describe_pace(progress)
    return (
        f"{seconds:6.0f} s  {contacts['waiting']} waiting, {contacts['in_flight']} in flight, "
        f"{contacts['finished']} finished"
        + (f": {outcomes}" if outcomes else "")
        + (f"; {pace}" if pace else "")
        + (f"; canary {describe_canary(progress['canary'])}" if progress.get("canary") else "")
        + ("" if progress["status"] in ("running", "finished") else f"; {tell_state(progress)}")
    )


def tell_state(progress: Mapping[str, Any]) -> str:
    """ "running", "paused: why it paused itself"."""
    reason = f": {progress['pause_reason']}" if progress["status"] == "paused" and progress.get("pause_reason") else ""
    return f"{progress['status']}{reason}"


def is_over(progress: Mapping[str, Any]) -> bool:
    """Whether nothing more comes of it by itself: finished, or it paused itself and its last calls have ended. What a
    person paused, a person will start again."""
    stopped = progress["status"] == "paused" and bool(progress.get("pause_reason"))
    return progress["status"] == "finished" or (stopped and progress["contacts"]["in_flight"] == 0)


def counts_of(progress: Mapping[str, Any]) -> dict[str, Any]:
    """What of it is news: rates and the time change with every second."""
    return {key: value for key, value in progress.items() if key not in ("at", "pace", "finishes_at")}


def waits_for_dialer(progress: Mapping[str, Any], *, seconds: float) -> bool:
    """Whether a running campaign has waited so long for its first dial that nobody seems to dial."""
    untouched = progress["attempts"]["dialed"] == 0 and progress["contacts"]["in_flight"] == 0
    return progress["status"] == "running" and untouched and seconds >= IDLE_SECONDS


def _bar(count: int, total: int) -> ProgressBar:
    return ProgressBar(total=max(total, 1), completed=count, width=BAR_WIDTH)
