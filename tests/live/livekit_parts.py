"""LiveKit and LiveKit SIP alone, with a receiver for LiveKit's webhooks and a worker that a test may kill."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from aiohttp import web
from pydantic import SecretStr

from app.db import Database
from app.settings import Settings
from app.stack.livekit.build import LiveKitPrograms
from app.stack.parts import plan_foundation
from app.stack.processes.process import spawn, stop
from telephony.livekit_event import EventName, LiveKitEvent
from telephony.outbound import Lines
from telephony.watch.rescue import on_room_event
from tests.live.harness import REPOSITORY, free_port_block, wait_for


@asynccontextmanager
async def running_livekit(home: Path) -> AsyncGenerator[Settings]:
    """Redis, LiveKit and LiveKit SIP on a free block of ports; yields the settings that reach them."""
    base = free_port_block()
    given = Settings(home=home, port_base=base)
    settings = Settings(
        home=home,
        port_base=base,
        redis_url=f"redis://:test-redis-password@127.0.0.1:{given.ports.redis}",
        livekit_url=f"ws://127.0.0.1:{given.ports.livekit}",
        livekit_api_key="test-key",
        livekit_api_secret=SecretStr("test-secret-of-at-least-32-characters"),
        secret_key=SecretStr("test-secret-key"),
    )
    programs = LiveKitPrograms(home, home / "build.log", lambda _: None)
    started = []
    try:
        for part in plan_foundation(given, settings, None, programs)[1:]:
            assert part.prepare is not None
            command = await part.prepare()
            started.append((await spawn(command, home / f"{part.name}.log"), command))
            await wait_ready(part.check, part.ready_within_seconds)
        yield settings
    finally:
        for process, command in reversed(started):
            await stop(process, None, command)


async def wait_ready(check: Callable[[], object], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while True:
            try:
                await check()  # type: ignore[misc]
                return
            except Exception:
                await asyncio.sleep(0.1)


@dataclass
class Receiver:
    """What LiveKit told us, in order, with the event loop's time of each."""

    heard: list[tuple[float, LiveKitEvent]] = field(default_factory=list)

    async def finished(self, rooms: set[str]) -> bool:
        return rooms <= {event.room_name for _, event in self.heard if event.name is EventName.ROOM_FINISHED}


@asynccontextmanager
async def receiving_webhooks(lines: Lines) -> AsyncGenerator[Receiver]:
    """What the api does with LiveKit's webhooks, without the api."""
    receiver = Receiver()

    async def receive(request: web.Request) -> web.Response:
        event = lines.switchboard.read_webhook(await request.read(), request.headers["Authorization"])
        receiver.heard.append((asyncio.get_running_loop().time(), event))
        await on_room_event(lines, event)
        return web.Response()

    app = web.Application()
    app.router.add_post("/webhooks/livekit", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", lines.settings.ports.api).start()
    try:
        yield receiver
    finally:
        try:
            # LiveKit tells late: nothing of this test's rooms may reach the next one's database.
            rooms = {event.room_name for _, event in receiver.heard}
            for room in rooms:
                await lines.switchboard.close_room(room)
            await wait_for(lambda: receiver.finished(rooms), what="the end of the rooms")
        finally:
            await runner.cleanup()


@dataclass
class Worker:
    process: asyncio.subprocess.Process

    def kill(self) -> None:
        """kill -9, its children first found and killed too: nobody says goodbye."""
        root = psutil.Process(self.process.pid)
        for process in (root, *root.children(recursive=True)):
            os.kill(process.pid, signal.SIGKILL)


@asynccontextmanager
async def running_worker(settings: Settings, database_url: str, log: Path) -> AsyncGenerator[Worker]:
    """`minimal_worker` as a process, registered with LiveKit."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TRUNKLINE_")},
        "TRUNKLINE_HOME": str(settings.home),
        "DATABASE_URL": database_url,
        "LIVEKIT_URL": settings.livekit_url,
        "LIVEKIT_API_KEY": settings.livekit_api_key,
        "LIVEKIT_API_SECRET": settings.livekit_api_secret.get_secret_value(),
    }
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.live.minimal_worker"),
            cwd=REPOSITORY,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        async with asyncio.timeout(30):
            while not _says(log, "registered worker"):
                assert process.returncode is None, f"the worker ended, see {log}"
                await asyncio.sleep(0.1)
        yield Worker(process)
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


def _says(log: Path, text: str) -> bool:
    return text in log.read_text()


async def event_kinds(db: Database, call_id: object) -> list[str]:
    async with db.system() as connection:
        rows = await connection.fetch("select kind from call_events where call_id = $1 order by id", call_id)
    return [row["kind"] for row in rows]
