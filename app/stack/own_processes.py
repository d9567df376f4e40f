"""Our own processes as parts of the stack. They need the schema: they are taken on after the migrations."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from app.db import Database
from app.settings import Settings
from app.stack import store
from app.stack.parts import off_part
from app.stack.processes.checks import Check, answers_http, is_in_touch, until
from app.stack.processes.names import API, DIALER, LIVEKIT, POSTGRES, SIMULATOR, WORKER
from app.stack.processes.part import Part
from app.stack.processes.ports import tcp
from app.stack.processes.process import Command
from app.stack.stack_env import uses_twilio

OURS_READY_SECONDS = 180.0
"""Seconds on a machine at rest; a busy one imports our processes ten times slower."""


def plan_processes(given: Settings, settings: Settings) -> list[Part]:
    """Our own processes; they need the schema, so they are taken on after the migrations."""
    ports = settings.ports
    api_health = answers_http(f"{settings.api_url}/healthz")
    worker_health = f"http://127.0.0.1:{ports.worker}/"
    return [
        _simulator(given, settings),
        Part(
            API,
            settings.api_url,
            api_health,
            _ours(API),
            needs=(POSTGRES, LIVEKIT),
            ports=(tcp(ports.api),),
            ready_within_seconds=OURS_READY_SECONDS,
            alive=api_health,
        ),
        Part(
            WORKER,
            worker_health,
            _worker_is_registered(settings, worker_health),
            _ours(WORKER),
            needs=(POSTGRES, LIVEKIT),
            ports=(tcp(ports.worker),),
            ready_within_seconds=OURS_READY_SECONDS,
            alive=answers_http(worker_health),
        ),
        Part(
            DIALER,
            "",
            _dialer_runs(settings),
            _ours(DIALER),
            needs=(POSTGRES, LIVEKIT),
            ready_within_seconds=OURS_READY_SECONDS,
        ),
    ]


def _simulator(given: Settings, settings: Settings) -> Part:
    url = f"http://127.0.0.1:{settings.ports.simulator}"
    if uses_twilio(given):
        return off_part(SIMULATOR, "TWILIO_ACCOUNT_SID is set: calls go to Twilio")
    if given.twilio_api_base_url:
        return off_part(SIMULATOR, "TWILIO_API_BASE_URL is set: calls go there")
    health = answers_http(f"{url}/simulator/healthz")
    return Part(
        SIMULATOR,
        url,
        health,
        _ours(SIMULATOR),
        ports=(tcp(settings.ports.simulator),),
        ready_within_seconds=OURS_READY_SECONDS,
        alive=health,
    )


def _ours(name: str) -> Callable[[], Awaitable[Command]]:
    async def prepare() -> Command:
        return Command((sys.executable, "-m", "app.cli", name))

    return prepare


def _worker_is_registered(settings: Settings, health: str) -> Check:
    """Its health is good before LiveKit knows it; what comes next is its connection there, and registering is the
    first thing said on it."""
    livekit = urlsplit(settings.livekit_url)
    port = livekit.port or (443 if livekit.scheme in ("wss", "https") else 80)

    async def is_in_touch_with_livekit() -> bool:
        return await asyncio.to_thread(is_in_touch, settings.ports.worker, port)

    async def check() -> None:
        await answers_http(health)()
        await until(is_in_touch_with_livekit)

    return check


def _dialer_runs(settings: Settings) -> Check:
    """It listens nowhere; ready is when Postgres sees it. Behind a pooler that hides names, living on has to do."""

    async def check() -> None:
        db = await Database.connect(settings.database_url, pooler=settings.database_pooler, max_size=1)
        try:
            async with asyncio.timeout(15):
                await until(lambda: _sees(db, "trunkline dialer"))
        except TimeoutError:
            return
        finally:
            await db.close()

    return check


async def _sees(db: Database, application: str) -> bool:
    async with db.system() as connection:
        return await store.is_connected(connection, application)
