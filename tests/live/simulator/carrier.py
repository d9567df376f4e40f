"""The simulator as the tests run it: in this process or as its own, and the real twilio SDK pointed at it."""

import asyncio
import io
import os
import sys
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import numpy as np
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from app.settings import Settings
from telephony.simulator.exchange import Exchange, open_exchange
from telephony.simulator.main import build_server

PORT_BASE = 25000  # the simulator's port is PORT_BASE + 1
APP_PORT = 25100
BASE = f"http://127.0.0.1:{PORT_BASE + 1}"
APP = f"http://127.0.0.1:{APP_PORT}"
MEDIA_URL = f"ws://127.0.0.1:{APP_PORT}/media"
ACCOUNT_SID = "AC" + "a1" * 16
AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
OURS = "+12025550101"
EVERY_EVENT = ["initiated", "ringing", "answered", "completed"]


class RedirectedHttp(TwilioHttpClient):
    """The SDK's own client, pointed at the simulator by base URL only."""

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        return super().request(method, url.replace("https://api.twilio.com", BASE), *args, **kwargs)


async def until(ready: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait for a condition; a test fails when it does not come true in time."""
    async with asyncio.timeout(seconds):
        while not ready():  # noqa: ASYNC110  # what is waited for happens in many places
            await asyncio.sleep(0.01)


@asynccontextmanager
async def simulator_at(settings: Settings) -> AsyncIterator[Exchange]:
    async with open_exchange(settings) as exchange:
        server = build_server(exchange)
        server.config.host, server.config.port = "127.0.0.1", settings.ports.simulator
        serving = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        try:
            yield exchange
        finally:
            server.should_exit = True
            await serving


async def start_process(settings: Settings) -> asyncio.subprocess.Process:
    """The simulator as the process that it is."""
    environment = {
        **os.environ,
        "TRUNKLINE_HOME": str(settings.home),
        "TRUNKLINE_PORT_BASE": str(PORT_BASE),
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
    }
    code = (
        "import asyncio; from app.settings import Settings; from telephony.simulator.main import run_simulator; "
        "asyncio.run(run_simulator(Settings.load()))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, env=environment)
    async with httpx.AsyncClient(trust_env=False) as client:
        async with asyncio.timeout(20):
            while True:
                try:
                    await client.get(f"{BASE}/simulator/healthz")
                except httpx.ConnectError:
                    await asyncio.sleep(0.05)
                else:
                    return process


async def dial(twilio: Client, to: str, **more: Any) -> str:
    order = {"url": f"{APP}/voice", "status_callback": f"{APP}/status", "status_callback_event": EVERY_EVENT}
    call = await asyncio.to_thread(twilio.calls.create, **{"to": to, "from_": OURS, **order, **more})
    assert call.sid is not None
    return call.sid


async def ended(exchange: Exchange, sid: str, seconds: float = 30.0) -> Any:
    await until(lambda: exchange.calls[sid].over and sid not in exchange.live, seconds)
    return exchange.calls[sid]


def inline(exchange: Exchange, **persona: Any) -> None:
    """Let +12025550199 be this persona."""
    content = exchange.personas.model_dump(mode="python")
    content["personas"]["test"] = persona
    content["numbers"]["+12025550199"] = "test"
    exchange.personas = type(exchange.personas).model_validate(content)


def kinds(exchange: Exchange, sid: str) -> list[str]:
    return [record["kind"] for record in exchange.journal.read(limit=100_000) if record["call_sid"] == sid]


def samples_of(wav: bytes) -> Any:
    with wave.open(io.BytesIO(wav)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)
