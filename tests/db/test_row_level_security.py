"""Isolation between organizations, by table, verb and role; and proof that every policy is needed.

What may be done is written down here once more, by hand: a change of a policy has to be made in two places.
"""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from app.auth.principal import Role
from app.db import Connection, Database
from tests.db.tenant_rows import NOW, Tenant, add_tenant, add_user, build_row, insert_row

pytestmark = pytest.mark.db

VERBS = ("select", "insert", "update", "delete")
V, O, S, A, W = Role.VIEWER, Role.OPERATOR, Role.SUPERVISOR, Role.ADMIN, Role.OWNER  # noqa: E741
LEAST_ROLE: dict[str, tuple[Role | None, Role | None, Role | None, Role | None]] = {
    # table:            select, insert, update, delete; None: nobody but our own processes
    "organizations": (V, None, A, None),
    "members": (V, W, W, W),
    "api_keys": (A, A, A, A),
    "trunks": (V, A, A, A),
    "numbers": (V, A, A, A),
    "routes": (V, A, A, A),
    "teams": (V, A, A, A),
    "team_versions": (V, A, A, None),
    "calls": (V, O, O, None),
    "legs": (V, O, O, None),
    "call_events": (V, O, None, None),
    "turns": (V, None, None, None),
    "recordings": (S, None, None, None),
    "idempotency_keys": (O, O, O, O),
    "campaigns": (V, S, S, A),
    "contacts": (V, S, S, A),
    "attempts": (V, None, None, None),
    "do_not_call": (V, O, O, A),
}

