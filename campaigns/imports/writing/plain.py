"""What one lane writes of a block of plain rows: all at once, what is odd among them one by one."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import asyncpg
import numpy as np

from app.db import Connection
from app.errors import Conflict
from app.ids import CampaignId, OrgId
from campaigns.gates import store as gate_store
from campaigns.imports.columns import Columns
from campaigns.imports.contacts import FaultKind
from campaigns.imports.vectors.copying import COLUMNS, encode_contacts
from campaigns.imports.vectors.plain_rows import PlainRows
from campaigns.imports.vectors.seen import SeenNumbers
from campaigns.imports.writing import store
from campaigns.imports.writing.shares import Share, write_contacts
from campaigns.imports.writing.store import NewFault
from campaigns.imports.writing.told import Told


class ChangedMeanwhile(Conflict):
    """What was asked a moment ago is not so any more; nothing has been written."""

    code = "changed_meanwhile"


def deal_plain(rows: PlainRows, lanes: int) -> list[PlainRows]:
    """As `deal` does it: by the last digit of the number."""
    lane_of = rows.phones % 10 % lanes
    first, *rest = [rows.take(lane_of == lane) for lane in range(lanes)]
    return [replace(first, rejected=rows.rejected), *rest]


async def write_plain(
    connection: Connection,
    org_id: OrgId,
    campaign_id: CampaignId,
    import_id: UUID,
    share: PlainRows,
    *,
    columns: Columns,
    others: Mapping[UUID, str],
    skip_elsewhere: bool,
    seen: SeenNumbers | None,
) -> tuple[dict[str, int], list[NewFault]]:
    """What `write_contacts` does, in the same words. `seen`: of this import, where the campaign had no contacts before
    it: then only numbers that may have been met are looked for in it."""
    told = Told(columns, share.block)
    for fault in share.rejected:
        told.add(FaultKind.REJECTED, fault)
    rows = _tell_repeats(told, share)
    if others:
        rows = await _tell_elsewhere(told, connection, rows, others, skip_elsewhere)
    rows = await _tell_known(told, connection, campaign_id, import_id, rows, seen)
    try:
        async with connection.transaction():
            await _insert(told, connection, org_id, campaign_id, import_id, rows)
    except (ChangedMeanwhile, asyncpg.UniqueViolationError):
        # Somebody adds the same numbers at this very moment: the way that waits for them takes them one by one.
        whole = Share(share.block, share.contacts(), share.rejected)
        return await write_contacts(
            connection,
            org_id,
            campaign_id,
            import_id,
            whole,
            columns=columns,
            others=others,
            skip_elsewhere=skip_elsewhere,
        )
    return told.counts(), told.faults


def _tell_repeats(told: Told, share: PlainRows) -> PlainRows:
    """→ the first of each number, in the order of the numbers: so an index is written from one end to the other."""
    phones, firsts, nth = np.unique(share.phones, return_index=True, return_inverse=True)
    if len(phones) < len(share):
        for n in np.flatnonzero(firsts[nth] != np.arange(len(share))).tolist():
            first = share.block.lines[int(share.rows[firsts[nth[n]]])]
            told.tell(FaultKind.DUPLICATE, share.contact(n), f"repeats line {first}")
    return share.take(firsts)


async def _tell_elsewhere(
    told: Told, connection: Connection, rows: PlainRows, others: Mapping[UUID, str], skip: bool
) -> PlainRows:
    found = await store.select_elsewhere(connection, list(others), rows.numbers)
    for n, phone in enumerate(rows.numbers if found else []):
        if phone in found:
            kind = FaultKind.DUPLICATE if skip else FaultKind.WARNING
            told.tell(kind, rows.contact(n), f'waits in the campaign "{others[found[phone]]}" too')
    return _without(rows, found) if skip else rows


async def _tell_known(
    told: Told,
    connection: Connection,
    campaign_id: UUID,
    import_id: UUID,
    rows: PlainRows,
    seen: SeenNumbers | None,
) -> PlainRows:
    doubtful = rows if seen is None else rows.take(seen.meet(rows.phones))
    known = await store.select_known(connection, campaign_id, doubtful.numbers) if len(doubtful) else {}
    for n, phone in enumerate(doubtful.numbers):
        if phone in known:
            ours = known[phone]["import_id"] == import_id
            reason = f"repeats line {known[phone]['line']}" if ours else "in this campaign already"
            told.tell(FaultKind.DUPLICATE, doubtful.contact(n), reason)
    return _without(rows, known)


async def _insert(
    told: Told, connection: Connection, org_id: OrgId, campaign_id: CampaignId, import_id: UUID, rows: PlainRows
) -> None:
    """Who is on the do-not-call list goes in as blocked, one by one. Raises UniqueViolationError,
    ChangedMeanwhile."""
    listed = await gate_store.select_listed(connection, org_id, campaign_id, rows.numbers)
    blocked = [rows.contact(n) for n, phone in enumerate(rows.numbers) if phone in listed] if listed else []
    if blocked:
        added = await store.insert_contacts(connection, org_id, campaign_id, import_id, blocked)
        if added.count < len(blocked) or len(added.blocked_lines) < len(blocked):
            raise ChangedMeanwhile("A number came or went from the do-not-call list, or another import has it now.")
        for contact in blocked:
            told.tell(FaultKind.BLOCKED, contact, "on the do-not-call list: never dialed")
    rows = _without(rows, listed)
    if len(rows):
        data = await asyncio.to_thread(encode_contacts, org_id, campaign_id, import_id, rows)
        await store.copy_contacts(connection, COLUMNS, data)
    told.accepted = len(blocked) + len(rows)


def _without(rows: PlainRows, phones: Mapping[str, object]) -> PlainRows:
    if not phones:
        return rows
    return rows.take(np.array([phone not in phones for phone in rows.numbers], bool))
