"""What is asked of a campaign is read by its indexes, so that it costs the same at ten contacts and at ten million:
what Postgres plans, for who asks over the api, in a database of many."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, cast
from uuid import UUID

import pytest

from app.accounts.api_keys import create_api_key
from app.auth.principal import ROLE_SCOPES, Role
from app.db import Database
from app.ids import CampaignId, OrgId
from campaigns import contact_store, store
from campaigns.do_not_call.store import copy_entries
from campaigns.gates import store as gate_store
from campaigns.lifecycle import preflight_store, watch_store
from campaigns.lifecycle import store as lifecycle_store
from campaigns.lifecycle.copies import store as copy_store
from campaigns.outcomes import event_store, progress_store, report_store
from campaigns.outcomes.page import store as page_store
from campaigns.outcomes.progress import UNANSWERED
from tests.db.explaining import Explaining
from tests.db.outcome_world import NOON, add_campaign

pytestmark = pytest.mark.db

CONTACTS = 20_000
LARGE = ("contacts", "attempts", "calls", "evaluations", "dial_charges", "turns", "campaign_events", "do_not_call")
"""Nobody who asks for a part of a campaign may read one of these from one end to the other."""

Ask = Callable[[Any, OrgId, CampaignId], Awaitable[Any]]

QUESTIONS: dict[str, Ask] = {
    "a page of attempts": lambda c, o, g: report_store.select_attempts_page(
        c, o, g, after=(NOON, UUID(int=0)), limit=100
    ),
    "a page of contacts' results": lambda c, o, g: report_store.select_contacts_page(
        c, o, g, after="+15550010000", limit=100
    ),
    "the first contacts": lambda c, o, g: contact_store.select_contacts(c, o, g, status=None, after="", limit=51),
    "a late page of contacts": lambda c, o, g: contact_store.select_contacts(
        c, o, g, status=None, after="+15550009000", limit=51
    ),
    "those who are blocked": lambda c, o, g: contact_store.select_contacts(
        c, o, g, status="blocked", after="", limit=51
    ),
    "those in flight": lambda c, o, g: contact_store.select_contacts(c, o, g, status="in-flight", after="", limit=51),
    "whose number it is": lambda c, o, g: contact_store.select_contacts_of(
        c, o, "+15550000007", campaign_id=None, status=None, before=None, limit=20
    ),
    "its first dials": lambda c, o, g: watch_store.count_canary(c, g, first=100),
    "its last calls": lambda c, o, g: watch_store.count_recent_calls(
        c, g, window_seconds=600, window_calls=20, calls=50
    ),
    "whether anyone is left": lambda c, o, g: lifecycle_store.is_anyone_left(c, g),
    "who is called first": lambda c, o, g: preflight_store.select_first_waiting(c, g, limit=100),
    "who is due last": lambda c, o, g: progress_store.select_last_due(c, o, g),
    "its open attempts": lambda c, o, g: progress_store.count_open_attempts(c, o, g),
    "its events": lambda c, o, g: event_store.select_feed(c, o, g, after=(1, 0), horizon=2**60, limit=200),
    "who is asked again": lambda c, o, g: gate_store.make_due(c, g, before=NOON, limit=100),
    "whether all were asked": lambda c, o, g: gate_store.settle_gates(c, g, before=NOON, seconds=30),
    "whether events are held back": lambda c, o, g: event_store.is_held_back(c, o, g, horizon=2**60),
    "some contacts to delete": lambda c, o, g: store.delete_contacts(c, o, g, after="", limit=100),
    "some of its list to delete": lambda c, o, g: store.delete_list(c, o, g, after="", limit=100),
    "whom a redial would call": lambda c, o, g: copy_store.count_to_copy(
        c, o, g, outcomes=["busy", "wrong-number"], with_waiting=True
    ),
    "whom a copy would call": lambda c, o, g: copy_store.count_to_copy(c, o, g, outcomes=None, with_waiting=False),
}


@pytest.fixture
async def world(db: Database, org: OrgId) -> tuple[CampaignId, CampaignId]:
    """A campaign in which everybody was called and nobody waits, one in which all wait, and statistics that know it."""
    async with db.system() as connection:
        done = await add_campaign(connection, org, status="running", started_at=NOON, resumed_at=NOON)
        waits = await add_campaign(connection, org)
        for campaign, status in ((done, "finished"), (waits, "waiting")):
            await connection.execute(
                """
                insert into contacts (id, org_id, campaign_id, phone, status, disposition, attempts_made, finished_at)
                select gen_random_uuid(), $1, $2, '+1555' || lpad(n::text, 7, '0'), $3,
                       case $3 when 'finished' then 'reached' end, 1, case $3 when 'finished' then now() end
                from generate_series(1, $4::int) n
                """,
                org,
                campaign,
                status,
                CONTACTS,
            )
        await connection.execute(
            """
            insert into calls (id, org_id, channel, direction, status, room_name, attempt_id, to_number, end_result,
                               created_at, answered_at, ended_at)
            select gen_random_uuid(), $1, 'phone', 'outbound', 'completed', id::text, gen_random_uuid(), phone,
                   'completed', now(), now(), now()
            from contacts where campaign_id = $2
            """,
            org,
            done,
        )
        await connection.execute(
            """
            insert into attempts (id, org_id, campaign_id, contact_id, ordinal, status, dialer, fence, lease_until,
                                  call_id, disposition, claimed_at, dialed_at, settled_at, phone)
            select k.attempt_id, $1, $2, c.id, 1, 'settled', 'one', 1, now(), k.id, 'reached', now(), now(), now(),
                   c.phone
            from contacts c join calls k on k.room_name = c.id::text where c.campaign_id = $2
            """,
            org,
            done,
        )
        await connection.execute(
            """
            insert into turns (id, org_id, call_id, role, text, latency_ms, started_at)
            select gen_random_uuid(), org_id, id, 'agent', 'Hello.', '{"reply": 700}', now() from calls
            """
        )
        await connection.execute(
            """
            insert into do_not_call (id, org_id, campaign_id, phone)
            select gen_random_uuid(), org_id, campaign_id, phone from contacts
            """
        )
        await connection.execute("insert into evaluations (call_id, org_id, score) select id, org_id, 1.0 from calls")
        await connection.execute(
            """
            insert into dial_charges (call_id, org_id, day, currency, rate, charged)
            select id, org_id, current_date, 'USD', 1, 1 from calls
            """
        )
        await connection.execute(
            """
            insert into campaign_events (org_id, campaign_id, attempt_id, kind)
            select org_id, campaign_id, id, 'attempt.settled' from attempts
            """
        )
        await connection.execute(
            """
            insert into campaign_samples (org_id, campaign_id, at, dialed, answered, finished, remaining)
            select $1, $2, timestamptz '2026-01-01' + make_interval(mins => n), n, n, n, n
            from generate_series(1, 20000) n
            """,
            org,
            done,
        )
        await connection.execute(
            """
            insert into imports (id, org_id, campaign_id, file_name, bytes, sha256, status, dialect, columns)
            select gen_random_uuid(), $1, $2, 'list.csv', 1, repeat('0', 64), 'finished', '{}', '{}'
            from generate_series(1, 2000) n
            """,
            org,
            waits,
        )
    async with db.system() as connection:
        await connection.execute("analyze")
    return done, waits


async def claims_of(db: Database, org: OrgId) -> dict[str, Any]:
    key_id, _ = await create_api_key(db, org, name="test", role=Role.OWNER, scopes=ROLE_SCOPES[Role.OWNER])
    return {"role": "authenticated", "api_key_id": str(key_id)}


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_no_question_about_a_campaign_reads_a_large_table_from_end_to_end(
    db: Database, org: OrgId, world: tuple[CampaignId, CampaignId], mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of so few attempts a bound of twenty thousand would be all.
    monkeypatch.setattr(watch_store, "MOST_LOOKED_AT", 200)
    found: dict[str, list[str]] = {}
    for campaign in world:
        async with db.request(await claims_of(db, org)) as connection:
            await connection.execute(f"set local plan_cache_mode = {mode}")
            for name, ask in QUESTIONS.items():
                explaining = Explaining(connection, answer=defaultdict(int))
                await ask(cast(Any, explaining), org, campaign)
                scans = [scan for table in LARGE for scan in explaining.scans(table)]
                assert scans, name
                found[f"{name} of {campaign}"] = [scan for scan in scans if not scan.startswith(("Index", "Bitmap"))]
    assert not {name: scans for name, scans in found.items() if scans}


READ = """
    select pg_stat_get_xact_numscans('contacts_further_phones'::regclass) as by_index,
           pg_stat_get_xact_tuples_returned('contacts'::regclass) as one_by_one
