"""Numbers that two contacts of a campaign have: one as its own and the other as a further one, or both as further ones.
All of them are called.

The further numbers of an import are kept, with the line that has each first, while its contacts are gone through a page
at a time: so whoever comes later finds who was before in an index, and the cost is the same for every contact of a list
of any length. An index over the numbers of all contacts would cost every import and every dial.
"""

from functools import partial
from uuid import UUID

from app.db import Connection, Database
from app.ids import CampaignId, OrgId
from campaigns.imports.writing import shared_store as store

PAGE_CONTACTS = 20_000
"""Few enough for a statement of a second or two, with nine numbers each."""
PAGE_NUMBERS = 100_000


async def tell_shared(
    db: Database, org_id: OrgId, campaign_id: CampaignId, import_id: UUID, *, fence: int, lease_seconds: float
) -> bool:
    """A warning for each further number of the import's contacts that is another's own, and of several that have the
    same further one for all but the first; and where it is a contact of another import that shares it. Again, also
    after a death in the middle, it tells nothing twice. False where another worker took over."""
    where = (org_id, campaign_id, import_id)
    others = False

    async def look_at_ours(connection: Connection, after: str) -> str | None:
        nonlocal others
        page = await store.insert_shared(connection, *where, after=after, limit=PAGE_CONTACTS)
        others = others or page["others"]
        return page["last"]

    async def look_at_others(connection: Connection, after: str) -> str | None:
        if not others:
            return None
        return await store.insert_shared_with_others(connection, *where, after=after, limit=PAGE_CONTACTS)

    for step in (look_at_ours, look_at_others, partial(_forget, import_id)):
        after: str | None = ""
        while after is not None:
            async with db.system() as connection:
                if not await store.keep_lane(connection, import_id, fence=fence, lease_seconds=lease_seconds):
                    return False
                after = await step(connection, after)
    return True


async def forget_numbers(db: Database, import_id: UUID) -> None:
    """What is kept of an import that was given up."""
    after: str | None = ""
    while after is not None:
        async with db.system() as connection:
            after = await _forget(import_id, connection, after)


async def _forget(import_id: UUID, connection: Connection, after: str) -> str | None:
    return await store.delete_numbers(connection, import_id, after=after, limit=PAGE_NUMBERS)
