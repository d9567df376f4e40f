"""What a file would be read as, before anything of it goes in."""

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from app.clock import utc_now
from campaigns.imports.contacts import Batch, Contact, FaultKind, as_text
from campaigns.imports.files.rows import Block, Position, RowFault
from campaigns.imports.opening import ImportOptions, Needs, Opened, open_import
from campaigns.imports.writing.shares import first_of_each, numbers_of
from campaigns.imports.writing.told import Told

SAMPLE_ROWS = 10
SAMPLE_FAULTS = 20
_NO_ROWS = Block((), (), [], Position())


@dataclass(frozen=True)
class Preview:
    """`dialect`: how the file is read. `mapping`: target → column; `ignored`: columns left out. `contacts`: the first
    rows as they would go in. `checked`, `good`: how many rows were looked at, and how many of them would go in.
    `faults`: what is to be said of rows, the first of it. `warnings`: of the file as a whole."""

    dialect: dict[str, str]
    region: str
    columns: list[str]
    mapping: dict[str, str]
    ignored: list[str]
    contacts: list[dict[str, Any]]
    checked: int
    good: int
    faults: list[tuple[FaultKind, RowFault]]
    warnings: list[str]


async def preview_import(file: BinaryIO, needs: Needs, options: ImportOptions | None = None) -> Preview:
    """From the beginning of the file. Raises what `open_import` does."""
    opened = await open_import(file, needs, options)
    return await asyncio.to_thread(_preview, opened, utc_now())


def _preview(opened: Opened, now: datetime) -> Preview:
    columns = opened.columns
    used = {*columns.phones, *columns.facts.values(), *columns.variables.values()}
    block = next(opened.source.blocks(), None)
    batch = opened.reader(now).read(block) if block is not None else Batch(_NO_ROWS, [], [], [])
    contacts, repeats = first_of_each(batch.contacts)
    told = Told(columns, batch.block)
    for contact, first in repeats:
        told.tell(FaultKind.DUPLICATE, contact, f"repeats line {first.line}")
    faults = [(FaultKind.REJECTED, fault) for fault in batch.rejected]
    faults += [(FaultKind.WARNING, fault) for fault in batch.warnings]
    faults += [(FaultKind.DUPLICATE, RowFault(f.line, f.column, f.value, f.reason)) for f in told.faults]
    return Preview(
        dialect=opened.source.dialect.to_json(),
        region=opened.region,
        columns=[as_text(name) for name in columns.names],
        mapping=columns.mapping(),
        ignored=[as_text(name) for index, name in enumerate(columns.names) if index not in used],
        contacts=[_render(contact) for contact in contacts[:SAMPLE_ROWS]],
        checked=len(batch.contacts) + len(batch.rejected),
        good=len(contacts),
        faults=sorted(faults, key=lambda fault: fault[1].line)[:SAMPLE_FAULTS],
        warnings=opened.warnings,
    )


def _render(contact: Contact) -> dict[str, Any]:
    return {
        "line": contact.line,
        "phone": contact.phone,
        "phones": numbers_of(contact),
        "name": contact.name,
        "time_zone": contact.time_zone,
        "consent_at": contact.consent_at,
        "consent_expires_at": contact.consent_expires_at,
        "consent_source": contact.consent_source,
        "variables": json.loads(contact.variables),
    }
