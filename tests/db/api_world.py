"""The api as it runs, on a real Postgres, for tests to ask over HTTP; only the carrier is ours."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import jwt
from fastapi import FastAPI
from pydantic import SecretStr

from app.accounts.api_keys import create_api_key
from app.accounts.organizations import create_organization
from app.api.dependencies import State
from app.auth.principal import ROLE_SCOPES, Role
from app.db import Database
from app.ids import OrgId, UserId, new_id
from app.main import create_app
from app.settings import Settings
from telephony.carriers.base import CarrierCall, CarrierName, OutgoingCall

JWT_SECRET = "a-secret-of-the-tests-that-is-long-enough"
CALLER_ID = "+12025550101"


@dataclass
class FakeCarrier:
    """A carrier that does what it is told: `outcome` is raised by the next dials, or None to take them."""

    name: CarrierName = CarrierName.TWILIO
    outcome: Exception | None = None
    dialed: list[OutgoingCall] = field(default_factory=list)
    hung_up: list[str] = field(default_factory=list)

    async def dial(self, call: OutgoingCall) -> str:
        self.dialed.append(call)
        if self.outcome is not None:
            raise self.outcome
        return f"CA{uuid4().hex}"

    async def hang_up(self, carrier_call_id: str) -> None:
        self.hung_up.append(carrier_call_id)

    async def find_calls(self, *, to: str, from_: str, since: datetime) -> list[CarrierCall]:
        return []

    async def close(self) -> None:
        pass


@dataclass
class Api:
    """A running api with an organization, a published team `reception` and a number to call from."""

    app: FastAPI
    client: httpx.AsyncClient
    db: Database
    org_id: OrgId
    carrier: FakeCarrier

    @property
    def state(self) -> State:
        state: State = self.app.state.trunkline
        return state

    async def key(self, role: Role = Role.OWNER, *, scopes: Any = None, org_id: OrgId | None = None) -> dict[str, str]:
        """Headers of a fresh API key."""
        wanted = ROLE_SCOPES[role] if scopes is None else scopes
        _, text = await create_api_key(self.db, org_id or self.org_id, name="test", role=role, scopes=wanted)
        return {"Authorization": f"Bearer {text}"}

    async def user(self, *memberships: tuple[OrgId, Role]) -> UserId:
        async with self.db.system() as connection:
            user_id: UUID = await connection.fetchval(
                "insert into auth.users (id) values (gen_random_uuid()) returning id"
            )
            for org_id, role in memberships:
                await connection.execute(
                    "insert into members (org_id, user_id, role) values ($1, $2, $3)", org_id, user_id, role
                )
        return UserId(user_id)

    async def other_organization(self) -> OrgId:
        return await create_organization(self.db, slug=f"other-{uuid4().hex[:8]}", name="Other", country="US")

    async def add_call(self, org_id: OrgId | None = None, **columns: Any) -> UUID:
        """A row of `calls`; an inbound one that is ringing unless `columns` says otherwise."""
        row: dict[str, Any] = {
            "id": str(new_id()),
            "org_id": str(org_id or self.org_id),
            "channel": "phone",
            "direction": "inbound",
            "status": "ringing",
            "room_name": f"call-{uuid4()}",
            "variables": {},
            "hint": {},
            "rescues": 0,
            "created_at": datetime.now(UTC).isoformat(),
        }
        async with self.db.system() as connection:
            await connection.execute(
                "insert into calls select * from jsonb_populate_record(null::calls, $1)", row | columns
            )
        return UUID(row["id"])


def make_token(user_id: UUID, *, secret: str = JWT_SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    """A user token like those of Supabase Auth; a change to None leaves the claim out."""
    claims = {
        "sub": str(user_id),
        "aud": "authenticated",
        "role": "authenticated",
        "exp": datetime.now(UTC) + timedelta(hours=1),
    } | changes
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, secret, algorithm)


def api_settings(database_url: str, home: Path, **changes: Any) -> Settings:
    return Settings.model_construct().model_copy(
        update={
            "home": home,
            "database_url": database_url,
            "secret_key": SecretStr("seal"),
            "supabase_jwt_secret": SecretStr(JWT_SECRET),
            # Nothing listens there: whatever needs LiveKit shows what it does without.
            "livekit_url": "ws://127.0.0.1:9",
            "livekit_api_key": "key",
            "livekit_api_secret": SecretStr("livekit-secret-of-the-tests-long-enough"),
            "public_base_url": "https://trunkline.example",
        }
        | changes
    )


@asynccontextmanager
async def open_api(settings: Settings) -> AsyncIterator[Api]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        carrier = FakeCarrier()
        state: State = app.state.trunkline
        state.lines = replace(state.lines, carriers={CarrierName.TWILIO: carrier})
        org_id = await create_organization(state.db, slug=f"home-{uuid4().hex[:8]}", name="Home", country="US")
        await add_team_and_number(state.db, org_id)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            yield Api(app, client, state.db, org_id, carrier)


async def add_team_and_number(db: Database, org_id: OrgId, e164: str = CALLER_ID) -> None:
    team_id = new_id()
    async with db.system() as connection:
        await connection.execute(
            "insert into teams (id, org_id, slug, name) values ($1, $2, 'reception', 'Reception')", team_id, org_id
        )
        await connection.execute(
            "insert into team_versions (id, org_id, team_id, version, status, definition, source, published_at)"
            " values ($1, $2, $3, 1, 'published', '{}', '', now())",
            new_id(),
            org_id,
            team_id,
        )
        await connection.execute(
            "insert into numbers (id, org_id, e164, carrier) values ($1, $2, $3, 'twilio')", new_id(), org_id, e164
        )


class Wire:
    """The network between us and Postgres, which can be cut and mended."""

    def __init__(self, database_url: str) -> None:
        target = urlsplit(database_url)
        self._target = (target.hostname or "", target.port or 0)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._port = 0
        self._url = target

    @property
    def url(self) -> str:
        login = self._url.netloc.rpartition("@")[0]
        return self._url._replace(netloc=f"{login}@127.0.0.1:{self._port}").geturl()

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Connections break, new ones are refused."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()
        self._writers.discard(writer)


async def until(condition: Callable[[], Awaitable[bool]], timeout_seconds: float = 10) -> None:
    """Return once the condition holds; raises TimeoutError."""
    async with asyncio.timeout(timeout_seconds):
        while not await condition():  # noqa: ASYNC110  # the condition lies in the database
            await asyncio.sleep(0.05)


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """It is problem+json in our one shape; returns the document."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    assert document["code"] == code, document
    assert document["type"] == f"urn:trunkline:problem:{code}"
    assert document["title"]
    assert document["detail"]
    assert document["request_id"] == response.headers["x-request-id"]
    return document
