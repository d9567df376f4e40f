"""A claim costs the same however long the queue: what Postgres plans for it, in a campaign of many contacts."""

from typing import Any, cast

import pytest

from app.db import Database
from app.ids import OrgId, new_id
from campaigns.dialing import claim_store
from tests.db.campaign_world import add_team
from tests.db.explaining import Explaining, walk

pytestmark = pytest.mark.db

CONTACTS = 20_000


@pytest.fixture
async def campaigns(db: Database, org: OrgId) -> list[Any]:
    """Two running campaigns with many due contacts, and statistics that know it."""
    await add_team(db, org)
    ids = [new_id(), new_id()]
    async with db.system() as connection:
        await connection.execute(
            """
            insert into campaigns (id, org_id, name, team_id, from_number_id, status)
            select u.id, $1, 'Large', t.id, n.id, 'running' from unnest($2::uuid[]) u (id), teams t, numbers n
            """,
            org,
            ids,
        )
        await connection.execute(
            """
            insert into contacts (id, org_id, campaign_id, phone, due_at)
            select gen_random_uuid(), $1, u.id, '+1555' || lpad(n::text, 7, '0'), now() - make_interval(secs => n)
            from generate_series(1, $3::int) n, unnest($2::uuid[]) u (id)
            """,
            org,
            ids,
            CONTACTS // 2,
        )
    async with db.system() as connection:
        await connection.execute("analyze")
    return ids


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_due_contacts_are_read_from_the_front_of_their_index(
    db: Database, org: OrgId, campaigns: list[Any], mode: str
) -> None:
    async with db.system() as connection:
        await connection.execute(f"set local plan_cache_mode = {mode}")
        explaining = Explaining(connection)
        await claim_store.select_due(cast(Any, explaining), campaigns[0], limit=100, but=[])
        await claim_store.select_rooms(cast(Any, explaining), org)
    on_contacts = [node for node in explaining.nodes() if node.get("Relation Name") == "contacts"]
    assert len(on_contacts) == 2
    assert {node["Node Type"] for node in on_contacts} <= {"Index Scan", "Index Only Scan"}
    assert {node["Index Name"] for node in on_contacts} == {"contacts_due"}
    for plan in explaining.plans:
        for node in walk(plan):
            reads_contacts = any(part.get("Relation Name") == "contacts" for part in walk(node))
            assert not (node["Node Type"] in ("Sort", "Incremental Sort", "Hash") and reads_contacts), node


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_without_the_index_the_guard_would_notice(db: Database, campaigns: list[Any], mode: str) -> None:
    async with db.system() as connection:
        await connection.execute("drop index contacts_due")
        await connection.execute(f"set local plan_cache_mode = {mode}")
        explaining = Explaining(connection)
        await claim_store.select_due(cast(Any, explaining), campaigns[0], limit=100, but=[])
    assert any(node["Node Type"] in ("Seq Scan", "Sort", "Bitmap Heap Scan") for node in explaining.nodes())
