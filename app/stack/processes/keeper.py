"""Keeps one part running: prepare, start, wait until it answers, and start it again when it ends."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from app.clock import utc_now
from app.errors import TrunklineError
from app.logs import get_logger
from app.stack.processes.back_off import BackOff
from app.stack.processes.checks import Check
from app.stack.processes.log_files import log_file
from app.stack.processes.part import Part, PartOff
from app.stack.processes.process import Command, describe_exit, kill_group, spawn, stop
from app.stack.processes.state import PartState, PartStatus, mark_process

# A part that ended this often without ever having answered will not start by being patient.
HOPELESS_AFTER = 3

# A part that does not answer for a minute, though its process lives, is of no use to anybody.
ALIVE_EVERY_SECONDS = 5.0
ALIVE_WITHIN_SECONDS = 10.0
HANGS_AFTER = 4
ABORT_SECONDS = 5.0

log = get_logger(__name__)


class Keeper:
    """Owns the process of one part. `settled` is set once the part is ready, off, or has failed to start."""

    def __init__(self, part: Part, home: Path, changed: Callable[[], None]) -> None:
        self.part = part
        self.status = PartStatus(
            name=part.name, state=PartState.WAITING, since=utc_now(), endpoint=part.endpoint, note=part.note
        )
        self.ready = asyncio.Event()
        self.settled = asyncio.Event()
        self._log = log_file(home, part.name)
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._command: Command | None = None
        self._was_ready = False

    async def run(self, needs: Callable[[], Awaitable[None]]) -> None:
        """Until cancelled, or until it is clear that the part stays off."""
        if self.part.off:
            return self._settle(PartState.OFF, self.part.note)
        await needs()
        if self.part.prepare is None:
            return await self._watch_external()
        back_off = BackOff()
        while True:
            try:
                ready_seconds = await self._run_once(self.part.prepare)
            except PartOff as off:
                return self._settle(PartState.OFF, off.detail)
            back_off = back_off.after_exit(ready_seconds)
            self._was_ready = self._was_ready or ready_seconds > 0
            if not self._was_ready and back_off.failures >= HOPELESS_AFTER:
                return self._settle(PartState.FAILED, self.status.note)
            self.status.restarts += 1
            self._become(PartState.RESTARTING)
            await asyncio.sleep(back_off.delay_seconds)
            await needs()

    async def stop(self) -> None:
        """End the process, in order where it lets us. Call after `run` was cancelled."""
        if self._process is not None and self._command is not None:
            await stop(self._process, self.status.process, self._command)
        self.status.process = None
        if self.status.state not in (PartState.OFF, PartState.FAILED):
            self._become(PartState.STOPPED)

    async def _run_once(self, prepare: Callable[[], Awaitable[Command]]) -> float:
        """Start it and stay until it ended; returns for how many seconds it was ready."""
        self._become(PartState.STARTING)
        try:
            self._command = await prepare()
        except PartOff:
            raise
        except TrunklineError as error:
            self.status.note = error.detail
            return 0.0
        self._process = process = await spawn(self._command, self._log)
        self.status.process = mark_process(process.pid)
        self._become(PartState.STARTING)
        ready_at = await self._wait_ready(process)
        code = await self._wait_end(process)
        self.ready.clear()
        if self.status.process is not None:
            kill_group(self.status.process)
        self.status.last_exit = describe_exit(code)
        self.status.process = None
        log.warning("part ended", part=self.part.name, exit=self.status.last_exit)
        if ready_at is None and not self.status.note:
            self.status.note = f"ended before it was ready ({self.status.last_exit})"
        return 0.0 if ready_at is None else max(0.001, time.monotonic() - ready_at)

    async def _wait_ready(self, process: asyncio.subprocess.Process) -> float | None:
        """When it became ready (monotonic), or None when it ended or was ended before that."""
        check = asyncio.ensure_future(self.part.check())
        ended = asyncio.ensure_future(process.wait())
        try:
            await asyncio.wait(
                (check, ended), timeout=self.part.ready_within_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if ended.done():
                return None
            if check.done() and not isinstance(check.exception(), TrunklineError):
                check.result()
                self.status.note = self.part.note
                self._settle(PartState.READY, self.part.note)
                return time.monotonic()
            self.status.note = f"did not answer within {self.part.ready_within_seconds:.0f} s"
            process.kill()
            return None
        finally:
            check.cancel()
            ended.cancel()

    async def _wait_end(self, process: asyncio.subprocess.Process) -> int:
        """Until the process ended, by itself or because it hung."""
        if self.part.alive is None or not self.ready.is_set():
            return await process.wait()
        watching = asyncio.ensure_future(self._end_once_it_hangs(process, self.part.alive))
        try:
            return await process.wait()
        finally:
            watching.cancel()

    async def _end_once_it_hangs(self, process: asyncio.subprocess.Process, alive: Check) -> None:
        """Asked several times, and not once for long: where we ourselves were stopped, one asking fails."""
        unanswered = 0
        while unanswered < HANGS_AFTER:
            await asyncio.sleep(ALIVE_EVERY_SECONDS)
            try:
                async with asyncio.timeout(ALIVE_WITHIN_SECONDS):
                    await alive()
                unanswered = 0
            except TimeoutError:
                unanswered += 1
        self.status.note = f"hung: did not answer {HANGS_AFTER} times for {ALIVE_WITHIN_SECONDS:.0f} s"
        log.error("part hangs; it is ended, and its log says where it was", part=self.part.name)
        # At this signal our processes write the stack of every thread into their log.
        process.send_signal(signal.SIGABRT)
        await asyncio.sleep(ABORT_SECONDS)
        process.kill()

    async def _watch_external(self) -> None:
        """It runs elsewhere: see that it answers, once."""
        try:
            async with asyncio.timeout(self.part.ready_within_seconds):
                await self.part.check()
        except TimeoutError:
            self._settle(PartState.FAILED, f"{self.part.endpoint} does not answer")
        except TrunklineError as error:
            self._settle(PartState.FAILED, error.detail)
        else:
            self._settle(PartState.EXTERNAL, self.part.note)

    def _settle(self, state: PartState, note: str) -> None:
        self.status.note = note
        if state in (PartState.READY, PartState.EXTERNAL):
            self.ready.set()
        self._become(state)
        self.settled.set()

    def _become(self, state: PartState) -> None:
        if state is not self.status.state:
            self.status.since = utc_now()
        self.status.state = state
        self._changed()
