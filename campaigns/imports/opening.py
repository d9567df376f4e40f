"""A file is understood before anything is written: its kind, its columns, what the team will miss in it."""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, BinaryIO

import phonenumbers
from pydantic import Field

from app.db import Connection, Database
from app.errors import InvalidInput
from app.ids import CampaignId, OrgId
from campaigns.campaigns import CampaignNotFound
from campaigns.imports import store
from campaigns.imports.columns import Columns, ColumnWishes, NoPhoneColumn, map_columns, warn_of_missing
from campaigns.imports.contacts import RowReader
from campaigns.imports.files.mended import ABOUT
from campaigns.imports.files.opening import open_rows
from campaigns.imports.files.rows import RowSource
from campaigns.imports.plain_numbers import Allowed, NumberReader
from telephony.toll_gate.destinations import DialingRules
from telephony.toll_gate.gate import load_rules

READ_BYTES = 1 << 20
_PLACEHOLDER = re.compile(r"\{\{\s*([a-z][a-z0-9_]*)\s*\}\}")


class NoSuchRegion(InvalidInput):
    """Not the ISO 3166 code of a country with phone numbers."""

    code = "no_such_region"
    title = "No such region"


class Elsewhere(StrEnum):
    """What to do with a number that another running campaign is about to call."""

    WARN = "warn"
    SKIP = "skip"
    ALLOW = "allow"


class ImportOptions(ColumnWishes):
    """What whoever imports may say. `region`: ISO 3166, the country of numbers written without one; none: the
    campaign's, else the organization's. `encoding`: of a text file; none: what it looks like."""

    region: str | None = Field(default=None, pattern="^[A-Z]{2}$")
    encoding: str | None = Field(default=None, max_length=40)
    elsewhere: Elsewhere = Elsewhere.WARN


@dataclass(frozen=True)
class Needs:
    """What a file is read for. `region`: of the campaign; `variables`: those that the team's texts use, with what is
    said where there is none."""

    rules: DialingRules
    region: str | None
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Opened:
    """A file that can be imported. `file` stays the caller's to close."""

    file: BinaryIO
    source: RowSource
    columns: Columns
    options: ImportOptions
    region: str
    rules: DialingRules
    warnings: list[str]
    size: int
    sha256: str

    def reader(self, now: datetime) -> RowReader:
        return RowReader(self.columns, NumberReader(self.region), Allowed(self.rules), now)


async def load_needs(
    db: Database,
    org_id: OrgId,
    *,
    campaign_id: CampaignId | None = None,
    team: str | None = None,
    region: str | None = None,
    claims: Mapping[str, Any] | None = None,
) -> Needs:
    """For a campaign that is there, or for one to be, of the team with this slug. Raises CampaignNotFound."""
    async with db.system() if claims is None else db.request(claims) as connection:
        rules, _ = await load_rules(connection, org_id)
        definition: Mapping[str, Any] | None = None
        if campaign_id is not None:
            region, definition = await _of_campaign(connection, org_id, campaign_id)
        elif team is not None:
            definition = await store.select_definition(connection, org_id, team)
    return Needs(rules, region, needed_variables(definition or {}))


async def _of_campaign(
    connection: Connection, org_id: OrgId, campaign_id: CampaignId
) -> tuple[str | None, Mapping[str, Any]]:
    row = await store.select_needs(connection, org_id, campaign_id)
    if row is None:
        raise CampaignNotFound("There is no such campaign.")
    return row["region"], row["definition"] or {}


def needed_variables(definition: Mapping[str, Any]) -> dict[str, str]:
    """The declared variables that a text of the team uses, with their defaults."""
    declared: Mapping[str, str] = definition.get("variables") or {}
    used: set[str] = set()

    def look(part: Any) -> None:
        if isinstance(part, str):
            used.update(_PLACEHOLDER.findall(part))
        elif isinstance(part, Mapping):
            for value in part.values():
                look(value)
        elif isinstance(part, list):
            for value in part:
                look(value)

    look(definition)
    return {name: default for name, default in declared.items() if name in used}


async def open_import(file: BinaryIO, needs: Needs, options: ImportOptions | None = None) -> Opened:
    """Raises EmptyFile, BrokenFile, UnknownFormat, NoPhoneColumn, NoSuchColumn, NoSuchRegion."""
    return await asyncio.to_thread(_open, file, needs, options or ImportOptions())


def _open(file: BinaryIO, needs: Needs, options: ImportOptions) -> Opened:
    region = options.region or needs.region or needs.rules.org_country
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise NoSuchRegion(f'"{region}" is not the ISO 3166 code of a country; write it like US or GB.')
    source = open_rows(file, options.encoding)
    # A file of bad rows that was mended brings the columns that said what was wrong.
    about = [name for name in ABOUT if name in source.header and name not in options.columns.values()]
    wishes = options.model_copy(update={"ignore": [*options.ignore, *about]})
    needed = list(needs.variables)
    try:
        columns = map_columns(source.header, wishes=wishes, needed=needed)
    except NoPhoneColumn:
        first = next(source.blocks(), None)
        sample = first.columns if first else ()
        columns = map_columns(source.header, wishes=wishes, needed=needed, sample=sample, numbers=NumberReader(region))
    warnings = [*columns.warnings, *warn_of_missing(columns, needs.variables)]
    size, sha256 = _digest(file)
    return Opened(file, source, columns, options, region, needs.rules, warnings, size, sha256)


def _digest(file: BinaryIO) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while block := file.read(READ_BYTES):
        digest.update(block)
        size += len(block)
    return size, digest.hexdigest()
