"""`trunkline campaign import FILE`: a look at a file of contacts, or its import, watched to the end.

The api does it: an import goes on when this command ends.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import httpx
import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.console.campaigns.options import Elsewhere
from app.console.campaigns.results import check_writable
from app.console.campaigns.view import show_import
from app.console.client import ApiRefused, ask, describe_problem, open_client
from app.errors import InvalidInput, TrunklineError
from app.settings import Settings

POLL_SECONDS = 0.3
UPLOAD_SECONDS = 600
SUMMARY = ("rows", "accepted", "rejected", "duplicates", "warnings", "blocked", "warned", "status", "campaign_id")


class BadMapping(InvalidInput):
    """A --map that says nothing."""

    code = "bad_mapping"


class NoCampaignNamed(InvalidInput):
    """Neither a campaign that is there nor what a new one needs."""

    code = "no_campaign_named"


class ImportFailed(TrunklineError):
    """The file broke further down."""

    code = "import_failed"


@dataclass(frozen=True)
class ImportOrder:
    """What was asked for. `campaign`: the id of one that is there; without it a draft is made for `team`."""

    file: Path
    campaign: str | None = None
    name: str = ""
    team: str | None = None
    from_number: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    ignore: tuple[str, ...] = ()
    region: str | None = None
    encoding: str | None = None
    elsewhere: str = "warn"
    rejected: Path | None = None

    def fields(self) -> dict[str, str]:
        """Of the form, beside the file."""
        wished = {
            "columns": json.dumps(dict(self.columns)) if self.columns else None,
            "ignore": json.dumps(self.ignore) if self.ignore else None,
            "region": self.region,
            "encoding": self.encoding,
        }
        return {name: value for name, value in wished.items() if value is not None}


def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, XLSX, JSON or JSON Lines.")],
    campaign: Annotated[str | None, typer.Option("--campaign", help="The id of one that is there.")] = None,
    name: Annotated[str, typer.Option("--name", help="Of a new draft. Default: the file's name.")] = "",
    team: Annotated[str | None, typer.Option("--team", help="Of a new draft: the slug of the team.")] = None,
    from_number: Annotated[str | None, typer.Option("--from", help="Of a new draft: one of our numbers.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only show what the file would be read as.")] = False,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="TARGET=COLUMN: phone=Mobile, name=Who, visit='Appt. time' …")
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option("--ignore", help="A column to leave out.")] = None,
    region: Annotated[str | None, typer.Option("--region", help="ISO 3166, of numbers without a country.")] = None,
    encoding: Annotated[str | None, typer.Option("--encoding", help="Of a text file that is guessed wrong.")] = None,
    elsewhere: Elsewhere = "warn",
    rejected: Annotated[Path | None, typer.Option("--rejected", help="Write the bad rows there, to mend.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON on stdout at the end.")] = False,
) -> None:
    """Bring a file of contacts into a campaign: bad rows are told with line and reason, the good ones go in."""
    order = ImportOrder(
        file=file,
        campaign=campaign,
        name=name or file.stem,
        team=team,
        from_number=from_number,
        columns=read_mapping(mapping or []),
        ignore=tuple(ignore or ()),
        region=region,
        encoding=encoding,
        elsewhere=elsewhere,
        rejected=rejected,
    )
    console = Console(stderr=as_json, highlight=False)
    work = look_at(Settings.load(), order, console) if preview else bring_in(Settings.load(), order, console)
    summary = asyncio.run(work)
    if as_json:
        Console(highlight=False, soft_wrap=True).print(json.dumps(summary), markup=False)


def read_mapping(pairs: list[str]) -> dict[str, str]:
    """["phone=Mobile"] → {"phone": "Mobile"}. Raises BadMapping."""
    read: dict[str, str] = {}
    for pair in pairs:
        target, equals, column = pair.partition("=")
        if not equals or not target.strip() or not column.strip():
            raise BadMapping(f'--map is TARGET=COLUMN, like phone=Mobile; "{pair}" is not.')
        read[target.strip()] = column.strip()
    return read


async def look_at(settings: Settings, order: ImportOrder, console: Console) -> dict[str, Any]:
    """Show and return what the file would be read as. Raises ApiRefused, ApiUnreachable."""
    async with open_client(settings) as client:
        seen = await _preview(client, order)
    console.print(show_preview(seen))
    return seen


async def bring_in(settings: Settings, order: ImportOrder, console: Console) -> dict[str, Any]:
    """The SUMMARY of the import, and its id. Raises ImportFailed, NoCampaignNamed, ApiRefused, ApiUnreachable."""
    if order.rejected is not None:
        check_writable(order.rejected)
    async with open_client(settings) as client:
        campaign_id = order.campaign or await _make_draft(client, order)
        done = await _import(client, order, campaign_id, console)
        if order.rejected is not None:
            await save_rejected(client, done["id"], order.rejected)
    console.print(show_import(done))
    if done["status"] == "failed":
        raise ImportFailed(
            f"{done['error']} {done['accepted']} contacts before that are in; mend the file and import it again."
        )
    console.print(f"Campaign {campaign_id} has them.", soft_wrap=True)
    return {name: done[name] for name in SUMMARY} | {"import_id": done["id"]}


async def _preview(client: httpx.AsyncClient, order: ImportOrder) -> dict[str, Any]:
    whom = {"campaign_id": order.campaign, "team": order.team}
    data = order.fields() | {name: value for name, value in whom.items() if value is not None}
    with order.file.open("rb") as file:
        return await _send(client, "/import-previews", order, file, data)


async def _make_draft(client: httpx.AsyncClient, order: ImportOrder) -> str:
    """For a file that can be read: a look first, so that a bad one leaves no empty campaign."""
    if order.team is None:
        raise NoCampaignNamed("Name the campaign (--campaign ID), or the team of a new one (--team SLUG).")
    await _preview(client, order)
    wished = {"name": order.name, "team": order.team, "from_number": order.from_number, "region": order.region}
    made = await ask(client, "POST", "/campaigns", json={k: v for k, v in wished.items() if v is not None})
    return str(made["id"])


async def _import(client: httpx.AsyncClient, order: ImportOrder, campaign_id: str, console: Console) -> dict[str, Any]:
    """The import, once it is over."""
    data = order.fields() | {"campaign_id": campaign_id, "elsewhere": order.elsewhere}
    with order.file.open("rb") as file:
        one = await _send(client, "/imports", order, file, data)
    with console.status("importing") as status:
        while one["status"] == "running":
            await asyncio.sleep(POLL_SECONDS)
            one = await ask(client, "GET", f"/imports/{one['id']}")
            status.update(f"{one['rows']} rows, {one['accepted']} accepted")
    return one


async def _send(
    client: httpx.AsyncClient, path: str, order: ImportOrder, file: BinaryIO, data: dict[str, str]
) -> dict[str, Any]:
    files = {"file": (order.file.name, file, "application/octet-stream")}
    answer: dict[str, Any] = await ask(client, "POST", path, files=files, data=data, timeout=UPLOAD_SECONDS)
    return answer


async def save_rejected(client: httpx.AsyncClient, import_id: str, out: Path) -> None:
    async with client.stream("GET", f"/imports/{import_id}/rejected") as answer:
        if not answer.is_success:
            body = await answer.aread()
            raise ApiRefused(describe_problem(answer.status_code, body.decode(errors="replace")))
        with out.open("wb") as sink:
            async for part in answer.aiter_bytes():
                sink.write(part)


def show_preview(seen: Mapping[str, Any]) -> RenderableType:
    """How the file is read, what each column is taken for, the first contacts, and the first faults."""
    taken = {column: target for target, column in seen["mapping"].items()}
    columns = Table("column", "is taken for", box=None, padding=(0, 2, 0, 0))
    for column in seen["columns"]:
        target = taken.get(column)
        columns.add_row(Text(column), Text(target, "cyan") if target else Text("left out", "dim"))
    people = Table("line", "phone", "name", "variables", box=None, padding=(0, 2, 0, 0))
    for contact in seen["contacts"]:
        variables = ", ".join(f"{name}: {value}" for name, value in contact["variables"].items())
        people.add_row(
            str(contact["line"]), Text(", ".join(contact["phones"])), Text(contact["name"] or ""), Text(variables)
        )
    faults = Table.grid(padding=(0, 2))
    for fault in seen["faults"]:
        faults.add_row(Text(f"  line {fault['line']}"), Text(fault["value"] or "-"), Text(fault["reason"]))
    how = " ".join(value for value in seen["dialect"].values() if value.strip())
    head = Text(f"Read as {how}, numbers as of {seen['region']}. Of {seen['checked']} rows {seen['good']} would go in.")
    warnings = [Text(f"warning: {warning}", "yellow") for warning in seen["warnings"]]
    hint = Text("Change a column with --map TARGET=COLUMN, leave one out with --ignore COLUMN.", "dim")
    return Group(head, *warnings, columns, people, faults, hint)
