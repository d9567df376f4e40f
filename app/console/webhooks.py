"""`trunkline webhooks add|list|log|test|retry|rotate|on|off|remove`: where we tell of campaign events."""

import asyncio
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from app.console.campaigns.tables import make_table, tell_instant
from app.console.client import ask, open_client
from app.settings import Settings

webhooks = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Webhooks: addresses that are told of campaign events, signed."
)

PATH = "/webhook-endpoints"


@webhooks.command("add")
def add(
    url: Annotated[str, typer.Argument(help="https://…")],
    event: Annotated[list[str] | None, typer.Option("--event", help="A kind, again for more; default: all.")] = None,
    campaign: Annotated[str | None, typer.Option("--campaign", help="Only of this campaign.")] = None,
    description: Annotated[str, typer.Option("--description")] = "",
) -> None:
    """Tell this address from now on. Its secret is shown this once: check signatures with it (Standard Webhooks)."""
    body = {"url": url, "events": event or [], "description": description, "campaign_id": campaign}
    made = _ask("POST", PATH, json=body)
    _say(f"{made['id']} {made['url']}")
    _say(f"secret: {made['secret']}")


@webhooks.command("list")
def show_all() -> None:
    """Every address, whether it is told, and of what."""
    rows = [
        (
            one["id"],
            one["url"],
            ", ".join(one["events"]) or "all",
            "on" if one["enabled"] else f"off: {one['disabled_reason'] or 'turned off'}",
        )
        for one in _ask("GET", PATH)
    ]
    _show(make_table(("ID", "URL", "EVENTS", "STATE"), rows))


@webhooks.command("log")
def show_log(
    endpoint_id: str,
    status: Annotated[str | None, typer.Option("--status", help="pending, delivered or failed.")] = None,
) -> None:
    """The newest deliveries and what became of them."""
    query = {"status": status} if status else {}
    keys = ("id", "kind", "status", "tries", "last_status", "last_error", "next_at")
    rows = [[row[key] for key in keys] for row in _ask("GET", f"{PATH}/{endpoint_id}/deliveries", params=query)["data"]]
    _show(make_table(("ID", "KIND", "STATUS", "TRIES", "ANSWERED", "WHY", "NEXT"), rows))


@webhooks.command("test")
def send_test(endpoint_id: str) -> None:
    """Send it a webhook.test; `trunkline webhooks log` tells what came of it."""
    _say(f"A test is on its way to {_ask('POST', f'{PATH}/{endpoint_id}/test')['url']}.")


@webhooks.command("retry")
def retry(endpoint_id: str, delivery_id: str) -> None:
    """Send a delivery once more, whatever became of it."""
    _say(f"{_ask('POST', f'{PATH}/{endpoint_id}/deliveries/{delivery_id}/retry')['kind']} is sent again.")


@webhooks.command("rotate")
def rotate(endpoint_id: str) -> None:
    """Give it a new secret, shown this once. For a day the old one signs too."""
    made = _ask("POST", f"{PATH}/{endpoint_id}/rotate-secret")
    until = tell_instant(made["old_secret_until"])
    _say(f"{made['url']} is told with a new secret; the old one signs too until {until}.")
    _say(f"secret: {made['secret']}")


@webhooks.command("on")
def turn_on(endpoint_id: str) -> None:
    """Tell it again; what was pending goes out too."""
    _say(f"{_ask('PATCH', f'{PATH}/{endpoint_id}', json={'enabled': True})['url']} is told.")


@webhooks.command("off")
def turn_off(endpoint_id: str) -> None:
    """Tell it nothing for now."""
    _say(f"{_ask('PATCH', f'{PATH}/{endpoint_id}', json={'enabled': False})['url']} is not told any more.")


@webhooks.command("remove")
def remove(endpoint_id: str) -> None:
    """Tell it nothing more; its log goes with it."""
    _say(f"{_ask('DELETE', f'{PATH}/{endpoint_id}')['url']} is removed.")


def _ask(method: str, path: str, **content: Any) -> Any:
    async def one() -> Any:
        async with open_client(Settings.load()) as client:
            return await ask(client, method, path, **content)

    return asyncio.run(one())


def _show(table: Table) -> None:
    """As wide as it must be where no terminal bounds it."""
    console = Console(highlight=False)
    (console if console.is_terminal else Console(highlight=False, width=200)).print(table)


def _say(line: str) -> None:
    Console(highlight=False).print(line, markup=False, soft_wrap=True)
