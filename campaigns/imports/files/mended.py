"""The bad rows of an import as a file of ours, to mend and import again: what it does to cells, and how that is undone.

A cell that a spreadsheet would run goes out with an apostrophe in front, and one that is such a cell behind apostrophes
gets one more. So whatever comes back has exactly one to lose, and a cell like -20.00 is what it was.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from campaigns.imports.files.rows import Block, Dialect, Position, RowFault, RowSource
from campaigns.outcomes.tables import neutralize_formula

ABOUT = ("import_line", "import_column", "import_reason")
"""The columns that say what was wrong. A file with all three is one of ours."""


def mark(cell: str) -> str:
    """As it goes out."""
    return "'" + cell if _would_run(cell.lstrip("'")) else cell


def unmark(cell: str) -> str:
    """As it was before `mark`."""
    return cell[1:] if cell.startswith("'") and _would_run(cell.lstrip("'")) else cell


def _would_run(cell: str) -> bool:
    return neutralize_formula(cell) != cell


def is_ours(header: Sequence[str]) -> bool:
    return {*ABOUT} <= {*header}


class MendedFile:
    """A file of ours, in whatever format it comes back, read without our marks."""

    def __init__(self, source: RowSource) -> None:
        self._source = source
        self.header: Sequence[str] = [unmark(name) for name in source.header]

    @property
    def dialect(self) -> Dialect:
        return self._source.dialect

    def blocks(self, start: Position | None = None) -> Iterator[Block]:
        for block in self._source.blocks(start):
            columns = [[unmark(cell) for cell in column] for column in block.columns]
            yield replace(block, columns=columns, faults=[_unmark_fault(fault) for fault in block.faults])


def _unmark_fault(fault: RowFault) -> RowFault:
    cells = [unmark(cell) for cell in fault.cells]
    return RowFault(fault.line, unmark(fault.column), unmark(fault.value), fault.reason, cells)


def read_unmarked(source: RowSource) -> RowSource:
    """The same rows, as they were before they went out where the file is one of ours."""
    return MendedFile(source) if is_ours(source.header) else source
