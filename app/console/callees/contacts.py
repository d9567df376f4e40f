"""`trunkline contacts`: whom a campaign calls (`list`), why somebody is called or not (`why PHONE|ID`), and one contact
added, changed or taken out (`add`, `edit`, `remove`)."""

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import httpx
import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.console.campaigns.options import BadOption, CampaignId, Elsewhere, Region, read_instant
from app.console.campaigns.tables import make_table
from app.console.client import ask, open_client, read_id, request
from app.console.screen import AsJson, say, show, tell
from app.errors import NotFound
from app.settings import Settings

contacts = typer.Typer(no_args_is_help=True, add_completion=False, help="Contacts: whom campaigns call, and why not.")

ContactId = Annotated[str, typer.Argument(metavar="CONTACT", help="The contact's id.", parser=read_id)]

MOST_TOLD = 20
NEVER = "never, as things stand"
STARTED = "is started"
PAGE = 200


class NobodyThere(NotFound):
    """No contact has that number."""

    code = "contact_not_found"


@contacts.command("why")
def why(
    who: Annotated[str, typer.Argument(metavar="PHONE|ID", help="A number, in any campaign, or the id of a contact.")],
    campaign: Annotated[str | None, typer.Option("--campaign", help="Only in this campaign.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Of a number: how many contacts at most.")] = MOST_TOLD,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON for each contact.")] = False,
) -> None:
    """Every gate in order with its verdict, and when the contact may be called next; of a number the newest first."""
    answers, more = asyncio.run(ask_why(Settings.load(), who, campaign, limit))
    for answer in answers:
        if as_json:
            say(json.dumps(answer))
        else:
            show(describe_why(answer))
    if more:
        typer.echo(f"More contacts have the number {who}: name one --campaign, or a higher --limit.", err=True)


@contacts.command("list")
def show_contacts(
    campaign: Annotated[str, typer.Option("--campaign", help="The campaign's id.")],
    status: Annotated[str | None, typer.Option("--status", help="waiting, in-flight, finished or blocked.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON for each contact.")] = False,
) -> None:
    """A campaign's contacts in the order of their numbers."""
    found = asyncio.run(list_contacts(Settings.load(), campaign, status, limit))
    if as_json:
        for one in found:
            say(json.dumps(one))
        return
    keys = ("id", "next_phone", "status", "due_at", "attempts_made", "name", "disposition", "blocked_by")
    rows = ([one[key] if key != "due_at" or one["status"] == "waiting" else "" for key in keys] for one in found)
    show(make_table(("ID", "NUMBER", "STATUS", "DUE", "CALLS", "NAME", "OUTCOME", "BLOCKED BY"), rows))


@contacts.command("add")
def add(
    campaign: CampaignId,
    phones: Annotated[
        list[str], typer.Option("--phone", help="Again for further ones, in the order they are tried: 9 at the most.")
    ],
    name: Annotated[str | None, typer.Option("--name")] = None,
    variables: Annotated[
        list[str] | None, typer.Option("--variable", "--var", help="What the agent may know: day=Tuesday.")
    ] = None,
    zone: Annotated[
        str | None, typer.Option("--time-zone", "--zone", help="Their own time zone: America/New_York.")
    ] = None,
    consent_at: Annotated[
        str | None, typer.Option("--consent-at", help="Since when they agree: 2026-03-01, by this machine's clock.")
    ] = None,
    consent_expires_at: Annotated[str | None, typer.Option("--consent-expires-at", help="Until when.")] = None,
    consent_source: Annotated[str | None, typer.Option("--consent-source", help="Where they said so.")] = None,
    region: Region = None,
    elsewhere: Elsewhere = "warn",
    as_json: AsJson = False,
) -> None:
    """Add one to a campaign, also while it runs; with the checks of an import. Exit status 1 where it did not go in."""
    contact = {
        "phones": phones,
        "name": name,
        "time_zone": zone,
        "consent_at": read_instant(consent_at),
        "consent_expires_at": read_instant(consent_expires_at),
        "consent_source": consent_source,
        "variables": {key: value or "" for key, value in map(read_variable, variables or [])},
    }
    body = {"contacts": [contact], "region": region, "elsewhere": elsewhere}
    added = request("POST", f"/campaigns/{campaign}/contacts", json=body)
    tell(added, tell_added(phones[0], added), as_json=as_json)
    raise typer.Exit(0 if added["accepted"] else 1)


def tell_added(phone: str, added: Mapping[str, Any]) -> str:
    """What became of it, and what is to be said of it."""
    what = "is in, and blocked" if added["blocked"] else "is in" if added["accepted"] else "was not added"
    faults = (f"{fault['column']} {fault['value']}: {fault['reason']}" for fault in added["errors"])
    return "\n".join((f"{phone} {what}.", *faults))


