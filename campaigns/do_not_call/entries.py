"""The do-not-call list of an organization: numbers that no dial of ours reaches, whoever asks for it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.db import Connection, Row
from app.errors import NotFound
from app.ids import E164, OrgId
from campaigns.do_not_call import store
from telephony.lines.numbers import parse_number
from telephony.reading_store import select_country


class NotOnList(NotFound):
    """The number is not on the organization's list."""

    code = "not_on_do_not_call_list"
    title = "Not on the do-not-call list"


@dataclass(frozen=True)
class Entry:
    id: UUID
    phone: E164
    reason: str
    created_at: datetime


async def add_entry(connection: Connection, org_id: OrgId, phone: str, *, reason: str) -> Entry:
    """Put a number, however it is written, on the list; one that is there stays as it is. Raises InvalidNumber."""
    number = parse_number(phone, await select_country(connection, org_id))
    await store.insert_entry(connection, org_id, number, reason=reason, source="api")
    row = await store.select_entry(connection, org_id, number)
    assert row is not None  # inserted, or there before
    return read_entry(row)


async def list_entries(
    connection: Connection, org_id: OrgId, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[Entry]:
    """Newest first."""
    return [read_entry(row) for row in await store.select_entries(connection, org_id, before=before, limit=limit)]


async def remove_entry(connection: Connection, org_id: OrgId, phone: str) -> Entry:
    """Raises NotOnList, InvalidNumber."""
    number = parse_number(phone, await select_country(connection, org_id))
    row = await store.delete_entry(connection, org_id, number)
    if row is None:
        raise NotOnList("This number is not on the do-not-call list.")
    return read_entry(row)


def read_entry(row: Row) -> Entry:
    return Entry(row["id"], row["phone"], row["reason"], row["created_at"])
