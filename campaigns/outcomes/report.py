"""What came of a campaign: a CSV row for every attempt, in the order they were made."""

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import Database, Row
from app.ids import CampaignId, OrgId
from campaigns import store

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
)
PAGE_ROWS = 1_000


async def stream_results(
    db: Database, org_id: OrgId, campaign_id: CampaignId, *, claims: Mapping[str, Any] | None = None
) -> AsyncIterator[str]:
    """The results as CSV text, a page of rows at a time: the header, then a row for each attempt that went as far as
    the intent to dial. `detail`: why it was not dialed, or what the conversation noted, as JSON."""
    yield _to_csv([COLUMNS])
    after: tuple[datetime, UUID] | None = None
    while True:
        async with db.system() if claims is None else db.request(claims) as connection:
            rows = await store.select_results(connection, org_id, campaign_id, after=after, limit=PAGE_ROWS)
        if rows:
            yield _to_csv([result_row(row) for row in rows])
            after = (rows[-1]["claimed_at"], rows[-1]["id"])
        if len(rows) < PAGE_ROWS:
            return


def result_row(row: Row) -> list[str]:
    """One attempt, in the order of COLUMNS. An attempt still open has no disposition and no end."""
    answered_at, ended_at = row["answered_at"], row["ended_at"]
    duration = f"{(ended_at - answered_at).total_seconds():.1f}" if answered_at and ended_at else ""
    noted: dict[str, Any] = (row["hint"] or {}).get("details") or {}
    detail = row["detail"] or (json.dumps(noted, ensure_ascii=False, sort_keys=True) if noted else "")
    cells = (
        row["line"],
        row["phone"],
        row["name"],
        row["ordinal"],
        row["disposition"],
        row["end_result"],
        row["end_reason"],
        row["dialed_at"],
        answered_at,
        ended_at,
        duration,
        row["call_id"],
        detail,
    )
    return [_to_text(cell) for cell in cells]


def _to_text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return neutralize_formula(str(cell))


def neutralize_formula(cell: str) -> str:
    """A cell that a spreadsheet would run (OWASP: CSV injection) gets an apostrophe in front, which spreadsheets show
    as text. A phone number in E.164 keeps its +: nothing but digits follows, and it must stay readable by programs."""
    if cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not (
        cell[0] == "+" and cell[1:].isascii() and cell[1:].isdigit()
    ):
        return "'" + cell
    return cell


def _to_csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
