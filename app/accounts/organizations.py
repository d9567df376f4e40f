"""Organizations: the tenants. Only our own processes make them."""

import re

import asyncpg

from app.accounts import store
from app.db import Database
from app.errors import Conflict, InvalidInput
from app.ids import OrgId, new_id

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")
_COUNTRY = re.compile(r"[A-Z]{2}")


class SlugTaken(Conflict):
    """Another organization has this slug."""

    code = "slug_taken"


async def create_organization(db: Database, *, slug: str, name: str, country: str) -> OrgId:
    """Make an organization; `country` (ISO 3166, two capitals) says how its local phone numbers are read.

    Raises InvalidInput with every fault, or SlugTaken.
    """
    faults = [
        {"path": path, "message": message}
        for path, message, good in (
            ("slug", "2 to 63 of a-z, 0-9 and -, not starting with -", _SLUG.fullmatch(slug)),
            ("name", "must not be empty", name.strip()),
            ("country", "two capital letters, as in US", _COUNTRY.fullmatch(country)),
        )
        if not good
    ]
    if faults:
        raise InvalidInput("The organization cannot be made like this.", errors=faults)
    org_id = OrgId(new_id())
    try:
        async with db.system() as connection:
            await store.insert_organization(connection, org_id, slug, name, country)
    except asyncpg.UniqueViolationError as error:
        raise SlugTaken(f"There is an organization called {slug} already.") from error
    return org_id
