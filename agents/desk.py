"""What every call of a worker shares, and which calls there are: each runs in a thread and an event loop of its own."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from agents.course.ending import Ending
from agents.speech.registry import Engines
from app.settings import Settings


class OpenCalls:
    """Counts the calls of this worker, from the moment that it promised to take one. Safe across threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._promised: set[str] = set()
        self._endings: dict[str, tuple[asyncio.AbstractEventLoop, Ending]] = {}
        self._closing = False

    @property
    def load(self) -> float:
        """0 with no call, 1 with as many as this worker takes."""
        with self._lock:
            return len(self._promised) / self._most

    def promise(self, job_id: str) -> bool:
        """Take the job, unless there are as many calls as there may be."""
        with self._lock:
            if self._closing or len(self._promised) >= self._most:
                return False
            self._promised.add(job_id)
            return True

    def forget(self, job_id: str) -> None:
        with self._lock:
            self._promised.discard(job_id)

    @contextmanager
    def hold(self, job_id: str, ending: Ending) -> Generator[None]:
        """While a call runs: `leave_all` ends it."""
        with self._lock:
            self._endings[job_id] = (asyncio.get_running_loop(), ending)
            if self._closing:
                ending.end(None)
        try:
            yield
        finally:
            with self._lock:
                del self._endings[job_id]

    def leave_all(self) -> None:
        """Have every agent leave its room: another worker takes the calls over, or the caller is let go."""
        with self._lock:
            self._closing = True
            for loop, ending in self._endings.values():
                loop.call_soon_threadsafe(ending.end, None)


@dataclass(frozen=True)
class Desk:
    """Made once by `run_worker`."""

    settings: Settings
    engines: Engines
    calls: OpenCalls
