"""What a file would be read as, before anything of it goes in."""

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from app.clock import utc_now
from campaigns.imports.contacts import as_text
from campaigns.imports.files.rows import RowFault
from campaigns.imports.opening import ImportOptions, Needs, Opened, open_import

SAMPLE_ROWS = 10
SAMPLE_FAULTS = 20


@dataclass(frozen=True)
class Preview:
    """`dialect`: how the file is read. `mapping`: target → column; `ignored`: columns left out. `contacts`: the first
    rows as they would go in. `checked`, `good`: how many rows were looked at, and how many of them would go in.
    `faults`: the first of the others. `warnings`: of the file as a whole."""

    dialect: dict[str, str]
    region: str
    columns: list[str]
    mapping: dict[str, str]
    ignored: list[str]
    contacts: list[dict[str, Any]]
    checked: int
    good: int
    faults: list[RowFault]
    warnings: list[str]


async def preview_import(file: BinaryIO, needs: Needs, options: ImportOptions | None = None) -> Preview:
    """From the beginning of the file. Raises what `open_import` does."""
    opened = await open_import(file, needs, options)
    return await asyncio.to_thread(_preview, opened, utc_now())


def _preview(opened: Opened, now: datetime) -> Preview:
    columns = opened.columns
    used = {*columns.phones, *columns.facts.values(), *columns.variables.values()}
    found: list[dict[str, Any]] = []
    faults: list[RowFault] = []
    checked = good = 0
    block = next(opened.source.blocks(), None)
    if block is not None:
        batch = opened.reader(now).read(block)
        good = len(batch.contacts)
        checked = good + len(batch.rejected)
        faults = sorted([*batch.rejected, *batch.warnings], key=lambda fault: fault.line)[:SAMPLE_FAULTS]
        found = [
            {
                "line": contact.line,
                "phone": contact.phone,
                "phones": contact.phones.strip("{}").split(",") if contact.phones != "{}" else [contact.phone],
                "name": contact.name,
                "time_zone": contact.time_zone,
                "consent_at": contact.consent_at,
                "consent_expires_at": contact.consent_expires_at,
                "consent_source": contact.consent_source,
                "variables": json.loads(contact.variables),
            }
            for contact in batch.contacts[:SAMPLE_ROWS]
        ]
    return Preview(
        dialect=opened.source.dialect.to_json(),
        region=opened.region,
        columns=[as_text(name) for name in columns.names],
        mapping=columns.mapping(),
        ignored=[as_text(name) for index, name in enumerate(columns.names) if index not in used],
        contacts=found,
        checked=checked,
        good=good,
        faults=faults,
        warnings=opened.warnings,
    )
