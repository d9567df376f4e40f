"""Contacts on their way from one campaign into a draft like it, and before them its own do-not-call list: a page a
transaction, together with how far that is. What is put on the list meanwhile goes onto both by itself.

Of ten million contacts one transaction would last for minutes, keep Postgres from clearing away what dials leave
behind, and be for nothing where its process dies. Here a death costs a page: whoever's clock strikes next goes on from
the last one. Until all are there the draft is not started.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto
from time import monotonic
from uuid import UUID

from app.db import Connection, Database, DatabaseUnavailable, Row
from app.logs import get_logger
from campaigns.campaigns import Campaign, CampaignState, CampaignStatus, Plan
from campaigns.creating import insert_campaign
from campaigns.do_not_call.store import copy_entries
from campaigns.imports.store import is_any_running
from campaigns.imports.writing.blocks import REST_WHILE_DIALING, rest
from campaigns.lifecycle.control import start_in
from campaigns.lifecycle.copies import store
from campaigns.store import read_by_index

log = get_logger(__name__)

AT_ONCE = 20_000
"""Contacts looked at by one statement: a second of Postgres."""
ENTRIES_AT_ONCE = 4_000
"""Entries of a list that one statement copies: about as long."""
LEASE_SECONDS = 30.0
MOST_TRIES = 10
"""How often a copy is begun again at the same place before it is given up."""
STUCK = "it broke off at the same place again and again. Delete the draft and make another; the log knows more"


@dataclass(frozen=True)
class Begun:
    """`contacts`: how many there are to copy. `copy_id`: the caller's, as long as its lease lasts, under fence 1."""

    campaign: Campaign
    contacts: int
    copy_id: UUID


async def begin_copy(
    connection: Connection,
    source: Campaign,
    plan: Plan,
    *,
    outcomes: Collection[str] | None = None,
    starts: bool = False,
    lease_seconds: float = LEASE_SECONDS,
) -> Begun:
    """In the caller's transaction: a draft by this plan, which gets the do-not-call list of `source` and all of its
    contacts that may be called or, with `outcomes`, those whose last outcome is one of them and, of a finished
    campaign, those who still waited.

    `starts`: it is started when they are there. No `lease_seconds`: for whoever comes first. Raises CampaignState."""
    if source.copying:
        raise CampaignState("Contacts are still copied into this campaign; try again when all are there.")
    await store.lock_list(connection, source.id)
    wanted = sorted(outcomes) if outcomes is not None else None
    with_waiting = source.status is CampaignStatus.FINISHED
    contacts = await store.count_to_copy(
        connection, source.org_id, source.id, outcomes=wanted, with_waiting=with_waiting
    )
    campaign = await insert_campaign(connection, source.org_id, plan)
    copy_id = await store.insert_copy(
        connection,
        source.org_id,
        campaign.id,
        source.id,
        outcomes=wanted,
        with_waiting=with_waiting,
        contacts=contacts,
        starts=starts,
        lease_seconds=lease_seconds,
    )
    return Begun(campaign, contacts, copy_id)


class _Step(Enum):
    MORE = auto()
    DONE = auto()
    LOST = auto()


async def run_copy(db: Database, copy_id: UUID, *, fence: int) -> bool:
    """To the end. False where somebody else goes on with it, or its draft was ended. Raises DatabaseUnavailable."""
    try:
        while True:
            began = monotonic()
            step = await _copy_page(db, copy_id, fence)
            if step is not _Step.MORE:
                return step is _Step.DONE
            await _rest_while_dialing(db, monotonic() - began)
    except BaseException:
        # A shutdown, or a database that is away: another process need not wait for our lease to end.
        await _let_go(db, copy_id, fence)
        raise


async def _copy_page(db: Database, copy_id: UUID, fence: int) -> _Step:
    async with db.system() as connection:
        row = await store.lock_copy(connection, copy_id, fence=fence, lease_seconds=LEASE_SECONDS)
        if row is None:
            return _Step.LOST
        await read_by_index(connection)
        concerned = (row["org_id"], row["source_id"], row["campaign_id"])
        if row["list_position"] is not None:
            listed = await copy_entries(connection, *concerned, after=row["list_position"], limit=ENTRIES_AT_ONCE)
            await store.set_list_copied(connection, copy_id, listed)
            return _Step.MORE
        after = await store.copy_contacts(
            connection,
            *concerned,
            outcomes=row["outcomes"],
            with_waiting=row["with_waiting"],
            after=row["position"],
            limit=AT_ONCE,
        )
        if after is not None:
            await store.set_copied(connection, copy_id, after)
            return _Step.MORE
        await store.delete_copy(connection, copy_id)
        if row["starts"]:
            await _start(connection, row)
        return _Step.DONE


async def _start(connection: Connection, row: Row) -> None:
    try:
        await start_in(connection, row["org_id"], row["campaign_id"])
    except CampaignState as error:
        log.warning("a copy was not started", campaign_id=str(row["campaign_id"]), why=error.detail)


async def _rest_while_dialing(db: Database, worked_seconds: float) -> None:
    async with db.system() as connection:
        dialing = await is_any_running(connection)
    if dialing:
        await rest(REST_WHILE_DIALING * worked_seconds)


async def _let_go(db: Database, copy_id: UUID, fence: int) -> None:
    try:
        async with db.system() as connection:
            await store.release_copy(connection, copy_id, fence=fence)
    except DatabaseUnavailable:
        return  # then the lease ends by itself


async def finish_copies(db: Database) -> None:
    """Every copy that nobody works on: of processes that died, and those that are begun for whoever comes first."""
    while await _finish_next(db):
        pass


async def _finish_next(db: Database) -> bool:
    async with db.system() as connection:
        await store.drop_stale_copies(connection)
        row = await store.take_over_copy(connection, lease_seconds=LEASE_SECONDS)
    if row is None:
        return False
    log.info("copying contacts", campaign_id=str(row["campaign_id"]), contacts=row["contacts"])
    if row["stuck"] < MOST_TRIES:
        await run_copy(db, row["id"], fence=row["fence"])
        return True
    log.error("a copy is given up", campaign_id=str(row["campaign_id"]))
    async with db.system() as connection:
        await store.fail_copy(connection, row["id"], fence=row["fence"], error=STUCK)
    return True
