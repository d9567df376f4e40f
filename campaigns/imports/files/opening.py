"""Which kind of file this is, by its first bytes; its name is not believed."""

import codecs
from typing import BinaryIO

from campaigns.imports.files.csv_rows import CsvFile
from campaigns.imports.files.json_rows import JsonFile
from campaigns.imports.files.mended import read_unmarked
from campaigns.imports.files.rows import (
    LONGEST_ROW_BYTES,
    BrokenFile,
    Dialect,
    EmptyFile,
    Format,
    RowSource,
    UnknownFormat,
)
from campaigns.imports.files.text import find_encoding
from campaigns.imports.files.xlsx_rows import XlsxFile

_FOREIGN = (
    (b"\xd0\xcf\x11\xe0", "an Excel file of before 2007, or one with a password: save it as XLSX or CSV"),
    (b"\x1f\x8b", "compressed (gzip): unpack it first"),
    (b"BZh", "compressed (bzip2): unpack it first"),
    (b"\xfd7zXZ", "compressed (xz): unpack it first"),
    (b"7z\xbc\xaf", "an archive (7z): unpack it first"),
    (b"Rar!", "an archive (rar): unpack it first"),
    (b"%PDF", "a PDF: export the list as CSV or XLSX"),
    (b"SQLite format 3\x00", "a database: export the list as CSV"),
    (b"\x7fELF", "a program"),
)


def open_rows(file: BinaryIO, encoding: str | None = None) -> RowSource:
    """The file's header, and its rows in blocks; one of bad rows that came from us as they were before. `file`:
    seekable, the caller's to close; `encoding`: of a text file, where somebody knows better. Blocks: call it off the
    event loop. Raises EmptyFile, BrokenFile, UnknownFormat."""
    return read_unmarked(_open_rows(file, encoding))


def _open_rows(file: BinaryIO, encoding: str | None) -> RowSource:
    file.seek(0)
    head = file.read(LONGEST_ROW_BYTES)
    if not head.strip():
        raise EmptyFile("The file is empty: it needs a line of column names, one of them phone numbers.")
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            raise UnknownFormat(f"This is {what}.")
    if head.startswith(b"PK\x03\x04"):
        return XlsxFile(file)
    # Before the whole file is read to find its encoding.
    if len(head) == LONGEST_ROW_BYTES and not {10, 13} & set(head) and head[:1] not in b"[{":
        raise BrokenFile(f"The first line is longer than {LONGEST_ROW_BYTES} bytes: this is no list of contacts.")
    encoding = _check(encoding) if encoding else find_encoding(file, head)
    text = head[:4096].decode(encoding, "ignore").lstrip("\ufeff \t\r\n")
    if text.startswith("["):
        return JsonFile(file, encoding, by_line=False)
    if text.startswith("{"):
        return JsonFile(file, encoding, by_line=True)
    return CsvFile(file, encoding)


def _check(encoding: str) -> str:
    """Python's name of it."""
    try:
        name = codecs.lookup(encoding).name
        "".encode(name)
    except LookupError as error:
        raise UnknownFormat(f'No encoding is called "{encoding[:40]}"; write it like utf-8 or cp1252.') from error
    return name


def reopen_rows(file: BinaryIO, dialect: Dialect) -> RowSource:
    """The same file as it was read before."""
    return read_unmarked(_reopen_rows(file, dialect))


def _reopen_rows(file: BinaryIO, dialect: Dialect) -> RowSource:
    match dialect.format:
        case Format.XLSX:
            return XlsxFile(file, dialect.sheet)
        case Format.JSON | Format.JSON_LINES:
            return JsonFile(file, dialect.encoding, by_line=dialect.format is Format.JSON_LINES)
        case Format.CSV:
            return CsvFile(file, dialect.encoding, dialect.delimiter)
