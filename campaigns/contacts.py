"""Contacts, read: whom a campaign calls, and how far it is with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.db import Connection, Row
from app.errors import NotFound
from app.ids import E164, CampaignId, ContactId, OrgId
from campaigns import contact_store


class ContactNotFound(NotFound):
    """The organization has no such contact."""

    code = "contact_not_found"


class ContactStatus(StrEnum):
    """`blocked`: a gate said never."""

    WAITING = "waiting"
    IN_FLIGHT = "in-flight"
    FINISHED = "finished"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Contact:
    """`phones`: in the order they are tried, at least one. `next_phone`: the one dialed next. `due_at`: not before.
    `line`: of the file it came from. `blocked_by`: the gate that said never."""

    id: ContactId
    org_id: OrgId
    campaign_id: CampaignId
    line: int | None
    name: str | None
    phones: Sequence[E164]
    next_phone: E164
    variables: Mapping[str, Any]
    status: ContactStatus
    due_at: datetime
    attempts_made: int
    disposition: str | None
    time_zone: str | None
    consent_at: datetime | None
    consent_expires_at: datetime | None
    consent_source: str | None
    blocked_by: str | None
    blocked_reason: str | None
    callback_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


async def load_contact(connection: Connection, org_id: OrgId, contact_id: ContactId) -> Contact:
    """Raises ContactNotFound."""
    row = await contact_store.select_contact(connection, org_id, contact_id)
    if row is None:
        raise ContactNotFound("There is no such contact.")
    return read_contact(row)


async def list_contacts(
    connection: Connection,
    org_id: OrgId,
    campaign_id: CampaignId,
    *,
    status: ContactStatus | None = None,
    after: str = "",
    limit: int,
) -> list[Contact]:
    """Of a campaign, in the order of their first numbers, from after the number `after` on."""
    rows = await contact_store.select_contacts(connection, org_id, campaign_id, status=status, after=after, limit=limit)
    return [read_contact(row) for row in rows]


async def find_contacts(connection: Connection, org_id: OrgId, phone: E164, *, limit: int) -> list[Contact]:
    """Everyone in any campaign whose first number this is, or who was dialed at it; the newest first."""
    rows = await contact_store.select_contacts_of(connection, org_id, phone, limit=limit)
    return [read_contact(row) for row in rows]


def read_contact(row: Row) -> Contact:
    phones = [E164(phone) for phone in row["phones"]] or [E164(row["phone"])]
    return Contact(
        id=row["id"],
        org_id=row["org_id"],
        campaign_id=row["campaign_id"],
        line=row["line"],
        name=row["name"],
        phones=phones,
        next_phone=phones[row["phone_index"]] if row["phone_index"] < len(phones) else E164(row["phone"]),
        variables=row["variables"],
        status=ContactStatus(row["status"]),
        due_at=row["due_at"],
        attempts_made=row["attempts_made"],
        disposition=row["disposition"],
        time_zone=row["time_zone"],
        consent_at=row["consent_at"],
        consent_expires_at=row["consent_expires_at"],
        consent_source=row["consent_source"],
        blocked_by=row["blocked_by"],
        blocked_reason=row["blocked_reason"],
        callback_at=row["callback_at"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
    )
