"""`trunkline webhooks add|list|log|test|retry|rotate|on|off|remove`: where we tell of campaign events."""

from typing import Annotated

import typer

from app.console.campaigns.tables import make_table, tell_instant
from app.console.client import read_id, request
from app.console.screen import AsJson, tell

webhooks = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Webhooks: addresses that are told of campaign events, signed."
)

PATH = "/webhook-endpoints"

Endpoint = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Its id.", parser=read_id)]
Delivery = Annotated[str, typer.Argument(metavar="DELIVERY", help="Its id, as the log tells.", parser=read_id)]


@webhooks.command("add")
def add(
    url: Annotated[str, typer.Argument(help="https://…")],
    event: Annotated[list[str] | None, typer.Option("--event", help="A kind, again for more; default: all.")] = None,
    campaign: Annotated[str | None, typer.Option("--campaign", help="Only of this campaign.")] = None,
    description: Annotated[str, typer.Option("--description")] = "",
    as_json: AsJson = False,
) -> None:
    """Tell this address from now on. Its secret is shown this once: check signatures with it (Standard Webhooks)."""
    body = {"url": url, "events": event or [], "description": description, "campaign_id": campaign}
    made = request("POST", PATH, json=body)
    tell(made, f"{made['id']} {made['url']}\nsecret: {made['secret']}", as_json=as_json)


@webhooks.command("list")
def show_all(as_json: AsJson = False) -> None:
    """Every address, whether it is told, and of what."""
    found = request("GET", PATH)
    rows = (
        (
            one["id"],
            one["url"],
            ", ".join(one["events"]) or "all",
            "on" if one["enabled"] else f"off: {one['disabled_reason'] or 'turned off'}",
        )
        for one in found
    )
    tell(found, make_table(("ID", "URL", "EVENTS", "STATE"), rows), as_json=as_json)


@webhooks.command("log")
def show_log(
    endpoint_id: Endpoint,
    status: Annotated[str | None, typer.Option("--status", help="pending, delivered or failed.")] = None,
    as_json: AsJson = False,
) -> None:
    """The newest deliveries and what became of them."""
    found = request("GET", f"{PATH}/{endpoint_id}/deliveries", params={"status": status} if status else {})
    keys = ("id", "kind", "status", "tries", "last_status", "last_error", "next_at")
    rows = ([row[key] for key in keys] for row in found["data"])
    tell(found, make_table(("ID", "KIND", "STATUS", "TRIES", "ANSWERED", "WHY", "NEXT"), rows), as_json=as_json)


@webhooks.command("test")
def send_test(endpoint_id: Endpoint, as_json: AsJson = False) -> None:
    """Send it a webhook.test; `trunkline webhooks log` tells what came of it."""
    sent = request("POST", f"{PATH}/{endpoint_id}/test")
    tell(sent, f"A test is on its way to {sent['url']}.", as_json=as_json)


@webhooks.command("retry")
def retry(endpoint_id: Endpoint, delivery_id: Delivery, as_json: AsJson = False) -> None:
    """Send a delivery once more, whatever became of it."""
    sent = request("POST", f"{PATH}/{endpoint_id}/deliveries/{delivery_id}/retry")
    tell(sent, f"{sent['kind']} is sent again.", as_json=as_json)


@webhooks.command("rotate")
def rotate(endpoint_id: Endpoint, as_json: AsJson = False) -> None:
    """Give it a new secret, shown this once. For a day the old one signs too."""
    made = request("POST", f"{PATH}/{endpoint_id}/rotate-secret")
    until = tell_instant(made["old_secret_until"])
    told = f"{made['url']} is told with a new secret; the old one signs too until {until}.\nsecret: {made['secret']}"
    tell(made, told, as_json=as_json)


@webhooks.command("on")
def turn_on(endpoint_id: Endpoint, as_json: AsJson = False) -> None:
    """Tell it again; what was pending goes out too."""
    changed = request("PATCH", f"{PATH}/{endpoint_id}", json={"enabled": True})
    tell(changed, f"{changed['url']} is told.", as_json=as_json)


@webhooks.command("off")
def turn_off(endpoint_id: Endpoint, as_json: AsJson = False) -> None:
    """Tell it nothing for now."""
    changed = request("PATCH", f"{PATH}/{endpoint_id}", json={"enabled": False})
    tell(changed, f"{changed['url']} is not told any more.", as_json=as_json)


@webhooks.command("remove")
def remove(endpoint_id: Endpoint, as_json: AsJson = False) -> None:
    """Tell it nothing more; its log goes with it."""
    removed = request("DELETE", f"{PATH}/{endpoint_id}")
    tell(removed, f"{removed['url']} is removed.", as_json=as_json)
