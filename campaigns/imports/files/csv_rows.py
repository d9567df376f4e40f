"""CSV by blocks: each is cut at the end of a row, so that any of them can be read again by its byte alone.

A block without quotes is parsed by pandas, all cells as text, and its rows are its lines. A block with quotes goes
through the csv module, which says how many lines each row takes: a quoted cell may hold line breaks.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

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
)
from campaigns.imports.files.text import WIDE, rewrite_as_utf8

BLOCK_BYTES = 512 * 1024
TOO_MANY = "more fields than the first line has; put text with commas in quotes"

_NO_TEXT = re.compile("[\x00\ufffd\udc80-\udcff]")
_UTF8_MARK = b"\xef\xbb\xbf"
_EXCEL_HINT = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)


@dataclass(frozen=True)
class _Cut:
    """Bytes that end where a row ends, except at the end of the file. `at`: where they begin."""

    at: int
    data: bytes
    last: bool


class CsvFile:
    """An open CSV file. `file`: seekable; it stays the caller's to close. Raises EmptyFile and BrokenFile."""

    def __init__(self, file: BinaryIO, encoding: str, delimiter: str = "") -> None:
        wide = encoding.startswith(WIDE)
        self._file = rewrite_as_utf8(file, encoding, owner=self) if wide else file
        self._encoding = "utf-8" if wide else encoding
        self._errors = "surrogateescape" if self._encoding == "utf-8" else "replace"
        self._open(delimiter)
        self.dialect = Dialect(Format.CSV, encoding, self._delimiter)

    def _open(self, delimiter: str) -> None:
        self._file.seek(0)
        head = self._file.read(LONGEST_ROW_BYTES)
        skipped = len(_UTF8_MARK) if head.startswith(_UTF8_MARK) else 0
        self._line_end = b"\n" if b"\n" in head else b"\r"
        if len(head) == LONGEST_ROW_BYTES and self._line_end not in head:
            raise _too_long(1)
        text = head[skipped:].decode(self._encoding, self._errors)
        if not text.strip():
            raise EmptyFile("The file is empty: it needs a line of column names, one of them phone numbers.")
        lines = io.StringIO(text, newline="").readlines()
        first = 0
        hint = _EXCEL_HINT.fullmatch(lines[0])
        if hint:
            first, delimiter = 1, delimiter or hint[1]
        self._delimiter = delimiter or guess_delimiter(lines[first : first + 20])
        self.header, taken = _read_header(lines[first:], self._delimiter)
        used = first + taken
        # The bytes of the lines used; the byte-wise split finds the same line ends in every encoding left here.
        raw = head[skipped:].splitlines(keepends=True)[:used]
        self._start = Position(byte=skipped + sum(map(len, raw)), line=used + 1)

    def blocks(self, start: Position | None = None) -> Iterator[Block]:
        at = start or self._start
        size = BLOCK_BYTES
        while (cut := self._cut(at, size)) is not None:
            block = self._read(cut, at)
            if block is None:
                # Its only row does not end in it.
                if cut.last:
                    raise _never_closed(at.line)
                size *= 2
                continue
            at, size = block.after, BLOCK_BYTES
            yield block

    def _cut(self, at: Position, size: int) -> _Cut | None:
        """About `size` bytes up to a line end. None at the end of the file."""
        self._file.seek(at.byte)
        data = self._file.read(size)
        if not data:
            return None
        if len(data) < size:
            return _Cut(at.byte, data, last=True)
        end = data.rfind(self._line_end) + 1
        # A block must not end between the two bytes of one line end.
        if end and self._line_end == b"\r" and data[end : end + 1] == b"\n":
            end += 1
        if end == 0 or size > 2 * LONGEST_ROW_BYTES:
            if size >= LONGEST_ROW_BYTES:
                raise _too_long(at.line) if end == 0 else _never_closed(at.line)
            return self._cut(at, 2 * size)
        return _Cut(at.byte, data[:end], last=False)

    def _read(self, cut: _Cut, at: Position) -> Block | None:
        text = cut.data.decode(self._encoding, self._errors)
        dirty = _NO_TEXT.search(text) is not None
        plain = '"' not in text and not dirty and text.count("\r") == text.count("\r\n")
        block = self._read_plain(cut, text, at) if plain else None
        return block or self._read_quoted(cut, text, at, dirty)

    def _read_plain(self, cut: _Cut, text: str, at: Position) -> Block | None:
        """Every row is a line. None where a row has too many fields: then each is looked at."""
        # Only here: it takes a second to load, which every other start of the api and the dialer would pay for.
        import pandas

        count = text.count("\n") + (not text.endswith("\n"))
        width = len(self.header)
        # A first row one cell wider than the header, so that a row with a field too many shows in that cell.
        wide = self._delimiter * width + "\n"
        try:
            frame = pandas.read_csv(
                io.StringIO(wide + text),
                sep=self._delimiter,
                header=None,
                names=list(range(width + 1)),
                index_col=False,
                dtype=object,
                na_filter=False,
                skip_blank_lines=False,
                quoting=csv.QUOTE_NONE,
                engine="c",
                low_memory=False,
            )
        except pandas.errors.ParserError:
            return None
        columns = [frame[i].tolist()[1:] for i in range(width + 1)]
        if len(columns[0]) != count or any(columns.pop()):
            return None
        lines: Sequence[int] = range(at.line, at.line + count)
        after = Position(at.blocks + 1, at.rows + count, cut.at + len(cut.data), at.line + count)
        return Block(lines, columns, [], after)

    def _read_quoted(self, cut: _Cut, text: str, at: Position, dirty: bool) -> Block | None:
        width = len(self.header)
        reader = _CountedLines(text, self._delimiter)
        rows: list[list[str]] = []
        lines: list[int] = []
        faults: list[RowFault] = []
        taken, cut_short = 0, False
        try:
            for row in reader:
                if reader.at_end:
                    cut_short = True
                    break
                line = at.line + taken
                taken = reader.line_num
                if len(row) > width and any(row[width:]):
                    faults.append(RowFault(line, "", row[width], TOO_MANY, row))
                else:
                    rows.append(row[:width] + [""] * (width - len(row)))
                    lines.append(line)
        except csv.Error as error:
            # What was read before it is a block of its own; then it is the first.
            if taken == 0:
                raise BrokenFile(f"Line {at.line} cannot be read: {error}. Is a quote there never closed?") from error
            cut_short = True
        if taken == 0:
            return None
        size = len(cut.data) if not cut_short else _bytes_of(cut.data, taken)
        after = Position(at.blocks + 1, at.rows + len(rows) + len(faults), cut.at + size, at.line + taken)
        return Block(lines, columns_of(rows, width), faults, after, dirty)