# A time of each table that may be set to anything: where no created_at is.
MARKERS = {
    "legs": "joined_at",
    "call_events": "at",
    "turns": "started_at",
    "recordings": "started_at",
    "attempts": "claimed_at",
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


def expected(identities: Iterable[Identity], table: str) -> dict[tuple[str, str, str], bool]:
    ranks = list(Role)
    answers: dict[tuple[str, str, str], bool] = {}
    for identity in identities:
        answers[identity.name, "hand over", "own"] = False
        for verb, least in zip(VERBS, LEAST_ROLE[table], strict=True):
            own = least is not None and identity.role is not None and ranks.index(identity.role) >= ranks.index(least)
            answers[identity.name, verb, "own"] = own
            answers[identity.name, verb, "other"] = (
                identity.name == "owner of the other" and least is not None and ranks.index(W) >= ranks.index(least)
            )
    return answers


async def tenant_tables(connection: Connection) -> set[str]:
    rows = await connection.fetch(
        """
        select c.table_name from information_schema.columns c
        join information_schema.tables t using (table_schema, table_name)
        where c.table_schema = 'public' and c.column_name = 'org_id' and t.table_type = 'BASE TABLE'
        """
    )
    return {row["table_name"] for row in rows} | {"organizations"}


async def find_gaps(connection: Connection) -> list[str]:
    """Every way in which a tenant table could be open by neglect."""
    gaps: list[str] = []
    for table in sorted(await tenant_tables(connection)):
        if not await connection.fetchval(
            "select relrowsecurity from pg_class where oid = $1::text::regclass", f"public.{table}"
        ):
            gaps.append(f"{table}: row-level security is off")
        policies = await connection.fetch(
            "select lower(cmd) as verb, roles from pg_policies where schemaname = 'public' and tablename = $1", table
        )
        gaps += [f"{table}: a policy for {row['roles']}" for row in policies if row["roles"] != ["authenticated"]]
        with_policy = {row["verb"] for row in policies}
        if "select" not in with_policy:
            gaps.append(f"{table}: no policy for select")
        for verb in VERBS:
            granted = await connection.fetchval(
                "select has_any_column_privilege('authenticated', $1, $2)"
                if verb != "delete"
                else "select has_table_privilege('authenticated', $1, $2)",
                f"public.{table}",
                verb,
            )
            if granted != (verb in with_policy):
                gaps.append(f"{table}: {verb} is {'granted without' if granted else 'a policy without'} the other")
        for privilege in (*VERBS, "truncate", "references", "trigger"):
            for role in ("anon", "public") if privilege in VERBS else ("anon", "authenticated"):
                if await connection.fetchval(
                    "select has_table_privilege($1, $2, $3)", role, f"public.{table}", privilege
                ):
                    gaps.append(f"{table}: {role} may {privilege}")
    return gaps


async def test_every_tenant_table_has_row_level_security_and_a_policy_for_each_verb_granted(db: Database) -> None:
    async with db.system() as connection:
        assert await find_gaps(connection) == []
        assert await tenant_tables(connection) == set(LEAST_ROLE)


@pytest.mark.parametrize(
    "neglect",
    [
        "create table public.forgotten (org_id uuid)",
        "create table public.forgotten (org_id uuid); alter table public.forgotten enable row level security;"
        " grant select on public.forgotten to authenticated",
        "alter table public.calls disable row level security",
        "grant delete on public.calls to authenticated",
        "grant select on public.turns to anon",
        "create policy loose on public.turns for select to public using (true)",
    ],
)
async def test_a_neglected_table_is_noticed(db: Database, neglect: str) -> None:
    async with db.system() as connection:
        await connection.execute(neglect)
        assert await find_gaps(connection) != []


async def test_rows_are_reached_by_role_and_never_across_organizations(db: Database) -> None:
    async with db.system() as connection:
        world = await build_world(connection)
        wrong: list[str] = []
        for table in LEAST_ROLE:
            seen = await access(connection, world, world.identities, table)
            wanted = expected(world.identities, table)
            assert seen.keys() == wanted.keys()
            wrong += [f"{table} {key}: {seen[key]}" for key in wanted if seen[key] != wanted[key]]
        assert wrong == []


async def test_every_policy_matters(db: Database) -> None:
    """Drop a policy, or open it to everyone: each time the access matrix of its table changes."""
    async with db.system() as connection:
        world = await build_world(connection)
        few = [
            who for who in world.identities if who.name in ("user/viewer", "key/owner", "owner of the other", "nobody")
        ]
        policies = await connection.fetch(
            "select tablename, policyname, qual is not null as using, with_check is not null as checks"
            " from pg_policies where schemaname = 'public' order by 1, 2"
        )
        assert len(policies) == sum(role is not None for roles in LEAST_ROLE.values() for role in roles)
        unnoticed: list[str] = []
        for policy in policies:
            table = policy["tablename"]
            before = await access(connection, world, few, table)
            for mutation in mutations(policy):
                try:
                    async with connection.transaction():
                        await connection.execute(mutation)
                        if await access(connection, world, few, table) == before:
                            unnoticed.append(mutation)
                        raise Undo
                except Undo:
                    pass
        assert unnoticed == []


def mutations(policy: asyncpg.Record) -> list[str]:
    on = f"policy {policy['policyname']} on public.{policy['tablename']}"
    found = [f"drop {on}"]
    if policy["using"]:
        found.append(f"alter {on} using (true)")
    if policy["checks"]:
        found.append(f"alter {on} with check (true)")
    return found


@pytest.mark.parametrize(("table", "column"), [("api_keys", "hash"), ("trunks", "password_sealed")])
async def test_secrets_are_not_readable_even_by_an_owner(db: Database, table: str, column: str) -> None:
    async with db.system() as connection:
        world = await build_world(connection)
        owner = next(who for who in world.identities if who.name == "user/owner")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with acting_as(connection, owner.claims):
                await connection.fetch(f"select {column} from public.{table}")


@pytest.mark.parametrize("kind", ["user", "key"])
async def test_an_admin_cannot_make_an_owners_key(db: Database, kind: str) -> None:
    async with db.system() as connection:
        world = await build_world(connection)
        admin = next(who for who in world.identities if who.name == f"{kind}/admin")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="higher role"):
            async with acting_as(connection, admin.claims):
                await insert_row(connection, "api_keys", build_row(world.home, "api_keys") | {"role": "owner"})


async def test_a_request_leaves_no_role_and_no_claims_on_the_connection(database_url: str) -> None:
    db = await Database.connect(database_url, max_size=1)
    try:
        async with db.request({"sub": str(uuid4()), "role": "authenticated"}) as connection:
            assert await connection.fetchval("select current_user") == "authenticated"
        async with db.system() as connection:
            assert await connection.fetchval("select current_user") == "postgres"
            assert not await connection.fetchval("select current_setting('request.jwt.claims', true)")
    finally:
        await db.close()
