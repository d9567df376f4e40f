"""The do-not-call lists: numbers that no dial of ours reaches, whoever asks for it, and those that one campaign leaves
out. They are read in the transaction that commits a dial: what is on a list now is not dialed from now on."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.db import Connection, Row
from app.errors import NotFound
from app.ids import E164, CampaignId, OrgId
from campaigns.do_not_call import store
from campaigns.do_not_call.asking import Source
from telephony.lines.numbers import parse_number
from telephony.reading_store import select_country


class NotOnList(NotFound):
    """The number is not on the list."""

    code = "not_on_do_not_call_list"
    title = "Not on the do-not-call list"


class NoSuchCampaign(NotFound):
    """The organization has no campaign of that id."""

    code = "campaign_not_found"


@dataclass(frozen=True)
class Entry:
    """`campaign_id`: None where it holds for the whole organization."""

    id: UUID
    phone: E164
    reason: str
    source: Source
    campaign_id: CampaignId | None
    created_at: datetime


async def add_entry(
    connection: Connection,
    org_id: OrgId,
    phone: str,
    *,
    reason: str,
    campaign_id: CampaignId | None = None,
    source: Source = Source.API,
) -> Entry:
    """Put a number, however it is written, on the list; one that is there stays as it is. Raises InvalidNumber,
    NoSuchCampaign."""
    number = parse_number(phone, await select_country(connection, org_id))
    await demand_campaign(connection, org_id, campaign_id)
    await store.insert_entry(connection, org_id, number, reason=reason, source=source, campaign_id=campaign_id)
    row = await store.select_entry(connection, org_id, number, campaign_id=campaign_id)
    assert row is not None  # inserted, or there before
    return read_entry(row)


async def list_entries(
    connection: Connection,
    org_id: OrgId,
    *,
    campaign_id: CampaignId | None = None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Entry]:
    """The organization's, or those of one campaign; newest first."""
    rows = await store.select_entries(connection, org_id, campaign_id=campaign_id, before=before, limit=limit)
    return [read_entry(row) for row in rows]


async def remove_entry(
    connection: Connection, org_id: OrgId, phone: str, *, campaign_id: CampaignId | None = None
) -> Entry:
    """Raises NotOnList, InvalidNumber."""
    number = parse_number(phone, await select_country(connection, org_id))
    row = await store.delete_entry(connection, org_id, number, campaign_id=campaign_id)
    if row is None:
        raise NotOnList("This number is not on the do-not-call list.")
    return read_entry(row)


async def demand_campaign(connection: Connection, org_id: OrgId, campaign_id: CampaignId | None) -> None:
    """Raises NoSuchCampaign."""
    if campaign_id is not None and not await store.has_campaign(connection, org_id, campaign_id):
        raise NoSuchCampaign("There is no such campaign.")


def read_entry(row: Row) -> Entry:
    return Entry(
        id=row["id"],
        phone=row["phone"],
        reason=row["reason"],
        source=Source(row["source"]),
        campaign_id=row["campaign_id"],
        created_at=row["created_at"],
    )
