"""Runs the parts of the stack: each as soon as what it needs is ready, all of them until told to stop."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from app.errors import Unavailable
from app.stack.processes.keeper import Keeper
from app.stack.processes.log_files import bound, log_file, rotate, tail
from app.stack.processes.part import Part
from app.stack.processes.state import PartState, PartStatus

HOUSEKEEPING_SECONDS = 10.0
SHOWN_LOG_LINES = 15


class PartFailed(Unavailable):
    """A part of the stack did not start; `detail` has its last log lines."""

    code = "part_failed"


class Supervisor:
    """Owns one task and one process a part. `changed` is called whenever a status changed."""

    def __init__(self, home: Path, changed: Callable[[], None]) -> None:
        self._home = home
        self._changed = changed
        self._keepers: dict[str, Keeper] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._housekeeping = asyncio.create_task(self._keep_house(), name="log housekeeping")

    @property
    def statuses(self) -> dict[str, PartStatus]:
        return {name: keeper.status for name, keeper in self._keepers.items()}

    def watch(self, parts: Iterable[Part]) -> None:
        """Take these parts on; they start as soon as their needs are ready."""
        for part in parts:
            rotate(log_file(self._home, part.name))
            self._keepers[part.name] = Keeper(part, self._home, self._changed)
        for name, keeper in self._keepers.items():
            if name not in self._tasks:
                self._tasks[name] = asyncio.create_task(keeper.run(self._needs_of(keeper)), name=f"keep {name}")
        self._changed()

    async def wait_ready(self, names: Iterable[str]) -> None:
        """Until each of them is ready or off. Raises PartFailed for the first that will not start."""
        waits = {asyncio.create_task(self._settled(name)) for name in names}
        try:
            for done in asyncio.as_completed(waits):
                await done
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def wait_broken(self) -> None:
        """For ever, unless keeping a part went wrong in a way that nobody foresaw: raises that."""
        done, _ = await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
        await asyncio.Event().wait()

    async def stop(self, waves: Iterable[Iterable[str]]) -> None:
        """End everything, wave by wave; the parts of a wave end at the same time."""
        tasks = [self._housekeeping, *self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for wave in waves:
            await asyncio.gather(*(self._keepers[name].stop() for name in wave if name in self._keepers))

    async def _settled(self, name: str) -> None:
        keeper, task = self._keepers[name], self._tasks[name]
        settled = asyncio.create_task(keeper.settled.wait())
        try:
            await asyncio.wait((settled, task), return_when=asyncio.FIRST_COMPLETED)
        finally:
            settled.cancel()
        if task.done() and not keeper.settled.is_set():
            task.result()
        if keeper.status.state is PartState.FAILED:
            raise PartFailed(describe_failure(keeper.status, tail(log_file(self._home, name), SHOWN_LOG_LINES)))

    def _needs_of(self, keeper: Keeper) -> Callable[[], Awaitable[None]]:
        needs = [self._keepers[name].ready for name in keeper.part.needs]

        async def all_ready() -> None:
            for event in needs:
                await event.wait()

        return all_ready

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            for name in self._keepers:
                bound(log_file(self._home, name))


def describe_failure(status: PartStatus, last_lines: list[str]) -> str:
    told = "\n".join(f"    {line}" for line in last_lines) or "    (it wrote nothing)"
    return f"{status.name} did not start: {status.note}\n  The end of its log:\n{told}"
