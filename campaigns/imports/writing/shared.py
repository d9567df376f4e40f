"""Numbers that two contacts of a campaign have: one as its own, the other as a further one. Both are called."""

from uuid import UUID

from app.db import Database
from app.ids import CampaignId, OrgId
from campaigns.imports.writing import store

PAGE_CONTACTS = 20_000
"""Few enough for a statement of a second."""


async def tell_shared(
    db: Database, org_id: OrgId, campaign_id: CampaignId, import_id: UUID, *, fence: int, lease_seconds: float
) -> bool:
    """A warning for each further number of the import's contacts that is another's own, whatever their order in the
    file. Again it tells nothing twice. False where another worker took over."""
    after: str | None = ""
    while after is not None:
        async with db.system() as connection:
            if not await store.keep_lane(connection, import_id, fence=fence, lease_seconds=lease_seconds):
                return False
            after = await store.insert_shared(
                connection, org_id, campaign_id, import_id, after=after, limit=PAGE_CONTACTS
            )
    return True
