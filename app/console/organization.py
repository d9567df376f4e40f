"""`trunkline organization create`: an organization and its first API key, on an installation without `up`."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from app.accounts.api_keys import create_api_key
from app.accounts.organizations import create_organization
from app.auth.principal import Role, Scope
from app.db import Database
from app.errors import InvalidInput
from app.ids import OrgId
from app.settings import Settings

organization = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Organizations: the tenants of this installation."
)


class NoDatabase(InvalidInput):
    """There is no DATABASE_URL to make it in."""

    code = "no_database"


@organization.callback()
def main() -> None:
    """Organizations: the tenants of this installation."""


@organization.command("create")
def create(
    slug: Annotated[str, typer.Option("--slug", help="a-z, 0-9 and -")] = "",
    name: Annotated[str, typer.Option("--name")] = "",
    country: Annotated[str, typer.Option("--country", help="Of numbers without +; ISO 3166.")] = "US",
    example: Annotated[bool, typer.Option("--example", help="The example organization with all it needs.")] = False,
) -> None:
    """Make an organization and print its first API key, which is shown this once."""
    settings = Settings.load()
    if not settings.database_url:
        raise NoDatabase("No DATABASE_URL: set it, or start everything with `trunkline up`.")
    if example:
        from app.stack.seed import seed_example

        demo = asyncio.run(seed_example(settings, simulator_elsewhere=True))
        org_id, key = demo["org_id"], demo["api_key"]
    else:
        org_id, key = asyncio.run(create_with_key(settings, slug=slug, name=name, country=country))
    typer.echo(f"organization {org_id}\nAPI key      {key}")
    Console(stderr=True, highlight=False).print("Keep the key: it is not shown again.")


async def create_with_key(settings: Settings, *, slug: str, name: str, country: str) -> tuple[OrgId, str]:
    """The organization's id and the text of an admin's API key. Raises InvalidInput, SlugTaken."""
    db = await Database.connect(settings.database_url, pooler=settings.database_pooler, max_size=1)
    try:
        org_id = await create_organization(db, slug=slug, name=name, country=country)
        _, key = await create_api_key(db, org_id, name="first key", role=Role.ADMIN, scopes=list(Scope))
    finally:
        await db.close()
    return org_id, key
