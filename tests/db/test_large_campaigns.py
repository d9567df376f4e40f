"""What is done with all of a campaign takes little memory, short transactions, and no time of those who carry calls."""

import asyncio
import io
import threading
import tracemalloc
from collections import Counter
from typing import Any

import pytest

from app.db import Database
from app.ids import E164, CampaignId, OrgId
from campaigns import campaigns
from campaigns.campaigns import CampaignNotFound, CampaignState, delete_campaign, load_campaign
from campaigns.do_not_call import importing, store
from campaigns.do_not_call.asking import Asked, Source
from campaigns.do_not_call.importing import import_list
from campaigns.imports.files.rows import BrokenFile
from campaigns.imports.importing import start_import
from campaigns.imports.opening import load_needs, open_import
from campaigns.lifecycle import preflight
from campaigns.lifecycle.control import start_campaign
from campaigns.lifecycle.preflight import run_preflight
from campaigns.outcomes import report
from campaigns.outcomes.report import Format, Rows, stream_report
from telephony import outbound_store
from tests.db.outcome_world import add_campaign

pytestmark = pytest.mark.db


async def add_many_contacts(db: Database, org: OrgId, count: int) -> CampaignId:
    """A draft with so many."""
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
        await connection.execute(
            """
            insert into contacts (id, org_id, campaign_id, line, phone, variables)
            select gen_random_uuid(), $1, $2, n, '+1555' || lpad(n::text, 7, '0'), '{"plan": "gold"}'
            from generate_series(1, $3::int) n
            """,
            org,
            campaign,
            count,
        )
    return campaign


async def stream_away(db: Database, org: OrgId, campaign: CampaignId, form: Format) -> tuple[int, int]:
    """Read the report and keep nothing → its characters, and the most memory that was held meanwhile, in bytes."""
    tracemalloc.start()
    try:
        length = 0
        async for piece in stream_report(db, org, campaign, Rows.CONTACTS, form):
            length += len(piece)
        return length, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", Format)
async def test_thirty_times_the_rows_stream_in_the_same_memory(
    db: Database, org: OrgId, form: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "PAGE_ROWS", 100)
    few, many = await add_many_contacts(db, org, 300), await add_many_contacts(db, org, 9_000)
    # What is loaded or remembered once is no part of it.
    await stream_away(db, org, few, form)
    few_length, few_memory = await stream_away(db, org, few, form)
    many_length, many_memory = await stream_away(db, org, many, form)
    assert many_length > 25 * few_length
    assert many_memory < 1.5 * few_memory
    assert many_memory < many_length / 2


