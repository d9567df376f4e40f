"""`trunkline lanes list|set`: how fast is dialed and how many calls there are at once: in all, and by trunk, carrier
account and number."""

import asyncio
from collections.abc import Mapping
from math import inf, isfinite
from typing import Annotated, Any

import httpx
import typer
from rich.console import Group, RenderableType
from rich.text import Text

from app.console.campaigns.options import BadOption
from app.console.campaigns.tables import make_table
from app.console.client import ask, open_client
from app.console.screen import AsJson, tell
from app.errors import NotFound
from app.settings import Settings

lanes = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Lanes: how fast, and how many calls at once, by trunk, carrier account and number, and in all.",
)

PATH = "/lanes"
WHOLE = "organization"
NO_LIMIT = "none"
PAGE = 200


class NoSuchLane(NotFound):
    """No trunk, carrier account or number of the organization is called so."""

    code = "no_such_lane"


@lanes.command("list")
def show_all(as_json: AsJson = False) -> None:
    """The limit of the organization, and every lane that its dials go through, with limits or without."""
    limits, names = asyncio.run(fetch_lanes(Settings.load()))
    tell(limits, show_limits(limits, names), as_json=as_json)


@lanes.command("set")
def set_one(
    lane: Annotated[
        str,
        typer.Argument(
            metavar="LANE", help="As the list names it; or one of our numbers, the name of a trunk, or organization."
        ),
    ],
    calls_per_second: Annotated[
        str | None, typer.Option("--calls-per-second", help="Of all dialers together, or none: no limit of its own.")
    ] = None,
    max_concurrent: Annotated[
        str | None, typer.Option("--max-concurrent", help="Calls at once, both ways, or none: no limit of its own.")
    ] = None,
    inbound_share: Annotated[
        str | None, typer.Option("--inbound-share", help="Of the organization's calls at once: kept free for callers.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set limits of one lane, or of the organization; what is not said stays. They hold from the next dial on."""
    given = read_limits(lane, calls_per_second, max_concurrent, inbound_share)
    limits, names = asyncio.run(set_limits(Settings.load(), lane, given))
    tell(limits, show_limits(limits, names), as_json=as_json)


def read_limits(
    lane: str, calls_per_second: str | None, max_concurrent: str | None, inbound_share: str | None
) -> dict[str, float | int | None]:
    """What is said, by the api's names. Raises BadOption."""
    given: dict[str, float | int | None] = {}
    if calls_per_second is not None:
        if lane == WHOLE:
            raise BadOption("The organization has no --calls-per-second: a trunk, a carrier account or a number has.")
        given["calls_per_second"] = _read("--calls-per-second", calls_per_second, float)
    if max_concurrent is not None:
        name = "max_concurrent_calls" if lane == WHOLE else "max_concurrent"
        given[name] = _read("--max-concurrent", max_concurrent, int)
    if inbound_share is not None:
        if lane != WHOLE:
            raise BadOption(f"Only the {WHOLE} has an --inbound-share: trunkline lanes set {WHOLE} --inbound-share 0.2")
        given["inbound_share"] = _read("--inbound-share", inbound_share, float) or 0.0
    if not given:
        raise BadOption("Say what to set: --max-concurrent, --calls-per-second or --inbound-share.")
    return given


def _read(option: str, text: str, kind: type[float] | type[int]) -> float | int | None:
    if text == NO_LIMIT:
        return None
    try:
        value = kind(text)
    except ValueError:
        value = inf
    if not isfinite(value):
        what = "a whole number" if kind is int else "a number"
        raise BadOption(f'{option}: "{text}" is neither {what} nor {NO_LIMIT}.')
    return value


async def fetch_lanes(settings: Settings) -> tuple[dict[str, Any], dict[str, str]]:
    """The limits as the api tells them, and what people call each lane, by key. Raises ApiRefused."""
    async with open_client(settings) as client:
        return await ask(client, "GET", PATH), await _read_names(client)


async def set_limits(
    settings: Settings, lane: str, given: Mapping[str, float | int | None]
) -> tuple[dict[str, Any], dict[str, str]]:
    """What holds then. The api sets all limits at once: of two who set some in the same moment, one may undo the other.
    Raises NoSuchLane, ApiRefused."""
    async with open_client(settings) as client:
        limits, names = await ask(client, "GET", PATH), await _read_names(client)
        body = put_limits(limits, None if lane == WHOLE else find_key(lane, limits["keys"], names), given)
        return await ask(client, "PUT", PATH, json=body), names


def find_key(lane: str, keys: list[str], names: Mapping[str, str]) -> str:
    """The key of a lane by itself, a number of ours or a trunk's name. Raises NoSuchLane."""
    number = "".join(character for character in lane if character.isdigit() or character == "+")
    for key in keys:
        if lane == key or names.get(key) == lane or (number.startswith("+") and names.get(key) == number):
            return key
    there = ", ".join(f"{key} ({names[key]})" if key in names else key for key in keys) or "none yet"
    raise NoSuchLane(f"There is no lane {lane}. There are: {WHOLE}, {there}")


def put_limits(limits: Mapping[str, Any], key: str | None, given: Mapping[str, float | int | None]) -> dict[str, Any]:
    """All limits, with those given of one lane, or of the organization where `key` is None: what PUT takes. Limits of
    a trunk or number that is gone are left out: they bind nothing, and PUT refuses them."""
    there = [lane for lane in limits["lanes"] if lane["key"] in limits["keys"]]
    body = {"max_concurrent_calls": limits["max_concurrent_calls"], "inbound_share": limits["inbound_share"]}
    if key is None:
        return {**body, "lanes": there, **given}
    free = {"key": key, "calls_per_second": None, "max_concurrent": None}
    after = {**next((lane for lane in there if lane["key"] == key), free), **given}
    others = [lane for lane in there if lane["key"] != key]
    is_limited = after["calls_per_second"] is not None or after["max_concurrent"] is not None
    return {**body, "lanes": [*others, after] if is_limited else others}


async def _read_names(client: httpx.AsyncClient) -> dict[str, str]:
    """Numbers and names of trunks, by the keys of their lanes."""
    trunks = (await ask(client, "GET", "/trunks"))["data"]
    names = {f"trunk:{trunk['id']}": str(trunk["name"]) for trunk in trunks}
    asked: dict[str, Any] = {"limit": PAGE}
    while True:
        page = await ask(client, "GET", "/numbers", params=asked)
        names |= {f"number:{number['id']}": str(number["e164"]) for number in page["data"]}
        if page["next_cursor"] is None:
            return names
        asked["cursor"] = page["next_cursor"]


def show_limits(limits: Mapping[str, Any], names: Mapping[str, str]) -> RenderableType:
    """The organization first, then every lane."""
    limited = {lane["key"]: lane for lane in limits["lanes"]}
    rows: list[tuple[Any, ...]] = [(WHOLE, "", "", _tell(limits["max_concurrent_calls"]))]
    for key in sorted({*limits["keys"], *limited}):
        lane = limited.get(key, {})
        rows.append((key, names.get(key), _tell(lane.get("calls_per_second")), _tell(lane.get("max_concurrent"))))
    table = make_table(("LANE", "IS", "CALLS PER SECOND", "CALLS AT ONCE"), rows)
    # A key is there to be copied: it never breaks.
    table.columns[0].no_wrap = True
    share = limits["inbound_share"]
    return (
        Group(table, Text(f"Kept free for callers: {share:.0%} of the organization's calls at once"))
        if share
        else table
    )


def _tell(limit: float | int | None) -> str:
    return "no limit" if limit is None else f"{limit:g}"
