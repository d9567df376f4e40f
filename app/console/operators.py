"""`trunkline operators add|list|available|show|join|outcome|done|offline`: the people who take calls."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Annotated, Any

import httpx
import typer

from app.console.callees.contacts import read_variable
from app.console.campaigns.tables import make_table
from app.console.client import ask, open_client
from app.console.screen import say as _say
from app.console.screen import show as show_wide
from app.errors import Conflict, NotFound
from app.settings import Settings

operators = typer.Typer(no_args_is_help=True, add_completion=False, help="Operators: the people who take calls.")

PATH = "/operators"
WAIT_SECONDS = 4.0
HELD = ("reserved", "on_call")

Who = Annotated[str, typer.Argument(help="Name or id.")]
Campaigns = Annotated[
    list[str] | None, typer.Option("--campaign", help="Take the calls of this one, again for more; default: all.")
]


class NoSuchOperator(NotFound):
    """Nobody of this name or id."""

    code = "no_such_operator"


class NothingToWriteUp(Conflict):
    """No call is theirs, and none was until a moment ago."""

    code = "no_call"


@operators.command("add")
def add(name: str, campaign: Campaigns = None, wrap_up_seconds: Annotated[int, typer.Option(min=0)] = 15) -> None:
    """Add an operator, offline at first."""
    body = {"name": name, "campaigns": campaign, "wrap_up_seconds": wrap_up_seconds}
    _say(_describe(_run(lambda client: ask(client, "POST", PATH, json=body))))


@operators.command("list")
def show_all() -> None:
    """Everybody and what they do now."""
    keys = ("id", "name", "state", "since", "missed")
    rows = [[one[key] for key in keys] for one in _run(lambda client: ask(client, "GET", PATH))]
    show_wide(make_table(("ID", "NAME", "STATE", "SINCE", "MISSED"), rows))


@operators.command("show")
def show(who: Who) -> None:
    """One operator, and the call that is theirs."""
    _say(_describe(_run(lambda client: find(client, who))))


@operators.command("available")
def be_available(who: Who) -> None:
    """Take calls until Ctrl-C. For each call one line of JSON: its number, and url and token for a LiveKit client,
    which must be in the room within two seconds."""
    try:
        _run(lambda client: take_calls(client, who))
    except KeyboardInterrupt:
        _run(lambda client: change(client, who, "offline"))


@operators.command("join")
def join(who: Who) -> None:
    """The key to the room of the call that is theirs, as JSON."""
    _say(json.dumps(_run(lambda client: fetch_key(client, who))))


@operators.command("outcome")
def write_up(
    who: Who,
    word: Annotated[
        str,
        typer.Argument(help="reached, callback, do-not-call, wrong-number, voicemail, or a word of the campaign's."),
    ],
    detail: Annotated[
        list[str] | None, typer.Option("--detail", help="NAME=VALUE, a column of the results; again for more.")
    ] = None,
    callback: Annotated[
        str | None, typer.Option(help='When to call again: an instant, or words by their clocks: "tomorrow at three".')
    ] = None,
    done: Annotated[bool, typer.Option("--done", help="Written up: available again.")] = False,
) -> None:
    """What the call that is theirs came to, while they talk or write it up; the last one counts."""
    details = {name: value or "" for name, value in map(read_variable, detail or [])}
    body = {"outcome": word, "details": details, "callback": callback, "done": done}
    noted = _run(lambda client: note_outcome(client, who, body))
    _say(json.dumps({key: noted[key] for key in ("call_id", "outcome", "details")}))


@operators.command("done")
def end_wrap_up(who: Who) -> None:
    """End writing up: available again."""
    _say(_describe(_run(lambda client: change(client, who, "available"))))


@operators.command("offline")
def go_offline(who: Who) -> None:
    """Take no more calls."""
    _say(_describe(_run(lambda client: change(client, who, "offline"))))


async def find(client: httpx.AsyncClient, who: str) -> dict[str, Any]:
    """The operator of this name or id. Raises NoSuchOperator."""
    everybody: list[dict[str, Any]] = await ask(client, "GET", PATH)
    for one in everybody:
        if who in (one["id"], one["name"]):
            return one
    raise NoSuchOperator(f"There is no operator {who}: trunkline operators list")


async def change(client: httpx.AsyncClient, who: str, state: str) -> dict[str, Any]:
    """As they are then."""
    one = await find(client, who)
    changed: dict[str, Any] = await ask(client, "PATCH", f"{PATH}/{one['id']}", json={"state": state})
    return changed


async def note_outcome(client: httpx.AsyncClient, who: str, body: dict[str, Any]) -> dict[str, Any]:
    """Of the call that is theirs now. Raises NothingToWriteUp."""
    one = await find(client, who)
    if one["call"] is None:
        raise NothingToWriteUp(f"No call is {one['name']}'s to write up: trunkline operators show {who}")
    noted: dict[str, Any] = await ask(
        client, "PUT", f"{PATH}/{one['id']}/outcome", json={"call_id": one["call"]["id"], **body}
    )
    return noted


async def fetch_key(client: httpx.AsyncClient, who: str) -> dict[str, Any]:
    one = await find(client, who)
    key: dict[str, Any] = await ask(client, "POST", f"{PATH}/{one['id']}/join")
    return key


async def take_calls(client: httpx.AsyncClient, who: str) -> None:
    """Until cancelled, or until they are offline by a call that they missed."""
    operator = await change(client, who, "available")
    _say(_describe(operator))
    async for now in follow(client, operator):
        if now["state"] == "reserved":
            key = await ask(client, "POST", f"{PATH}/{now['id']}/join")
            _say(json.dumps({"call": now["call"], **key}))
        else:
            _say(_describe(now))
        if now["state"] == "offline":
            return


async def follow(client: httpx.AsyncClient, known: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
    """Beats for ever; each change of the operator's state."""
    while True:
        query = {"known": known["state"], "wait_seconds": WAIT_SECONDS}
        now: dict[str, Any] = await ask(client, "POST", f"{PATH}/{known['id']}/beat", params=query)
        if now["state"] != known["state"]:
            known = now
            yield now


def _describe(one: dict[str, Any]) -> str:
    call = one["call"] if one["state"] in (*HELD, "wrap_up") else None
    about = f", call {call['id']} to {call['phone']}" if call else ""
    return f"{one['id']} {one['name']}: {one['state']}{about}"


def _run(question: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
    async def one() -> Any:
        async with open_client(Settings.load()) as client:
            return await question(client)

    return asyncio.run(one())
