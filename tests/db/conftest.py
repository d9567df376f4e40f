"""What the tests with a database share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.db import Database
from app.http.outward import Outward
from app.ids import OrgId
from tests.db.api_world import Api, api_settings, open_api
from tests.db.campaign_carrier import LedgerCarrier
from tests.db.campaign_world import add_team
from tests.db.webhook_receiver import Receiver, receiving


@pytest.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """The running api, its own database behind it."""
    async with open_api(api_settings(database_url, tmp_path)) as opened:
        yield opened


@pytest.fixture
async def outward() -> AsyncIterator[Outward]:
    """What asks addresses outside; here also those of this machine."""
    client = Outward(allow_loopback=True)
    yield client
    await client.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


@pytest.fixture
async def carrier(db: Database, org: OrgId, tmp_path: Path) -> LedgerCarrier:
    """A ledger carrier for an organization with a team and a number."""
    await add_team(db, org)
    return LedgerCarrier(tmp_path / "ledger.jsonl")
