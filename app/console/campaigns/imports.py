"""`trunkline campaign imports` and `show-import`: files that were sent, whatever became of the command that did it."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.text import Text

from app.console.campaigns.importing import save_rejected
from app.console.campaigns.results import check_writable
from app.console.campaigns.tables import make_table, tell_instant
from app.console.campaigns.view import show_import
from app.console.client import open_client, read_id, request
from app.console.screen import AsJson, tell
from app.settings import Settings

_COUNTS = ("rows", "accepted", "rejected", "duplicates", "blocked", "warned")

ImportId = Annotated[str, typer.Argument(metavar="IMPORT", parser=read_id, help="The import's id.")]


def list_imports(
    campaign: Annotated[
        str | None, typer.Option("--campaign", help="Of this campaign only: its id.", parser=read_id)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200)] = 50,
    cursor: Annotated[str | None, typer.Option("--cursor", help="Go on where the list before ended.")] = None,
    as_json: AsJson = False,
) -> None:
    """The files that were imported, newest first, and how far each is."""
    asked: dict[str, Any] = {"limit": limit, "campaign_id": campaign, "cursor": cursor}
    found = request("GET", "/imports", params={name: value for name, value in asked.items() if value is not None})
    rows = [
        (one["id"], one["file_name"], one["status"], *(one[name] for name in _COUNTS), tell_instant(one["created_at"]))
        for one in found["data"]
    ]
    table = make_table(("ID", "FILE", "STATUS", *map(str.upper, _COUNTS), "SENT"), rows)
    more = [Text(f"There are more: --cursor {found['next_cursor']}")] if found["next_cursor"] else []
    tell(found, Group(table, *more) if rows else "No imports: trunkline campaign import FILE", as_json=as_json)


def show_one(
    import_id: ImportId,
    rejected: Annotated[Path | None, typer.Option("--rejected", help="Write the bad rows there, to mend.")] = None,
    as_json: AsJson = False,
) -> None:
    """How far an import is, and what is to be said of its rows."""
    if rejected is not None:
        check_writable(rejected)
    found = request("GET", f"/imports/{import_id}")
    if rejected is not None:
        asyncio.run(_save(import_id, rejected))
    tell(found, Group(Text(_tell_state(found)), show_import(found)), as_json=as_json)


def _tell_state(found: dict[str, Any]) -> str:
    state = f"{found['file_name']} into campaign {found['campaign_id']}: {found['status']}"
    return f"{state}: {found['error']}" if found["error"] else state


async def _save(import_id: str, out: Path) -> None:
    async with open_client(Settings.load()) as client:
        await save_rejected(client, import_id, out)
