"""What came of a campaign, row by row: attempts in the order they were made, or contacts, as CSV or JSON.

Rows are read a page at a time by an indexed key, so a report of ten million rows takes as little memory as one of ten.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from app.db import Connection, Database, Row
from app.ids import CampaignId, OrgId
from campaigns.campaigns import CampaignNotFound
from campaigns.outcomes import report_store as store
from campaigns.outcomes.tables import neutralize_formula, to_csv, write_instant
from campaigns.rules.dispositions import OutcomeCodes

COLUMNS = (
    "line",
    "phone",
    "name",
    "attempt",
    "disposition",
    "end_result",
    "end_reason",
    "dialed_at",
    "answered_at",
    "ended_at",
    "duration_seconds",
    "call_id",
    "detail",
    "code",
    "dialed_number",
    "ring_seconds",
    "at_fault",
    "cost_minor",
    "currency",
    "contact_id",
    "attempt_id",
    "answered_by",
    "score",
)
"""Of an attempt; the conversation's details follow, `details.NAME` each, and `other_details`.
`cost_minor`: cents or the like. `answered_by`: person or machine. `score`: 0 to 1, by the team's criteria."""

CONTACT_COLUMNS = (
    "line",
    "phone",
    "name",
    "status",
    "disposition",
    "code",
    "attempts",
    "last_dialed_at",
    "last_dialed_number",
    "duration_seconds",
    "due_at",
    "callback_at",
    "finished_at",
    "time_zone",
    "consent_at",
    "consent_expires_at",
    "consent_source",
    "blocked_by",
    "blocked_reason",
    "contact_id",
    "answered_by",
    "score",
)
"""Of a contact; `variables.NAME` of the list and `details.NAME` of its last conversation follow, each with a column
for those that have none: `other_variables`, `other_details`."""

PAGE_ROWS = 250
SLICE_ROWS = 25
"""Written at once; then others on the event loop, which has calls to carry, have their turn. A thread would be worse:
whoever comes back from a wait would have to get Python's lock from it, five milliseconds each time."""


class Rows(StrEnum):
    """What a row of a report is."""

    ATTEMPTS = "attempts"
    CONTACTS = "contacts"


class Format(StrEnum):
    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True)
class _Group:
    """Columns that come from an object of the record. `names`: what has a column of its own, as far as can be told
    before the first row is read. `rest`: one more column has, as JSON, what has none; else that is left out."""

    names: Sequence[str]
    rest: bool = True

    @cached_property
    def known(self) -> frozenset[str]:
        return frozenset(self.names)


@dataclass(frozen=True)
class _Shape:
    """How rows of one kind are read and written."""

    columns: Sequence[str]
    groups: Mapping[str, _Group]
    """By the object of the record: "details", "variables"."""
    read: Callable[[Row, OutcomeCodes], dict[str, Any]]
    codes: OutcomeCodes


async def stream_report(
    db: Database,
    org_id: OrgId,
    campaign_id: CampaignId,
    rows: Rows = Rows.ATTEMPTS,
    form: Format = Format.CSV,
    *,
    claims: Mapping[str, Any] | None = None,
) -> AsyncIterator[str]:
    """The report as text, in pieces: CSV with a header, or one JSON array with a line a row. Attempts are those that
    went as far as the intent to dial. Raises CampaignNotFound before the first piece."""
    async with db.system() if claims is None else db.request(claims) as connection:
        shape = await _choose_shape(connection, org_id, campaign_id, rows)
    yield to_csv([_header(shape)]) if form is Format.CSV else "[\n"
    after: Any = None
    first = True
    while True:
        async with db.system() if claims is None else db.request(claims) as connection:
            page = await _read_page(connection, org_id, campaign_id, rows, after)
        for start in range(0, len(page), SLICE_ROWS):
            yield _write(page[start : start + SLICE_ROWS], shape, form, first=first)
            first = False
            await asyncio.sleep(0)
        if page:
            after = page[-1]["phone"] if rows is Rows.CONTACTS else (page[-1]["claimed_at"], page[-1]["id"])
        if len(page) < PAGE_ROWS:
            break
    if form is Format.JSON:
        yield "\n]\n"


async def _choose_shape(connection: Connection, org_id: OrgId, campaign_id: CampaignId, rows: Rows) -> _Shape:
    settings = await store.select_report_settings(connection, org_id, campaign_id)
    if settings is None:
        raise CampaignNotFound("There is no such campaign.")
    codes = OutcomeCodes.read(settings["outcomes"])
    if codes.columns:
        details = _Group(codes.columns, rest=False)
    else:
        details = _Group(await store.select_detail_names(connection, org_id, campaign_id))
    if rows is Rows.ATTEMPTS:
        return _Shape(COLUMNS, {"details": details}, attempt_record, codes)
    variables = _Group(await store.select_variable_names(connection, org_id, campaign_id))
    return _Shape(CONTACT_COLUMNS, {"variables": variables, "details": details}, contact_record, codes)


