"""Apply supabase/migrations to any Postgres, and keep the history where the supabase CLI keeps it.

Either can go on where the other stopped: the same files, the same table `supabase_migrations.schema_migrations`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from app.errors import TrunklineError

FOLDER = Path(__file__).resolve().parents[3] / "supabase"
# Any constant of ours: two runners never apply at once.
_LOCK = 0x7472756E6B


class MigrationFailed(TrunklineError):
    """A migration file was refused by Postgres; nothing of that file is applied."""

    code = "migration_failed"


@dataclass(frozen=True)
class Migration:
    version: str
    name: str
    sql: str


def read_migrations(folder: Path = FOLDER / "migrations") -> list[Migration]:
    """The files VERSION_name.sql of the folder, in order of their version."""
    found: list[Migration] = []
    for file in sorted(folder.glob("*.sql")):
        match = re.fullmatch(r"(\d{14})_(\w+)", file.stem)
        if match is None:
            raise MigrationFailed(f"{file.name}: a migration is called YYYYMMDDHHMMSS_name.sql")
        found.append(Migration(match[1], match[2], file.read_text()))
    return found


async def apply_migrations(url: str) -> list[str]:
    """Apply what is missing, each file in one transaction; return the versions applied now."""
    connection = await asyncpg.connect(url, timeout=15)
    try:
        await connection.execute("select pg_advisory_lock($1)", _LOCK)
        if await connection.fetchval("select to_regprocedure('auth.uid()') is null"):
            await connection.execute((FOLDER / "shim.sql").read_text())
        await connection.execute(
            "create schema if not exists supabase_migrations;"
            "create table if not exists supabase_migrations.schema_migrations"
            " (version text primary key, statements text[], name text)"
        )
        done = {
            row["version"]
            for row in await connection.fetch("select version from supabase_migrations.schema_migrations")
        }
        applied: list[str] = []
        for migration in read_migrations():
            if migration.version not in done:
                await _apply(connection, migration)
                applied.append(migration.version)
        return applied
    finally:
        await connection.close()


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "insert into supabase_migrations.schema_migrations (version, statements, name) values ($1, $2, $3)",
                migration.version,
                [migration.sql],
                migration.name,
            )
    except asyncpg.PostgresError as error:
        raise MigrationFailed(f"{migration.version}_{migration.name}.sql: {error}") from error
