"""`trunkline demo`: the main job, visibly. A SIP call, a carrier call, a handoff, and a campaign dialed to the end.

Nothing in it is staged: the stack is the one that `trunkline up` starts, the SIP caller is sipp, what was heard is
transcribed from the audio that came back, and what became of the campaign is what its rows and the carrier's journal
say.
"""

import asyncio
import io
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
from rich.console import Console

from app.console.demonstration.caller import Voice
from app.console.demonstration.calls import call_by_carrier, call_by_sip
from app.console.demonstration.campaign import dial_campaign
from app.console.demonstration.stage import Demo, run_trunkline
from app.settings import Settings
from telephony.simulator.phone.sip_phone import NobodySpoke, PhoneUnavailable


def run_demo(settings: Settings) -> int:
    """Start what does not run yet, show everything, stop what was started. Returns the exit status."""
    console = Console()
    began = time.monotonic()
    console.rule("[bold]Trunkline: the stack")
    started_here = not (settings.home / "demo.json").exists() or run_trunkline("status", "--json", quiet=True) != 0
    if started_here and run_trunkline("up", "--detach") != 0:
        return 1
    try:
        info = json.loads((settings.home / "demo.json").read_text())
        checks = asyncio.run(_show(settings, info, console))
    finally:
        if started_here:
            run_trunkline("down")
    return _sum_up(console, checks, time.monotonic() - began, settings)


async def _show(settings: Settings, info: dict[str, Any], console: Console) -> list[tuple[str, bool, str]]:
    voice = Voice()
    headers = {"Authorization": f"Bearer {info['api_key']}"}
    async with httpx.AsyncClient(base_url=info["api_url"], headers=headers, timeout=30) as api:
        demo = Demo(info, voice, console, api, settings)
        # Two callers at the same time; what the second one sees is shown when the first has hung up.
        aside = io.StringIO()
        second = replace(demo, console=Console(file=aside, width=console.width, force_terminal=console.is_terminal))
        carrier_call = asyncio.create_task(_play(second, "an inbound call through the carrier", call_by_carrier))
        await _play(demo, "an inbound SIP call", call_by_sip)
        await carrier_call
        console.file.write(aside.getvalue())
        await _play(demo, "a campaign of every persona", dial_campaign)
    voice.close()
    return demo.checks


async def _play(demo: Demo, title: str, act: Callable[[Demo], Awaitable[None]]) -> None:
    demo.console.rule(f"[bold]Trunkline: {title}")
    try:
        await act(demo)
    except (NobodySpoke, TimeoutError, ConnectionError, PhoneUnavailable, httpx.HTTPError) as error:
        demo.check(title, False, f"{type(error).__name__}: {error}")


def _sum_up(console: Console, checks: list[tuple[str, bool, str]], seconds: float, settings: Settings) -> int:
    missing = [what for what, happened, _ in checks if not happened]
    console.rule("[bold]Trunkline: the demo")
    console.print(f"{len(checks) - len(missing)} of {len(checks)} things happened, in {seconds:.0f} s.")
    if missing:
        console.print(f"[red]Did not happen:[/] {', '.join(missing)}. Logs: {settings.home}/logs/")
        return 1
    console.print(
        "Where to look next: `make run`, then open the api's /docs; call the sip_number of "
        f"{settings.home}/demo.json with a softphone; docs/flows.md tells how a call goes through the house."
    )
    return 0
