"""The report of a campaign as one HTML page of its own: no script, nothing fetched, plots inside."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from app.db import Database
from app.errors import Unavailable
from app.ids import CampaignId, OrgId
from campaigns.outcomes.page.facts import Facts, Outcome, gather_facts, write_money
from campaigns.outcomes.page.figures import percentile, plot_all

PRESSES = 2
"""Pages that a process makes at once: each reads all attempts of its campaign, on a connection that others want too."""
PATIENCE_SECONDS = 20.0
_CANARIES = {
    "dialing": "Its first calls are still being judged.",
    "passed": "Its first calls were judged, and it went on.",
    "stopped": "Its first calls were judged, and stopped it.",
}


class PressBusy(Unavailable):
    """Other reports are being made; large campaigns take a while."""

    code = "reports_busy"


async def write_page(
    db: Database,
    org_id: OrgId,
    campaign_id: CampaignId,
    *,
    press: asyncio.Semaphore,
    claims: Mapping[str, Any] | None = None,
) -> str:
    """The page, as of now. `press`: PRESSES of them, one for the whole process. Raises CampaignNotFound, PressBusy."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await press.acquire()
    except TimeoutError as error:
        raise PressBusy("Other reports are being made; ask again.", retry_after_seconds=30) from error
    try:
        facts = await gather_facts(db, org_id, campaign_id, claims=claims)
        return await asyncio.to_thread(render_page, facts)
    finally:
        press.release()


def render_page(facts: Facts) -> str:
    """Blocking: half a second or so for the plots. Whatever a campaign or a contact is called is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    # matplotlib escaped what stands in the plots.
    plots = {name: Markup(svg) for name, svg in plot_all(facts).items()}  # noqa: S704
    overview = facts.overview
    return environment.get_template("report.html").render(
        name=overview["name"],
        organization=overview["organization"],
        team=overview["team"],
        from_number=overview["from_number"],
        status=overview["status"],
        started=_minute(overview["started_at"]),
        finished=_minute(overview["finished_at"]),
        made=_minute(overview["now"]),
        pause_reason=overview["pause_reason"],
        canary=_CANARIES.get(overview["canary_status"] or "", ""),
        figures=_figures(facts),
        funnel=_funnel(facts),
        outcomes=[_outcome_row(outcome) for outcome in facts.outcomes],
        zones=_zones(facts),
        faults=_faults(overview["not_in"]),
        plots=plots,
    )


def _figures(facts: Facts) -> list[tuple[str, str]]:
    """The numbers at the top: label, value."""
    progress, answered = facts.progress, facts.answered
    figures = [
        ("contacts", f"{progress.funnel['contacts']:,}"),
        ("dials that are over", f"{facts.dials:,}"),
        ("answered", f"{answered / facts.dials:.1%}" if facts.dials else "none yet"),
        ("talked, on average", f"{facts.talk_seconds / answered:.0f} s" if answered else "none yet"),
        ("rang until answered", f"{facts.ring_seconds / answered:.1f} s" if answered else "none yet"),
    ]
    if facts.latencies:
        figures.append(("waited for a reply, half of them", f"{percentile(facts.latencies, 0.5) / 1000:.1f} s"))
    if facts.mean_score is not None:
        figures.append((f"mean score of {facts.scored:,} conversations", f"{facts.mean_score:.2f}"))
    figures += [(f"cost in {currency}", write_money(minor, currency)) for currency, minor in facts.cost_minor.items()]
    return figures


def _funnel(facts: Facts) -> list[tuple[str, int, float]]:
    """Label, count, share of all contacts."""
    funnel, contacts = facts.progress.funnel, facts.progress.contacts
    total = funnel["contacts"] or 1
    rows = [
        ("in the campaign", funnel["contacts"]),
        ("called", funnel["called"]),
        ("talked to", funnel["talked_to"]),
        ("still to call", contacts["waiting"] + contacts["in_flight"]),
        ("blocked", contacts["blocked"]),
    ]
    return [(label, count, count / total) for label, count in rows]


def _outcome_row(outcome: Outcome) -> dict[str, Any]:
    cost = ", ".join(f"{write_money(minor, currency)} {currency}" for currency, minor in outcome.cost_minor.items())
    return {
        "disposition": outcome.disposition,
        "code": outcome.code,
        "dials": outcome.dials,
        "talk_seconds": outcome.talk_seconds,
        "cost": cost,
    }


def _zones(facts: Facts) -> list[tuple[str, int, int]]:
    """Zone, dials, answered; the busiest first."""
    rows = [
        (zone, sum(tally.dials for tally in hours.values()), sum(tally.answered for tally in hours.values()))
        for zone, hours in facts.by_zone_hour.items()
    ]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def _faults(report: Mapping[str, Any]) -> list[tuple[str, int]]:
    """What became of the list's rows that are not contacts to call."""
    labels = {"rejected": "rejected", "duplicates": "repeated", "blocked": "on a do-not-call list"}
    found = [(label, report.get(key)) for key, label in labels.items()]
    return [(label, count) for label, count in found if isinstance(count, int) and count > 0]


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else ""
