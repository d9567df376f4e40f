"""`trunkline organization create`: an installation without `up` gets its first organization and key."""

from pathlib import Path

import pytest

from app.accounts.organizations import SlugTaken
from app.auth.authenticate import authenticate
from app.auth.principal import Scope
from app.auth.tokens import TokenVerifier
from app.console.organization import create_with_key
from app.db import Database
from app.errors import InvalidInput
from app.settings import Settings
from app.stack.seed import has_simulator
from tests.db.api_world import api_settings


async def test_the_printed_key_opens_the_new_organization(db: Database, database_url: str, tmp_path: Path) -> None:
    settings = api_settings(database_url, tmp_path)
    org_id, key = await create_with_key(settings, slug="acme", name="Acme", country="US")
    principal = await authenticate(db, TokenVerifier(settings), authorization="", api_key=key, organization="")
    assert (principal.org_id, principal.scopes) == (org_id, frozenset(Scope))
    with pytest.raises(SlugTaken):
        await create_with_key(settings, slug="acme", name="Acme", country="US")


async def test_what_it_lacks_is_named(database_url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        await create_with_key(api_settings(database_url, tmp_path), slug="", name="", country="usa")
    assert [fault["path"] for fault in refused.value.extra["errors"]] == ["slug", "name", "country"]


@pytest.mark.parametrize(
    ("account", "base_url", "elsewhere", "expected"),
    [
        ("", "", True, False),
        ("AC1", "", True, False),
        ("AC1", "https://api.twilio.com", True, False),
        ("AC1", "http://simulator:8090", True, True),
        ("AC1", "http://simulator:8090", False, False),
    ],
)
def test_a_number_is_bought_for_the_example_at_a_simulator_only(
    account: str, base_url: str, elsewhere: bool, expected: bool
) -> None:
    given = Settings(twilio_account_sid=account, twilio_api_base_url=base_url)
    assert has_simulator(given, given, elsewhere=elsewhere) is expected


def test_the_simulator_that_up_starts_gets_the_number() -> None:
    started = Settings(twilio_account_sid="AC1", twilio_api_base_url="http://127.0.0.1:8090")
    given = Settings(twilio_account_sid="", twilio_api_base_url="")
    assert has_simulator(given, started, elsewhere=False)