class _CountedLines:
    """csv.reader over a text; `at_end` once it asked for a line that is not there: a row that it gives after that is
    the beginning of one."""

    def __init__(self, text: str, delimiter: str) -> None:
        self.at_end = False
        self._lines = io.StringIO(text, newline="")
        csv.field_size_limit(LONGEST_CELL)
        self._reader = csv.reader(self._feed(), delimiter=delimiter)

    def _feed(self) -> Iterator[str]:
        yield from self._lines
        self.at_end = True

    def __iter__(self) -> Iterator[list[str]]:
        return self._reader

    @property
    def line_num(self) -> int:
        return self._reader.line_num


def guess_delimiter(lines: Sequence[str]) -> str:
    """The one that splits the first line into most columns, outside quotes; a comma where none does."""
    first = next((line for line in lines if line.strip()), "")
    outside = re.sub(r'"(?:[^"]|"")*"', "", first)
    return max((",", ";", "\t", "|"), key=outside.count)


def _read_header(lines: Sequence[str], delimiter: str) -> tuple[list[str], int]:
    """The first row that is not blank, and how many lines end with it."""
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        header = next((row for row in reader if any(cell.strip() for cell in row)), [])
    except csv.Error as error:
        raise BrokenFile(f"The first line cannot be read: {error}.") from error
    if len(header) > MOST_COLUMNS:
        raise BrokenFile(f"The first line has {len(header)} columns; at most {MOST_COLUMNS} are read.")
    return header, reader.line_num


def _bytes_of(data: bytes, lines: int) -> int:
    return sum(map(len, data.splitlines(keepends=True)[:lines]))


def _too_long(line: int) -> BrokenFile:
    return BrokenFile(
        f"Line {line} is longer than {LONGEST_ROW_BYTES} bytes: this is no list of contacts, or its lines do not end."
    )


def _never_closed(line: int) -> BrokenFile:
    return BrokenFile(f'A quote (") that opens near line {line} is never closed; close or remove it.')
