"""Tasks that go on beside what started them: whoever owns the `Tasks` ends them. And how a loop waits that may be told
to stop."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

from app.logs import get_logger

log = get_logger(__name__)


class Tasks:
    """A set of running tasks. One that fails is logged with the words of `failure`, and disturbs no other."""

    def __init__(self, failure: str) -> None:
        self._failure = failure
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[asyncio.Task[None]]:
        return iter(set(self._running))

    def keep(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Let `work` go on after the caller returned, at most until `close`."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._finish)

    async def drain(self, *, within_seconds: float) -> None:
        """Let them come to their ends, and what they start meanwhile; cut off what takes longer."""
        try:
            async with asyncio.timeout(within_seconds):
                while self._running:
                    await asyncio.wait(self._running)
        except TimeoutError:
            await self.close()

    async def close(self) -> None:
        """Cancel all and wait until they have ended."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error(self._failure, task=task.get_name(), exc_info=error)


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Sleep, or wake because it is time to stop."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
