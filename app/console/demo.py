"""`trunkline demo`: the main job, visibly. A SIP call, a carrier call, a handoff, and a campaign dialed to the end.

Nothing in it is staged: the stack is the one that `trunkline up` starts, the SIP caller is sipp, what was heard is
transcribed from the audio that came back, and what became of the campaign is what its rows and the api say.
"""

import asyncio
import csv
import io
import json
import subprocess
import sys
import time
import wave
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from app.clock import utc_now
from app.console.caller import SpokenCaller, Voice
from app.settings import Settings
from telephony.media.g711 import Samples
from telephony.simulator.people.table import SHIPPED, load_personas
from telephony.simulator.phone.sip_phone import NobodySpoke, PhoneUnavailable, place_sip_call

EXAMPLE = Path("examples/harbor-dental")
GREETING = "Thank you for calling Harbor Dental. This is Rosa. How can I help you?"
SIP_CALLER, CARRIER_CALLER = "+12025550190", "+12025550191"
CARRIER_LINES = ("What are your opening hours?", "I would like to book an appointment.", "Goodbye.")
CARRIER_PERSONA = {"kind": "answers", "lines": [{"say": line} for line in CARRIER_LINES], "hangs_up": True}


@dataclass
class Demo:
    """One run: what it talks to, and what it has seen so far. `checks`: (what, whether it happened, evidence)."""

    info: dict[str, Any]
    voice: Voice
    console: Console
    api: httpx.AsyncClient
    home: Path
    began: datetime = field(default_factory=utc_now)
    checks: list[tuple[str, bool, str]] = field(default_factory=list[tuple[str, bool, str]])

    def check(self, what: str, happened: bool, evidence: str) -> None:
        self.checks.append((what, happened, evidence))
        self.console.print(f"  {'[green]✓[/]' if happened else '[red]✗[/]'} {what}: {evidence}")


def run_demo(settings: Settings) -> int:
    """Start what does not run yet, show everything, stop what was started. Returns the exit status."""
    console = Console()
    began = time.monotonic()
    console.rule("[bold]Trunkline: the stack")
    started_here = not (settings.home / "demo.json").exists() or _trunkline("status", "--json", quiet=True) != 0
    if started_here and _trunkline("up", "--detach") != 0:
        return 1
    try:
        info = json.loads((settings.home / "demo.json").read_text())
        checks = asyncio.run(_show(settings, info, console))
    finally:
        if started_here:
            _trunkline("down")
    return _sum_up(console, checks, time.monotonic() - began, settings)


async def _show(settings: Settings, info: dict[str, Any], console: Console) -> list[tuple[str, bool, str]]:
    voice = Voice()
    headers = {"Authorization": f"Bearer {info['api_key']}"}
    async with httpx.AsyncClient(base_url=info["api_url"], headers=headers, timeout=30) as api:
        demo = Demo(info, voice, console, api, settings.home)
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


async def call_by_sip(demo: Demo) -> None:
    """sipp calls our number, asks, is handed to another agent, and says goodbye."""
    info, out = demo.info, demo.console
    number = info["sip_number"]
    async with place_sip_call(info["sip_host"], info["sip_port"], number, caller=SIP_CALLER) as call:
        caller = SpokenCaller(call, demo.voice)
        greeting = await caller.hear_greeting()
        out.print(f"  [cyan]agent [/] {greeting.heard}")
        for line in ("What are your opening hours?", "I have a question about my bill."):
            out.print(f"  [yellow]caller[/] {line}")
            exchange = await caller.ask(line)
            out.print(f"  [cyan]agent [/] {exchange.heard}  [dim]({exchange.wait_seconds:.2f} s)[/]")
        out.print("  [yellow]caller[/] Goodbye.")
        farewell = await caller.ask("Goodbye.")
        out.print(f"  [cyan]agent [/] {farewell.heard}")
        await call.wait_over(10)
        assert call.answered_at is not None
        assert call.invited_at is not None
        demo.check("SIP call answered", True, f"INVITE → 200 OK in {call.answered_at - call.invited_at:.2f} s")
    said = words([exchange.heard for exchange in caller.exchanges])
    demo.check(
        "greeting heard", sounds_like(GREETING, greeting.heard), f"{greeting.wait_seconds:.2f} s after the answer"
    )
    demo.check(
        "right answer heard", "monday to friday" in said, f"{caller.exchanges[1].wait_seconds:.2f} s after asking"
    )
    demo.check("billing answered", "billing" in words([caller.exchanges[2].heard]), "after the handoff")
    record = await find_record(demo, SIP_CALLER)
    await check_record(demo, record, handoff="billing")


