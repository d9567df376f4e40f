"""Reading a contacts CSV: which column is what, and each row as a contact or as a fault with its line and reason.

Streams: pandas parses chunks, all cells as text. Two wishes that pandas does not grant are met by what it is fed: the
header is read by us, and a first row as wide as the header and one cell more takes its place, so that a row with too
many fields shows in that last cell instead of refusing the whole file.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from app.errors import InvalidInput
from app.ids import E164
from campaigns.imports.columns import guess_columns
from telephony.lines.numbers import InvalidNumber, parse_number

CHUNK_ROWS = 5_000
MOST_COLUMNS = 500
LONGEST_HEADER = 1 << 20

_SHORTENED_BY_A_SPREADSHEET = re.compile(r"\+?\d+([.,]\d+)?[eE]\+?\d+")


class EmptyFile(InvalidInput):
    """No header, or nothing under it."""

    code = "empty_file"
    title = "Empty file"


class NotUtf8(InvalidInput):
    """The bytes are not UTF-8; `extra["byte_offset"]` is where that shows first."""

    code = "not_utf8"
    title = "Not UTF-8"


class BrokenCsv(InvalidInput):
    """Not a CSV file that can be read to its end."""

    code = "broken_csv"
    title = "Broken CSV"


@dataclass(frozen=True)
class RowFault:
    """Why a row did not go in. `column` is empty where no single one is to blame."""

    line: int
    column: str
    value: str
    reason: str


@dataclass(frozen=True)
class ContactRow:
    line: int
    phone: E164
    phone_as_written: str
    name: str | None
    variables: dict[str, str]

    @property
    def variables_json(self) -> str:
        return json.dumps(self.variables)


@dataclass(frozen=True)
class Chunk:
    """Some rows of the file, in its order."""

    contacts: list[ContactRow]
    faults: list[RowFault]


def check_utf8(file: BinaryIO) -> None:
    """Read the file once from its start and raise NotUtf8 at the first byte that cannot be; leaves it at its start."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    while True:
        block = file.read(1 << 20)
        try:
            decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            at = offset + len(block) - len(error.object) + error.start
            raise NotUtf8(
                f"The file is not UTF-8: byte {at} does not belong. Save it as UTF-8 (in a spreadsheet: "
                '"CSV UTF-8") and send it again.',
                byte_offset=at,
            ) from error
        if not block:
            break
        offset += len(block)
    file.seek(0)


class ContactsFile:
    """An open CSV file of contacts. `columns` is known at once, the rows come in chunks.

    Raises NotUtf8, EmptyFile, NoPhoneColumn and BrokenCsv on opening, BrokenCsv while reading. `region`: ISO 3166
    code of the country that numbers without + belong to. The file itself stays the caller's to close.
    """

    def __init__(self, file: BinaryIO, *, region: str) -> None:
        check_utf8(file)
        self._region = region
        self._text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        try:
            self._open()
        except InvalidInput:
            self._text.detach()
            raise

    def _open(self) -> None:
        sample = self._text.read(LONGEST_HEADER)
        if not sample.strip():
            raise EmptyFile("The file is empty: it needs a line of column names, one of them phone numbers.")
        lines = io.StringIO(sample, newline="")
        self._delimiter = _guess_delimiter(sample)
        header, self._lines_read = _read_header(lines, self._delimiter)
        self.columns = guess_columns(header)
        self._rest = sample[lines.tell() :]

    def chunks(self) -> Iterator[Chunk]:
        """The rows, `CHUNK_ROWS` at a time. Blocks: call it off the event loop."""
        # Only here: it takes a second to load, which every other start of the api and the dialer would pay for.
        import pandas

        width = len(self.columns.names) + 1
        placeholder = self._delimiter * (width - 1) + "\n"
        line = self._lines_read + 1
        try:
            with pandas.read_csv(
                _Prefixed(placeholder + self._rest, self._text),
                sep=self._delimiter,
                header=0,
                names=list(range(width)),
                usecols=list(range(width)),
                index_col=False,
                dtype=str,
                na_filter=False,
                skip_blank_lines=False,
                chunksize=CHUNK_ROWS,
            ) as frames:
                for frame in frames:
                    chunk, line = self._read_rows(frame.itertuples(index=False, name=None), line)
                    yield chunk
        except pandas.errors.ParserError as error:
            raise BrokenCsv(_explain(str(error))) from error
        finally:
            self._text.detach()

    def _read_rows(self, rows: Iterator[tuple[str, ...]], line: int) -> tuple[Chunk, int]:
        chunk = Chunk([], [])
        for cells in rows:
            if any(cell and not cell.isspace() for cell in cells):
                read = self._read_row(line, cells)
                if isinstance(read, RowFault):
                    chunk.faults.append(read)
                else:
                    chunk.contacts.append(read)
            # A quoted cell may hold line breaks: the next row stands that many lines further down.
            line += 1 + sum(cell.count("\n") for cell in cells)
        return chunk, line

    def _read_row(self, line: int, cells: tuple[str, ...]) -> ContactRow | RowFault:
        columns = self.columns
        written = cells[columns.phone].strip()
        phone_column = columns.names[columns.phone]
        if cells[-1]:
            return RowFault(line, "", cells[-1], "more fields than the first line has; put text with commas in quotes")
        for name, cell in zip(columns.names, cells, strict=False):
            if "\x00" in cell:
                return RowFault(line, name, cell.replace("\x00", "\\0"), "a NUL character")
        if not written:
            return RowFault(line, phone_column, written, "no phone number")
        if _SHORTENED_BY_A_SPREADSHEET.fullmatch(written):
            return RowFault(
                line, phone_column, written, "a spreadsheet shortened this number; format the column as text"
            )
        try:
            phone = parse_number(written, self._region)
        except InvalidNumber as error:
            return RowFault(line, phone_column, written, error.detail)
        name = cells[columns.name].strip() if columns.name is not None else ""
        taken = (columns.phone, columns.name)
        variables = {columns.names[i]: cells[i].strip() for i in range(len(columns.names)) if i not in taken}
        return ContactRow(line, phone, written, name or None, variables)


class _Prefixed(io.TextIOBase):
    """A text, then the rest of a stream, as one thing to read; what pandas needs of a file and no more."""

    def __init__(self, head: str, rest: io.TextIOBase) -> None:
        super().__init__()
        self._head, self._rest = io.StringIO(head, newline=""), rest

    def read(self, size: int | None = -1) -> str:
        return self._head.read(size) or self._rest.read(size)

    def __iter__(self) -> Iterator[str]:
        yield from self._head
        yield from self._rest


def _guess_delimiter(sample: str) -> str:
    first_line = sample.splitlines()[0]
    return max((",", ";", "\t", "|"), key=first_line.count)


def _read_header(lines: io.StringIO, delimiter: str) -> tuple[list[str], int]:
    """The first row and how many lines it takes."""
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        header = next(reader)
    except csv.Error as error:
        raise BrokenCsv(f"The first line cannot be read: {error}.") from error
    if lines.tell() >= LONGEST_HEADER or len(header) > MOST_COLUMNS:
        raise BrokenCsv(f"The first line is too long: at most {MOST_COLUMNS} columns.")
    return header, reader.line_num


def _explain(driver_says: str) -> str:
    found = re.search(r"EOF inside string starting at row (\d+)", driver_says)
    if found:
        return f'A quote (") that opens near row {found.group(1)} is never closed; the file ends inside it.'
    return "The file cannot be read as CSV to its end."
