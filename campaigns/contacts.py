"""Contacts: whom a campaign calls, and how far it is with them; one at a time, changed or taken out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.db import Connection, Row
from app.errors import Conflict, InvalidInput, NotFound
from app.ids import E164, CampaignId, ContactId, OrgId
from campaigns import contact_store
from campaigns.rules.calling.zones import demand_place
from campaigns.rules.dispositions import Disposition


class ContactNotFound(NotFound):
    """The organization has no such contact."""

    code = "contact_not_found"


class ContactState(Conflict):
    """The contact's status does not allow this."""

    code = "contact_state"


class CallbackPast(InvalidInput):
    """Nobody can be called again in the past."""

    code = "callback_past"


BY_HAND = "hand"
"""Who blocked a contact that somebody took out; otherwise it is a gate. The database tells of it by this word."""


class ContactStatus(StrEnum):
    """`blocked`: a gate said never."""

    WAITING = "waiting"
    IN_FLIGHT = "in-flight"
    FINISHED = "finished"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Contact:
    """`phones`: in the order they are tried, at least one. `next_phone`: the one dialed next. `due_at`: not before.
    `line`: of the file it came from. `blocked_by`: the gate that said never, or BY_HAND."""

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


async def edit_contact(
    connection: Connection, org_id: OrgId, contact_id: ContactId, changed: Mapping[str, Any], *, now: datetime
) -> Contact:
    """One that waits. `changed`: `name`, `time_zone` (whom a gate had put off is due again), `callback_at` (due then;
    None: now) and `variables` (merged as by RFC 7396: None takes one away). Raises ContactNotFound, ContactState,
    UnknownTimeZone, CallbackPast."""
    contact = await _lock_waiting(connection, org_id, contact_id)
    zone, callback_at = changed.get("time_zone", contact.time_zone), changed.get("callback_at", contact.callback_at)
    if "time_zone" in changed and zone is not None:
        zone = demand_place(zone)
    if "callback_at" in changed and callback_at is not None and callback_at <= now:
        fault = {"path": "body.callback_at", "message": "must lie ahead"}
        raise CallbackPast("callback_at must lie ahead; null calls as soon as every gate allows.", errors=[fault])
    merged = {**contact.variables, **changed.get("variables", {})}
    await contact_store.update_contact(
        connection,
        org_id,
        contact_id,
        name=changed.get("name", contact.name),
        time_zone=zone,
        variables={name: value for name, value in merged.items() if value is not None},
        callback_at=callback_at,
        due_at=(callback_at or now) if "callback_at" in changed else None,
        ask_again=zone != contact.time_zone,
    )
    return await load_contact(connection, org_id, contact_id)


async def remove_contact(connection: Connection, org_id: OrgId, contact_id: ContactId, *, reason: str) -> Contact:
    """One that waits becomes blocked, by hand: it is never called, and what is known of it stays; the change
    tells itself as `contact.blocked`. Raises ContactNotFound, ContactState."""
    await _lock_waiting(connection, org_id, contact_id)
    await contact_store.set_removed(
        connection, org_id, contact_id, disposition=Disposition.BLOCKED, by=BY_HAND, reason=reason
    )
    return await load_contact(connection, org_id, contact_id)


async def _lock_waiting(connection: Connection, org_id: OrgId, contact_id: ContactId) -> Contact:
    """Raises ContactNotFound, ContactState."""
    row = await contact_store.select_contact(connection, org_id, contact_id, lock=True)
    if row is None:
        raise ContactNotFound("There is no such contact.")
    contact = read_contact(row)
    if contact.status is ContactStatus.IN_FLIGHT:
        raise ContactState("The contact is being called now; change it when the call has ended.")
    if contact.status is not ContactStatus.WAITING:
        raise ContactState(f"The contact is {contact.status.value}; only one that waits can be changed.")
    return contact


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


async def find_contacts(
    connection: Connection,
    org_id: OrgId,
    phone: E164,
    *,
    campaign_id: CampaignId | None = None,
    status: ContactStatus | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int,
) -> list[Contact]:
    """Everyone who has this number, as the first or a further one, or was dialed at it: in any campaign, or in that
    one; the newest first, from before (created_at, id) on."""
    rows = await contact_store.select_contacts_of(
        connection, org_id, phone, campaign_id=campaign_id, status=status, before=before, limit=limit
    )
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
