"""What the tests of the api share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.db.api_world import Api, api_settings, open_api


@pytest.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """The running api, its own database behind it."""
    async with open_api(api_settings(database_url, tmp_path)) as opened:
        yield opened
