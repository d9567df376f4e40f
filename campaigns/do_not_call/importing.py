"""A do-not-call list from a file: every number of it that can be read goes onto the list, the others are told.

One transaction: a list is there as a whole or, when the file turns out broken at its end, not at all. Asking again
with the same file adds nothing.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from app.db import Connection
from app.ids import E164, CampaignId, OrgId
from campaigns.do_not_call import store
from campaigns.do_not_call.asking import Source
from campaigns.do_not_call.entries import demand_campaign
from campaigns.imports.columns import map_columns
from campaigns.imports.files.opening import open_rows
from campaigns.imports.files.rows import Block, RowFault, RowSource
from campaigns.imports.plain_numbers import NumberReader
from telephony.lines.numbers import InvalidNumber
from telephony.reading_store import select_country

MOST_FAULTS_TOLD = 1000
LONGEST_REASON = 500


@dataclass
class ListReport:
    """`rows = added + known + rejected`. `known`: on the list before, or earlier in the file. `faults`: the first of
    the rejected."""

    rows: int = 0
    added: int = 0
    known: int = 0
    rejected: int = 0
    faults: list[RowFault] = field(default_factory=list[RowFault])


async def import_list(
    connection: Connection,
    org_id: OrgId,
    file: BinaryIO,
    *,
    reason: str = "",
    campaign_id: CampaignId | None = None,
) -> ListReport:
    """CSV, XLSX or JSON with a column of numbers, and maybe one called reason; or numbers alone, without a header.

    `file`: seekable. Numbers without + are of the organization's country. Raises EmptyFile, BrokenFile, UnknownFormat,
    NoPhoneColumn, NoSuchCampaign; then nothing was added.
    """
    await demand_campaign(connection, org_id, campaign_id)
    numbers = NumberReader(await select_country(connection, org_id))
    reader = await asyncio.to_thread(ListReader, file, numbers, reason)
    await store.create_stage(connection)
    report = ListReport()
    batches = reader.batches()
    while (batch := await asyncio.to_thread(next, batches, None)) is not None:
        added = await store.add_staged(connection, org_id, batch.entries, source=Source.IMPORT, campaign_id=campaign_id)
        report.rows += len(batch.entries) + len(batch.faults)
        report.added += added
        report.known += len(batch.entries) - added
        report.rejected += len(batch.faults)
        report.faults += batch.faults[: MOST_FAULTS_TOLD - len(report.faults)]
    return report


@dataclass(frozen=True)
class Batch:
    """`entries`: number and reason."""

    entries: Sequence[tuple[E164, str]]
    faults: Sequence[RowFault]


class ListReader:
    """The numbers of a file, some at a time. Blocks the thread: use it off the event loop."""

    def __init__(self, file: BinaryIO, numbers: NumberReader, reason: str) -> None:
        self._numbers, self._reason = numbers, reason
        self._source: RowSource = open_rows(file)
        header = self._source.header
        bare = next((n for n, cell in enumerate(header) if numbers.can_read(cell)), None)
        # A first line that holds a number is no header: lists of nothing but numbers have none.
        self._first = None if bare is None else header
        self._phone = map_columns(header).phone if bare is None else bare
        self._column = "phone" if self._first is not None else header[self._phone]
        names = [name.strip().lower() for name in header]
        self._why = names.index("reason") if bare is None and "reason" in names else None

    def batches(self) -> Iterator[Batch]:
        """Raises BrokenFile."""
        if self._first is not None:
            yield self._read([1], [[cell] for cell in self._first], [])
        for block in self._source.blocks():
            yield self._read_block(block)

    def _read_block(self, block: Block) -> Batch:
        return self._read(block.lines, block.columns, block.faults)

    def _read(self, lines: Sequence[int], columns: Sequence[Sequence[str]], faults: Sequence[RowFault]) -> Batch:
        entries: list[tuple[E164, str]] = []
        found = list(faults)
        for row, line in enumerate(lines):
            written = columns[self._phone][row].strip()
            try:
                number = self._numbers.read(written)
            except InvalidNumber as error:
                found.append(RowFault(line, self._column, written[:200], error.detail))
                continue
            why = "" if self._why is None else columns[self._why][row].strip()[:LONGEST_REASON]
            entries.append((number, (why or self._reason).replace("\x00", "")))
        return Batch(entries, found)
