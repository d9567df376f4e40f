"""The simulator's ground truth: every request, webhook and change as one JSON object a line, never lost.

A line is written to the file when the thing happens, so that kill -9 loses nothing, and is synced to the disk
before anybody outside is told (`synced`), so that a power cut does not either. Waiting callers share one fsync.
"""

import asyncio
import fcntl
import json
import os
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.clock import Clock
from app.errors import Conflict, TrunklineError

_ENCODER = json.JSONEncoder(separators=(",", ":"))

Record = dict[str, Any]
"""`seq` (1, 2, 3 …), `at` (RFC 3339, UTC), `mono` (seconds of this machine's steady clock), `kind`, `call_sid`
(or null) and whatever the kind says."""


class JournalBusy(Conflict):
    """Another simulator writes to this journal."""

    code = "simulator_journal_busy"
    title = "The simulator's journal is in use"


class JournalDamaged(TrunklineError):
    """A line in the middle of the file is no JSON: somebody else wrote into it."""

    code = "simulator_journal_damaged"
    title = "The simulator's journal cannot be read"


class Journal:
    """An append-only file of records; one process owns it at a time (flock)."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Open or create `path`; a last line torn by a power cut is cut off. Raises JournalBusy."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._clock = clock
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            os.close(self._file)
            raise JournalBusy(f"Another simulator uses {path}; stop it first.") from busy
        self._starts = array("Q")  # the byte offset of each line: line n is seq n + 1
        self._end = self._scan()
        self._synced_seq = 0
        self._sync: asyncio.Task[None] | None = None

    def _scan(self) -> int:
        end = 0
        with self._path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    os.ftruncate(self._file, end)
                    break
                self._starts.append(end)
                end += len(line)
        return end

    @property
    def seq(self) -> int:
        """The number of the newest record; 0 when there is none."""
        return len(self._starts)

    def note(self, kind: str, *, call_sid: str | None = None, **fields: Any) -> int:
        """Append one record and return its seq. Safe from kill -9 at once, from a power cut after `synced`."""
        record: Record = {
            "seq": self.seq + 1,
            "at": self._clock().isoformat().replace("+00:00", "Z"),
            "mono": round(time.monotonic(), 4),
            "kind": kind,
            "call_sid": call_sid,
            **fields,
        }
        line = _ENCODER.encode(record).encode() + b"\n"
        os.write(self._file, line)
        self._starts.append(self._end)
        self._end += len(line)
        return self.seq

    async def synced(self) -> None:
        """Return once everything noted so far is on the disk."""
        wanted = self.seq
        while self._synced_seq < wanted:
            if self._sync is None:
                self._sync = asyncio.create_task(self._fsync(), name="journal-fsync")
            await asyncio.shield(self._sync)

    async def _fsync(self) -> None:
        reached = self.seq
        try:
            await asyncio.to_thread(os.fsync, self._file)
            self._synced_seq = reached
        finally:
            self._sync = None

    def read(self, after: int = 0, limit: int = 1000) -> list[Record]:
        """The records with seq > `after`, oldest first, at most `limit`."""
        first, last = max(0, after), min(self.seq, max(0, after) + limit)
        if first >= last:
            return []
        start = self._starts[first]
        end = self._starts[last] if last < self.seq else self._end
        return [json.loads(line) for line in os.pread(self._file, end - start, start).splitlines()]

    def replay(self) -> Iterator[Record]:
        """Every record from the first; raises JournalDamaged with the line's number."""
        with self._path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise JournalDamaged(f"{self._path}, line {number}: not a JSON object.") from error

    async def close(self) -> None:
        await self.synced()
        os.close(self._file)
