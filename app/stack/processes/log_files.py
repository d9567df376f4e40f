"""One log file a part, bounded in size, kept once over; and reading them back."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

LARGEST_BYTES = 20 * 1024 * 1024


def log_file(home: Path, name: str) -> Path:
    return home / "logs" / f"{name}.log"


def rotate(file: Path) -> None:
    """The log of the last run becomes NAME.log.1."""
    if file.exists() and file.stat().st_size:
        file.replace(file.with_suffix(".log.1"))


def bound(file: Path, largest_bytes: int = LARGEST_BYTES) -> None:
    """Move what was written aside when it is too much.

    The part holds the file open in append mode, so it is emptied, not replaced; a line written between the copy
    and the cut is lost.
    """
    if file.exists() and file.stat().st_size > largest_bytes:
        shutil.copyfile(file, file.with_suffix(".log.1"))
        with file.open("r+b") as open_file:
            open_file.truncate(0)


def tail(file: Path, lines: int, *, largest_bytes: int = 256 * 1024) -> list[str]:
    """The last lines, at most; an empty list where there is no file."""
    if not file.exists():
        return []
    with file.open("rb") as open_file:
        size = open_file.seek(0, 2)
        open_file.seek(max(0, size - largest_bytes))
        return open_file.read().decode(errors="replace").splitlines()[-lines:]


def size_of(file: Path) -> int:
    """In bytes; 0 where there is none."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


async def follow(file: Path, *, interval_seconds: float = 0.25) -> AsyncIterator[str]:
    """Whole lines as they are written, from now on; goes on when the file is emptied or replaced."""
    position = size_of(file)
    rest = b""
    while True:
        size = size_of(file)
        if size < position:
            position, rest = 0, b""
        if size > position:
            fresh = _read_from(file, position)
            position += len(fresh)
            *whole, rest = (rest + fresh).split(b"\n")
            for line in whole:
                yield line.decode(errors="replace")
        else:
            await asyncio.sleep(interval_seconds)


def _read_from(file: Path, position: int) -> bytes:
    with file.open("rb") as open_file:
        open_file.seek(position)
        return open_file.read(1024 * 1024)
