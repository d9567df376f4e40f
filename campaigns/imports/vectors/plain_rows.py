"""The rows that nearly every list is made of, one number and no facts but a name, without an object each."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.ids import E164
from campaigns.imports.contacts import Batch, Contact, RowReader
from campaigns.imports.files.rows import Block, RowFault
from campaigns.imports.vectors.cells import Cells, Ints, join_cells
from campaigns.imports.vectors.north_america import NorthAmerica


@dataclass(frozen=True)
class PlainRows:
    """Contacts of a block. `rows`: in the block; `phones`: the digits of their numbers, as integers; `names`: empty
    where there is none; `variables`: JSON. `rejected`: what is to be said of rows that are no contacts."""

    block: Block
    rows: Ints
    phones: Ints
    names: Cells
    variables: Cells
    rejected: list[RowFault]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: NDArray[Any]) -> "PlainRows":
        """Those of these numbers, or where it is true; with nothing rejected."""
        names, variables = self.names.take(chosen), self.variables.take(chosen)
        return replace(
            self, rows=self.rows[chosen], phones=self.phones[chosen], names=names, variables=variables, rejected=[]
        )

    @cached_property
    def numbers(self) -> list[E164]:
        return [E164(f"+{phone}") for phone in self.phones.tolist()]

    def contact(self, n: int) -> Contact:
        """As an object, to tell of it."""
        row = int(self.rows[n])
        name = self.names.cell(n) or None
        variables = self.variables.cell(n)
        return Contact(
            self.block.lines[row], E164(f"+{self.phones[n]}"), "{}", name, variables, None, None, None, None, row
        )

    def contacts(self) -> list[Contact]:
        return [self.contact(n) for n in range(len(self))]


class PlainReader:
    """Reads blocks as `reader` does, as far as their rows are plain."""

    def __init__(self, reader: RowReader) -> None:
        self._reader = reader
        self._north_america = NorthAmerica(reader.numbers, reader.allowed)

    def read(self, block: Block) -> PlainRows | None:
        """Just what `RowReader.read` makes of it; None where rows have facts, second numbers, or what is no text."""
        columns = self._reader.columns
        has_facts = any(fact != "name" for fact in columns.facts)
        if block.dirty or has_facts or any(any(map(str.strip, block.columns[i])) for i in columns.phones[1:]):
            return None
        name = columns.fact("name")
        written = join_cells(list(map(str.strip, block.columns[columns.phone])))
        names = join_cells([""] * len(block.lines) if name is None else list(map(str.strip, block.columns[name])))
        variables = join_cells(self._reader.write_variables(block))
        if written is None or names is None or variables is None:
            return None
        phones = self._north_america.read(written)
        batch = Batch(block, [], [*block.faults], [])
        cells = [block.columns[index] for index in columns.phones]
        for row in np.flatnonzero(phones == 0).tolist():
            for number in self._reader.read_phones(block, row, cells, batch):
                phones[row] = int(number[1:])
        rows = np.flatnonzero(phones)
        return PlainRows(block, rows, phones[rows], names.take(rows), variables.take(rows), batch.rejected)
