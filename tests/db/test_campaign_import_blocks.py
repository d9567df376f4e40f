"""Blocks on their way through the lanes: nobody waits for the slowest, and nothing that was read is lost."""

import asyncio
import io
from collections.abc import Iterator

import pytest

from app.db import Connection, Database
from app.ids import OrgId
from campaigns.campaigns import Plan
from campaigns.creating import create_campaign
from campaigns.imports import store
from campaigns.imports.files import csv_rows
from campaigns.imports.files.rows import Block, BrokenFile
from campaigns.imports.importing import begin_import, run_import
from campaigns.imports.job import Job
from campaigns.imports.opening import load_needs, open_import
from campaigns.imports.writing import blocks
from tests.db.campaign_world import add_team

pytestmark = pytest.mark.db

NUMBERS = b"phone\n" + b"".join(b"+1202555%04d\n" % n for n in range(110, 190))


@pytest.fixture
async def job(db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch) -> Job:
    """Eighty numbers in eight blocks."""
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", 130)
    await add_team(db, org)
    campaign = await create_campaign(db, org, Plan(name="Recall", team="reception"))
    opened = await open_import(io.BytesIO(NUMBERS), await load_needs(db, org, campaign_id=campaign.id))
    async with db.system() as connection:
        return await begin_import(connection, org, campaign.id, opened)


async def count_contacts(db: Database) -> int:
    async with db.system() as connection:
        return await connection.fetchval("select count(*) from contacts")


async def test_a_lane_goes_on_while_the_other_is_at_an_earlier_block(
    db: Database, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance, went_on, at = store.advance_lane, asyncio.Event(), [0] * blocks.LANES

    async def lag_in_lane_zero(connection: Connection, import_id: object, lane: int, **what: object) -> bool:
        at[lane] += 1
        if at[1] > at[0]:
            went_on.set()
        if lane == 0 and at[0] == 1:
            async with asyncio.timeout(20):
                await went_on.wait()
        return await advance(connection, import_id, lane, **what)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "advance_lane", lag_in_lane_zero)
    assert (await run_import(db, job)).accepted == 80
    assert set(at) == {8}


async def test_what_was_read_before_a_file_breaks_is_in(
    db: Database, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = type(job.source).blocks

    def break_after_five(source: object, start: object) -> Iterator[Block]:
        for n, block in enumerate(honest(source, start)):  # type: ignore[arg-type]
            if n == 5:
                raise BrokenFile("It breaks off here.")
            yield block

    monkeypatch.setattr(type(job.source), "blocks", break_after_five)
    with pytest.raises(BrokenFile):
        await run_import(db, job)
    assert await count_contacts(db) == 50


async def test_an_import_that_is_called_off_writes_nothing_after(
    db: Database, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = asyncio.Event()

    async def never_end(*_: object, **__: object) -> bool:
        writing.set()
        return await asyncio.get_running_loop().create_future()

    before = asyncio.all_tasks()
    with monkeypatch.context() as patched:
        patched.setattr(store, "advance_lane", never_end)
        running = asyncio.create_task(run_import(db, job))
        await writing.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert await count_contacts(db) == 0
    assert asyncio.all_tasks() <= before


async def test_a_lane_that_fails_holds_up_nobody(db: Database, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    async def break_off(*_: object, **__: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(store, "advance_lane", break_off)
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(20):
            await run_import(db, job)
    assert await count_contacts(db) == 0
