"""Imports as they are looked at: how far, and what is to be said of their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import Connection, Database, Row
from app.errors import NotFound
from app.ids import CampaignId, OrgId
from campaigns.imports import store
from campaigns.imports.columns import Columns
from campaigns.imports.contacts import FaultKind
from campaigns.imports.report import MOST_FAULTS_TOLD, ImportReport, build_report


class ImportNotFound(NotFound):
    """The organization has no such import."""

    code = "import_not_found"


@dataclass(frozen=True)
class ImportRecord:
    """A row of `imports`, and what its lanes and faults add up to at this instant."""

    row: Row
    columns: Columns
    report: ImportReport
    faults: Sequence[Row]


async def load_import(
    db: Database, org_id: OrgId, import_id: UUID, *, claims: Mapping[str, Any] | None = None
) -> ImportRecord:
    """Raises ImportNotFound."""
    async with db.system() if claims is None else db.request(claims) as connection:
        row = await store.select_import(connection, org_id, import_id)
        if row is None:
            raise ImportNotFound("There is no such import.")
        return await read_record(connection, row, faults=MOST_FAULTS_TOLD)


async def list_imports(
    db: Database,
    org_id: OrgId,
    *,
    campaign_id: CampaignId | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int,
    claims: Mapping[str, Any] | None = None,
) -> list[ImportRecord]:
    """Newest first, without what is to be said of single rows."""
    async with db.system() if claims is None else db.request(claims) as connection:
        rows = await store.select_imports(connection, org_id, campaign_id=campaign_id, before=before, limit=limit)
        return [await read_record(connection, row, faults=0) for row in rows]


async def list_faults(
    db: Database,
    org_id: OrgId,
    import_id: UUID,
    *,
    kinds: Sequence[FaultKind] = (),
    after: tuple[int, int] | None = None,
    limit: int,
    claims: Mapping[str, Any] | None = None,
) -> Sequence[Row]:
    """By line; `after`: the (line, ordinal) of the last one seen."""
    async with db.system() if claims is None else db.request(claims) as connection:
        return await store.select_faults(connection, org_id, import_id, kinds=kinds, after=after, limit=limit)


async def read_record(connection: Connection, row: Row, *, faults: int) -> ImportRecord:
    """Of a row of `imports`, with the first `faults` of what is to be said."""
    lanes = await store.select_lanes(connection, row["id"])
    told = await store.select_faults(connection, row["org_id"], row["id"], kinds=(), after=None, limit=faults)
    columns = Columns.from_json(row["columns"])
    return ImportRecord(row, columns, build_report(columns, row["warnings"], lanes, told), told)
