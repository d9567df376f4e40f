"""`trunkline campaign run FILE --team T`: a contacts file, dialed to the end before one's eyes.

Everything goes through the REST API: the campaign runs in the dialer, and goes on when this command ends.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import httpx
import typer
from rich.console import Console
from rich.live import Live

from app.console.campaigns.options import CallsPerSecond, FromNumber, MaxConcurrent, Sets, gather
from app.console.campaigns.results import check_writable, save_results
from app.console.campaigns.view import (
    Rate,
    counts_of,
    describe_progress,
    is_over,
    show_import,
    show_outcomes,
    show_progress,
    tell_state,
    waits_for_dialer,
)
from app.console.client import ApiUnreachable, ask, open_client
from app.errors import TrunklineError
from app.settings import Settings

POLL_SECONDS = 0.5
PLAIN_LINE_SECONDS = 2.0
PATIENCE_SECONDS = 60.0
"""How long the api may be away, restarting say, while a campaign is watched."""


class NobodyToCall(TrunklineError):
    """No row of the file is a contact that may be called."""

    code = "nobody_to_call"


@dataclass(frozen=True)
class Order:
    """What was asked for on the command line; None leaves the api's default."""

    file: Path
    team: str
    name: str
    results: Path
    options: dict[str, Any]


def run(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV, XLSX or JSON with a column of numbers.")
    ],
    team: Annotated[str, typer.Option("--team", help="The slug of the team that talks.")],
    name: Annotated[str, typer.Option("--name", help="Default: the file's name.")] = "",
    from_number: FromNumber = None,
    max_concurrent: MaxConcurrent = None,
    calls_per_second: CallsPerSecond = None,
    max_attempts: Annotated[int | None, typer.Option("--max-attempts", help="Dials per contact.")] = None,
    retry_delay: Annotated[float | None, typer.Option("--retry-delay", help="Seconds before another try.")] = None,
    ring_timeout: Annotated[int | None, typer.Option("--ring-timeout", help="Seconds, from 15.")] = None,
    sets: Sets = None,
    out: Annotated[Path | None, typer.Option("--out", help="Default: NAME-results.csv")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON on stdout at the end.")] = False,
) -> None:
    """Dial the contacts of a file, show how it goes, and write the results. Ctrl-C leaves it running. Exit status 1
    where it paused itself."""
    options = gather(
        sets=sets,
        from_number=from_number,
        max_concurrent=max_concurrent,
        calls_per_second=calls_per_second,
        max_attempts=max_attempts,
        retry_delay_seconds=retry_delay,
        ring_timeout_seconds=ring_timeout,
    )
    order = Order(file, team, name or file.stem, out or Path(f"{file.stem}-results.csv"), options)
    console = Console(stderr=as_json, highlight=False)
    summary = asyncio.run(CampaignRun(Settings.load(), order, console).run())
    if as_json:
        Console(highlight=False, soft_wrap=True).print(json.dumps(summary), markup=False)
    raise typer.Exit(0 if summary["status"] == "finished" else 1)


def write_form(options: Mapping[str, Any]) -> dict[str, Any]:
    """Objects as the JSON text that a form carries."""
    return {name: json.dumps(value) if isinstance(value, dict) else value for name, value in options.items()}


class Display:
    """Shows progress: drawn over and over on a terminal, elsewhere a line when something changed. Owns the screen."""

    def __init__(self, name: str, console: Console) -> None:
        self._name, self._console, self._rate = name, console, Rate()
        self._live = Live(console=console) if console.is_terminal else None
        self._told: Mapping[str, Any] = {}
        self._told_at = -PLAIN_LINE_SECONDS
        self._warned = False

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, progress: Mapping[str, Any], seconds: float) -> None:
        if not self._warned and waits_for_dialer(progress, seconds=seconds):
            self._console.print("Nothing dialed yet: is the dialer running? trunkline status", soft_wrap=True)
            self._warned = True
        if self._live:
            rate = self._rate.note(seconds, progress["attempts"]["dialed"])
            self._live.update(show_progress(self._name, progress, seconds=seconds, rate=rate))
            return
        due = is_over(progress) or seconds - self._told_at >= PLAIN_LINE_SECONDS
        counts = counts_of(progress)
        if due and counts != self._told:
            self._console.print(describe_progress(progress, seconds=seconds), markup=False, soft_wrap=True)
            self._told, self._told_at = counts, seconds


