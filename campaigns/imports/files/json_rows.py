"""JSON: an array of objects, read as a stream, or an object a line. Keys are the columns."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO

import ijson
from ijson.common import IncompleteJSONError, JSONError

from campaigns.imports.files.rows import (
    LONGEST_CELL,
    LONGEST_ROW_BYTES,
    MOST_COLUMNS,
    Block,
    BrokenFile,
    Dialect,
    EmptyFile,
    Format,
    Position,
    RowFault,
    columns_of,
    text_of,
)
from campaigns.imports.files.text import rewrite_as_utf8

BLOCK_ROWS = 5_000
HEADER_ROWS = 1_000
"""The keys of this many objects are the columns; one that first comes later is a fault of its row."""

DEEPEST = 32
_OPENING = frozenset({"start_map", "start_array"})
_CLOSING = frozenset({"end_map", "end_array"})
_Item = tuple[int, Any]


class JsonFile:
    """An open JSON file; `file`: seekable, the caller's to close. Lines count objects from 1 in an array. Raises
    EmptyFile and BrokenFile."""

    def __init__(self, file: BinaryIO, encoding: str, *, by_line: bool) -> None:
        self._file = file if encoding == "utf-8" else rewrite_as_utf8(file, encoding, owner=self)
        self._by_line = by_line
        self.dialect = Dialect(Format.JSON_LINES if by_line else Format.JSON, encoding)
        names: dict[str, None] = {}
        for _, value in islice(self._items(Position()), HEADER_ROWS):
            if isinstance(value, Mapping):
                names.update(dict.fromkeys(map(str, value)))
        if not names:
            raise EmptyFile("The file has no objects in it: it needs a list of them, each with a phone number.")
        if len(names) > MOST_COLUMNS:
            raise BrokenFile(f"The objects have {len(names)} different keys; at most {MOST_COLUMNS} are read.")
        self.header: Sequence[str] = list(names)

    def blocks(self, start: Position | None = None) -> Iterator[Block]:
        position = start or Position()
        items = self._items(position)
        while batch := list(islice(items, BLOCK_ROWS)):
            line = batch[-1][0] + 1
            byte = self._file_position if self._by_line else 0
            position = Position(position.blocks + 1, position.rows + len(batch), byte, line)
            yield self._read(batch, position)

    def _items(self, position: Position) -> Iterator[_Item]:
        return self._lines(position) if self._by_line else self._elements(position)

    def _lines(self, position: Position) -> Iterator[_Item]:
        self._file.seek(position.byte)
        self._file_position, line = position.byte, position.line
        while data := self._file.readline(LONGEST_ROW_BYTES):
            if len(data) >= LONGEST_ROW_BYTES:
                raise BrokenFile(f"Line {line} is longer than {LONGEST_ROW_BYTES} bytes.")
            self._file_position += len(data)
            text = data.strip().removeprefix(b"\xef\xbb\xbf")
            if text:
                yield line, _parse(text)
            line += 1

    def _elements(self, position: Position) -> Iterator[_Item]:
        self._file.seek(0)
        guarded = _Guarded(self._file)
        number = 0
        try:
            for value in _build_elements(ijson.basic_parse(guarded)):
                guarded.begin_item()
                number += 1
                if number > position.rows:
                    yield number, value
        except (IncompleteJSONError, JSONError, UnicodeDecodeError) as error:
            raise BrokenFile(
                f"The JSON breaks after object {number}: {str(error).splitlines()[0][:200]}. Mend it and send it again."
            ) from error

    def _read(self, batch: list[_Item], after: Position) -> Block:
        known = set(self.header)
        rows: list[list[str]] = []
        lines: list[int] = []
        faults: list[RowFault] = []
        for line, value in batch:
            why, where = _why_not(value, known)
            if why:
                faults.append(RowFault(line, where, str(value)[:100], why))
                continue
            rows.append([_cell(value.get(name)) for name in self.header])
            lines.append(line)
        return Block(lines, columns_of(rows, len(self.header)), faults, after, dirty=True)


def _build_elements(events: Iterable[tuple[str, Any]]) -> Iterator[Any]:
    """The elements of the one array. Not ijson.items: that keeps the path to where it is, which a file of nothing but
    brackets makes as long as itself, at every bracket."""
    depth = 0
    builder = ijson.ObjectBuilder()
    for event, value in events:
        depth -= event in _CLOSING
        if depth >= 1:
            builder.event(event, value)
        if depth == 1 and event not in _OPENING and event != "map_key":
            yield builder.value
            builder = ijson.ObjectBuilder()
        depth += event in _OPENING
        if depth > DEEPEST:
            raise BrokenFile(f"The JSON is nested more than {DEEPEST} deep: this is no list of contacts.")


@dataclass
class _Guarded:
    """The file as ijson reads it; refuses where one element takes more bytes than any contact does."""

    file: BinaryIO
    since: int = 0

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.since += len(data)
        if self.since > 2 * LONGEST_ROW_BYTES:
            raise BrokenFile(f"One object of the list takes more than {LONGEST_ROW_BYTES} bytes.")
        return data.removeprefix(b"\xef\xbb\xbf")

    def begin_item(self) -> None:
        self.since = 0


@dataclass(frozen=True)
class _Unreadable:
    why: str
    text: str

    def __str__(self) -> str:
        return self.text


def _parse(text: bytes) -> Any:
    try:
        return json.loads(text, parse_int=str, parse_float=str)
    except RecursionError:
        return _Unreadable("nested too deeply", text[:100].decode(errors="replace"))
    except ValueError as error:
        return _Unreadable(f"no JSON: {error}", text[:100].decode(errors="replace"))


def _why_not(value: Any, known: set[str]) -> tuple[str, str]:
    if isinstance(value, _Unreadable):
        return value.why, ""
    if not isinstance(value, dict):
        return "no object with keys", ""
    late = next((name for name in value if name not in known), None)
    if late is not None:
        return f"a key that the first {HEADER_ROWS} objects do not have; give it to one of them", str(late)[:100]
    long = next((name for name, cell in value.items() if len(str(cell)) > LONGEST_CELL), None)
    return (f"more than {LONGEST_CELL} characters", str(long)) if long is not None else ("", "")


def _cell(value: Any) -> str:
    if isinstance(value, Decimal):
        return str(int(value)) if value == value.to_integral_value() and value.adjusted() < 20 else str(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return text_of(value)
