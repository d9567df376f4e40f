"""`trunkline dnc add|import|list|remove|secret`: the numbers that are never dialed."""

import asyncio
import csv
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from app.console.client import ask, open_client, request
from app.console.screen import AsJson, say, tell
from app.settings import Settings
from campaigns.outcomes.tables import neutralize_formula

dnc = typer.Typer(no_args_is_help=True, add_completion=False, help="Do not call: numbers that are never dialed.")

LISTED = "/do-not-call"
PAGE = 200

Campaign = Annotated[str | None, typer.Option("--campaign", help="The list of this campaign alone.")]


@dnc.command("add")
def add(
    phone: Annotated[str, typer.Argument(help="E.164, or as written in the organization's country.")],
    reason: Annotated[str, typer.Option("--reason")] = "",
    campaign: Campaign = None,
    as_json: AsJson = False,
) -> None:
    """Never dial this number, from now on."""
    entry = request("POST", LISTED, json={"phone": phone, "reason": reason, "campaign_id": campaign})
    tell(entry, f"{entry['phone']} is not dialed any more.", as_json=as_json)


@dnc.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, XLSX or JSON; or numbers alone.")],
    reason: Annotated[str, typer.Option("--reason", help="Default: the file's name.")] = "",
    campaign: Campaign = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON on stdout.")] = False,
) -> None:
    """Never dial any number of the file. The same file again changes nothing."""
    fields = {"reason": reason, **({"campaign_id": campaign} if campaign else {})}
    with file.open("rb") as opened:
        report = request("POST", f"{LISTED}/imports", files={"file": (file.name, opened)}, data=fields, timeout=600)
    if as_json:
        typer.echo(json.dumps(report))
        return
    say(f"{report['rows']} rows: {report['added']} added, {report['known']} known, {report['rejected']} rejected")
    for fault in report["faults"][:20]:
        say(f"line {fault['line']}: {fault['value']!r}: {fault['reason']}")
    if report["rejected"] > 20:
        say(f"… and {report['rejected'] - 20} more: --json tells the first thousand")


@dnc.command("list")
def show_list(
    campaign: Campaign = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON for each number.")] = False,
) -> None:
    """The whole list as CSV, newest first: phone, reason, source, created_at."""

    async def write() -> None:
        if as_json:
            async for entry in read_list(Settings.load(), campaign):
                say(json.dumps(entry))
            return
        table = csv.writer(sys.stdout)
        table.writerow(("phone", "reason", "source", "created_at"))
        async for entry in read_list(Settings.load(), campaign):
            table.writerow((entry["phone"], neutralize_formula(entry["reason"]), entry["source"], entry["created_at"]))

    asyncio.run(write())


@dnc.command("remove")
def remove(phone: str, campaign: Campaign = None, as_json: AsJson = False) -> None:
    """Take a number off the list. Contacts that it blocked stay blocked."""
    path = f"{LISTED}/{quote(phone, safe='')}"
    entry = request("DELETE", path, params={"campaign_id": campaign} if campaign else {})
    tell(entry, f"{entry['phone']} may be dialed again.", as_json=as_json)


@dnc.command("secret")
def secret() -> None:
    """What signs the requests by which campaigns ask for vetoes before a dial."""
    say(request("GET", f"{LISTED}/signing-secret")["secret"])


async def read_list(settings: Settings, campaign: str | None = None) -> AsyncIterator[dict[str, Any]]:
    """Every entry, page by page."""
    asked: dict[str, Any] = {"limit": PAGE, **({"campaign_id": campaign} if campaign else {})}
    async with open_client(settings) as client:
        while True:
            page = await ask(client, "GET", LISTED, params=asked)
            for entry in page["data"]:
                yield entry
            if page["next_cursor"] is None:
                return
            asked["cursor"] = page["next_cursor"]
