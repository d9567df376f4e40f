"""`trunkline up`: start everything, watch it, and end it in order when told to stop."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from app.clock import utc_now
from app.errors import TrunklineError
from app.settings import Settings
from app.stack.database.migrate import apply_migrations
from app.stack.database.postgres import EmbeddedPostgres, prepare_postgres
from app.stack.down import sweep_leftovers
from app.stack.livekit.build import LiveKitPrograms
from app.stack.own_processes import plan_processes
from app.stack.parts import plan_foundation
from app.stack.processes.log_files import log_file
from app.stack.processes.names import LIVEKIT, NAMES, POSTGRES, SIMULATOR, STOP_WAVES
from app.stack.processes.part import Part
from app.stack.processes.ports import check_port
from app.stack.processes.state import (
    Phase,
    StackLock,
    StackState,
    make_home,
    mark_process,
    write_state,
)
from app.stack.processes.supervisor import Supervisor
from app.stack.seed import seed_example
from app.stack.stack_env import decide_env, load_given, read_env, write_env

Tell = Callable[[StackState], None]


class Journal:
    """Keeps the state file true: every change of a part or a phase is written before anything else happens."""

    def __init__(self, home: Path, tell: Tell) -> None:
        mark = mark_process(os.getpid())
        assert mark is not None  # we are running
        self._home = home
        self._tell = tell
        self._supervisor: Supervisor | None = None
        self.state = StackState(supervisor=mark, phase=Phase.STARTING, started_at=utc_now())
        self.write()

    def follow(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def write(self) -> None:
        if self._supervisor is not None:
            self.state.parts = self._supervisor.statuses
        write_state(self._home, self.state)
        self._tell(self.state)

    def enter(self, phase: Phase, *, failure: str = "") -> None:
        self.state.phase = phase
        self.state.failure = failure or self.state.failure
        self.write()

    def note(self, text: str) -> None:
        self.state.note = text
        self.write()


async def run_stack(tell: Tell) -> None:
    """The supervisor: returns after a signal to stop, with nothing left running.

    Raises AlreadyRunning, PortBusy, PartFailed and whatever setting a part up raises; nothing is left running then
    either.
    """
    given = load_given()
    home = make_home(given.home)
    lock = StackLock(home)
    lock.take()
    try:
        sweep_leftovers(home)
        journal = Journal(home, tell)
        try:
            await _run(given, home, journal)
        except TrunklineError as error:
            journal.enter(Phase.FAILED, failure=error.detail)
            raise
        journal.enter(Phase.STOPPED)
    finally:
        lock.release()


async def _run(given: Settings, home: Path, journal: Journal) -> None:
    stop = _stop_on_signals()
    postgres = await _embedded_postgres(given, home)
    write_env(home, decide_env(given, read_env(home), postgres.url if postgres else None))
    settings = Settings.load()
    programs = LiveKitPrograms(home, log_file(home, "build"), journal.note)
    foundation = plan_foundation(given, settings, postgres, programs)
    processes = plan_processes(given, settings)
    for part in (*foundation, *processes):
        for claim in part.ports if part.prepare else ():
            check_port(part.name, claim)
    supervisor = Supervisor(home, journal.write)
    journal.follow(supervisor)
    try:
        await _until_stopped(_bring_up(supervisor, settings, foundation, processes), stop)
        if not stop.is_set():
            journal.enter(Phase.READY)
            await _until_stopped(supervisor.wait_broken(), stop)
        journal.enter(Phase.STOPPING)
    finally:
        await supervisor.stop(STOP_WAVES)


async def _until_stopped(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """The work, cut off when it is time to stop."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


async def _bring_up(supervisor: Supervisor, settings: Settings, foundation: list[Part], processes: list[Part]) -> None:
    supervisor.watch(foundation)
    await supervisor.wait_ready([POSTGRES])
    await apply_migrations(settings.database_url)
    supervisor.watch(processes)
    await supervisor.wait_ready([LIVEKIT, SIMULATOR])
    await seed_example(settings)
    await supervisor.wait_ready(NAMES)


async def _embedded_postgres(given: Settings, home: Path) -> EmbeddedPostgres | None:
    if given.database_url:
        return None
    return await asyncio.to_thread(prepare_postgres, home, given.ports.postgres)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