"""
"""What this connection read since it told Postgres last."""


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_a_further_number_is_found_by_its_index(
    db: Database, org: OrgId, world: tuple[CampaignId, CampaignId], mode: str
) -> None:
    async with db.system() as connection:
        await connection.execute(
            """
            update contacts set phones = array[phone, '+1666' || right(phone, 7)]
            where campaign_id = $1 and phone like '+15550____00'
            """,
            world[1],
        )
    async with db.system() as connection:
        await connection.execute("analyze contacts")
    async with db.request(await claims_of(db, org)) as connection:
        await connection.execute(f"set local plan_cache_mode = {mode}")
        [before] = await connection.fetch(READ)
        ids = await connection.fetch("select private.contacts_with_number($1, $2)", org, "+16660000700")
        [after] = await connection.fetch(READ)
    assert len(ids) == 1
    assert (after["by_index"] - before["by_index"], after["one_by_one"] - before["one_by_one"]) == (1, 0)


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_what_looks_after_all_campaigns_reads_only_what_it_changes(
    db: Database, world: tuple[CampaignId, CampaignId], mode: str
) -> None:
    async with db.system() as connection:
        await connection.execute(f"set local plan_cache_mode = {mode}")
        explaining = Explaining(connection, answer=[{"id": world[0]}])
        await store.finish_campaigns(cast(Any, explaining))
        await progress_store.thin_samples(cast(Any, explaining))
    # The first of those who wait in each campaign, and nothing joined to all contacts; as it is looked at twice.
    firsts = [node for node in explaining.nodes() if node["Node Type"] == "Limit"]
    assert len(firsts) == 2
    assert Explaining(connection, plans=firsts).scans("contacts") == explaining.scans("contacts")
    assert explaining.scans("contacts") == ["Index Only Scan contacts_due"] * 2
    assert {scan.split()[0] for scan in explaining.scans("attempts")} <= {"Index", "Bitmap"}
    assert {scan.split()[0] for scan in explaining.scans("imports")} <= {"Index", "Bitmap"}
    assert explaining.scans("campaign_samples") == ["Index Scan campaign_samples_fine"]


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_a_page_of_a_copy_reads_no_more_than_the_page(
    db: Database, org: OrgId, world: tuple[CampaignId, CampaignId], mode: str
) -> None:
    source, target = world
    async with db.system() as connection:
        await store.read_by_index(connection)
        await connection.execute(f"set local plan_cache_mode = {mode}")
        explaining = Explaining(connection, answer=defaultdict(int))
        await copy_entries(cast(Any, explaining), org, source, target, after="+15550009000", limit=100)
        await copy_store.copy_contacts(
            cast(Any, explaining),
            org,
            source,
            target,
            outcomes=["busy"],
            with_waiting=True,
            after="+15550009000",
            limit=100,
        )
    assert explaining.scans("do_not_call") == ["Index Scan do_not_call_of_campaign"]
    assert explaining.scans("contacts") == ["Index Scan contacts_campaign_id_phone_key"]
    assert [node for node in explaining.nodes() if node["Node Type"] == "Limit" and node["Plan Rows"] > 100] == []


async def test_a_page_of_a_list_is_found_by_its_campaign_also_before_postgres_knows_of_the_list(
    db: Database, org: OrgId
) -> None:
    async with db.system() as connection:
        source, target = await add_campaign(connection, org), await add_campaign(connection, org)
        for campaign in (None, source):
            await connection.execute(
                """
                insert into do_not_call (id, org_id, campaign_id, phone)
                select gen_random_uuid(), $1, $2, '+1555' || (2000000 + n) from generate_series(1, 2000) n
                """,
                org,
                campaign,
            )
        await store.read_by_index(connection)
        explaining = Explaining(connection, answer=defaultdict(int))
        await copy_entries(cast(Any, explaining), org, source, target, after="", limit=100)
        await store.delete_list(cast(Any, explaining), org, source, after="", limit=100)
    scans = explaining.scans("do_not_call")
    assert scans[0] == "Index Scan do_not_call_of_campaign"
    assert not [scan for scan in scans if "do_not_call_entry" in scan]


async def test_whose_numbers_are_all_wrong_is_found_among_those_whose_last_call_ended_so(
    db: Database, world: tuple[CampaignId, CampaignId], org: OrgId
) -> None:
    async with db.system() as connection:
        explaining = Explaining(connection, answer=0)
        await copy_store.count_to_copy(cast(Any, explaining), org, world[0], outcomes=None, with_waiting=True)
    assert [scan.split()[-1] for scan in explaining.scans("contacts")] == ["contacts_wrong"]


async def test_nobody_s_report_reads_the_turns_of_everybody(
    db: Database, org: OrgId, world: tuple[CampaignId, CampaignId]
) -> None:
    async with db.system() as connection:
        explaining = Explaining(connection)
        await page_store.select_latencies(cast(Any, explaining), org, world[0])
    assert all(scan.startswith(("Index", "Bitmap")) for scan in explaining.scans("turns"))


async def test_without_the_index_of_who_is_due_the_guard_would_notice(
    db: Database, world: tuple[CampaignId, CampaignId]
) -> None:
    async with db.system() as connection:
        await connection.execute("drop index contacts_due")
        explaining = Explaining(connection)
        await store.finish_campaigns(cast(Any, explaining))
        await lifecycle_store.is_anyone_left(cast(Any, explaining), world[0])
    assert "Seq Scan" in explaining.scans("contacts") or "Bitmap Heap Scan" in explaining.scans("contacts")


async def test_samples_of_whole_minutes_stay_and_the_finer_ones_are_forgotten(
    db: Database, org: OrgId, world: tuple[CampaignId, CampaignId]
) -> None:
    async with db.system() as connection:
        await connection.execute(
            """
            insert into campaign_samples (org_id, campaign_id, at, dialed, answered, finished, remaining)
            select $1, $2, timestamptz '2026-01-01 00:00:10', 1, 1, 1, 1
            """,
            org,
            world[0],
        )
        await progress_store.insert_samples(connection, unanswered=sorted(UNANSWERED))
        before = await connection.fetchval("select count(*) from campaign_samples")
        await progress_store.thin_samples(connection)
        assert await connection.fetchval("select count(*) from campaign_samples") == before - 1