async def _read_page(
    connection: Connection, org_id: OrgId, campaign_id: CampaignId, rows: Rows, after: Any
) -> Sequence[Row]:
    select = store.select_attempts_page if rows is Rows.ATTEMPTS else store.select_contacts_page
    return await select(connection, org_id, campaign_id, after=after, limit=PAGE_ROWS)


def attempt_record(row: Row, codes: OutcomeCodes) -> dict[str, Any]:
    """One attempt as JSON values, by the names of COLUMNS, and `details` as an object. An attempt still open has no
    disposition and no end. `detail`: why it was not dialed, or what the conversation noted, as JSON text."""
    hint: Mapping[str, Any] = row["hint"] or {}
    details = _details(hint)
    cost = row["cost_thousandths"]
    return {
        "line": row["line"],
        "phone": row["phone"],
        "name": row["name"],
        "attempt": row["ordinal"],
        "disposition": row["disposition"],
        "end_result": row["end_result"],
        "end_reason": row["end_reason"],
        "dialed_at": write_instant(row["dialed_at"]),
        "answered_at": write_instant(row["answered_at"]),
        "ended_at": write_instant(row["ended_at"]),
        "duration_seconds": _seconds(row["answered_at"], row["ended_at"]),
        "call_id": str(row["call_id"]) if row["call_id"] else None,
        "detail": row["detail"] or (json.dumps(details, ensure_ascii=False, sort_keys=True) if details else None),
        "code": codes.code_of(row["disposition"], hint),
        "dialed_number": row["dialed_number"] or row["phone"],
        "ring_seconds": _seconds(row["ringing_at"], row["answered_at"] or row["ended_at"]),
        "at_fault": row["end_at_fault"],
        "cost_minor": None if cost is None else cost / 1000,
        "currency": row["currency"],
        "contact_id": str(row["contact_id"]),
        "attempt_id": str(row["id"]),
        "answered_by": row["answered_by"],
        "score": row["score"],
        "details": details,
    }


def contact_record(row: Row, codes: OutcomeCodes) -> dict[str, Any]:
    """One contact as JSON values, by the names of CONTACT_COLUMNS; `variables` and `details` as objects, `phones` in
    the order they are tried."""
    hint: Mapping[str, Any] = row["hint"] or {}
    return {
        "line": row["line"],
        "phone": row["phone"],
        "phones": list(row["phones"]) or [row["phone"]],
        "name": row["name"],
        "status": row["status"],
        "disposition": row["disposition"],
        "code": codes.code_of(row["disposition"], hint),
        "attempts": row["attempts_made"],
        "last_dialed_at": write_instant(row["dialed_at"]),
        "last_dialed_number": row["dialed_number"],
        "duration_seconds": _seconds(row["answered_at"], row["ended_at"]),
        "due_at": write_instant(row["due_at"]) if row["status"] == "waiting" else None,
        "callback_at": write_instant(row["callback_at"]),
        "finished_at": write_instant(row["finished_at"]),
        "time_zone": row["time_zone"],
        "consent_at": write_instant(row["consent_at"]),
        "consent_expires_at": write_instant(row["consent_expires_at"]),
        "consent_source": row["consent_source"],
        "blocked_by": row["blocked_by"],
        "blocked_reason": row["blocked_reason"],
        "contact_id": str(row["id"]),
        "answered_by": row["answered_by"],
        "score": row["score"],
        "variables": row["variables"],
        "details": _details(hint),
    }


def _details(hint: Mapping[str, Any]) -> dict[str, Any]:
    details = hint.get("details")
    return dict(details) if isinstance(details, Mapping) else {}


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return round((end - start).total_seconds(), 1) if start and end else None


def _header(shape: _Shape) -> list[str]:
    named: list[str] = []
    for kind, group in shape.groups.items():
        named += [f"{kind}.{name}" for name in group.names]
        named += [f"other_{kind}"] if group.rest else []
    return [*shape.columns, *(neutralize_formula(name) for name in named)]


def _write(page: Sequence[Row], shape: _Shape, form: Format, *, first: bool) -> str:
    records = [shape.read(row, shape.codes) for row in page]
    if form is Format.JSON:
        lines = ",\n".join(json.dumps(record, ensure_ascii=False) for record in records)
        return lines if first else f",\n{lines}"
    return to_csv([_cells(record, shape) for record in records])


def _cells(record: dict[str, Any], shape: _Shape) -> list[Any]:
    cells = [record[column] for column in shape.columns]
    for kind, group in shape.groups.items():
        values: dict[str, Any] = record[kind]
        cells += [values.get(name) for name in group.names]
        if group.rest:
            known = group.known
            cells.append({name: value for name, value in values.items() if name not in known} or None)
    return cells
