"""The carrier of the other proofs is proved itself: 100,000 calls in minutes, all told, in order, in bounded memory."""

import asyncio
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil

from tests.prove.fast.parts import PERSONAS, free_block
from tests.prove.processes import Process, Processes, processes
from tests.prove.proof import Figures, Proof, Sizes
from tests.prove.world import CALLER_ID

CALLS = 100_000
AT_ONCE = 48
MOST_OPEN = 2_000
"""Calls that are not over yet, as far as the application was told: as who dials in earnest has only so many lines."""
MOST_MEMORY_BYTES = 512 * 1024**2
LOOK_SECONDS = 0.2
STARTS_WITHIN_SECONDS = 60
LAST_CALL_SECONDS = 120
"""The longest that a call may take once all were dialed."""


@dataclass
class Carrier:
    """The simulator, and an application that it calls back, each a process of its own."""

    group: Processes
    simulator: Process
    url: str
    application_url: str
    sid: str
    http: aiohttp.ClientSession

    async def control(self, method: str, path: str, **content: object) -> None:
        async with self.http.request(method, f"{self.url}/simulator{path}", json=content) as response:
            response.raise_for_status()

    async def post(self, path: str, **form: str) -> None:
        async with self.http.post(f"{self.url}/2010-04-01/Accounts/{self.sid}{path}", data=form) as response:
            response.raise_for_status()
            await response.read()

    async def dial(self, to: str) -> None:
        await self.post(
            "/Calls.json",
            To=to,
            From=CALLER_ID,
            Url=f"{self.application_url}/voice",
            StatusCallback=f"{self.application_url}/status",
            StatusCallbackEvent="initiated ringing answered completed",
            Timeout="20",
        )

    async def counts(self) -> dict[str, int]:
        async with self.http.get(f"{self.application_url}/counts") as response:
            return await response.json(content_type=None)


@dataclass(frozen=True)
class Cost:
    """Of a run: its time, and what the carrier's process used of the machine, its start included."""

    seconds: float
    cpu_seconds: float
    memory_bytes: int


@dataclass(frozen=True)
class SimulatorProof:
    name: str = "simulator"
    title: str = (
        "The simulated carrier plays 100,000 calls in minutes: every change told once, in order, in bounded memory"
    )

    async def run(self, size: Sizes) -> Figures:
        return await play(size.get("CALLS", CALLS))

    async def control(self, size: Sizes) -> Figures:
        """One callback in two hundred is lost."""
        return await play(size.get("CONTROL_CALLS", 1000), lose=0.005)


PROOFS: list[Proof] = [SimulatorProof()]


async def play(calls: int, *, lose: float = 0.0) -> Figures:
    home = Path(tempfile.mkdtemp(prefix="trunkline-prove-"))
    try:
        async with running_carrier(home) as carrier:
            await carrier.control("PUT", "/mode", signaling_only=True, time_scale=60, seed=4)
            await carrier.post("/IncomingPhoneNumbers.json", PhoneNumber=CALLER_ID)
            if lose:
                await carrier.control("POST", "/faults", kind="webhook_missing", count=None, rate=lose)
            began = time.monotonic()
            counts = await dial_all(carrier, calls)
            took = time.monotonic() - began
            process = psutil.Process(carrier.simulator.pid)
            cost = Cost(took, process.cpu_times().user + process.cpu_times().system, process.memory_info().rss)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return to_figures(calls, counts, cost)


def to_figures(calls: int, counts: dict[str, int], cost: Cost) -> Figures:
    all_told = counts["over"] == calls and not counts["untold"] and not counts["out_of_order"]
    return Figures(
        all_told and counts["asked"] == counts["answered"] and cost.memory_bytes <= MOST_MEMORY_BYTES,
        {
            "calls": f"{calls:,}",
            "their ends told": f"{counts['over']:,}",
            "callbacks": f"{counts['told']:,}, {counts['out_of_order']:,} out of order",
            "answered, and instructions fetched": f"{counts['answered']:,}, {counts['asked']:,}",
            "in": f"{cost.seconds:.0f} s, {calls / cost.seconds:.0f} calls a second",
            "processor of the carrier": f"{1000 * cost.cpu_seconds / calls:.1f} ms a call",
            "memory of the carrier": f"{cost.memory_bytes / 1024**2:.0f} MB",
        },
    )


async def dial_all(carrier: Carrier, calls: int) -> dict[str, int]:
    """AT_ONCE requests at a time; the numbers repeat, so that the list of calls of one grows too. What was told in the
    end."""
    numbers = iter(f"+1202555{n % 10_000:04}" for n in range(calls))
    lines = asyncio.Semaphore(MOST_OPEN)

    async def dial_on() -> None:
        for to in numbers:
            await lines.acquire()
            await carrier.dial(to)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(dial_on())
        return await wait_for_ends(carrier, calls, lines)


async def wait_for_ends(carrier: Carrier, calls: int, lines: asyncio.Semaphore) -> dict[str, int]:
    """Until all have ended, or nothing has been told for a while; whose end was told frees a line meanwhile."""
    counts, freed, moved_at = await carrier.counts(), 0, time.monotonic()
    while counts["over"] < calls and time.monotonic() - moved_at < LAST_CALL_SECONDS / 4:
        await asyncio.sleep(LOOK_SECONDS)
        before, counts = counts, await carrier.counts()
        for _ in range(counts["over"] - freed):
            lines.release()
        freed = counts["over"]
        moved_at = moved_at if before == counts else time.monotonic()
    # Where ends were not told, no line is left for the others: they are not kept waiting for them.
    for _ in range(calls):
        lines.release()
    return counts


@asynccontextmanager
async def running_carrier(home: Path) -> AsyncGenerator[Carrier]:
    sid, token, block = f"AC{secrets.token_hex(16)}", secrets.token_hex(16), free_block()
    application_port = block + 9
    folder = home / "simulator"
    folder.mkdir(mode=0o700)
    (folder / "personas.yaml").write_text(PERSONAS)
    environment = {
        "TRUNKLINE_HOME": str(home),
        "TRUNKLINE_PORT_BASE": str(block),
        "TRUNKLINE_LOG_LEVEL": "ERROR",
        "TWILIO_ACCOUNT_SID": sid,
        "TWILIO_AUTH_TOKEN": token,
    }
    connector = aiohttp.TCPConnector(limit=AT_ONCE + 2)
    headers = {"Authorization": aiohttp.encode_basic_auth(sid, token)}
    async with processes(home / "logs") as group, aiohttp.ClientSession(connector=connector, headers=headers) as http:
        simulator = group.start("simulator", ["-m", "app.cli", "simulator"], environment)
        group.start("application", ["-m", "tests.prove.fast.application", str(application_port)], {})
        carrier = Carrier(
            group, simulator, f"http://127.0.0.1:{block + 1}", f"http://127.0.0.1:{application_port}", sid, http
        )
        await until_up(carrier, f"{carrier.url}/simulator/healthz")
        await until_up(carrier, f"{carrier.application_url}/counts")
        yield carrier


async def until_up(carrier: Carrier, url: str) -> None:
    async with asyncio.timeout(STARTS_WITHIN_SECONDS):
        while True:
            carrier.group.check()
            try:
                async with carrier.http.get(url):
                    return
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.1)
