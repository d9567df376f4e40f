import asyncpg

from app.db import Database
from app.ids import OrgId
from app.stack.database.migrate import apply_migrations, read_migrations


async def test_a_second_run_applies_nothing_and_the_history_is_the_supabase_clis(database_url: str) -> None:
    assert await apply_migrations(database_url) == []
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("select version, name from supabase_migrations.schema_migrations order by version")
    await connection.close()
    assert [(row["version"], row["name"]) for row in rows] == [(m.version, m.name) for m in read_migrations()]


async def test_a_request_without_membership_sees_no_organization(db: Database, org: OrgId) -> None:
    async with db.request({"sub": str(org), "role": "authenticated"}) as connection:
        assert await connection.fetch("select id from organizations") == []
    async with db.system() as connection:
        assert len(await connection.fetch("select id from organizations")) == 1
