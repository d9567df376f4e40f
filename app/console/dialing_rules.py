"""`trunkline rules show|set|check`: what the organization may dial, how often, and for how much."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from app.console.client import ask, open_client
from app.console.screen import AsJson, say, tell
from app.errors import InvalidInput
from app.settings import Settings

rules = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Dialing rules: what may be dialed, how often, for how much."
)

PATH = "/dialing-rules"
_SHOWN_ONLY = ("country", "set_at", "set_by", "spent")
"""What `show` tells beside the rules; a file made of its output can be set again."""


class NotRules(InvalidInput):
    """The file is no JSON object."""

    code = "not_rules"


@rules.command("show")
def show() -> None:
    """The rules that hold now, as JSON; mend them and give them to `trunkline rules set`."""
    say(_run(fetch_rules))


@rules.command("set")
def set_all(file: Annotated[Path, typer.Argument(help="JSON, as `trunkline rules show` prints it.")]) -> None:
    """Set all of them from a file: what it leaves out goes back to its default. They hold from the next dial on."""
    text = read_rules_file(file)
    say(_run(lambda client: put_rules(client, text)))


@rules.command("check")
def check(
    number: Annotated[str, typer.Argument(help="+12025550123, or as written in your country.")],
    as_json: AsJson = False,
) -> None:
    """Whether this number may be dialed, and why not; exit status 1 where it may not."""
    found = _run(lambda client: check_number(client, number))
    told = f"{found['to']} ({found['country'] or 'country unknown'}): {found['reason'] or 'may be dialed'}"
    tell(found, told, as_json=as_json)
    raise typer.Exit(0 if found["allowed"] else 1)


def read_rules_file(file: Path) -> str:
    """UTF-8 text, with or without the mark that some editors begin it with. Raises NotRules."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotRules(f"{file} is not text in UTF-8.") from error
    except OSError as error:
        raise NotRules(f"{file} cannot be read: {error.strerror}.") from error


async def fetch_rules(client: httpx.AsyncClient) -> str:
    """As indented JSON."""
    return json.dumps(await ask(client, "GET", PATH), indent=2)


async def put_rules(client: httpx.AsyncClient, text: str) -> str:
    """Set them; returns what holds then. Raises NotRules, ApiRefused."""
    try:
        given = json.loads(text)
    except ValueError as error:
        raise NotRules(f"The file is not JSON: {error}.") from error
    if not isinstance(given, dict):
        raise NotRules("The file must hold one JSON object: the rules, as `trunkline rules show` prints them.")
    body: dict[str, Any] = {str(name): value for name, value in given.items() if name not in _SHOWN_ONLY}
    return json.dumps(await ask(client, "PUT", PATH, json=body), indent=2)


async def check_number(client: httpx.AsyncClient, number: str) -> dict[str, Any]:
    """to, allowed, country, reason."""
    found: dict[str, Any] = await ask(client, "GET", f"{PATH}/check", params={"to": number})
    return found


def _run(question: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
    async def one() -> Any:
        async with open_client(Settings.load()) as client:
            return await question(client)

    return asyncio.run(one())