async def call_by_carrier(demo: Demo) -> None:
    """The simulated carrier calls our other number over a media stream; what its caller heard is transcribed."""
    simulator = demo.info["simulator_url"]
    body = {"from": CARRIER_CALLER, "to": demo.info["carrier_number"], "persona": CARRIER_PERSONA}
    async with httpx.AsyncClient(base_url=simulator, timeout=30) as client:
        placed = (await client.post("/simulator/calls", json=body)).raise_for_status().json()
        async with asyncio.timeout(90):
            while True:
                state = (await client.get(f"/simulator/calls/{placed['sid']}")).raise_for_status().json()
                if state["status"] not in ("queued", "initiated", "ringing", "in-progress"):
                    break
                await asyncio.sleep(0.5)
        heard = read_wav((await client.get(f"/simulator/calls/{placed['sid']}/heard.wav")).raise_for_status().content)
    transcript = await demo.voice.transcribe(heard)
    demo.console.print(f"  [dim]the caller said[/]  {' / '.join(CARRIER_LINES)}")
    demo.console.print(f"  [dim]the caller heard[/] {transcript}")
    said = words([transcript])
    first = " ".join(said.split()[: len(GREETING.split())])
    demo.check("greeting heard over the stream", sounds_like(GREETING, first), "in the audio that came back")
    demo.check("right answer heard over the stream", "monday to friday" in said, "transcribed")
    record = await find_record(demo, CARRIER_CALLER)
    await check_record(demo, record, handoff="scheduling")


async def find_record(demo: Demo, caller: str) -> dict[str, Any]:
    """The call of this run from that number, once it has ended."""
    async with asyncio.timeout(15):
        while True:
            page = (await demo.api.get("/api/v1/calls", params={"direction": "inbound"})).raise_for_status().json()
            for call in page["data"]:
                begun = datetime.fromisoformat(call["created_at"])
                if call["from_number"] == caller and call["ended_at"] and begun >= demo.began:
                    return call
            await asyncio.sleep(0.3)


async def check_record(demo: Demo, call: dict[str, Any], *, handoff: str) -> None:
    """What the api says of the call: its turns, the handoff and the recording."""
    events = (await demo.api.get(f"/api/v1/calls/{call['id']}/events")).raise_for_status().json()["data"]
    turns = (await demo.api.get(f"/api/v1/calls/{call['id']}/turns")).raise_for_status().json()["data"]
    handed = [event["data"].get("to") for event in events if event["kind"] == "handoff.made"]
    demo.check("handoff", handoff in handed, f"{' → '.join(['reception', *handed])}, {len(turns)} turns stored")
    recording = await fetch_recording(demo, call["id"])
    demo.check("recording", bool(recording), f"{len(recording) / 1e6:.1f} MB, two channels")


async def fetch_recording(demo: Demo, call_id: str) -> bytes:
    """The WAV, which is put away a moment after the call has ended; empty if it never comes."""
    for _ in range(20):
        recording = await demo.api.get(f"/api/v1/calls/{call_id}/recording")
        if recording.status_code == 200:
            return recording.content
        await asyncio.sleep(0.5)
    return b""


