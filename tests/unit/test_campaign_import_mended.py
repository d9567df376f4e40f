"""Bad rows that come back mended are read as they were, in whatever format; a file that is not ours keeps its marks."""

import io
import json

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.imports.files.csv_rows import CsvFile
from campaigns.imports.files.mended import ABOUT, mark, unmark
from campaigns.imports.files.opening import open_rows, reopen_rows
from campaigns.imports.files.rows import RowSource
from campaigns.outcomes.tables import neutralize_formula

TEXT = "phone,'=note,import_line,import_column,import_reason\n12,'-20.00,2,phone,no\n13,\"'=a,'b\",3,phone,no\n"


@given(st.text(alphabet="'=+-@\t1a ＝", max_size=6))
def test_a_cell_comes_back_exactly_and_runs_in_no_spreadsheet(cell: str) -> None:
    assert unmark(mark(cell)) == cell
    assert neutralize_formula(mark(cell)) == mark(cell)


@pytest.mark.parametrize("cell", ["'tis", "'", "''", "'+12025550177", "12", "", "it's =1"])
def test_an_apostrophe_that_is_none_of_ours_stays(cell: str) -> None:
    assert unmark(cell) == mark(cell) == cell


def as_xlsx() -> bytes:
    book, raw = openpyxl.Workbook(), io.BytesIO()
    for row in (line for block in [CsvFile(io.BytesIO(TEXT.encode()), "utf-8")] for line in rows_of(block)):
        book.active.append(row)  # type: ignore[union-attr]
    book.save(raw)
    return raw.getvalue()


def as_json() -> bytes:
    header, *rows = rows_of(CsvFile(io.BytesIO(TEXT.encode()), "utf-8"))
    return json.dumps([dict(zip(header, row, strict=True)) for row in rows]).encode()


def rows_of(source: RowSource) -> list[list[str]]:
    columns = [[cell for block in source.blocks() for cell in block.columns[n]] for n in range(len(source.header))]
    return [[*source.header], *map(list, zip(*columns, strict=True))]


PLAIN = TEXT.replace("\"'=a,'b\"", "'=a.'b").encode()
"""Without quotes: read all at once."""


@pytest.mark.parametrize("file", [TEXT.encode(), PLAIN, as_xlsx(), as_json()], ids=["csv", "plain", "xlsx", "json"])
def test_a_file_of_ours_is_read_without_its_marks_whatever_its_format(file: bytes) -> None:
    source = open_rows(io.BytesIO(file))
    header, first, second, *_ = rows_of(source)
    assert header == ["phone", "=note", *ABOUT]
    assert first[:2] == ["12", "-20.00"]
    assert second[:2] == ["13", "=a.'b" if file == PLAIN else "=a,'b"]
    assert rows_of(reopen_rows(io.BytesIO(file), source.dialect)) == rows_of(source)


def test_rows_that_are_no_contacts_are_told_without_marks() -> None:
    header = "phone,note,import_line,import_column,import_reason\n"
    (block,) = open_rows(io.BytesIO(f"{header}12,'-1,2,phone,no,'=more\n".encode())).blocks()
    assert [(fault.value, [*fault.cells]) for fault in block.faults] == [
        ("=more", ["12", "-1", "2", "phone", "no", "=more"])
    ]


@pytest.mark.parametrize("lacking", ABOUT)
def test_a_file_that_is_not_ours_keeps_what_it_has(lacking: str) -> None:
    source = open_rows(io.BytesIO(TEXT.replace(lacking, "other").encode()))
    header, first, *_ = rows_of(source)
    assert (header[1], first[1]) == ("'=note", "'-20.00")
