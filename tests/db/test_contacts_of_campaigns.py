"""A contact's campaign is there: as sure as by the foreign key that contacts do not have (0014)."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.db import Database
from app.ids import CampaignId, OrgId, new_id
from tests.db.outcome_world import add_campaign, add_contacts

pytestmark = pytest.mark.db


@pytest.fixture
async def campaign(db: Database, org: OrgId) -> CampaignId:
    async with db.system() as connection:
        return await add_campaign(connection, org)


@pytest.fixture
async def others(database_url: str) -> AsyncIterator[list[asyncpg.Connection]]:
    """Two connections of their own, to hold a transaction open on each."""
    connections = [await asyncpg.connect(database_url) for _ in range(2)]
    yield connections
    for connection in connections:
        await connection.close(timeout=5)


async def count_contacts(db: Database, campaign: CampaignId) -> int:
    async with db.system() as connection:
        return await connection.fetchval("select count(*) from contacts where campaign_id = $1", campaign)


async def add_one(connection: asyncpg.Connection, org: OrgId, campaign: CampaignId) -> None:
    await connection.execute(
        "insert into contacts (id, org_id, campaign_id, phone) values ($1, $2, $3, '+12025550100')",
        new_id(),
        org,
        campaign,
    )


async def wait_for_waiter(db: Database) -> None:
    """Until a transaction waits for another one's."""
    async with asyncio.timeout(20), db.system() as connection:
        while not await connection.fetchval("select count(*) from pg_locks where not granted"):
            pause = 0.02
            await asyncio.sleep(pause)


async def test_no_contact_without_its_campaign(db: Database, org: OrgId) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="is not there"):
        async with db.system() as connection:
            await add_contacts(connection, org, CampaignId(new_id()), 2)


async def test_no_contact_in_another_organizations_campaign(db: Database, campaign: CampaignId) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="is not there"):
        async with db.system() as connection:
            await add_contacts(connection, OrgId(new_id()), campaign, 1)


async def test_what_is_there_in_one_campaign_does_not_excuse_the_other(
    db: Database, org: OrgId, campaign: CampaignId
) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        async with db.system() as connection:
            await connection.execute(
                """
                insert into contacts (id, org_id, campaign_id, phone)
                values (gen_random_uuid(), $1, $2, '+12025550100'), (gen_random_uuid(), $1, $3, '+12025550101')
                """,
                org,
                campaign,
                new_id(),
            )
    assert await count_contacts(db, campaign) == 0


async def test_contacts_stay_in_their_campaign_and_campaigns_keep_their_id(
    db: Database, org: OrgId, campaign: CampaignId
) -> None:
    async with db.system() as connection:
        other = await add_campaign(connection, org)
        await add_contacts(connection, org, campaign, 1)
    for statement in (
        "update contacts set campaign_id = $2 where campaign_id = $1",
        "update campaigns set id = $2 where id = $1",
    ):
        with pytest.raises(asyncpg.ForeignKeyViolationError, match="stays in its campaign"):
            async with db.system() as connection:
                await connection.execute(statement, campaign, other if "contacts" in statement else new_id())


async def test_a_deleted_campaign_takes_what_was_added_while_it_waited(
    db: Database, org: OrgId, campaign: CampaignId, others: list[asyncpg.Connection]
) -> None:
    adding, deleting = others
    added = adding.transaction()
    await added.start()
    await add_one(adding, org, campaign)
    gone = asyncio.create_task(deleting.execute("delete from campaigns where id = $1", campaign))
    await wait_for_waiter(db)
    await added.commit()
    assert await gone == "DELETE 1"
    assert await count_contacts(db, campaign) == 0


async def test_no_contact_is_added_to_a_campaign_that_is_being_deleted(
    db: Database, org: OrgId, campaign: CampaignId, others: list[asyncpg.Connection]
) -> None:
    adding, deleting = others
    deletion = deleting.transaction()
    await deletion.start()
    await deleting.execute("delete from campaigns where id = $1", campaign)
    added = asyncio.create_task(add_one(adding, org, campaign))
    await wait_for_waiter(db)
    await deletion.commit()
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="is not there"):
        await added
    assert await count_contacts(db, campaign) == 0


async def test_a_deletion_that_could_overlook_contacts_is_refused(
    campaign: CampaignId, others: list[asyncpg.Connection]
) -> None:
    with pytest.raises(asyncpg.FeatureNotSupportedError, match="read committed"):
        async with others[0].transaction(isolation="repeatable_read"):
            await others[0].execute("delete from campaigns where id = $1", campaign)
