"""What is to be said of rows, collected while they are written."""

import json
import re
from dataclasses import dataclass, field

from campaigns.imports.columns import Columns
from campaigns.imports.contacts import Contact, FaultKind, as_text, row_of
from campaigns.imports.files.rows import Block, RowFault
from campaigns.imports.report import COUNTS
from campaigns.imports.writing.store import NewFault


@dataclass
class Told:
    """Of one share of a block. `accepted`: contacts that went in."""

    columns: Columns
    block: Block
    accepted: int = 0
    faults: list[NewFault] = field(default_factory=list[NewFault])
    _of_line: dict[int, int] = field(default_factory=dict[int, int])

    def tell(self, kind: FaultKind, contact: Contact, reason: str, number: str | None = None) -> None:
        """`number`: which of the contact's it is about; None: its own."""
        cells = row_of(self.block, contact.row)
        filled = [index for index in self.columns.phones if cells[index].strip()]
        index = next((i for i in filled if number and _is_written(number, cells[i])), (*filled, self.columns.phone)[0])
        name = self.columns.names[self.columns.phone if number is None else index]
        self.add(kind, RowFault(contact.line, name, cells[index].strip(), reason, cells))

    def add(self, kind: FaultKind, fault: RowFault) -> None:
        ordinal = self._of_line.get(fault.line, 0)
        self._of_line[fault.line] = ordinal + 1
        cells = json.dumps([as_text(cell) for cell in fault.cells], ensure_ascii=False)
        texts = (as_text(fault.column), as_text(fault.value), as_text(fault.reason))
        self.faults.append(NewFault(fault.line, ordinal, kind.value, *texts, cells))

    def counts(self) -> dict[str, int]:
        by_kind = {kind: sum(fault.kind == kind for fault in self.faults) for kind in FaultKind}
        return dict(
            zip(
                COUNTS,
                (
                    self.accepted,
                    by_kind[FaultKind.REJECTED],
                    by_kind[FaultKind.DUPLICATE],
                    by_kind[FaultKind.BLOCKED],
                    by_kind[FaultKind.WARNING],
                ),
                strict=True,
            )
        )


def _is_written(number: str, cell: str) -> bool:
    """Whether the cell can be this number, however it is written there."""
    digits = re.sub(r"\D", "", cell).lstrip("0")
    return bool(digits) and number.endswith(digits)