class CampaignRun:
    """One `campaign run`: makes, starts and watches the campaign, then fetches its results."""

    def __init__(self, settings: Settings, order: Order, console: Console) -> None:
        self._settings, self._order, self._console = settings, order, console
        self._started = time.monotonic()

    async def run(self) -> dict[str, Any]:
        """The summary: `{campaign_id, status, pause_reason, import, contacts, dispositions, results, seconds}`.

        Raises ResultsUnwritable, NobodyToCall, ApiRefused, ApiUnreachable. Interrupted, it says how to pause and goes.
        """
        # Before anyone is called: the calls cannot be made again because a folder is missing.
        check_writable(self._order.results)
        async with open_client(self._settings) as client:
            made = await self._create(client)
            self._console.print(show_import(made["import"]))
            if made["import"]["accepted"] == made["import"].get("blocked", 0):
                raise NobodyToCall("No row of the file is a contact that may be called; nothing was started.")
            await ask(client, "POST", f"/campaigns/{made['id']}/start")
            self._console.print(f"Campaign {made['id']} runs.", soft_wrap=True)
            try:
                progress = await self._watch(client, made["id"])
            except asyncio.CancelledError:
                self._console.print(
                    f"The campaign goes on without this command. Stop dialing: trunkline campaign pause {made['id']}",
                    soft_wrap=True,
                )
                raise
            await save_results(client, made["id"], self._order.results)
        return self._sum_up(made, progress)

    async def _create(self, client: httpx.AsyncClient) -> dict[str, Any]:
        order = self._order
        with order.file.open("rb") as file:
            return await ask(
                client,
                "POST",
                "/campaigns",
                files={"file": (order.file.name, file, "text/csv")},
                data={"name": order.name, "team": order.team, **write_form(order.options)},
                timeout=600,
            )

    async def _watch(self, client: httpx.AsyncClient, campaign_id: str) -> dict[str, Any]:
        """Show the progress until the campaign is finished, or has paused itself; the last counts."""
        with Display(self._order.name, self._console) as display:
            while True:
                progress = await self._ask_progress(client, campaign_id)
                display.show(progress, time.monotonic() - self._started)
                if is_over(progress):
                    return progress
                await asyncio.sleep(POLL_SECONDS)

    async def _ask_progress(self, client: httpx.AsyncClient, campaign_id: str) -> dict[str, Any]:
        """A short absence of the api is waited out. Raises ApiUnreachable, ApiRefused."""
        gone_since: float | None = None
        while True:
            try:
                return await ask(client, "GET", f"/campaigns/{campaign_id}/progress")
            except ApiUnreachable:
                gone_since = gone_since or time.monotonic()
                if time.monotonic() - gone_since > PATIENCE_SECONDS:
                    raise
                await asyncio.sleep(POLL_SECONDS)

    def _sum_up(self, made: dict[str, Any], progress: dict[str, Any]) -> dict[str, Any]:
        seconds = time.monotonic() - self._started
        contacts, dialed = progress["contacts"], progress["attempts"]["dialed"]
        finished = progress["status"] == "finished"
        self._console.print(
            f"{'Finished in' if finished else 'Paused itself after'} {seconds:.0f} s: {contacts['finished']} contacts, "
            f"{dialed} dials, {contacts['blocked']} blocked. Results: {self._order.results}",
            markup=False,
            soft_wrap=True,
        )
        if not finished:
            told = f"{tell_state(progress)}. {contacts['waiting']} wait; go on: trunkline campaign resume {made['id']}"
            self._console.print(told, style="yellow", markup=False, soft_wrap=True)
        if not self._console.is_terminal:
            self._console.print(show_outcomes(progress["dispositions"]))
        return {
            "campaign_id": made["id"],
            "status": progress["status"],
            "pause_reason": progress["pause_reason"],
            "import": {key: made["import"][key] for key in ("rows", "accepted", "rejected", "duplicates")},
            "contacts": contacts,
            "dispositions": progress["dispositions"],
            "results": str(self._order.results),
            "seconds": round(seconds, 1),
        }
