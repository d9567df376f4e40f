"""The first sheet with something in it of an Excel workbook, read row by row and never as a whole.

A workbook is a zip of XML: what it would unpack to is known before it is unpacked, and refused where it is absurd.
"""

import re
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO
from xml.etree.ElementTree import ParseError

import defusedxml
import openpyxl

from campaigns.imports.files.rows import (
    LONGEST_CELL,
    MOST_COLUMNS,
    Block,
    BrokenFile,
    Dialect,
    EmptyFile,
    Format,
    Position,
    RowFault,
    UnknownFormat,
    columns_of,
    text_of,
)

BLOCK_ROWS = 5_000
MOST_PARTS = 2_000
MOST_UNPACKED_BYTES = 2 << 30
MOST_SHARED_TEXT_BYTES = 48 << 20
"""All texts of a workbook lie in one part, which must be in memory to read any cell."""
MOST_RATIO = 250
SMALL_PART_BYTES = 1 << 20
LONGEST_GAP_ROWS = 100_000
MOST_WIDE_ROWS = 1_000
NOT_COMPUTED = (
    "a formula whose value was never computed: open the file in Excel or LibreOffice, save it and import that"
)
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")
_READ_BYTES = 1 << 20
_UNREADABLE = (zipfile.BadZipFile, KeyError, ValueError, ParseError, defusedxml.DefusedXmlException, EOFError)


class Formula(str):
    """A cell that the file holds no value of."""


class XlsxFile:
    """An open workbook; `file`: seekable, the caller's to close. Raises UnknownFormat, BrokenFile, EmptyFile."""

    def __init__(self, file: BinaryIO, sheet: str = "") -> None:
        check_package(file)
        try:
            # Values as last computed: a formula is never run here.
            self._book: Any = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            # Programs write formulas without a value, which read as nothing at all: they are told from empty cells.
            has_formulas = _has_formulas(file)
            self._written: Any = openpyxl.load_workbook(file, read_only=True) if has_formulas else None
            self._sheet = self._book[sheet] if sheet else self._first_filled()
        except _UNREADABLE as error:
            raise _broken(error) from error
        rows = self._rows()
        self.header: Sequence[str] = next((cells for _, cells in rows if any(map(str.strip, cells))), ())
        if not self.header:
            raise EmptyFile("The workbook is empty: it needs a row of column names, one of them phone numbers.")
        while self.header and not self.header[-1].strip():
            self.header = self.header[:-1]
        if len(self.header) > MOST_COLUMNS:
            raise BrokenFile(f"The first row has more than {MOST_COLUMNS} columns; at most {MOST_COLUMNS} are read.")
        self.dialect = Dialect(Format.XLSX, sheet=str(self._sheet.title))

    def blocks(self, start: Position | None = None) -> Iterator[Block]:
        skip = start.rows if start else 0
        position = start or Position()
        filled = ((line, cells) for line, cells in self._rows() if any(map(str.strip, cells)))
        next(filled)  # the header
        for _ in range(skip):
            next(filled, None)
        while rows := [row for row, _ in zip(filled, range(BLOCK_ROWS), strict=False)]:
            after = Position(position.blocks + 1, position.rows + len(rows), 0, rows[-1][0] + 1)
            yield self._read(rows, after)
            position = after

    def _first_filled(self) -> Any:
        sheets = [sheet for sheet in self._book.worksheets if sheet.sheet_state == "visible"] or self._book.worksheets
        if not sheets:
            raise EmptyFile("The workbook has no sheet.")
        for sheet in sheets:
            self._sheet = sheet
            if any(any(map(str.strip, cells)) for _, (_, cells) in zip(range(100), self._rows(), strict=False)):
                return sheet
        return sheets[0]

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """(row number, its texts), as wide as it is written but at most one cell over the limit."""
        empty = wide = 0
        try:
            for number, row in enumerate(self._values(), 1):
                wide += len(row) > MOST_COLUMNS
                if wide > MOST_WIDE_ROWS:
                    raise BrokenFile(f"The rows have cells far to the right; at most {MOST_COLUMNS} columns are read.")
                cells = [text_of(value) for value in row[: MOST_COLUMNS + 1]]
                empty = 0 if any(cells) else empty + 1
                if empty > LONGEST_GAP_ROWS:
                    return
                yield number, cells
        except _UNREADABLE as error:
            raise _broken(error) from error

    def _values(self) -> Iterator[Sequence[Any]]:
        """Of each row, as last computed; a Formula where that never happened."""
        # What the file says of its size is not to be believed.
        self._sheet.reset_dimensions()
        if self._written is None:
            yield from self._sheet.iter_rows(values_only=True)
            return
        written = self._written[self._sheet.title]
        written.reset_dimensions()
        for cells, formulas in zip(self._sheet.iter_rows(), written.iter_rows(values_only=True), strict=True):
            yield [_value_of(cell, formula) for cell, formula in zip(cells, formulas, strict=True)]

    def _read(self, rows: list[tuple[int, list[str]]], after: Position) -> Block:
        width = len(self.header)
        lines: list[int] = []
        kept: list[list[str]] = []
        faults: list[RowFault] = []
        for line, cells in rows:
            extra = next((cell for cell in cells[width:] if cell.strip()), None)
            long = next((cell for cell in cells if len(cell) > LONGEST_CELL), None)
            formula = next((n for n, cell in enumerate(cells[:width]) if isinstance(cell, Formula)), None)
            if formula is not None:
                faults.append(RowFault(line, self.header[formula], cells[formula][:100], NOT_COMPUTED, cells))
            elif extra is not None:
                faults.append(RowFault(line, "", extra, "a cell beyond the last named column", cells))
            elif long is not None:
                faults.append(RowFault(line, "", long[:100], f"a cell of more than {LONGEST_CELL} characters"))
            else:
                lines.append(line)
                kept.append(cells[:width] + [""] * (width - len(cells)))
        return Block(lines, columns_of(kept, width), faults, after)


