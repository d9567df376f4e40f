"""`trunkline campaign schedule …`: what happens by itself, again and again or once, through the REST API."""

from typing import Annotated

import typer

from app.console.campaigns import tables
from app.console.campaigns.options import BadOption, CampaignId, FromNumber, Sets, gather, put, read_instant
from app.console.client import read_id, request
from app.console.screen import AsJson, tell

schedule = typer.Typer(no_args_is_help=True, help="Campaigns by cron, and single calls in the future.")

Id = Annotated[str, typer.Argument(metavar="SCHEDULE", help="The schedule's id.", parser=read_id)]


@schedule.command("add")
def add(
    campaign: CampaignId,
    cron: Annotated[str, typer.Option("--cron", help='Five fields: "0 9 * * mon-fri".')],
    zone: Annotated[str, typer.Option("--zone", help="By whose clocks: America/New_York.")],
    name: Annotated[str, typer.Option("--name", help="Default: the cron line.")] = "",
    action: Annotated[str, typer.Option("--action", help="copy, redial, start or pause.")] = "copy",
    missed: Annotated[str, typer.Option("--missed", help="Times without a dialer: skip, once or all.")] = "once",
    until: Annotated[str | None, typer.Option("--until", help="Nothing happens from then on.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let it happen by cron: a copy with all contacts, a redial of those not reached, its start or its pause."""
    body = {"name": name or cron, "campaign_id": campaign, "cron": cron, "time_zone": zone, "action": action}
    body |= {"missed": missed} | ({"ends_at": end} if (end := read_instant(until)) else {})
    made = request("POST", "/schedules", json=body)
    tell(made, tables.show_schedules([made]), as_json=as_json)


@schedule.command("list")
def list_all(as_json: AsJson = False) -> None:
    """The schedules, newest first."""
    found = request("GET", "/schedules", params={"limit": 200})
    tell(found, tables.show_schedules(found["data"]), as_json=as_json)


@schedule.command("runs")
def runs(schedule_id: Id, as_json: AsJson = False) -> None:
    """What came of its times, the latest first."""
    found = request("GET", f"/schedules/{schedule_id}/runs")
    tell(found, tables.show_runs(found["data"]), as_json=as_json)


@schedule.command("off")
def off(schedule_id: Id, as_json: AsJson = False) -> None:
    """Nothing happens until it is on again; what is missed is not made up for."""
    switch(schedule_id, on=False, as_json=as_json)


@schedule.command("on")
def on(schedule_id: Id, as_json: AsJson = False) -> None:
    """From its next time on."""
    switch(schedule_id, on=True, as_json=as_json)


def switch(schedule_id: str, *, on: bool, as_json: bool) -> None:
    changed = request("PATCH", f"/schedules/{schedule_id}", json={"enabled": on})
    tell(changed, tables.show_schedules([changed]), as_json=as_json)


@schedule.command("remove")
def remove(schedule_id: Id) -> None:
    """Forget it; the campaigns that it made stay."""
    request("DELETE", f"/schedules/{schedule_id}")
    tell({}, f"{schedule_id} removed", as_json=False)


@schedule.command("call")
def call(
    number: Annotated[str, typer.Argument(help="Whom to call.")],
    team: Annotated[str, typer.Option("--team", help="The slug of the team that talks.")],
    at: Annotated[str, typer.Option("--at", help="2026-11-23T14:30, by this machine's clock.")],
    name: Annotated[str | None, typer.Option("--name", help="Who it is.")] = None,
    zone: Annotated[str | None, typer.Option("--zone", help="Their own time zone: America/New_York.")] = None,
    from_number: FromNumber = None,
    variables: Annotated[list[str] | None, typer.Option("--var", help="What the agent may know: day=Tuesday.")] = None,
    sets: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Call somebody once, later."""
    known: dict[str, object] = {}
    for text in variables or []:
        if "=" not in text:
            raise BadOption(f'"{text}" is not NAME=VALUE, like day=Tuesday.')
        put(known, text)
    body = gather(sets=sets, to=number, team=team, at=read_instant(at), name=name, time_zone=zone)
    body |= {"variables": known} | ({"from_number": from_number} if from_number else {})
    made = request("POST", "/scheduled-calls", json=body)
    tell(made, tables.show_calls([made]), as_json=as_json)


@schedule.command("calls")
def calls(as_json: AsJson = False) -> None:
    """Single calls, newest first, those that are over too."""
    found = request("GET", "/scheduled-calls", params={"limit": 200})
    tell(found, tables.show_calls(found["data"]), as_json=as_json)


@schedule.command("cancel")
def cancel(
    call_id: Annotated[str, typer.Argument(metavar="CALL", help="The call's id.", parser=read_id)],
    as_json: AsJson = False,
) -> None:
    """Do not make a single call after all."""
    taken = request("DELETE", f"/scheduled-calls/{call_id}")
    tell(taken, f"{call_id} {taken['status']}", as_json=as_json)
