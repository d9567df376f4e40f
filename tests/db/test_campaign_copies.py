"""A copy of a campaign's contacts: a page at a time, never started before all are there, and finished whoever dies."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from app.db import Database
from app.ids import OrgId
from campaigns.campaigns import CampaignState, delete_campaign, load_campaign
from campaigns.creating import Once
from campaigns.lifecycle import redial
from campaigns.lifecycle import store as lifecycle_store
from campaigns.lifecycle.control import finish_campaign, start_campaign
from campaigns.lifecycle.copies import copying, store
from campaigns.lifecycle.copies.copying import MOST_TRIES, finish_copies, run_copy
from campaigns.lifecycle.preflight import run_preflight
from campaigns.lifecycle.redial import redial_unreached
from tests.db.campaign_world import column, until
from tests.db.lifecycle_world import begin, source_of

pytestmark = pytest.mark.db

ROOT = Path(__file__).parents[2]
DOOMED = """
import asyncio, sys
from app.db import Database
from campaigns.lifecycle.copies import copying
async def main():
    copying.AT_ONCE = 10
    await copying.finish_copies(await Database.connect(sys.argv[1]))
asyncio.run(main())
"""


async def rows_of(db: Database, campaign_id: UUID) -> list[tuple[object, ...]]:
    async with db.system() as connection:
        rows = await connection.fetch(
            "select line, phone, phones, memory, status from contacts where campaign_id = $1 order by phone",
            campaign_id,
        )
    return [tuple(row) for row in rows]


async def count(db: Database, campaign_id: UUID) -> int:
    [found] = await column(db, "select count(*) from contacts where campaign_id = $1", campaign_id)
    assert isinstance(found, int)
    return found


@asynccontextmanager
async def doomed(url: str) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A process that copies what is to be copied, ten contacts at a time."""
    process = await asyncio.to_thread(
        subprocess.Popen, [sys.executable, "-c", DOOMED, url], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)


async def test_killed_again_and_again_it_ends_with_exactly_the_sources_contacts_and_starts_once_they_are_there(
    db: Database, org: OrgId, database_url: str
) -> None:
    source = await source_of(db, org, 3000)
    begun = await begin(db, source, starts=True)
    assert begun.contacts == 3000
    before = 0
    for _ in range(2):
        async with doomed(database_url) as process:

            async def came_further(least: int = before + 100) -> bool:
                return await count(db, begun.campaign.id) >= least

            await until(came_further, seconds=60)
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.wait)
        assert before < await count(db, begun.campaign.id) < 3000
        before = await count(db, begun.campaign.id)
        half = await load_campaign(db, org, begun.campaign.id)
        assert (half.status, half.copying) == ("draft", True)
        # Its lease holds for a while.
        await finish_copies(db)
        assert await count(db, begun.campaign.id) == before
        async with db.system() as connection:
            await connection.execute("update campaign_copies set lease_until = now()")
    await asyncio.gather(*(finish_copies(db) for _ in range(3)))
    assert await rows_of(db, begun.campaign.id) == await rows_of(db, source.id)
    whole = await load_campaign(db, org, begun.campaign.id)
    assert (whole.status, whole.copying) == ("running", False)
    assert await column(db, "select kind from campaign_events where campaign_id = $1", begun.campaign.id) == [
        "campaign.started"
    ]


async def test_a_draft_that_has_not_all_of_its_contacts_is_not_started_copied_or_deleted(
    db: Database, org: OrgId
) -> None:
    source = await source_of(db, org, 3)
    draft = (await begin(db, source)).campaign
    with pytest.raises(CampaignState, match="still being copied"):
        await start_campaign(db, org, draft.id)
    async with db.system() as connection:
        assert not await lifecycle_store.set_started(connection, org, draft.id)
    with pytest.raises(CampaignState, match="still copied"):
        await redial_unreached(db, org, draft.id)
    with pytest.raises(CampaignState, match="still come"):
        await delete_campaign(db, org, draft.id)
    told = [check for check in (await run_preflight(db, org, draft.id)).checks if check.name == "contacts"]
    assert [(check.level, check.detail) for check in told] == [("error", "contacts are still being copied into it")]
    await finish_copies(db)
    assert (await start_campaign(db, org, draft.id)).status == "running"


