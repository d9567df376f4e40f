"""Dialing keeps its pace beside an import, and an import rests while anybody dials."""

import io

import pytest

from app.db import Database
from app.ids import OrgId
from campaigns.campaigns import Plan
from campaigns.creating import create_campaign
from campaigns.imports.files import csv_rows
from campaigns.imports.importing import import_contacts
from campaigns.imports.writing import blocks
from tests.db.campaign_world import add_team, running_campaign
from tests.prove.imports.beside import dial_beside


@pytest.fixture
async def ready(db: Database, org: OrgId) -> OrgId:
    await add_team(db, org)
    return org


async def test_an_import_rests_as_long_as_it_works_while_anybody_dials(
    db: Database, ready: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", 130)
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(blocks, "rest", rest)
    text = b"phone\n" + b"".join(b"+1202555%04d\n" % n for n in range(120, 160))
    quiet = await create_campaign(db, ready, Plan(name="Quiet", team="reception"))
    await import_contacts(db, ready, quiet.id, io.BytesIO(text))
    assert rests == []
    await running_campaign(db, ready, 2)
    beside = await create_campaign(db, ready, Plan(name="Beside", team="reception"))
    await import_contacts(db, ready, beside.id, io.BytesIO(text))
    assert len(rests) == 4
    assert all(seconds > 0 for seconds in rests)


async def test_the_proof_notices_an_import_that_locks_what_dialing_needs(
    db: Database, ready: OrgId, database_url: str
) -> None:
    done = await dial_beside(database_url, db, ready, rows=10, locked=True)
    assert not done.figures().held
