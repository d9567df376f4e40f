"""A campaign does not finish in the middle of its own import, nor beside contacts that are just being added to it."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import Any, cast
from uuid import UUID

import pytest

from app.db import Connection, Database
from app.ids import CampaignId, OrgId, new_id
from campaigns import store
from campaigns.campaigns import CampaignState
from campaigns.imports import store as import_store
from campaigns.imports.importing import begin_import, start_import
from campaigns.imports.job import Job
from campaigns.imports.opening import Opened, load_needs, open_import
from campaigns.imports.resuming import MOST_TRIES, STUCK, resume_import, run_kept
from campaigns.imports.writing.given import GivenContact, add_contacts
from campaigns.lifecycle.control import start_campaign
from campaigns.lifecycle.preflight import run_preflight
from tests.db.campaign_world import column, until
from tests.db.outcome_world import NOON, add_campaign

pytestmark = pytest.mark.db

ONE = GivenContact(["+12025550110"])


@pytest.fixture
async def empty(db: Database, org: OrgId) -> CampaignId:
    """A running campaign that has nobody left to call."""
    async with db.system() as connection:
        return await add_campaign(connection, org, status="running", started_at=NOON, resumed_at=NOON)


async def opened(db: Database, org: OrgId, campaign: CampaignId) -> Opened:
    return await open_import(io.BytesIO(b"phone\n+12025550110\n"), await load_needs(db, org, campaign_id=campaign))


async def accept_import(db: Database, org: OrgId, campaign: CampaignId) -> Job:
    """Of which nothing is in yet."""
    file = await opened(db, org, campaign)
    async with db.system() as connection:
        return await begin_import(connection, org, campaign, file)


async def finish(db: Database) -> list[UUID]:
    async with db.system() as connection:
        return list(await store.finish_campaigns(connection))


async def waits_for_a_lock(db: Database) -> bool:
    async with db.system() as connection:
        return await connection.fetchval(
            """
            select exists (select from pg_stat_activity
                           where datname = current_database() and wait_event_type = 'Lock')
            """
        )


async def test_a_campaign_waits_for_a_file_of_which_nothing_is_in_yet(
    db: Database, org: OrgId, empty: CampaignId
) -> None:
    job = await accept_import(db, org, empty)
    assert await finish(db) == []
    await run_kept(db, org, job.id, job.fence)
    assert await finish(db) == []
    async with db.system() as connection:
        await connection.execute("update contacts set status = 'finished'")
    assert await finish(db) == [empty]


async def test_a_file_of_nothing_but_bad_rows_holds_no_campaign_open(
    db: Database, org: OrgId, empty: CampaignId
) -> None:
    file = await open_import(io.BytesIO(b"phone\nnonsense\n"), await load_needs(db, org, campaign_id=empty))
    async with db.system() as connection:
        job = await begin_import(connection, org, empty, file)
    await run_kept(db, org, job.id, job.fence)
    assert await finish(db) == [empty]


async def test_an_import_that_is_given_up_holds_no_campaign_open(db: Database, org: OrgId, empty: CampaignId) -> None:
    job = await accept_import(db, org, empty)
    async with db.system() as connection:
        await import_store.release_lanes(connection, job.id, job.fence)
        await connection.execute("update imports set stuck = $1, stuck_at = 0", MOST_TRIES - 1)
    assert await finish(db) == []
    assert await resume_import(db)
    assert await column(db, "select error from imports") == [STUCK]
    assert await finish(db) == [empty]


async def test_contacts_that_are_just_being_added_are_not_finished_over(
    db: Database, org: OrgId, empty: CampaignId
) -> None:
    async with db.system() as adding:
        added = await add_contacts(adding, org, empty, [ONE])
        assert added.counts["accepted"] == 1
        assert await finish(db) == []
    assert await finish(db) == []
    assert await column(db, "select status from campaigns") == ["running"]


async def test_contacts_that_were_committed_since_the_first_look_are_seen(
    db: Database, org: OrgId, empty: CampaignId
) -> None:
    class AddingMeanwhile:
        """Somebody's contact is committed between its statements."""

        def __init__(self, connection: Connection) -> None:
            self.connection, self.looks = connection, 0

        async def fetch(self, query: str, *arguments: object) -> Any:
            if self.looks == 1:
                async with db.system() as other:
                    await other.execute(
                        "insert into contacts (id, org_id, campaign_id, phone) values ($1, $2, $3, '+12025550110')",
                        new_id(),
                        org,
                        empty,
                    )
            self.looks += 1
            return await self.connection.fetch(query, *arguments)

    async with db.system() as connection:
        meanwhile = AddingMeanwhile(connection)
        assert await store.finish_campaigns(cast(Any, meanwhile)) == []
        assert meanwhile.looks == 2


async def add_one(db: Database, org: OrgId, campaign: CampaignId) -> object:
    async with db.system() as connection:
        return await add_contacts(connection, org, campaign, [ONE])


async def import_one(db: Database, org: OrgId, campaign: CampaignId) -> object:
    return await start_import(db, org, campaign, await opened(db, org, campaign))


@pytest.mark.parametrize("add", [add_one, import_one])
async def test_what_comes_while_it_finishes_is_refused(
    db: Database,
    org: OrgId,
    empty: CampaignId,
    add: Callable[[Database, OrgId, CampaignId], Awaitable[object]],
) -> None:
    async with db.system() as finishing:
        assert await store.finish_campaigns(finishing) == [empty]
        coming = asyncio.ensure_future(add(db, org, empty))
        await until(lambda: waits_for_a_lock(db))
    with pytest.raises(CampaignState):
        await coming
    assert await column(db, "select phone from contacts") == []
    assert await column(db, "select file_name from imports") == []


async def test_two_who_add_do_not_wait_for_each_other(db: Database, org: OrgId, empty: CampaignId) -> None:
    async with db.system() as one, db.system() as other:
        await add_contacts(one, org, empty, [ONE])
        async with asyncio.timeout(5):
            await add_contacts(other, org, empty, [GivenContact(["+12025550111"])])
    assert len(await column(db, "select phone from contacts")) == 2


async def test_a_draft_whose_file_is_still_imported_is_warned_of_and_may_start(db: Database, org: OrgId) -> None:
    async with db.system() as connection:
        draft = await add_campaign(connection, org)
    with pytest.raises(CampaignState):
        await start_campaign(db, org, draft)
    await accept_import(db, org, draft)
    checks = {check.name: check.level for check in (await run_preflight(db, org, draft)).checks}
    assert (checks["imports"], checks["contacts"]) == ("warning", "warning")
    assert (await start_campaign(db, org, draft)).status == "running"
    assert await finish(db) == []
