"""A do-not-call list from a file: every number of it that can be read goes onto the list, the others are told.

The file is read to its end before the first number goes onto the list: of one that turns out broken, nothing does.
Then they go on a thousand a transaction: one of a million numbers would keep whoever settles a call to one of them
waiting until its end, and the event streams of everybody. Asking again with the same file adds nothing.
"""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import Any, BinaryIO, TextIO

from app.db import Database
from app.ids import E164, CampaignId, OrgId
from campaigns.do_not_call import store
from campaigns.do_not_call.asking import Source
from campaigns.do_not_call.entries import demand_campaign
from campaigns.imports.columns import (
    LOOKS_LIKE_PHONES,
    SAMPLE_ROWS,
    NoPhoneColumn,
    is_phone_name,
    map_columns,
    name_columns,
)
from campaigns.imports.files.opening import open_rows
from campaigns.imports.files.rows import RowFault, RowSource
from campaigns.imports.plain_numbers import NumberReader
from telephony.lines.numbers import InvalidNumber
from telephony.reading_store import select_country

MOST_FAULTS_TOLD = 1000
ADDED_AT_ONCE = 1_000
"""Numbers that one transaction adds: little enough for the event loop too, which has calls to carry."""
LONGEST_REASON = 500
LONG_DIGITS = 10
"""Dates and the numbers of customers are shorter, and are numbers of a telephone in some countries."""
_DIGIT = re.compile(r"\d")


@dataclass
class ListReport:
    """`rows`: of the file. `added`, `known`: numbers, and a row may have several; `known`: on the list before, or
    earlier in the file. `rejected`: what is no number, and rows without one; `faults`: the first of them."""

    rows: int = 0
    added: int = 0
    known: int = 0
    rejected: int = 0
    faults: list[RowFault] = field(default_factory=list[RowFault])


async def import_list(
    db: Database,
    org_id: OrgId,
    file: BinaryIO,
    *,
    reason: str = "",
    campaign_id: CampaignId | None = None,
    claims: Mapping[str, Any] | None = None,
) -> ListReport:
    """CSV, XLSX or JSON with columns of numbers, and maybe one called reason; or numbers alone, without a header.

    Every number of a row goes onto the list, whichever column of phones it stands in.

    `file`: seekable. Numbers without + are of the organization's country. Raises EmptyFile, BrokenFile, UnknownFormat,
    NoPhoneColumn, NoSuchCampaign; then nothing was added. Raises DatabaseUnavailable; then ask again.
    """
    async with db.system() if claims is None else db.request(claims) as connection:
        await demand_campaign(connection, org_id, campaign_id)
        numbers = NumberReader(await select_country(connection, org_id))
    reader = await asyncio.to_thread(ListReader, file, numbers, reason)
    report, batches = ListReport(), reader.batches()
    with TemporaryFile("w+", encoding="utf-8") as readable:
        while (batch := await asyncio.to_thread(_keep_next, batches, readable)) is not None:
            report.rows += batch.rows
            report.rejected += len(batch.faults)
            report.faults += batch.faults[: MOST_FAULTS_TOLD - len(report.faults)]
        readable.seek(0)
        while entries := await asyncio.to_thread(_take_up, readable):
            async with db.system() if claims is None else db.request(claims) as connection:
                added = await store.insert_listed(
                    connection, org_id, entries, source=Source.IMPORT, campaign_id=campaign_id
                )
            report.added += added
            report.known += len(entries) - added
    return report


def _keep_next(batches: "Iterator[Batch]", file: TextIO) -> "Batch | None":
    """Read the next batch, and lay its entries aside. Blocks the thread. Raises BrokenFile."""
    batch = next(batches, None)
    if batch is not None:
        for first in range(0, len(batch.entries), ADDED_AT_ONCE):
            file.write(json.dumps(batch.entries[first : first + ADDED_AT_ONCE]) + "\n")
    return batch


def _take_up(file: TextIO) -> list[tuple[E164, str]]:
    """The next entries that were laid aside, none at the end. Blocks the thread."""
    line = file.readline()
    return [(E164(phone), reason) for phone, reason in json.loads(line)] if line else []


@dataclass(frozen=True)
class Batch:
    """Of so many `rows`. `entries`: number and reason."""

    rows: int
    entries: Sequence[tuple[E164, str]]
    faults: Sequence[RowFault]


class ListReader:
    """The numbers of a file, some at a time. Blocks the thread: use it off the event loop."""

    def __init__(self, file: BinaryIO, numbers: NumberReader, reason: str) -> None:
        self._numbers, self._reason = numbers, reason
        self._source: RowSource = open_rows(file)
        header = self._source.header
        # A first line that holds a number is no header: lists of nothing but numbers have none.
        bare = [n for n, cell in enumerate(header) if numbers.can_read(cell)]
        self._first = header if bare else None
        self._phones = bare or self._find_phones(header)
        self._names = ["phone"] * len(header) if bare else name_columns(header)
        names = [name.strip().lower() for name in header]
        self._why = names.index("reason") if not bare and "reason" in names else None

    def batches(self) -> Iterator[Batch]:
        """Raises BrokenFile."""
        if self._first is not None:
            yield self._read([1], [[cell] for cell in self._first], [])
        for block in self._source.blocks():
            yield self._read(block.lines, block.columns, block.faults)

    def _find_phones(self, header: Sequence[str]) -> list[int]:
        """All columns of numbers, by their names or by what is in them: one left out is somebody called who asked not
        to be. Raises NoPhoneColumn."""
        sample = next(self._source.blocks(), None)
        cells = sample.columns if sample else [()] * len(header)
        found = {n for n, name in enumerate(header) if is_phone_name(name) or self._holds_phones(cells[n])}
        try:
            return sorted(found | {*map_columns(header).phones})
        except NoPhoneColumn:
            if not found:
                raise
            return sorted(found)

    def _holds_phones(self, column: Sequence[str]) -> bool:
        """Nearly every cell is a number, as long as those with an area code are."""
        filled = [cell for cell in column[:SAMPLE_ROWS] if cell.strip()]
        good = sum(len(_DIGIT.findall(cell)) >= LONG_DIGITS and self._numbers.can_read(cell) for cell in filled)
        return bool(filled) and good >= LOOKS_LIKE_PHONES * len(filled)

    def _read(self, lines: Sequence[int], columns: Sequence[Sequence[str]], faults: Sequence[RowFault]) -> Batch:
        entries: list[tuple[E164, str]] = []
        found = list(faults)
        for row, line in enumerate(lines):
            written = {n: cell for n in self._phones if (cell := columns[n][row].strip())}
            if not written:
                found.append(RowFault(line, self._names[self._phones[0]], "", "no phone number"))
            why = "" if self._why is None else columns[self._why][row].strip()[:LONGEST_REASON]
            for n, cell in written.items():
                try:
                    number = self._numbers.read(cell)
                except InvalidNumber as error:
                    found.append(RowFault(line, self._names[n], cell[:200], error.detail))
                else:
                    entries.append((number, (why or self._reason).replace("\x00", "")))
        return Batch(len(lines) + len(faults), entries, found)