@contacts.command("edit")
def edit(
    contact: ContactId,
    name: Annotated[str | None, typer.Option("--name")] = None,
    zone: Annotated[str | None, typer.Option("--zone", help="Their own time zone: America/New_York.")] = None,
    callback_at: Annotated[
        str | None, typer.Option("--callback-at", help="2026-11-23T14:30, by this machine's clock; now: no more.")
    ] = None,
    variables: Annotated[
        list[str] | None, typer.Option("--var", help="What the agent may know: day=Tuesday; day= takes it away.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change a contact that waits; what is not said stays."""
    body: dict[str, Any] = {"name": name, "time_zone": zone}
    body = {key: value for key, value in body.items() if value is not None}
    if callback_at:
        body["callback_at"] = None if callback_at == "now" else read_instant(callback_at)
    if variables:
        body["variables"] = dict(map(read_variable, variables))
    tell_contact(request("PATCH", f"/contacts/{contact}", json=body), as_json=as_json)


@contacts.command("remove")
def remove(
    contact: ContactId,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")] = "taken out",
    as_json: AsJson = False,
) -> None:
    """Take a contact out of its campaign: it is blocked with the reason, and never called by it."""
    tell_contact(request("DELETE", f"/contacts/{contact}", params={"reason": reason}), as_json=as_json)


def read_variable(text: str) -> tuple[str, str | None]:
    """ "day=Tuesday" → ("day", "Tuesday"), "day=" → ("day", None). Raises BadOption."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise BadOption(f'"{text}" is not NAME=VALUE, like day=Tuesday.')
    return name.strip(), value or None


def tell_contact(contact: Mapping[str, Any], *, as_json: bool) -> None:
    blocked = f" by {contact['blocked_by']}: {contact['blocked_reason']}" if contact["status"] == "blocked" else ""
    told = f"{contact['id']} {contact['next_phone']} {contact['name'] or ''}: {contact['status']}{blocked}"
    facts = {"time zone": contact["time_zone"], "callback": contact["callback_at"], **contact["variables"]}
    more = ", ".join(f"{name}: {value}" for name, value in facts.items() if value is not None)
    tell(contact, f"{told}\n{more}".strip(), as_json=as_json)


async def ask_why(
    settings: Settings, who: str, campaign: str | None = None, limit: int = MOST_TOLD
) -> tuple[list[dict[str, Any]], bool]:
    """What the api says of the contact, or of those with that number, up to `limit` of them; and whether there are
    more. Raises NobodyThere, ApiRefused."""
    async with open_client(settings) as client:
        ids, more = ([who], False) if _is_id(who) else await _find(client, who, campaign, limit)
        return [await ask(client, "GET", f"/contacts/{contact_id}/why") for contact_id in ids], more


async def list_contacts(settings: Settings, campaign: str, status: str | None, limit: int) -> list[dict[str, Any]]:
    asked = {"campaign_id": campaign, **({"status": status} if status else {})}
    async with open_client(settings) as client:
        found, _ = await _read_pages(client, asked, limit)
    return found


async def _find(client: httpx.AsyncClient, phone: str, campaign: str | None, limit: int) -> tuple[list[str], bool]:
    asked = {"phone": phone, **({"campaign_id": campaign} if campaign else {})}
    found, more = await _read_pages(client, asked, limit)
    if not found:
        where = "this campaign" if campaign else "any campaign"
        raise NobodyThere(f"No contact of {where} has the number {phone}.")
    return [contact["id"] for contact in found], more


async def _read_pages(
    client: httpx.AsyncClient, asked: Mapping[str, Any], limit: int
) -> tuple[list[dict[str, Any]], bool]:
    """Up to `limit` contacts, and whether there are more."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while len(found) < limit:
        params = {**asked, "limit": min(PAGE, limit - len(found)), **({"cursor": cursor} if cursor else {})}
        page = await ask(client, "GET", "/contacts", params=params)
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return found, cursor is not None


def _is_id(text: str) -> bool:
    # "202-555-0110-…" is a number, however it is written; an id is 32 hexadecimal digits.
    if len(text) < 32:
        return False
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def describe_why(answer: Mapping[str, Any]) -> RenderableType:
    """The contact, every gate with its verdict, and when it may be called next."""
    contact = answer["contact"]
    name = f" {contact['name']}" if contact["name"] else ""
    head = Text.assemble((contact["next_phone"] + name, "bold"), f" in campaign {contact['campaign_id']}")
    table = Table("", "gate", "verdict", "rests on", box=None, padding=(0, 1))
    # An instant that is cut is none.
    table.add_column("opens", no_wrap=True)
    held = answer["next_at"] is None and any(_is_held(verdict) for verdict in answer["verdicts"])
    for verdict in answer["verdicts"]:
        sign = Text("✓", "green") if verdict["passed"] else Text("✗", "red")
        opens = "" if verdict["passed"] else verdict["next_at"] or "never"
        opens = STARTED if held and _is_held(verdict) else opens
        table.add_row(sign, *map(Text, (verdict["gate"], verdict["reason"], verdict["source"] or "", opens)))
    following = answer["next_at"] or (f"not before the campaign {STARTED}" if held else NEVER)
    return Group(head, Text(answer["summary"]), table, Text(f"next possible: {following}\n"))


def _is_held(verdict: Mapping[str, Any]) -> bool:
    """Whether it only waits for somebody to start the campaign."""
    return verdict["gate"] == "campaign" and not verdict["passed"] and verdict["next_at"] is not None
