"""A hostile file, read as an import reads it."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.errors import InvalidInput
from campaigns.imports.opening import ImportOptions, Needs, open_import
from telephony.toll_gate.destinations import DialingRules
from tests.prove.imports.files import Hostile


@dataclass(frozen=True)
class Outcome:
    name: str
    right: bool
    seconds: float
    said: str


async def read_hostile(hostile: Hostile, folder: Path) -> Outcome:
    path = folder / hostile.name.replace(" ", "-")
    if not path.exists():
        await asyncio.to_thread(hostile.make, path)
    needs = Needs(DialingRules("US"), None, {})
    began = time.monotonic()
    found: tuple[str, ...] | None = None
    said = ""
    with path.open("rb") as file:
        try:
            opened = await open_import(file, needs, ImportOptions())
            reader = opened.reader(datetime(2026, 11, 20, tzinfo=UTC))
            phones: dict[str, None] = {}
            for block in opened.source.blocks():
                phones.update(dict.fromkeys(contact.phone for contact in reader.read(block).contacts))
            found = tuple(phones)
        except InvalidInput as refused:
            said = refused.detail
    path.unlink()
    return Outcome(hostile.name, found == hostile.phones, time.monotonic() - began, said)
