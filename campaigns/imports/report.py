"""What became of a file's rows: the counts, what is to be said of single rows, and the bad ones as a file to mend."""

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.db import Database, Row
from app.ids import OrgId
from campaigns.imports import store
from campaigns.imports.columns import Columns
from campaigns.imports.contacts import FaultKind
from campaigns.imports.files.mended import ABOUT, is_ours, mark
from campaigns.imports.files.rows import RowFault

MOST_FAULTS_TOLD = 200
"""In the report itself; all of them are in `import_faults`."""
PAGE_ROWS = 1_000


@dataclass
class ImportReport:
    """What became of a file's rows: `rows = accepted + rejected + duplicates`.

    `blocked`: of the accepted, those on the do-not-call list; they are in the campaign and are never dialed. `warned`:
    accepted with something to be said of them. `variables`: what the agents get. `warnings`: of the file as a whole.
    `errors`: of the rows, the first of them.
    """

    phone_column: str
    name_column: str | None
    variables: list[str]
    warnings: list[str] = field(default_factory=list[str])
    rows: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0
    blocked: int = 0
    warned: int = 0
    errors: list[RowFault] = field(default_factory=list[RowFault])

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "accepted": self.accepted,
            "rejected": self.rejected,
            "duplicates": self.duplicates,
            "blocked": self.blocked,
            "warned": self.warned,
            "phone_column": self.phone_column,
            "name_column": self.name_column,
            "variables": self.variables,
            "warnings": self.warnings,
            "errors": [{"line": e.line, "column": e.column, "value": e.value, "reason": e.reason} for e in self.errors],
        }


def build_report(
    columns: Columns, warnings: Sequence[str], lanes: Sequence[Row], faults: Sequence[Row]
) -> ImportReport:
    """`lanes`: rows of import_lanes; `faults`: the first of import_faults, by line."""
    counts = {name: sum(lane[name] for lane in lanes) for name in COUNTS}
    name = columns.facts.get("name")
    return ImportReport(
        phone_column=columns.names[columns.phone],
        name_column=None if name is None else columns.names[name],
        variables=list(columns.variables),
        warnings=list(warnings),
        rows=counts["accepted"] + counts["rejected"] + counts["duplicates"],
        errors=[RowFault(f["line"], f["column_name"], f["value"], f["reason"]) for f in faults],
        **counts,
    )


COUNTS = ("accepted", "rejected", "duplicates", "blocked", "warned")


async def stream_rejected(
    db: Database,
    org_id: OrgId,
    import_id: UUID,
    names: Sequence[str],
    *,
    kinds: Sequence[FaultKind] = (FaultKind.REJECTED,),
    claims: Mapping[str, Any] | None = None,
) -> AsyncIterator[str]:
    """The bad rows as CSV text, to mend and import again: their own columns, then `import_line`, `import_column` and
    `import_reason`, which an import leaves out. No cell is run by a spreadsheet (`mark`), and an import reads each as
    it was."""
    # Of rows that were bad again, what was wrong the first time is no news.
    own = [index for index, name in enumerate(names) if not (is_ours(names) and name in ABOUT)]
    yield _to_csv([[*(names[index] for index in own), *ABOUT]])
    after: tuple[int, int] | None = None
    while True:
        async with db.system() if claims is None else db.request(claims) as connection:
            rows = await store.select_faults(connection, org_id, import_id, kinds=kinds, after=after, limit=PAGE_ROWS)
        yield _to_csv([_mend_row(row, own, len(names)) for row in rows])
        if len(rows) < PAGE_ROWS:
            return
        after = (rows[-1]["line"], rows[-1]["ordinal"])


def _mend_row(row: Row, own: Sequence[int], width: int) -> list[str]:
    """`own`: which of the `width` cells are the file's own."""
    cells = list(row["cells"])
    cells += [""] * (width - len(cells))
    kept = [cells[index] for index in own]
    if kept and len(cells) > width:
        # What was more than the columns there are goes into the last, where it is seen.
        kept[-1] = " ".join([kept[-1], *cells[width:]])
    return [*kept, str(row["line"]), row["column_name"], row["reason"]]


def _to_csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([mark(cell) for cell in row] for row in rows)
    return text.getvalue()
