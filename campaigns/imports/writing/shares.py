"""What one lane writes of a block: contacts, and what is to be said of rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from app.db import Connection
from app.ids import CampaignId, OrgId
from campaigns.gates import store as gate_store
from campaigns.imports.columns import Columns
from campaigns.imports.contacts import Batch, Contact, FaultKind
from campaigns.imports.files.rows import Block, RowFault
from campaigns.imports.writing import store
from campaigns.imports.writing.store import NewFault
from campaigns.imports.writing.told import Told


@dataclass
class Share:
    """What one lane writes of a block."""

    block: Block
    contacts: list[Contact] = field(default_factory=list[Contact])
    rejected: list[RowFault] = field(default_factory=list[RowFault])
    warnings: list[RowFault] = field(default_factory=list[RowFault])


def deal(batch: Batch, lanes: int) -> list[Share]:
    """Who writes what: a contact's lane follows from its number, so a number always meets itself in file order."""
    shares = [Share(batch.block) for _ in range(lanes)]
    shares[0].rejected = batch.rejected
    lane_of: dict[int, int] = {}
    for contact in batch.contacts:
        lane = int(contact.phone[-1]) % lanes
        shares[lane].contacts.append(contact)
        if batch.warnings:
            lane_of[contact.line] = lane
    for warning in batch.warnings:
        shares[lane_of[warning.line]].warnings.append(warning)
    return shares


async def write_contacts(
    connection: Connection,
    org_id: OrgId,
    campaign_id: CampaignId,
    import_id: UUID,
    share: Share,
    *,
    columns: Columns,
    others: Mapping[UUID, str],
    skip_elsewhere: bool,
) -> tuple[dict[str, int], list[NewFault]]:
    """Good rows in, and what is to be said of the others. `others`: the campaigns whose waiting numbers are looked
    for, by id with their names."""
    told = Told(columns, share.block)
    for fault in share.rejected:
        told.add(FaultKind.REJECTED, fault)
    for fault in share.warnings:
        told.add(FaultKind.WARNING, fault)
    contacts, repeats = first_of_each(share.contacts)
    for contact, first in repeats:
        told.tell(FaultKind.DUPLICATE, contact, f"repeats line {first.line}")
    if others and contacts:
        contacts = await _tell_elsewhere(told, connection, contacts, others, skip=skip_elsewhere)
    if contacts:
        added = await store.insert_contacts(connection, org_id, campaign_id, import_id, contacts)
        if added.blocked_lines:
            lines = {*added.blocked_lines}
            await _tell_blocked(told, connection, org_id, campaign_id, [c for c in contacts if c.line in lines])
        told.accepted = added.count
        if added.count < len(contacts):
            known = await store.select_repeats(connection, campaign_id, import_id, contacts)
            for contact in (contact for contact in contacts if contact.line in known):
                line = known[contact.line]
                reason = "in this campaign already" if line is None else f"repeats line {line}"
                told.tell(FaultKind.DUPLICATE, contact, reason)
    return told.counts(), told.faults


async def _tell_elsewhere(
    told: Told, connection: Connection, contacts: list[Contact], others: Mapping[UUID, str], *, skip: bool
) -> list[Contact]:
    """→ those who go in. Nobody is left out for a further number: their own would be called by nobody."""
    numbers = [number for contact in contacts for number in numbers_of(contact)]
    elsewhere = await store.select_elsewhere(connection, list(others), numbers)
    left_out: set[int] = set()
    for contact in contacts if elsewhere else []:
        for number in [number for number in numbers_of(contact) if number in elsewhere]:
            own = number == contact.phone
            kind = FaultKind.DUPLICATE if skip and own else FaultKind.WARNING
            reason = f'waits in the campaign "{others[elsewhere[number]]}" too'
            told.tell(kind, contact, reason, None if own else number)
            if kind is FaultKind.DUPLICATE:
                left_out.add(contact.line)
                break
    return [contact for contact in contacts if contact.line not in left_out]


async def _tell_blocked(
    told: Told, connection: Connection, org_id: OrgId, campaign_id: CampaignId, contacts: Sequence[Contact]
) -> None:
    """By the number that is listed, where a contact has several."""
    several = [number for contact in contacts if contact.phones != "{}" for number in numbers_of(contact)]
    listed = await gate_store.select_listed(connection, org_id, campaign_id, several) if several else {}
    for contact in contacts:
        number = next((number for number in numbers_of(contact) if number in listed), None)
        told.tell(FaultKind.BLOCKED, contact, "on the do-not-call list: never dialed", number)


def numbers_of(contact: Contact) -> list[str]:
    """All of them, in the order they are tried."""
    return contact.phones.strip("{}").split(",") if contact.phones != "{}" else [contact.phone]


def first_of_each(contacts: Sequence[Contact]) -> tuple[list[Contact], list[tuple[Contact, Contact]]]:
    """The first of each number, and the others with the one that they repeat."""
    firsts: dict[str, Contact] = {}
    repeats: list[tuple[Contact, Contact]] = []
    for contact in contacts:
        first = firsts.setdefault(contact.phone, contact)
        if first is not contact:
            repeats.append((contact, first))
    return list(firsts.values()), repeats
