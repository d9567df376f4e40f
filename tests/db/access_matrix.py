"""Who may do what to whose rows, found out by trying: the machinery of test_row_level_security."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from app.auth.principal import Role
from app.db import Connection
from tests.db.tenant_rows import NOW, Tenant, add_tenant, add_user, build_row, insert_row

# A time of each table that may be set to anything: where no created_at is.
MARKERS = {
    "legs": "joined_at",
    "call_events": "at",
    "turns": "started_at",
    "recordings": "started_at",
    "attempts": "claimed_at",
    "campaign_events": "at",
    "dial_counts": "bucket",
    "dial_charges": "charged_at",
    "dial_spend": "day",
    "campaign_samples": "at",
    "campaign_zones": "counted_at",
    "floor_calls": "answered_at",
    "floor_days": "day",
}


@dataclass(frozen=True)
class Identity:
    """Somebody of the first organization: a role there, as a user or an API key; None: no access at all."""

    name: str
    role: Role | None
    claims: dict[str, Any]


@dataclass(frozen=True)
class World:
    home: Tenant
    other: Tenant
    identities: list[Identity]


async def build_world(connection: Connection) -> World:
    home, other = await add_tenant(connection), await add_tenant(connection)
    identities: list[Identity] = []
    for role in Role:
        user_id = await add_user(connection, home, role)
        identities.append(Identity(f"user/{role}", role, {"sub": str(user_id), "role": "authenticated"}))
        identities.append(Identity(f"key/{role}", role, await add_key(connection, home, role)))
    stranger = await add_user(connection, other, Role.OWNER)
    for name, claims in {
        "owner of the other": {"sub": str(stranger), "role": "authenticated"},
        "nobody": {"role": "authenticated"},
        "no claims": {},
        "unknown user": {"sub": str(uuid4()), "role": "authenticated"},
        "revoked key": await add_key(connection, home, Role.OWNER, revoked=True),
        "expired key": await add_key(connection, home, Role.OWNER, expired=True),
    }.items():
        identities.append(Identity(name, None, claims))
    return World(home, other, identities)


async def add_key(
    connection: Connection, tenant: Tenant, role: Role, *, revoked: bool = False, expired: bool = False
) -> dict[str, Any]:
    key_id = uuid4()
    await connection.execute(
        """
        insert into api_keys (id, org_id, name, prefix, hash, role, scopes, revoked_at, expires_at)
        values ($1, $2, 'k', 'tl_', $3, $4, '{}', case when $5 then now() end,
                case when $6 then now() - interval '1 second' end)
        """,
        key_id,
        UUID(tenant.org_id),
        uuid4().bytes,
        role,
        revoked,
        expired,
    )
    return {"api_key_id": str(key_id), "role": "authenticated"}


class Undo(Exception):
    """Takes a trial back."""


@asynccontextmanager
async def acting_as(connection: Connection, claims: dict[str, Any]) -> AsyncIterator[None]:
    """What is done inside is done as `authenticated` with the claims, and undone."""
    try:
        async with connection.transaction():
            await connection.execute(
                "select set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)",
                json.dumps(claims),
            )
            yield
            raise Undo
    except Undo:
        pass


@asynccontextmanager
async def policies_alone(connection: Connection) -> AsyncIterator[None]:
    """Foreign keys and triggers off, so that nothing but policies refuses."""
    await connection.execute("set local session_replication_role = replica")
    yield
    await connection.execute("set local session_replication_role = origin")


def tenant_column(table: str) -> str:
    return "id" if table == "organizations" else "org_id"


def new_row(tenant: Tenant, table: str) -> dict[str, Any]:
    if table != "organizations":
        unique = {"number_id": str(uuid4())} if table == "routes" else {}
        return build_row(tenant, table) | unique
    slug = f"s-{uuid4().hex[:8]}"
    return {"id": str(uuid4()), "slug": slug, "name": "n", "country": "US", "settings": {}, "created_at": NOW}


async def touched(connection: Connection, world: World, table: str, condition: str) -> dict[str, bool]:
    """Whose rows meet the condition, asked as ourselves."""
    await connection.execute("select set_config('role', 'none', true)")
    column = tenant_column(table)
    found: dict[str, bool] = {}
    for whose, tenant in (("own", world.home), ("other", world.other)):
        query = f"select exists (select from public.{table} where {column} = $1 and {condition})"
        found[whose] = await connection.fetchval(query, UUID(tenant.org_id))
    return found


async def may_select(connection: Connection, claims: dict[str, Any], world: World, table: str) -> dict[str, bool]:
    column = tenant_column(table)
    async with acting_as(connection, claims):
        ids = {str(row[0]) for row in await connection.fetch(f"select distinct {column} from public.{table}")}
    return {"own": world.home.org_id in ids, "other": world.other.org_id in ids}


async def may_insert(connection: Connection, claims: dict[str, Any], world: World, table: str) -> dict[str, bool]:
    found = {"own": True, "other": True}
    for whose, tenant in (("own", world.home), ("other", world.other)):
        try:
            async with acting_as(connection, claims):
                await insert_row(connection, table, new_row(tenant, table))
        except asyncpg.InsufficientPrivilegeError:
            found[whose] = False
    return found


async def may_update(connection: Connection, claims: dict[str, Any], world: World, table: str) -> dict[str, bool]:
    """Without a condition and without reading a column: then select policies do not help out."""
    marked = f"{MARKERS.get(table, 'created_at')} = '2001-01-01'"
    async with acting_as(connection, claims):
        await connection.execute(f"update public.{table} set {marked}")
        return await touched(connection, world, table, marked)
    raise AssertionError("unreachable: acting_as swallows nothing but its own Undo")


async def may_delete(connection: Connection, claims: dict[str, Any], world: World, table: str) -> dict[str, bool]:
    left: dict[str, bool] = {}
    async with acting_as(connection, claims):
        await connection.execute(f"delete from public.{table}")
        left = await touched(connection, world, table, "true")
    return {whose: not there for whose, there in left.items()}


async def may_hand_over(connection: Connection, claims: dict[str, Any], world: World, table: str) -> bool:
    """Whether the home organization's rows can be given another one's id."""
    new_id = uuid4() if table == "organizations" else UUID(world.other.org_id)
    left = {"own": True}
    with suppress(asyncpg.InsufficientPrivilegeError):
        async with acting_as(connection, claims):
            await connection.execute(f"update public.{table} set {tenant_column(table)} = $1", new_id)
            left = await touched(connection, world, table, "true")
    return not left["own"]


TRIALS = {"select": may_select, "insert": may_insert, "update": may_update, "delete": may_delete}


async def access(
    connection: Connection, world: World, identities: Iterable[Identity], table: str
) -> dict[tuple[str, str, str], bool]:
    """(who, verb, whose rows) → may they."""
    found: dict[tuple[str, str, str], bool] = {}
    async with policies_alone(connection):
        for identity in identities:
            for verb, trial in TRIALS.items():
                try:
                    reached = await trial(connection, identity.claims, world, table)
                except asyncpg.InsufficientPrivilegeError:
                    reached = {"own": False, "other": False}
                found |= {(identity.name, verb, whose): reached[whose] for whose in reached}
            handed = await may_hand_over(connection, identity.claims, world, table)
            found[identity.name, "hand over", "own"] = handed
    return found
