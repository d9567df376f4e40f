"""An import killed on its way ends with exactly its rows, and a stale importer writes nothing any more."""

import io

import pytest

from app.db import Database
from app.ids import OrgId
from campaigns.campaigns import Plan
from campaigns.creating import create_campaign
from campaigns.imports import store
from campaigns.imports.files import csv_rows
from campaigns.imports.importing import begin_import, run_import
from campaigns.imports.job import ImportTakenOver
from campaigns.imports.opening import load_needs, open_import
from campaigns.imports.reading import load_import
from campaigns.imports.resuming import MOST_TRIES, resume_import, run_kept
from campaigns.imports.writing import blocks
from tests.db.campaign_world import add_team, column
from tests.prove.imports.imports import import_killed


@pytest.fixture
async def ready(db: Database, org: OrgId) -> OrgId:
    await add_team(db, org)
    return org


async def test_killed_again_and_again_it_ends_with_exactly_its_rows(
    db: Database, ready: OrgId, database_url: str
) -> None:
    done = await import_killed(database_url, db, ready, rows=30_000, kills=2)
    assert done.wrong == 0
    assert done.kills == 2
    assert done.memory_mb <= 256


async def test_the_proof_notices_a_place_that_is_committed_before_its_rows(
    db: Database, ready: OrgId, database_url: str
) -> None:
    done = await import_killed(database_url, db, ready, rows=40_000, kills=1, early=2)
    assert done.wrong > 0


async def test_an_importer_that_slept_through_its_lease_changes_nothing(
    db: Database, ready: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", 130)
    campaign = await create_campaign(db, ready, Plan(name="Recall", team="reception"))
    file = io.BytesIO(b"phone\n" + b"".join(b"+1202555%04d\n" % n for n in range(110, 190)))
    opened = await open_import(file, await load_needs(db, ready, campaign_id=campaign.id))
    async with db.system() as connection:
        job = await begin_import(connection, ready, campaign.id, opened)
        await store.release_lanes(connection, job.id, job.fence)
    assert await resume_import(db)
    before = await column(db, "select phone from contacts order by line")
    assert len(before) == 80
    with pytest.raises(ImportTakenOver):
        await run_import(db, job)
    assert await column(db, "select phone from contacts order by line") == before
    assert (await load_import(db, ready, job.id)).report.accepted == 80
    assert await column(db, "select ordinal from import_parts") == []
    assert not await resume_import(db)


async def test_an_import_goes_on_from_where_its_slower_lane_was(
    db: Database, ready: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", 130)
    campaign = await create_campaign(db, ready, Plan(name="Recall", team="reception"))
    file = io.BytesIO(b"phone\n" + b"".join(b"+1202555%04d\n" % (n % 60 + 110) for n in range(90)))
    opened = await open_import(file, await load_needs(db, ready, campaign_id=campaign.id))
    async with db.system() as connection:
        job = await begin_import(connection, ready, campaign.id, opened)
    advance, written = store.advance_lane, 0

    async def die_of_lane_one(connection: object, import_id: object, lane: int, **what: object) -> bool:
        nonlocal written
        written += 1
        if lane == 1 and written > 5:
            raise ConnectionResetError
        return await advance(connection, import_id, lane, **what)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "advance_lane", die_of_lane_one)
    with pytest.raises(ConnectionResetError):
        await run_import(db, job)
    monkeypatch.setattr(store, "advance_lane", advance)
    places = await column(db, "select (position->>'blocks')::int from import_lanes order by lane")
    # The other lane wrote what it had in hand, and no more.
    assert 1 <= places[0] - places[1] <= blocks.AHEAD + 2  # type: ignore[operator]
    await run_kept(db, ready, job.id, job.fence)
    report = (await load_import(db, ready, job.id)).report
    assert (report.rows, report.accepted, report.duplicates) == (90, 60, 30)
    assert await column(db, "select line from contacts order by line") == list(range(2, 62))
    assert await column(db, "select line from import_faults order by line") == list(range(62, 92))


async def test_an_import_that_always_breaks_off_at_one_place_is_given_up_and_holds_up_no_other(
    db: Database, ready: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await create_campaign(db, ready, Plan(name="Recall", team="reception"))
    file = io.BytesIO(b"phone\n+12025550110\n")
    opened = await open_import(file, await load_needs(db, ready, campaign_id=campaign.id))
    async with db.system() as connection:
        job = await begin_import(connection, ready, campaign.id, opened)
        await store.release_lanes(connection, job.id, job.fence)

    async def break_off(*_: object, **__: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(store, "advance_lane", break_off)
    for _ in range(MOST_TRIES):
        with pytest.raises(ZeroDivisionError):
            await resume_import(db)
    assert await resume_import(db)
    assert (await load_import(db, ready, job.id)).row["status"] == "failed"
    assert not await resume_import(db)
    assert await column(db, "select phone from contacts") == []
