"""Rows become contacts: numbers read, facts checked, the rest variables; what cannot be is a fault of its row."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from json.encoder import encode_basestring
from typing import NamedTuple

from app.ids import E164
from campaigns.imports.columns import Columns
from campaigns.imports.files.rows import Block, RowFault
from campaigns.imports.plain_numbers import Allowed, NumberReader
from campaigns.rules.calling.zones import read_place
from telephony.lines.numbers import InvalidNumber

MOST_VALUE_SHOWN = 100
_NO_TEXT = re.compile("[\x00\ufffd\ud800-\udfff]")
_SHORTENED_BY_A_SPREADSHEET = re.compile(r"\+?\d+([.,]\d+)?[eE]\+?\d+")
_KEPT_AS_TEXT = re.compile(r'="(.*)"|\'(\+?[\d\s().-]+)', re.DOTALL)
"""How spreadsheets and their users keep a number from being calculated with: ="0123" and '0123."""
_WHOLE_FLOAT = re.compile(r"\d{7,15}\.0")


class FaultKind(StrEnum):
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    BLOCKED = "blocked"
    WARNING = "warning"


class Contact(NamedTuple):
    """A row that can go in. `phones`: all its numbers as a Postgres array; empty where `phone` is the only one.
    `variables`: JSON. `row`: in its block, to tell of it."""

    line: int
    phone: E164
    phones: str
    name: str | None
    variables: str
    time_zone: str | None
    consent_at: datetime | None
    consent_expires_at: datetime | None
    consent_source: str | None
    row: int


@dataclass(frozen=True)
class Batch:
    """What a block came to. `warnings` are of rows that are contacts all the same."""

    block: Block
    contacts: list[Contact]
    rejected: list[RowFault]
    warnings: list[RowFault]


@dataclass(frozen=True)
class RowReader:
    """How rows of one file are read. `now`: consent in the future is none."""

    columns: Columns
    numbers: NumberReader
    allowed: Allowed
    now: datetime

    def read(self, block: Block) -> Batch:
        """Rows of nothing but blanks are skipped, as if they were not there."""
        batch = Batch(block, [], [*block.faults], [])
        phones = [block.columns[index] for index in self.columns.phones]
        names = self._cells(block, "name")
        variables = self.write_variables(block)
        has_facts = any(name != "name" for name in self.columns.facts)
        for row, line in enumerate(block.lines):
            if block.dirty and (odd := self._find_no_text(block, row)):
                batch.rejected.append(odd)
                continue
            found = self.read_phones(block, row, phones, batch)
            if not found:
                continue
            facts = self._read_facts(block, row) if has_facts else _NO_FACTS
            if isinstance(facts, RowFault):
                batch.rejected.append(facts)
                continue
            name = names[row].strip() if names is not None else ""
            more = "{" + ",".join(found) + "}" if len(found) > 1 else "{}"
            batch.contacts.append(Contact(line, found[0], more, name or None, variables[row], *facts, row))
        return batch

    def write_variables(self, block: Block) -> Sequence[str]:
        """The JSON of every row's variables. As fast as it gets: keys are written once, and a cell is one C call."""
        names = self.columns.variables
        if not names:
            return ["{}"] * len(block.lines)
        keys = [json.dumps(as_text(name), ensure_ascii=False).replace("%", "%%") for name in names]
        pattern = "{" + ", ".join(f"{key}: %s" for key in keys) + "}"
        written = [[encode_basestring(cell.strip()) for cell in block.columns[index]] for index in names.values()]
        return [pattern % cells for cells in zip(*written, strict=True)]

    def read_phones(self, block: Block, row: int, phones: Sequence[Sequence[str]], batch: Batch) -> list[E164]:
        """The numbers that may be dialed, in order; none where the row has none, which is told."""
        found: list[E164] = []
        faults: list[RowFault] = []
        for index, column in zip(self.columns.phones, phones, strict=True):
            cell = column[row].strip()
            if not cell:
                continue
            number = self._read_phone(cell)
            if number[0] != "+":
                faults.append(_fault(block, row, self.columns.names[index], cell, number))
            elif number not in found:
                found.append(E164(number))
        if found:
            batch.warnings.extend(faults)
        elif faults:
            batch.rejected.append(faults[0])
        elif any(column[row] and not column[row].isspace() for column in block.columns):
            name = self.columns.names[self.columns.phone]
            batch.rejected.append(_fault(block, row, name, "", "no phone number"))
        return found

    def _read_phone(self, cell: str) -> str:
        """The number, or the reason why there is none to dial, which never begins with +."""
        try:
            number = self.numbers.read(cell)
        except InvalidNumber as error:
            if _SHORTENED_BY_A_SPREADSHEET.fullmatch(cell):
                return "a spreadsheet shortened this number; format the column as text"
            if kept := _KEPT_AS_TEXT.fullmatch(cell):
                return self._read_phone((kept[1] or kept[2] or "").strip() or "-")
            if _WHOLE_FLOAT.fullmatch(cell):
                return self._read_phone(cell.removesuffix(".0"))
            return error.detail
        return self.allowed.why_not(number) or number

    def _read_facts(
        self, block: Block, row: int
    ) -> tuple[str | None, datetime | None, datetime | None, str | None] | RowFault:
        """Zone, consent, its expiry, its source."""

        def read(name: str, reader: Callable[[str], object | None], why: str) -> object | RowFault | None:
            cells = self._cells(block, name)
            cell = cells[row].strip() if cells is not None else ""
            if not cell:
                return None
            value = reader(cell)
            return (
                _fault(block, row, self.columns.names[self.columns.facts[name]], cell, why) if value is None else value
            )

        zone = read("time_zone", read_place, "no time zone; write it like America/New_York")
        since = read(
            "consent_at", lambda c: read_instant(c), "no date; write it like 2026-03-01 or 2026-03-01T14:00:00Z"
        )
        until = read("consent_expires_at", lambda c: read_instant(c), "no date; write it like 2026-03-01")
        source = read("consent_source", lambda c: c[:500], "")
        for value in (zone, since, until):
            if isinstance(value, RowFault):
                return value
        if isinstance(since, datetime) and since > self.now:
            name = self.columns.names[self.columns.facts["consent_at"]]
            return _fault(block, row, name, since.isoformat(), "consent of the future")
        return zone, since, until, source  # type: ignore[return-value]

    def _cells(self, block: Block, fact: str) -> Sequence[str] | None:
        index = self.columns.facts.get(fact)
        return None if index is None else block.columns[index]

    def _find_no_text(self, block: Block, row: int) -> RowFault | None:
        for name, column in zip(self.columns.names, block.columns, strict=True):
            if (odd := _NO_TEXT.search(column[row])) is not None:
                what = "a NUL character" if odd[0] == "\x00" else "bytes that are no character of this encoding"
                return _fault(block, row, name, column[row], what)
        return None


_NO_FACTS = (None, None, None, None)


def row_of(block: Block, row: int) -> list[str]:
    return [column[row] for column in block.columns]


def as_text(cell: str) -> str:
    """A cell as it may be stored: without what is no text."""
    return _NO_TEXT.sub(lambda odd: "\\0" if odd[0] == "\x00" else "\ufffd", cell)


@lru_cache(maxsize=10_000)
def read_instant(cell: str) -> datetime | None:
    """ISO 8601; without an offset in UTC. A day is its first instant."""
    try:
        read = datetime.fromisoformat(cell)
    except ValueError:
        return None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def _fault(block: Block, row: int, column: str, value: str, reason: str) -> RowFault:
    return RowFault(block.lines[row], column, value[:MOST_VALUE_SHOWN], reason, row_of(block, row))
