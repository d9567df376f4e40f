"""Contacts that a gate put off are asked again as soon as their campaign's gates say something else.

Whoever changes the gates only writes when that was (`campaigns.gates_changed_at`). The dialers' clock makes due again
whom they had put off before that, a page a transaction: of millions one transaction would last for minutes, and where a
process dies the next one goes on. Whoever is still closed to is put off anew, after that instant, and stays so.
"""

from time import monotonic

from app.db import Connection, Database, Row
from app.ids import OrgId
from campaigns.gates import store
from campaigns.imports.store import is_any_running
from campaigns.imports.writing.blocks import REST_WHILE_DIALING, rest
from campaigns.store import read_by_index

AT_ONCE = 5_000
"""Contacts of one statement: some tenths of a second of Postgres."""

LOOKED_FOR_SECONDS = 30.0
"""A dialer that knew only the old rules may commit so late what they put off: longer than it may hold a transaction
(`attempt_store.HELD_AT_MOST_MS`)."""


async def mark_changed(connection: Connection, org_id: OrgId) -> None:
    """What holds for all of the organization's campaigns was changed; last in the transaction, as their dials wait."""
    await store.set_gates_changed(connection, org_id)


async def ask_again(db: Database) -> None:
    """A page of each campaign in turn, until nobody is left whom gates had put off before they were changed."""
    async with db.system() as connection:
        left = await store.select_gates_changed(connection)
    while left:
        began, dialing = monotonic(), False
        more: list[Row] = []
        for campaign in left:
            async with db.system() as connection:
                dialing = await is_any_running(connection)
                if await _ask_page(connection, campaign):
                    more.append(campaign)
        left = more
        if left and dialing:
            await rest(REST_WHILE_DIALING * (monotonic() - began))


async def _ask_page(connection: Connection, campaign: Row) -> bool:
    """Whether there are more."""
    await read_by_index(connection)
    before = campaign["gates_changed_at"]
    asked = await store.make_due(connection, campaign["id"], before=before, limit=AT_ONCE)
    if not asked:
        await store.settle_gates(connection, campaign["id"], before=before, seconds=LOOKED_FOR_SECONDS)
    return asked == AT_ONCE
