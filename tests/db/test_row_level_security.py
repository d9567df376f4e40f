"""Isolation between organizations, by table, verb and role; and proof that every policy is needed.

What may be done is written down here once more, by hand: a change of a policy has to be made in two places.
"""

from collections.abc import Iterable
from uuid import uuid4

import asyncpg
import pytest

from app.auth.principal import Role
from app.db import Connection, Database
from tests.db.access_matrix import Identity, Undo, access, acting_as, build_world
from tests.db.tenant_rows import build_row, insert_row

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
    "evaluations": (V, None, None, None),
    "evaluations_due": (V, None, None, None),
    "idempotency_keys": (O, O, O, O),
    "campaigns": (V, S, S, A),
    "contacts": (V, S, S, A),
    "attempts": (V, None, None, None),
    "imports": (V, S, None, A),
    "import_parts": (S, S, None, A),
    "import_lanes": (V, S, None, A),
    "import_faults": (V, S, None, A),
    "do_not_call": (V, O, O, A),
    "lanes": (V, A, A, A),
    "dialing_rules": (V, A, None, None),
    "dial_counts": (V, None, None, None),
    "dial_charges": (V, None, None, None),
    "dial_spend": (V, None, None, None),
    "operators": (V, O, O, S),
    "floor_calls": (V, None, None, None),
    "floor_days": (V, None, None, None),
    "schedules": (V, S, S, S),
    "campaign_copies": (V, S, None, None),
    "schedule_runs": (V, None, None, None),
    "campaign_events": (V, None, None, None),
    "campaign_counts": (V, None, None, None),
    "campaign_samples": (V, None, None, None),
    "campaign_zones": (V, None, None, None),
    "webhook_endpoints": (A, A, A, A),
    "webhook_deliveries": (A, None, A, None),
}


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


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("api_keys", "hash"),
        ("trunks", "password_sealed"),
        ("webhook_endpoints", "secret_sealed"),
        ("webhook_endpoints", "old_secret_sealed"),
    ],
)
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