async def dial_campaign(demo: Demo) -> None:
    """`trunkline campaign run` on the example's contacts; the api and the carrier's journal say what came of it."""
    await forget_last_demo(demo)
    results = demo.home / "demo-results.csv"
    contacts = EXAMPLE / "contacts.csv"
    ran = await asyncio.to_thread(
        _trunkline, *("campaign", "run", str(contacts), "--team", "reminder", "--out", str(results)),
        *("--max-concurrent", "5", "--calls-per-second", "3", "--ring-timeout", "15"),
        *("--max-attempts", "2", "--retry-delay", "3"),
    )  # fmt: skip
    demo.check("campaign dialed to the end", ran == 0, f"results in {results}")
    page = (await demo.api.get("/api/v1/campaigns", params={"limit": 1})).raise_for_status().json()
    campaign = page["data"][0]
    progress = (await demo.api.get(f"/api/v1/campaigns/{campaign['id']}/progress")).raise_for_status().json()
    accepted, finished = campaign["import"]["accepted"], progress["contacts"]["finished"]
    demo.check("no contact lost", finished == accepted >= 20, f"{finished} of {accepted} finished")
    rows = list(csv.DictReader(results.open(newline="")))
    dialed = Counter(row["phone"] for row in rows if row["disposition"] != "not-dialed")
    seen, personas = await read_journal(demo, since=campaign["created_at"])
    demo.check(
        "the carrier's journal has every dial and no other",
        dialed == seen and len(seen) == accepted,
        f"{seen.total()} dials to {len(seen)} numbers",
    )
    missing = {span.persona for span in load_personas(SHIPPED).last_two_digits} - personas
    demo.check("every persona was called", not missing, ", ".join(sorted(missing or personas)))
    table = Table(title="What came of it")
    table.add_column("disposition")
    table.add_column("contacts", justify="right")
    for disposition, count in sorted(progress["dispositions"].items()):
        table.add_row(disposition, str(count))
    demo.console.print(table)


async def forget_last_demo(demo: Demo) -> None:
    """One of the contacts asks never to be called again, and is not: to see that once more, the list must forget."""
    listed = (await demo.api.get("/api/v1/do-not-call", params={"limit": 200})).raise_for_status().json()["data"]
    theirs = (EXAMPLE / "contacts.csv").read_text()
    for entry in listed:
        if entry["phone"] in theirs and entry["reason"] == "said in a call":
            (await demo.api.delete(f"/api/v1/do-not-call/{entry['phone']}")).raise_for_status()
            demo.console.print(
                f"  {entry['phone']} asked the last demo not to call again; for this one it is forgotten."
            )


async def read_journal(demo: Demo, *, since: str) -> tuple[Counter[str], set[str]]:
    """What the simulated carrier was asked to dial for campaigns since then: dials by number, and the personas."""
    numbers: Counter[str] = Counter()
    personas: set[str] = set()
    after = 0
    async with httpx.AsyncClient(base_url=demo.info["simulator_url"], timeout=30) as simulator:
        while True:
            params = {"after": after, "limit": 10_000}
            page = (await simulator.get("/simulator/journal", params=params)).raise_for_status().json()
            for record in page["data"]:
                asked = record["kind"] == "call.created" and "attempt=" in str(record.get("url"))
                if asked and record["at"] > since:
                    numbers[record["to"]] += 1
                    personas.add(record["persona"])
            after += len(page["data"])
            if after >= page["seq"]:
                return numbers, personas


def words(texts: list[str]) -> str:
    """Lower case, letters only: what a recognizer's spelling leaves comparable."""
    return " ".join("".join(c if c.isalpha() else " " for c in " ".join(texts).lower()).split())


def sounds_like(said: str, heard: str) -> bool:
    """Whether a tiny recognizer, over a telephone, may have made `heard` of what was `said`."""
    return SequenceMatcher(None, words([said]).split(), words([heard]).split()).ratio() >= 0.7


def read_wav(content: bytes) -> Samples:
    with wave.open(io.BytesIO(content)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def _trunkline(*arguments: str, quiet: bool = False) -> int:
    """Run another command of ours as the user would."""
    output = subprocess.DEVNULL if quiet else None
    return subprocess.run([sys.executable, "-m", "app.cli", *arguments], stdout=output, stderr=output).returncode


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
