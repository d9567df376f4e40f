"""`trunkline campaign watch`, `report`, `results`, `evidence`: what comes of a campaign, on the screen and as files.

Everything comes from the REST API.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.live import Live

from app.console.campaigns.options import CampaignId
from app.console.campaigns.results import check_writable, unwritable
from app.console.campaigns.view import Rate, describe_progress, show_progress
from app.console.client import ApiRefused, ApiUnreachable, ask, describe_problem, open_client, read_id
from app.settings import Settings

PATIENCE_SECONDS = 60.0
"""How long a stream may stay away, while the api restarts say."""
SILENCE_SECONDS = 40.0
"""The api says something at least every 15 s."""


def watch(
    campaign_id: CampaignId,
    events: Annotated[bool, typer.Option("--events", help="Each event on a line, as JSON, instead of counts.")] = False,
) -> None:
    """See how it goes, until it is finished. Ctrl-C leaves it running."""
    asyncio.run(watch_campaign(Settings.load(), campaign_id, Console(highlight=False), as_events=events))


def report(
    campaign_id: CampaignId,
    out: Annotated[Path | None, typer.Option("--out", help="Default: campaign-ID.html")] = None,
) -> None:
    """The report as one HTML page of its own: open it in any browser, send it to anybody."""
    file = out or Path(f"campaign-{campaign_id}.html")
    asyncio.run(save_answer(Settings.load(), f"/campaigns/{campaign_id}/report", file))
    Console(highlight=False).print(f"{file}", markup=False, soft_wrap=True)


def results(
    campaign_id: CampaignId,
    out: Annotated[Path | None, typer.Option("--out", help="Default: stdout.")] = None,
    contacts: Annotated[bool, typer.Option("--contacts", help="A row a contact, not a row an attempt.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, not CSV.")] = False,
) -> None:
    """What came of every attempt, or contact, so far; details of the conversations are columns."""
    query = {"rows": "contacts" if contacts else "attempts", "format": "json" if as_json else "csv"}
    asyncio.run(save_answer(Settings.load(), f"/campaigns/{campaign_id}/results", out, query))


def evidence(
    campaign_id: CampaignId,
    attempt_id: Annotated[
        str | None, typer.Argument(parser=read_id, help="Default: every attempt, a line each.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Default: stdout.")] = None,
) -> None:
    """Why each dial was allowed and what was said first: JSON with a digest."""
    path = f"/campaigns/{campaign_id}" + (f"/attempts/{attempt_id}/evidence" if attempt_id else "/evidence")
    asyncio.run(save_answer(Settings.load(), path, out))


async def save_answer(settings: Settings, path: str, file: Path | None, query: Mapping[str, str] | None = None) -> None:
    """The answer's bytes into the file, or to stdout. Raises ResultsUnwritable, ApiUnreachable, ApiRefused."""
    if file is not None:
        check_writable(file)
    async with open_client(settings) as client:
        try:
            async with client.stream("GET", path, params=query, timeout=httpx.Timeout(30, read=600)) as answer:
                if not answer.is_success:
                    body = await answer.aread()
                    raise ApiRefused(describe_problem(answer.status_code, body.decode(errors="replace")))
                await _copy(answer, file)
        except httpx.TransportError as error:
            raise ApiUnreachable("The api went away while it answered; ask again.") from error


async def _copy(answer: httpx.Response, file: Path | None) -> None:
    if file is None:
        async for part in answer.aiter_bytes():
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
        return
    try:
        with file.open("wb") as sink:
            async for part in answer.aiter_bytes():
                sink.write(part)
    except OSError as error:
        raise unwritable(file, error) from error


async def watch_campaign(settings: Settings, campaign_id: str, console: Console, *, as_events: bool) -> None:
    """Show the campaign until it is finished, and of its events all up to that. Raises ApiUnreachable, ApiRefused."""
    started, rate = time.monotonic(), Rate()
    live = Live(console=console) if console.is_terminal and not as_events else None
    if live:
        live.start()
    try:
        async with open_client(settings) as client:
            shown = await ask(client, "GET", f"/campaigns/{campaign_id}")
            canary = CanaryWatch(client, campaign_id, shown["canary_status"] == "dialing")
            async with aclosing(follow(client, campaign_id)) as news:
                async for kind, data in news:
                    seconds = time.monotonic() - started
                    if kind == "progress" and not as_events:
                        data["canary"] = await canary.ask()
                    if as_events:
                        console.print(json.dumps(data), markup=False, soft_wrap=True)
                    elif kind == "progress" and live:
                        dials = rate.note(seconds, data["attempts"]["dialed"])
                        live.update(show_progress(shown["name"], data, seconds=seconds, rate=dials))
                    elif kind == "progress":
                        console.print(describe_progress(data, seconds=seconds), markup=False, soft_wrap=True)
                    if kind == "progress" and (data["complete"] if as_events else data["status"] == "finished"):
                        return
    finally:
        if live:
            live.stop()


@dataclass
class CanaryWatch:
    """How the first dials of a campaign go, as long as they are being judged."""

    client: httpx.AsyncClient
    campaign_id: str
    is_dialing: bool

    async def ask(self) -> dict[str, Any] | None:
        """None where there is nothing to judge any more. Raises ApiUnreachable, ApiRefused."""
        if not self.is_dialing:
            return None
        look: dict[str, Any] = await ask(self.client, "GET", f"/campaigns/{self.campaign_id}/canary")
        self.is_dialing = look["status"] == "dialing"
        return look


async def follow(client: httpx.AsyncClient, campaign_id: str) -> AsyncGenerator[tuple[str, Any]]:
    """The campaign's events, (kind, data) each; a stream that breaks is taken up after the last one. Raises
    ApiUnreachable, ApiRefused."""
    last_id, away_since = "", None
    while True:
        try:
            async with aclosing(_read_stream(client, campaign_id, last_id)) as events:
                async for event_id, kind, data in events:
                    last_id, away_since = event_id or last_id, None
                    if kind == "stream.ended":
                        raise ApiRefused("The key is no longer good.")
                    yield kind, json.loads(data)
        except httpx.TransportError as error:
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > PATIENCE_SECONDS:
                raise ApiUnreachable("The api does not come back. Is it up? `trunkline status`") from error
        await asyncio.sleep(1.0)


async def _read_stream(
    client: httpx.AsyncClient, campaign_id: str, last_id: str
) -> AsyncGenerator[tuple[str, str, str]]:
    """(id, kind, data) of each event until the stream ends."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
    wait = httpx.Timeout(30, read=SILENCE_SECONDS)
    async with client.stream("GET", f"/campaigns/{campaign_id}/events", headers=headers, timeout=wait) as answer:
        if not answer.is_success:
            body = await answer.aread()
            raise ApiRefused(describe_problem(answer.status_code, body.decode(errors="replace")))
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
                continue
            if "event" in fields and "data" in fields:
                yield fields.get("id", ""), fields["event"], fields["data"]
            fields = {}
