"""What every kind of contacts file is read as: a header, then blocks of rows with their place in the file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum
from typing import Any, Protocol

from app.errors import InvalidInput

MOST_COLUMNS = 500
LONGEST_ROW_BYTES = 1 << 20
LONGEST_CELL = 100_000
"""Characters. A cell beyond it is a broken file, not something to tell a caller."""


class EmptyFile(InvalidInput):
    """No header, or nothing under it."""

    code = "empty_file"
    title = "Empty file"


class BrokenFile(InvalidInput):
    """Not a file that can be read to its end; the detail says where it breaks and what to do."""

    code = "broken_file"
    title = "Broken file"


class UnknownFormat(InvalidInput):
    """None of CSV, XLSX, JSON and JSON Lines."""

    code = "unknown_format"
    title = "Unknown file format"


class Format(StrEnum):
    CSV = "csv"
    XLSX = "xlsx"
    JSON = "json"
    JSON_LINES = "jsonl"


@dataclass(frozen=True)
class Dialect:
    """How a file is to be read, found once and kept: whoever goes on after a death must read the same rows.

    `encoding`, `delimiter`: of text files. `sheet`: of a workbook.
    """

    format: Format
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""

    def to_json(self) -> dict[str, str]:
        return {
            "format": self.format.value,
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "sheet": self.sheet,
        }

    @classmethod
    def from_json(cls, stored: dict[str, str]) -> "Dialect":
        return cls(Format(stored["format"]), stored["encoding"], stored["delimiter"], stored["sheet"])


@dataclass(frozen=True)
class Position:
    """A place between two rows. `blocks`, `rows`: how many lie before it; `byte`, `line`: where the next row begins
    (a byte only in files that are read by line, 0 elsewhere)."""

    blocks: int = 0
    rows: int = 0
    byte: int = 0
    line: int = 1

    def to_json(self) -> dict[str, int]:
        return {"blocks": self.blocks, "rows": self.rows, "byte": self.byte, "line": self.line}

    @classmethod
    def from_json(cls, stored: dict[str, int]) -> "Position":
        return cls(stored["blocks"], stored["rows"], stored["byte"], stored["line"])


@dataclass(frozen=True)
class RowFault:
    """Why a row did not go in. `column` is empty where no single one is to blame; `cells`: the row as it was read."""

    line: int
    column: str
    value: str
    reason: str
    cells: Sequence[str] = field(default=(), compare=False)


@dataclass(frozen=True)
class Block:
    """Some rows of the file, in its order: `columns[c][r]` is the text of a cell, `lines[r]` the row's line.

    `faults`: rows that are none. `dirty`: cells may hold what is no text (NULs, bytes of no character).
    """

    lines: Sequence[int]
    columns: Sequence[Sequence[str]]
    faults: list[RowFault]
    after: Position
    dirty: bool = False


class RowSource(Protocol):
    """An open file. Blocks the thread: call it off the event loop."""

    @property
    def dialect(self) -> Dialect: ...

    @property
    def header(self) -> Sequence[str]:
        """The names as written, of every column."""
        ...

    def blocks(self, start: Position | None = None) -> Iterator[Block]:
        """From `start` on, which an earlier `Block.after` was: the same blocks as in one go. Raises BrokenFile."""
        ...


def columns_of(rows: Sequence[Sequence[str]], width: int) -> list[Sequence[str]]:
    """Rows of one width, turned into columns."""
    return list(zip(*rows, strict=True)) if rows else [()] * width


def text_of(value: Any) -> str:
    """A cell of a typed file (a workbook, JSON) as the text that a CSV would have."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime):
        return _write_moment(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return _write_clock(value)
    return str(value)


def _write_moment(moment: datetime) -> str:
    """As a person writes it. A workbook has no dates without a time: midnight stands for the day."""
    day = moment.date().isoformat()
    return day if moment.time() == time() else f"{day} {_write_clock(moment.time())}"


def _write_clock(clock: time) -> str:
    return clock.isoformat("seconds" if clock.second else "minutes")
