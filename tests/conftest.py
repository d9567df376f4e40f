"""What every test may ask for: a Postgres of its own, migrated; a database handle; an organization in it."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from app.db import Database
from app.ids import OrgId, new_id
from app.stack.database.migrate import apply_migrations
from app.stack.database.postgres import prepare_postgres, wait_until_ready

MEMORY = Path("/dev/shm")
MEMORY_NEEDED_BYTES = 4 * 1024**3


def free_port() -> int:
    """A TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In memory where there is room: a fresh database is a thousand files, 15 ms there and up to 200 ms on a disk."""
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < MEMORY_NEEDED_BYTES:
        yield tmp_path_factory.mktemp("postgres-home")
        return
    with tempfile.TemporaryDirectory(prefix="trunkline-tests-", dir=MEMORY, ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        home.chmod(0o755)  # the account that Postgres runs as has to reach its data
        yield home


@pytest.fixture(scope="session")
def postgres_url(postgres_home: Path) -> Iterator[str]:
    """One real Postgres for the test run, with a migrated database `template_trunkline` to clone from."""
    home = postgres_home
    postgres = prepare_postgres(home, free_port(), durable=False)
    identity = {"user": postgres.account, "group": postgres.account, "extra_groups": []} if postgres.account else {}
    with (home / "postgres.log").open("wb") as log:
        process = subprocess.Popen(postgres.argv, stdout=log, stderr=log, cwd="/", **identity)
    try:
        asyncio.run(_prepare_template(postgres.url))
        yield postgres.url
    finally:
        process.terminate()
        process.wait(timeout=20)
        shutil.rmtree(postgres.outside or postgres.data)


async def _prepare_template(url: str) -> None:
    await wait_until_ready(url)
    connection = await asyncpg.connect(url)
    await connection.execute("create database template_trunkline")
    await connection.close()
    await apply_migrations(_database(url, "template_trunkline"))


def _database(url: str, name: str) -> str:
    return url.rsplit("/", 1)[0] + "/" + name


@pytest.fixture
async def database_url(postgres_url: str) -> AsyncIterator[str]:
    """The URL of a fresh migrated database, dropped after the test."""
    name = f"t_{uuid4().hex}"
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f"create database {name} template template_trunkline strategy file_copy")
    yield _database(postgres_url, name)
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = await Database.connect(database_url)
    yield database
    await database.close()


@pytest.fixture
async def org(db: Database) -> OrgId:
    """An organization without anything in it."""
    org_id = OrgId(new_id())
    async with db.system() as connection:
        await connection.execute(
            "insert into organizations (id, slug, name) values ($1, $2, 'Test organization')",
            org_id,
            f"org-{uuid4().hex[:8]}",
        )
    return org_id