async def test_after_some_rows_of_a_report_others_have_their_turn(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await add_many_contacts(db, org, 500)
    turns = 0
    rows_of_turn: Counter[int] = Counter()
    contact_record = report.contact_record

    def noted(*arguments: Any) -> dict[str, Any]:
        rows_of_turn[turns] += 1
        return contact_record(*arguments)

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(report, "contact_record", noted)
    others = asyncio.create_task(take_turns())
    try:
        async for _ in stream_report(db, org, campaign, Rows.CONTACTS, Format.JSON):
            pass
    finally:
        others.cancel()
    assert rows_of_turn.total() == 500
    assert max(rows_of_turn.values()) == report.SLICE_ROWS


async def test_a_forecast_is_reckoned_off_the_event_loop(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await add_many_contacts(db, org, 3)
    threads: list[threading.Thread] = []
    look_ahead = preflight.look_ahead

    def noted(*arguments: Any) -> Any:
        threads.append(threading.current_thread())
        return look_ahead(*arguments)

    monkeypatch.setattr(preflight, "look_ahead", noted)
    await run_preflight(db, org, campaign)
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


async def test_a_draft_is_deleted_some_contacts_or_entries_of_its_list_a_transaction(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign, other = await add_many_contacts(db, org, 25), await add_many_contacts(db, org, 5)
    monkeypatch.setattr(campaigns, "DELETED_AT_ONCE", 10)
    async with db.system() as connection:
        await connection.execute(
            """
            insert into do_not_call (id, org_id, campaign_id, phone)
            select gen_random_uuid(), org_id, campaign_id, phone from contacts
            """
        )
        await connection.execute(
            """
            create table transactions (id xid8, of text);
            create function note_transaction() returns trigger language plpgsql as
              $$ begin insert into transactions values (pg_current_xact_id(), tg_table_name); return null; end $$;
            create trigger note after delete on contacts for each row execute function note_transaction();
            create trigger note after delete on do_not_call for each row execute function note_transaction();
            """
        )
    await delete_campaign(db, org, campaign)
    async with db.system() as connection:
        sizes = await connection.fetch("select of, count(*) as size from transactions group by id, of order by id")
        left = await connection.fetch("select campaign_id, count(*) as count from contacts group by 1")
        listed = await connection.fetch("select campaign_id, count(*) as count from do_not_call group by 1")
        counted = await connection.fetchval("select count(*) from campaign_counts where campaign_id = $1", campaign)
    assert [tuple(row) for row in sizes] == [(of, n) for of in ("contacts", "do_not_call") for n in (10, 10, 5)]
    assert [tuple(row) for row in left] == [tuple(row) for row in listed] == [(other, 5)]
    assert counted == 0


async def test_a_draft_whose_deletion_broke_off_cannot_be_started_and_is_deleted_once_more(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await add_many_contacts(db, org, 25)
    monkeypatch.setattr(campaigns, "DELETED_AT_ONCE", 10)
    delete_contacts = campaigns.store.delete_contacts

    async def break_off(*arguments: Any, **named: Any) -> str | None:
        if named["after"]:
            raise ConnectionError
        return await delete_contacts(*arguments, **named)

    with monkeypatch.context() as broken:
        broken.setattr(campaigns.store, "delete_contacts", break_off)
        with pytest.raises(ConnectionError):
            await delete_campaign(db, org, campaign)
    with pytest.raises(CampaignState, match="being deleted"):
        await start_campaign(db, org, campaign)
    opened = await open_import(io.BytesIO(b"phone\n+12025550100\n"), await load_needs(db, org, campaign_id=campaign))
    with pytest.raises(CampaignState, match="being deleted"):
        await start_import(db, org, campaign, opened)
    await delete_campaign(db, org, campaign)
    with pytest.raises(CampaignNotFound):
        await load_campaign(db, org, campaign)


async def test_who_settles_a_call_never_waits_for_a_list_that_is_being_read(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "ADDED_AT_ONCE", 2)
    insert_listed = store.insert_listed
    between: list[int] = []

    async def settle_then_insert(connection: Any, *arguments: Any, **named: Any) -> int:
        # Meanwhile somebody whose number went on the list a moment ago says on the phone that they want no calls.
        async with asyncio.timeout(5), db.system() as other:
            if between:
                await outbound_store.insert_do_not_call(
                    other, [Asked(org, E164("+12025550110"), "said", Source.SAID_IN_CALL)]
                )
            between.append(await other.fetchval("select count(*) from do_not_call"))
        return await insert_listed(connection, *arguments, **named)

    monkeypatch.setattr(store, "insert_listed", settle_then_insert)
    text = "phone\n" + "".join(f"+12025550{n}\n" for n in range(110, 115)) + "+12025550110\n"
    done = await import_list(db, org, io.BytesIO(text.encode()))
    assert between == [0, 2, 4]
    assert (done.rows, done.added, done.known) == (6, 5, 1)


async def test_a_list_that_is_broken_at_its_end_adds_nothing_of_what_stands_before(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "ADDED_AT_ONCE", 2)
    good = ",".join(f'{{"phone": "+1202555{n:04d}"}}' for n in range(10_000))
    with pytest.raises(BrokenFile):
        await import_list(db, org, io.BytesIO(f"[{good}".encode()))
    async with db.system() as connection:
        assert await connection.fetchval("select count(*) from do_not_call") == 0
