"""The processes of a run in fast time: the simulated carrier (signaling only), the api for its webhooks, dialers."""

import asyncio
import random
import secrets
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from app.settings import Ports
from tests.prove.processes import Process, Processes
from tests.prove.world import CALLER_ID, Ground

STARTS_WITHIN_SECONDS = 60
BLOCK = 10
PERSONAS = """
personas:
  talks: {kind: answers, rings_between: [1, 12], talks_between: [5, 60]}
  remove_me: {kind: answers, rings_between: [1, 6], talks_between: [10, 20]}
  machine: {kind: voicemail, rings_between: [4, 14], greeting: "Please leave a message.", records_seconds: 15}
  menu: {kind: menu, prompt: "For sales, press one. For support, press two."}
  screened: {kind: screens, prompt: "Say your name.", rings_between: [1, 5]}
  gone: {kind: hangs_up_early, rings_between: [1, 9]}
  busy: {kind: busy}
  nobody: {kind: no_answer}
  refuses: {kind: rejects, rings_between: [1, 4]}
  no_such_number: {kind: invalid}
  crowd:
    kind: mix
    of: {talks: 40, machine: 15, nobody: 15, busy: 10, gone: 6, refuses: 5, screened: 4, menu: 2, no_such_number: 3}
last_two_digits: [{first: 97, last: 99, persona: remove_me}]
default: crowd
"""
"""Numbers that end in 97 to 99 answer and ask to be taken off the list; the others are a crowd."""
ASKS_FOR_REMOVAL = "9[789]$"

FAULTS: Sequence[Mapping[str, Any]] = (
    {"kind": "webhook_duplicate", "rate": 0.03},
    {"kind": "webhook_out_of_order", "rate": 0.02},
    {"kind": "webhook_late", "rate": 0.01, "seconds": 2.0},
    {"kind": "webhook_missing", "rate": 0.002},
    {"kind": "lose_response", "rate": 0.004},
    {"kind": "accept_then_500", "rate": 0.002},
    {"kind": "status_429", "rate": 0.004},
    {"kind": "status_503", "rate": 0.002},
    {"kind": "list_500", "rate": 0.05},
)
"""What goes wrong at the carrier all along, each with its chance."""


@dataclass
class Parts:
    """Everything that runs beside the proof. `settings`: the environment that all of it shares."""

    ground: Ground
    processes: Processes
    ports: Ports = field(default_factory=lambda: Ports(free_block()))
    sid: str = field(default_factory=lambda: f"AC{secrets.token_hex(16)}")
    token: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def settings(self) -> dict[str, str]:
        return {
            "TRUNKLINE_HOME": str(self.ground.home),
            "TRUNKLINE_PORT_BASE": str(self.ports.api),
            "TRUNKLINE_LOG_LEVEL": "ERROR",
            "TRUNKLINE_SECRET_KEY": self.token * 2,
            "TRUNKLINE_UNCERTAIN_GRACE_SECONDS": "5",
            "TRUNKLINE_CARRIER_TIMEOUT_SECONDS": "5",
            "DATABASE_URL": self.ground.url,
            # Nobody there: no call of this run has a room.
            "LIVEKIT_URL": f"ws://127.0.0.1:{self.ports.livekit}",
            "LIVEKIT_API_KEY": "APIprove",
            "LIVEKIT_API_SECRET": self.token,
            "TWILIO_ACCOUNT_SID": self.sid,
            "TWILIO_AUTH_TOKEN": self.token,
            "TWILIO_API_BASE_URL": self.simulator_url,
        }

    @property
    def simulator_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.simulator}"

    @property
    def journal(self) -> Path:
        return self.ground.home / "simulator" / "journal.jsonl"

    async def start(
        self, *, seed: int, time_scale: float, faults: Sequence[Mapping[str, Any]] = (), personas: str = PERSONAS
    ) -> None:
        """The carrier and the api; returns when both answer. Raises ProcessEnded, TimeoutError."""
        self.journal.parent.mkdir(mode=0o700, exist_ok=True)
        (self.journal.parent / "personas.yaml").write_text(personas)
        self.processes.start("simulator", ["-m", "app.cli", "simulator"], self.settings)
        self.processes.start("api", ["-m", "app.cli", "api"], self.settings)
        await self._until_up(f"{self.simulator_url}/simulator/healthz")
        await self._until_up(f"http://127.0.0.1:{self.ports.api}/healthz")
        async with httpx.AsyncClient(base_url=self.simulator_url, trust_env=False, timeout=10) as carrier:
            mode = {"signaling_only": True, "time_scale": time_scale, "seed": seed}
            (await carrier.put("/simulator/mode", json=mode)).raise_for_status()
            bought = await carrier.post(
                f"/2010-04-01/Accounts/{self.sid}/IncomingPhoneNumbers.json",
                data={"PhoneNumber": CALLER_ID},
                auth=(self.sid, self.token),
            )
            bought.raise_for_status()
            for fault in faults:
                (await carrier.post("/simulator/faults", json={**fault, "count": None})).raise_for_status()

    def start_dialer(self, number: int, *, fault: str = "") -> Process:
        """`fault`: of tests/prove/fast/dialer.py."""
        return self.processes.start(f"dialer-{number}", ["-m", "tests.prove.fast.dialer", fault], self.settings)

    async def _until_up(self, url: str) -> None:
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(STARTS_WITHIN_SECONDS):
            while True:
                self.processes.check()
                try:
                    if (await client.get(url)).is_success:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)


def free_block() -> int:
    """The first of BLOCK ports in a row that nobody listens on, below those that the kernel gives to clients."""
    for first in random.SystemRandom().sample(range(20_000, 32_000, BLOCK), 100):
        with ExitStack() as sockets:
            try:
                for port in range(first, first + BLOCK):
                    sockets.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
        return first
    raise OSError("no block of free ports")