def _value_of(cell: Any, formula: Any) -> Any:
    """`formula`: what stands in the cell where `cell` has the value. One that came to an empty text has that type."""
    if cell.value is None and formula is not None and cell.data_type != "str":
        return Formula(formula if isinstance(formula, str) else "a formula")
    return cell.value


def _has_formulas(file: BinaryIO) -> bool:
    with zipfile.ZipFile(file) as package:
        for part in package.infolist():
            if not part.filename.startswith("xl/") or part.filename.lower() == "xl/sharedstrings.xml":
                continue
            with package.open(part) as opened:
                before = b""
                while data := opened.read(_READ_BYTES):
                    if _FORMULA.search(before + data):
                        return True
                    before = data[-100:]
    return False


def check_package(file: BinaryIO) -> None:
    """Raises UnknownFormat where the zip is no workbook, BrokenFile where it would unpack to something absurd. Looks
    only at the zip's directory: zipfile unpacks no more of a part than that says."""
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as package:
            parts = package.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise _broken(error) from error
    if not any(part.filename == "xl/workbook.xml" for part in parts):
        raise UnknownFormat("This is a zip archive and no workbook: unpack it and send the file inside.")
    unpacked = sum(part.file_size for part in parts)
    if len(parts) > MOST_PARTS or unpacked > MOST_UNPACKED_BYTES:
        raise BrokenFile("The workbook would unpack to far more than a list of contacts; save the list as CSV.")
    for part in parts:
        if part.flag_bits & 1:
            raise BrokenFile("The workbook is protected by a password: remove it, or save the list as CSV.")
        if part.filename.lower() == "xl/sharedstrings.xml" and part.file_size > MOST_SHARED_TEXT_BYTES:
            raise BrokenFile("The workbook holds too much text to be read at once: save the list as CSV.")
        if part.file_size > SMALL_PART_BYTES and part.file_size > MOST_RATIO * max(part.compress_size, 1):
            raise BrokenFile("A part of the workbook unpacks to hundreds of times its size: save the list as CSV.")


def _broken(error: Exception) -> BrokenFile:
    return BrokenFile(f"The workbook cannot be read ({type(error).__name__}): save it again as XLSX, or as CSV.")
