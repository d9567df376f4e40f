"""Campaigns, preflights and schedules as they look in a terminal: pure, from what the api gives."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}
_SIGNS = {"ok": "✓", "warning": "!", "error": "✗"}


def tell_instant(value: str | None) -> str:
    """By this machine's clock, to the minute; "never" for none."""
    return datetime.fromisoformat(value).astimezone().strftime("%a %Y-%m-%d %H:%M %Z") if value else "never"


def make_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Cells as text, whatever they hold."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        # An id is there to be copied: it never breaks.
        table.add_column(column, overflow="fold", no_wrap=column == "ID")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    return table


def show_campaigns(
    campaigns: Sequence[Mapping[str, Any]], *, filtered: bool = False, more: str | None = None
) -> RenderableType:
    """`filtered`: not all were asked for. `more`: where the next ones begin."""
    if not campaigns:
        return Text("No such campaign." if filtered else "No campaigns yet: trunkline campaign create NAME --team TEAM")
    table = make_table(
        ("ID", "NAME", "STATUS", "CONTACTS", "TEAM", "MADE"),
        (
            (c["id"], c["name"], tell_status(c), tell_contacts(c["contacts"]), c["team"], tell_instant(c["created_at"]))
            for c in campaigns
        ),
    )
    return Group(table, Text(f"There are more: --cursor {more}")) if more else table


def tell_contacts(contacts: Mapping[str, int]) -> str:
    """ "120 of 450 done, 3 blocked": those that are blocked are done too."""
    done, blocked = contacts["finished"] + contacts["blocked"], contacts["blocked"]
    return f"{done} of {sum(contacts.values())} done" + (f", {blocked} blocked" if blocked else "")


def tell_status(campaign: Mapping[str, Any]) -> str:
    """ "running (canary)", "paused: why", "finished (deadline)"."""
    status = str(campaign["status"])
    if campaign["pause_reason"] and status == "paused":
        return f"{status}: {campaign['pause_reason']}"
    if status == "finished" and campaign["finish_reason"] not in (None, "done"):
        return f"{status} ({campaign['finish_reason']})"
    if campaign.get("copying"):
        return f"{status} (contacts are being copied)"
    if status == "running" and campaign["canary_status"] == "dialing":
        return f"{status} (canary)"
    return status


def show_campaign(campaign: Mapping[str, Any]) -> RenderableType:
    """Everything that is set, and what is not the default in its settings."""
    facts = make_table(("", ""), _facts(campaign))
    facts.show_header = False
    return facts


def _facts(campaign: Mapping[str, Any]) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = [("id", campaign["id"]), ("status", tell_status(campaign))]
    rows += [(name, campaign[name]) for name in ("name", "team", "from_number", "mode", "priority", "share")]
    rows.append(("pace", f"{campaign['calls_per_second']:g} calls/s, {campaign['max_concurrent']} at once"))
    for name in ("starts_at", "deadline_at", "started_at", "finished_at"):
        if campaign[name]:
            rows.append((name.removesuffix("_at"), tell_instant(campaign[name])))
    rows.append(("retry", tell_retry(campaign["retry"])))
    rows += [(name, value) for name, value in campaign["settings"].items() if value]
    if campaign["parent_id"]:
        rows.append(("redials", campaign["parent_id"]))
    return rows


def tell_retry(retry: Mapping[str, Any]) -> str:
    """ "up to 3 dials; busy after 60, 300 s; no-answer after 1800 s on the next number"."""
    told = [f"up to {retry['max_attempts']} dials"]
    for word, again in retry["outcomes"].items():
        delays = ", ".join(f"{delay:g}" for delay in again["delays_seconds"])
        told.append(f"{word} after {delays} s" + (" on the next number" if again["next_number"] else ""))
    if retry["spread_hours"]:
        told.append(f"{retry['spread_hours']:g} h apart on the clock")
    return "; ".join(told)


def show_preflight(found: Mapping[str, Any]) -> RenderableType:
    """The checks, who is called where, who is not and why, and when it is through."""
    checks = Table.grid(padding=(0, 2))
    for check in found["checks"]:
        style = _STYLES[check["level"]]
        checks.add_row(Text(_SIGNS[check["level"]], style), Text(check["name"]), Text(check["detail"]))
    parts: list[RenderableType] = [checks, Text(f"\n{_tell_counts(found['contacts'])}")]
    if found["zones"]:
        rows = ((row["zone"], row["contacts"], tell_instant(row["opens_at"])) for row in found["zones"][:20])
        parts += [Text(), make_table(("ZONE", "CONTACTS", "OPEN FROM"), rows)]
    reasons = [*found["blocked"], *found["refused"]]
    if reasons:
        rows = ((r["gate"], r["reason"], r["contacts"], "never" if r["for_good"] else "later") for r in reasons)
        parts += [Text(), make_table(("GATE", "WHY NOT", "CONTACTS", "CALLED"), rows)]
    return Group(*parts, Text(f"\n{tell_forecast(found['forecast'])}"))


def _tell_counts(contacts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in contacts.items())


def tell_forecast(ahead: Mapping[str, Any]) -> str:
    end = tell_instant(ahead["finish_at"]) if ahead["finish_at"] else f"not through: {ahead['left']} contacts left"
    cost = f", about {ahead['cost_minor'] / 100:.2f} {ahead['currency']}" if ahead["currency"] else ""
    return (
        f"Forecast: {end}; {ahead['dials']} dials, {ahead['answered']} answered{cost} "
        f"({ahead['dials_per_second']:g} dials/s; {ahead['basis']})"
    )


def show_schedules(schedules: Sequence[Mapping[str, Any]]) -> RenderableType:
    rows = (
        (s["id"], s["name"], f"{s['cron']} ({s['time_zone']})", s["action"], _tell_next(s), s["campaign_id"])
        for s in schedules
    )
    return make_table(("ID", "NAME", "WHEN", "DOES", "NEXT", "CAMPAIGN"), rows)


def _tell_next(schedule: Mapping[str, Any]) -> str:
    return tell_instant(schedule["next_at"]) if schedule["enabled"] else "off"


def show_runs(runs: Sequence[Mapping[str, Any]]) -> RenderableType:
    rows = ((tell_instant(r["planned_at"]), r["outcome"], r["detail"], r["campaign_id"]) for r in runs)
    return make_table(("TIME", "OUTCOME", "DETAIL", "CAMPAIGN"), rows)


def show_calls(calls: Sequence[Mapping[str, Any]]) -> RenderableType:
    rows = ((c["id"], c["to"], c["name"], tell_instant(c["due_at"]), c["disposition"] or c["status"]) for c in calls)
    return make_table(("ID", "TO", "NAME", "WHEN", "STATUS"), rows)
