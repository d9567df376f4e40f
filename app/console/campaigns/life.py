"""The commands of a campaign's life, `trunkline campaign create` to `finish`, through the REST API."""

from typing import Annotated, Any, Unpack

import typer

from app.console.campaigns import tables
from app.console.campaigns.options import CampaignId as Id
from app.console.campaigns.options import PlanOptions, gather, with_plan_options
from app.console.campaigns.view import describe_canary
from app.console.client import request
from app.console.screen import AsJson, tell
from app.errors import TrunklineError


class NotReady(TrunklineError):
    """The campaign's preflight found errors."""

    code = "not_ready"


PAGE = 200


@with_plan_options
def create(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    team: Annotated[str, typer.Option("--team", help="The slug of the team that talks.")],
    as_json: AsJson = False,
    **given: Unpack[PlanOptions],
) -> None:
    """An empty draft. Add contacts: trunkline campaign import FILE --campaign ID."""
    made = request("POST", "/campaigns", json=gather(name=name, team=team, **given))
    tell(made, tables.show_campaign(made), as_json=as_json)


@with_plan_options
def edit(
    campaign: Id,
    name: Annotated[str | None, typer.Option("--name")] = None,
    team: Annotated[str | None, typer.Option("--team", help="The slug of the team that talks.")] = None,
    as_json: AsJson = False,
    **given: Unpack[PlanOptions],
) -> None:
    """Change a draft, a scheduled or a paused campaign; what is not said stays."""
    changed = request("PATCH", f"/campaigns/{campaign}", json=gather(name=name, team=team, **given))
    tell(changed, tables.show_campaign(changed), as_json=as_json)


def list_all(
    status: Annotated[
        str | None, typer.Option("--status", help="draft, scheduled, running, paused or finished.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Only those whose name has this in it.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 50,
    cursor: Annotated[str | None, typer.Option("--cursor", help="Go on where the list before ended.")] = None,
    as_json: AsJson = False,
) -> None:
    """The campaigns, newest first, and how far each is."""
    asked = {"status": status, "name": name, "cursor": cursor}
    query: dict[str, str | int] = {key: value for key, value in asked.items() if value}
    rows: list[dict[str, Any]] = []
    while True:
        page = request("GET", "/campaigns", params=query | {"limit": min(PAGE, limit - len(rows))})
        rows += page["data"]
        if page["next_cursor"] is None or len(rows) >= limit:
            break
        query["cursor"] = page["next_cursor"]
    shown = tables.show_campaigns(rows, filtered=bool(query), more=page["next_cursor"])
    tell({"data": rows, "next_cursor": page["next_cursor"]}, shown, as_json=as_json)


def show(campaign: Id, as_json: AsJson = False) -> None:
    """A campaign with everything that is set."""
    found = request("GET", f"/campaigns/{campaign}")
    tell(found, tables.show_campaign(found), as_json=as_json)


def delete(campaign: Id, as_json: AsJson = False) -> None:
    """Delete a draft with its contacts; what ever called anybody is kept."""
    request("DELETE", f"/campaigns/{campaign}", timeout=600)
    tell({"id": campaign, "deleted": True}, f"{campaign} deleted", as_json=as_json)


def preflight(campaign: Id, as_json: AsJson = False) -> None:
    """What would happen if it were started: checks, who is called where, who is not and why, finish and cost. Exit
    status 1 where it cannot run."""
    found = request("GET", f"/campaigns/{campaign}/preflight", timeout=120)
    tell(found, tables.show_preflight(found), as_json=as_json)
    raise typer.Exit(0 if found["ready"] else 1)


def start(
    campaign: Id,
    force: Annotated[bool, typer.Option("--force", help="Whatever the preflight says.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look once more, then start it, or go on with it. With a start ahead it is scheduled."""
    if not force:
        found = request("GET", f"/campaigns/{campaign}/preflight", timeout=120)
        errors = [check["detail"] for check in found["checks"] if check["level"] == "error"]
        if errors:
            raise NotReady("\n".join([*errors, "Nothing was started."]))
    started = request("POST", f"/campaigns/{campaign}/start")
    tell(started, f"{campaign} {tables.tell_status(started)}", as_json=as_json)


def resume(campaign: Id, as_json: AsJson = False) -> None:
    """Start a draft, or go on with a paused campaign."""
    started = request("POST", f"/campaigns/{campaign}/start")
    tell(started, f"{campaign} {started['status']}", as_json=as_json)


def pause(campaign: Id, as_json: AsJson = False) -> None:
    """Dial nothing more for now; calls under way end by themselves."""
    paused = request("POST", f"/campaigns/{campaign}/pause")
    tell(paused, f"{campaign} {paused['status']}", as_json=as_json)


def finish(campaign: Id, as_json: AsJson = False) -> None:
    """End it for good: who waits is not called any more, calls under way end by themselves."""
    ended = request("POST", f"/campaigns/{campaign}/finish")
    tell(ended, f"{campaign} {tables.tell_status(ended)}", as_json=as_json)


def canary(
    campaign: Id,
    go_on: Annotated[bool, typer.Option("--pass", help="Judge it yourself: go on with all others.")] = False,
    as_json: AsJson = False,
) -> None:
    """How its first dials go."""
    if go_on:
        passed = request("POST", f"/campaigns/{campaign}/canary/pass")
        tell(passed, f"{campaign} {tables.tell_status(passed)}", as_json=as_json)
        return
    look = request("GET", f"/campaigns/{campaign}/canary")
    tell(look, describe_canary(look), as_json=as_json)


def redial(
    campaign: Id,
    name: Annotated[str | None, typer.Option("--name", help="Default: the same, again.")] = None,
    outcomes: Annotated[
        list[str] | None, typer.Option("--outcome", help="Of those to dial again; default: not talked to. Repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """A new draft of the contacts that it did not reach."""
    body = {key: value for key, value in (("name", name), ("outcomes", outcomes)) if value}
    made = request("POST", f"/campaigns/{campaign}/redial", json=body, timeout=60)
    state = "still being copied" if made["campaign"]["copying"] else "a draft"
    told = f"{made['campaign']['id']} {made['campaign']['name']}: {made['contacts']} contacts, {state}"
    tell(made, told, as_json=as_json)