async def test_a_copier_that_slept_through_its_lease_changes_nothing(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await source_of(db, org, 5)
    monkeypatch.setattr(copying, "AT_ONCE", 2)
    begun = await begin(db, source)
    async with db.system() as connection:
        taken = await store.take_over_copy(connection, lease_seconds=30)
    assert taken is not None
    assert not await run_copy(db, begun.copy_id, fence=1)
    assert await count(db, begun.campaign.id) == 0
    assert await run_copy(db, begun.copy_id, fence=taken["fence"])
    assert await count(db, begun.campaign.id) == 5
    assert not await run_copy(db, begun.copy_id, fence=taken["fence"])


async def test_a_redial_that_breaks_off_is_finished_by_the_clock_and_asked_again_is_the_same(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await source_of(db, org, 5)
    monkeypatch.setattr(copying, "AT_ONCE", 2)
    copy_contacts, pages = store.copy_contacts, 0

    async def break_off(*arguments: object, **named: object) -> object:
        nonlocal pages
        pages += 1
        if pages == 2:
            raise ConnectionResetError
        return await copy_contacts(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "copy_contacts", break_off)
    once = Once("again", b"1")
    with pytest.raises(ConnectionResetError):
        await redial_unreached(db, org, source.id, once=once)
    again = await redial_unreached(db, org, source.id, once=once)
    assert (again.campaign.copying, again.contacts) == (True, 5)
    assert await count(db, again.campaign.id) == 2
    # Nobody waits for a lease: who broke off let go of it.
    await finish_copies(db)
    done = await redial_unreached(db, org, source.id, once=once)
    assert (done.campaign.id, done.campaign.copying, done.contacts) == (again.campaign.id, False, 5)
    assert await rows_of(db, done.campaign.id) == await rows_of(db, source.id)


async def test_a_copy_that_always_breaks_off_at_one_place_is_given_up_and_its_draft_can_be_deleted(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await source_of(db, org, 3)
    draft = (await begin(db, source)).campaign

    async def break_off(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(store, "copy_contacts", break_off)
    # The first one comes as far as the end of the do-not-call list.
    for _ in range(1 + MOST_TRIES):
        with pytest.raises(ZeroDivisionError):
            await finish_copies(db)
    await finish_copies(db)
    with pytest.raises(CampaignState, match="broke off at the same place"):
        await start_campaign(db, org, draft.id)
    await delete_campaign(db, org, draft.id)
    assert await column(db, "select id from campaign_copies") == []


async def test_a_draft_that_is_ended_meanwhile_gets_no_more_contacts(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await source_of(db, org, 5)
    monkeypatch.setattr(copying, "AT_ONCE", 2)
    begun = await begin(db, source)
    await finish_campaign(db, org, begun.campaign.id)
    await finish_copies(db)
    assert await count(db, begun.campaign.id) == 0
    assert not (await load_campaign(db, org, begun.campaign.id)).copying


async def test_contacts_that_came_into_the_draft_meanwhile_stay_as_they_are(db: Database, org: OrgId) -> None:
    source = await source_of(db, org, 3)
    draft = (await begin(db, source)).campaign
    async with db.system() as connection:
        await connection.execute(
            "insert into contacts (id, org_id, campaign_id, phone, line) values (gen_random_uuid(), $1, $2, $3, 77)",
            org,
            draft.id,
            "+12025550002",
        )
    await finish_copies(db)
    assert await column(db, "select line from contacts where campaign_id = $1 order by phone", draft.id) == [1, 77, 3]


async def test_who_asks_for_a_long_redial_is_answered_and_the_clock_copies_the_rest(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await source_of(db, org, 5)
    monkeypatch.setattr(copying, "AT_ONCE", 2)
    monkeypatch.setattr(redial, "PATIENCE_SECONDS", 0.5)
    copy_contacts, pages = store.copy_contacts, 0

    async def take_for_ever(*arguments: object, **named: object) -> object:
        nonlocal pages
        pages += 1
        if pages == 2:
            await asyncio.get_running_loop().create_future()
        return await copy_contacts(*arguments, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(store, "copy_contacts", take_for_ever)
        made = await redial_unreached(db, org, source.id)
    assert (made.campaign.copying, made.contacts) == (True, 5)
    assert await count(db, made.campaign.id) == 2
    await finish_copies(db)
    assert await rows_of(db, made.campaign.id) == await rows_of(db, source.id)
