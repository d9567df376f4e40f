"""The ground that a proof stands on: a durable Postgres of its own, migrated, with an organization that can dial."""

import asyncio
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.db import Database
from app.ids import OrgId, new_id
from app.stack.database.migrate import apply_migrations
from app.stack.database.postgres import EmbeddedPostgres, prepare_postgres, wait_until_ready
from tests.conftest import free_port

CALLER_ID = "+12025550101"


@dataclass
class ProvingPostgres:
    """A Postgres with fsync on. `url`: its database, migrated. Restarting it keeps the data and the port."""

    embedded: EmbeddedPostgres
    log: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return self.embedded.url

    async def start(self) -> None:
        """Start the server and wait until it answers."""
        self.process = self._spawn()
        await wait_until_ready(self.url)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        account = self.embedded.account
        identity = {"user": account, "group": account, "extra_groups": []} if account else {}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.embedded.argv,
                stdout=log,
                stderr=log,
                cwd="/",
                **identity,  # type: ignore[arg-type]
            )

    async def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: fast, connections are cut. SIGQUIT: at once, as a crash; the next start recovers from the log."""
        assert self.process is not None
        self.process.send_signal(how)
        await asyncio.to_thread(self.process.wait, 30)
        self.process = None

    async def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        await self.stop(how)
        await self.start()


@dataclass(frozen=True)
class Ground:
    """What a proof may use: the server, a handle on its database, an organization, and a folder that goes away.

    The organization has a published team `reception` and the number CALLER_ID at the Twilio-shaped carrier.
    """

    postgres: ProvingPostgres
    db: Database
    org: OrgId
    home: Path

    @property
    def url(self) -> str:
        return self.postgres.url


@asynccontextmanager
async def durable_postgres(home: Path, *, port: int | None = None) -> AsyncGenerator[ProvingPostgres]:
    """A running, migrated Postgres under `home`; its data is gone at the end."""
    server = ProvingPostgres(prepare_postgres(home, port or free_port(), durable=True), home / "postgres.log")
    try:
        await server.start()
        await apply_migrations(server.url)
        yield server
    finally:
        if server.process is not None:
            await server.stop(signal.SIGQUIT)
        shutil.rmtree(server.embedded.outside or server.embedded.data, ignore_errors=True)


@asynccontextmanager
async def proving_ground() -> AsyncGenerator[Ground]:
    """A fresh ground; nothing of it stays."""
    home = Path(tempfile.mkdtemp(prefix="trunkline-prove-"))
    try:
        async with durable_postgres(home) as postgres:
            db = await Database.connect(postgres.url, application="proof")
            try:
                yield Ground(postgres, db, await seed_organization(db), home)
            finally:
                await db.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)


async def seed_organization(db: Database, slug: str = "prover", *, caller_id: str = CALLER_ID) -> OrgId:
    """An organization of the US with a published team and a number to call from."""
    org, team = OrgId(new_id()), new_id()
    async with db.system() as connection:
        await connection.execute(
            "insert into organizations (id, slug, name, country) values ($1, $2, 'Prover', 'US')", org, slug
        )
        await connection.execute(
            "insert into teams (id, org_id, slug, name) values ($1, $2, 'reception', 'Reception')", team, org
        )
        await connection.execute(
            """insert into team_versions (id, org_id, team_id, version, status, definition, source, published_at)
               values ($1, $2, $3, 1, 'published', '{}', '', now())""",
            new_id(),
            org,
            team,
        )
        await connection.execute(
            "insert into numbers (id, org_id, e164, carrier) values ($1, $2, $3, 'twilio')", new_id(), org, caller_id
        )
    return org
