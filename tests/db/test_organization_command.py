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
from app.stack.seed import is_twilio
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


def test_numbers_are_never_bought_for_the_example_at_twilio_itself() -> None:
    assert is_twilio("https://api.twilio.com")
    assert not is_twilio("http://simulator:8090")
    assert not is_twilio("")
