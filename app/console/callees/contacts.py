"""`trunkline contacts`: whom a campaign calls (`list`), and why somebody is called or not (`why PHONE|ID`)."""

import asyncio
import json
from typing import Annotated, Any
from uuid import UUID

import httpx
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.console.client import ask, open_client
from app.errors import NotFound
from app.settings import Settings

contacts = typer.Typer(no_args_is_help=True, add_completion=False, help="Contacts: whom campaigns call, and why not.")

MOST_TOLD = 20
PAGE = 200


class NobodyThere(NotFound):
    """No contact has that number."""

    code = "contact_not_found"


@contacts.command("why")
def why(
    who: Annotated[str, typer.Argument(metavar="PHONE|ID", help="A number, in any campaign, or the id of a contact.")],
    campaign: Annotated[str | None, typer.Option("--campaign", help="Only in this campaign.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON for each contact.")] = False,
) -> None:
    """Every gate in order with its verdict, and when the contact may be called next."""
    console = Console(highlight=False, soft_wrap=as_json)
    for answer in asyncio.run(ask_why(Settings.load(), who, campaign)):
        if as_json:
            console.print(json.dumps(answer), markup=False)
        else:
            show_why(console, answer)


@contacts.command("list")
def show_contacts(
    campaign: Annotated[str, typer.Option("--campaign", help="The campaign's id.")],
    status: Annotated[str | None, typer.Option("--status", help="waiting, in-flight, finished or blocked.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 50,
) -> None:
    """A campaign's contacts in the order of their numbers."""
    table = Table(box=None, padding=(0, 1))
    for name in ("contact", "number", "status", "due", "calls", "name", "outcome", "blocked by"):
        table.add_column(name, no_wrap=name in ("contact", "number", "status"))
    for one in asyncio.run(list_contacts(Settings.load(), campaign, status, limit)):
        due = one["due_at"] if one["status"] == "waiting" else ""
        cells = [one["id"], one["next_phone"], one["status"], due, str(one["attempts_made"]), one["name"] or ""]
        cells += [one["disposition"] or "", one["blocked_by"] or ""]
        table.add_row(*map(escape, cells))
    Console(highlight=False).print(table)


async def ask_why(settings: Settings, who: str, campaign: str | None = None) -> list[dict[str, Any]]:
    """What the api says of the contact, or of everyone with that number. Raises NobodyThere, ApiRefused."""
    async with open_client(settings) as client:
        ids = [who] if _is_id(who) else await _find(client, who, campaign)
        return [await ask(client, "GET", f"/contacts/{contact_id}/why") for contact_id in ids]


async def list_contacts(settings: Settings, campaign: str, status: str | None, limit: int) -> list[dict[str, Any]]:
    asked: dict[str, Any] = {"campaign_id": campaign, **({"status": status} if status else {})}
    found: list[dict[str, Any]] = []
    async with open_client(settings) as client:
        while len(found) < limit:
            page = await ask(client, "GET", "/contacts", params={**asked, "limit": min(PAGE, limit - len(found))})
            found += page["data"]
            if page["next_cursor"] is None:
                break
            asked["cursor"] = page["next_cursor"]
    return found


async def _find(client: httpx.AsyncClient, phone: str, campaign: str | None) -> list[str]:
    asked = {"phone": phone, "limit": MOST_TOLD, **({"campaign_id": campaign} if campaign else {})}
    found = await ask(client, "GET", "/contacts", params=asked)
    if not found["data"]:
        where = "this campaign" if campaign else "any campaign"
        raise NobodyThere(f"No contact of {where} has the number {phone}.")
    return [contact["id"] for contact in found["data"]]


def _is_id(text: str) -> bool:
    # "202-555-0110-…" is a number, however it is written; an id is 32 hexadecimal digits.
    if len(text) < 32:
        return False
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def show_why(console: Console, answer: dict[str, Any]) -> None:
    contact = answer["contact"]
    name = f" {contact['name']}" if contact["name"] else ""
    console.print(f"[bold]{escape(contact['next_phone'] + name)}[/] in campaign {contact['campaign_id']}")
    console.print(f"{answer['summary']}", markup=False)
    table = Table("", "gate", "verdict", "rests on", "opens", box=None, padding=(0, 1))
    for verdict in answer["verdicts"]:
        sign = "[green]✓[/]" if verdict["passed"] else "[red]✗[/]"
        opens = "" if verdict["passed"] else verdict["next_at"] or "never"
        table.add_row(sign, *map(escape, (verdict["gate"], verdict["reason"], verdict["source"] or "", opens)))
    console.print(table)
    console.print(f"next possible: {answer['next_at'] or 'never, as things stand'}\n", markup=False)
