"""Numbers that several contacts have as further ones: told with the line of the other, once, at one cost."""

import io
from collections.abc import Sequence

import pytest

from app.db import Database
from app.ids import E164, OrgId, new_id
from campaigns.campaigns import Campaign, Plan
from campaigns.creating import create_campaign
from campaigns.imports import resuming, store
from campaigns.imports.importing import begin_import, import_contacts
from campaigns.imports.opening import load_needs, open_import
from campaigns.imports.reading import load_import
from campaigns.imports.report import ImportReport
from campaigns.imports.writing import shared, shared_store
from campaigns.imports.writing.given import GivenContact, add_contacts
from tests.db.campaign_world import add_team, column


@pytest.fixture
async def campaign(db: Database, org: OrgId) -> Campaign:
    await add_team(db, org)
    return await create_campaign(db, org, Plan(name="Recall", team="reception"))


async def add(db: Database, campaign: Campaign, *rows: Sequence[int]) -> ImportReport:
    """A file with these numbers, of +1 202 555 0100 … 0199, in a row each."""
    lines = [",".join(f"+1202555{number:04d}" for number in row) + "," * (3 - len(row)) for row in rows]
    text = "phone,phone2,phone3\n" + "\n".join(lines) + "\n"
    return await import_contacts(db, campaign.org_id, campaign.id, io.BytesIO(text.encode()))


def told(report: ImportReport) -> list[tuple[int, str, str]]:
    return [(fault.line, fault.value[-4:], fault.reason.removesuffix(": both are called")) for fault in report.errors]


@pytest.mark.parametrize("size", [1, 2, 20_000])
async def test_a_further_number_that_others_have_as_a_further_one_is_told_to_all_but_the_first(
    db: Database, campaign: Campaign, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(shared, "PAGE_CONTACTS", size)
    monkeypatch.setattr(shared, "PAGE_NUMBERS", size)
    report = await add(db, campaign, (110, 160), (111, 160, 161), (112, 161), (113, 160), (114, 162), (115, 114, 163))
    assert told(report) == [
        (3, "0160", "line 2 has this number too"),
        (4, "0161", "line 3 has this number too"),
        (5, "0160", "line 2 has this number too"),
        (7, "0114", "line 6 has this number as its own"),
    ]
    assert (report.accepted, report.warned) == (6, 4)
    lane = await column(db, "select fence from import_lanes where lane = 0")
    [import_id] = await column(db, "select id from imports")
    where = (db, campaign.org_id, campaign.id, import_id)
    assert await shared.tell_shared(*where, fence=lane[0], lease_seconds=1)  # type: ignore[arg-type]
    assert await column(db, "select count(*) from import_faults") == [4]
    assert await column(db, "select count(*) from import_numbers") == [0]


@pytest.mark.parametrize("size", [1, 20_000])
async def test_contacts_of_an_earlier_file_are_found_whoever_has_the_lower_number(
    db: Database, campaign: Campaign, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(shared, "PAGE_CONTACTS", size)
    await add(db, campaign, (110, 160, 120), (140, 161))
    report = await add(db, campaign, (130, 160), (120, 162), (121, 161), (122, 140), (123, 163))
    assert told(report) == [
        (2, "0160", "another contact has this number too"),
        (3, "0120", "another contact has this number as a further one"),
        (4, "0161", "another contact has this number too"),
        (5, "0140", "another contact has this number as its own"),
    ]
    assert report.warned == 4


async def test_who_is_never_called_shares_nothing(db: Database, campaign: Campaign) -> None:
    async with db.system() as connection:
        await connection.execute(
            "insert into do_not_call (id, org_id, phone) values ($1, $2, '+12025550110')", new_id(), campaign.org_id
        )
    report = await add(db, campaign, (110, 160), (111, 160))
    assert (report.blocked, report.warned) == (1, 0)


async def test_an_import_that_dies_while_it_looks_tells_the_same_in_the_end(
    db: Database, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "PAGE_CONTACTS", 1)
    rows = "".join(f"+1202555{n:04d},+12025550{160 + n % 2}\n" for n in range(110, 120))
    file = io.BytesIO(b"phone,phone2\n" + rows.encode())
    opened = await open_import(file, await load_needs(db, campaign.org_id, campaign_id=campaign.id))
    async with db.system() as connection:
        job = await begin_import(connection, campaign.org_id, campaign.id, opened)
        await store.release_lanes(connection, job.id, job.fence)
    insert_shared, pages = shared_store.insert_shared, 0

    async def die_now_and_then(*arguments: object, **named: object) -> object:
        nonlocal pages
        pages += 1
        if pages in (4, 12):
            raise ConnectionResetError
        return await insert_shared(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(shared_store, "insert_shared", die_now_and_then)
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            await resuming.resume_import(db)
        assert await column(db, "select count(*) from import_numbers") != [0]
    assert await resuming.resume_import(db)
    report = (await load_import(db, campaign.org_id, job.id)).report
    assert [(fault.line, fault.reason[:7]) for fault in report.errors] == [
        (line, f"line {2 + line % 2} ") for line in range(4, 12)
    ]
    assert await column(db, "select count(*) from import_numbers") == [0]


async def test_what_an_import_kept_that_is_given_up_or_deleted_is_forgotten(
    db: Database, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.BytesIO(b"phone,phone2\n+12025550110,+12025550160\n")
    opened = await open_import(file, await load_needs(db, campaign.org_id, campaign_id=campaign.id))
    async with db.system() as connection:
        job = await begin_import(connection, campaign.org_id, campaign.id, opened)
        await store.release_lanes(connection, job.id, job.fence)
    monkeypatch.setattr(resuming, "MOST_TRIES", 0)
    keep = "insert into import_numbers values ($1, '+12025550160', 2)"
    async with db.system() as connection:
        await connection.execute(keep, job.id)
    assert await resuming.resume_import(db)
    assert await column(db, "select count(*) from import_numbers") == [0]
    async with db.system() as connection:
        await connection.execute(keep, job.id)
        await connection.execute("delete from imports")
        assert await connection.fetchval("select count(*) from import_numbers") == 0


async def test_contacts_given_together_are_told_of_the_further_numbers_that_they_share(
    db: Database, campaign: Campaign
) -> None:
    given = [
        GivenContact([E164(f"+12025550{n}"), E164(f"+12025550{further}")])
        for n, further in ((110, 160), (111, 161), (112, 160), (113, 110))
    ]
    async with db.system() as connection:
        added = await add_contacts(connection, campaign.org_id, campaign.id, given)
    assert added.counts["warned"] == 2
    assert [(fault.line, fault.value, fault.reason.split(":")[0]) for fault in added.faults] == [
        (3, "+12025550160", "line 1 has this number too"),
        (4, "+12025550110", "another contact has this number as its own"),
    ]


async def test_every_number_is_asked_for_in_an_index_however_many_there_are(
    db: Database, campaign: Campaign, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a plan that was made for few, or a join, would read: every number kept, or every contact, for each page."""
    monkeypatch.setattr(shared, "PAGE_CONTACTS", 500)
    file = io.BytesIO(b"phone,phone2\n+12025550110,+12025550160\n")
    await import_contacts(db, campaign.org_id, campaign.id, file)
    [import_id] = await column(db, "select id from imports")
    fence = await column(db, "select fence from import_lanes where lane = 0")
    count = 9_000
    async with db.system() as connection:
        # As it is in an import: what Postgres knows of the tables is from before it.
        await connection.execute("analyze contacts, import_numbers")
        await connection.execute(
            """
            insert into contacts (id, org_id, campaign_id, import_id, line, phone, phones)
            select gen_random_uuid(), $1, $2, $3, n + 10, '+1202' || (5550200 + n), array[
              '+1202' || (5550200 + n), '+1303' || (5550200 + n), '+1404' || (5550200 + n / 2)]
            from generate_series(1, $4::int) n
            """,
            campaign.org_id,
            campaign.id,
            import_id,
            count,
        )
    one = await Database.connect(database_url, max_size=1)
    read = """select seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_user_tables
              where relname in ('contacts', 'import_numbers') order by 1"""
    before = await column(one, read)
    assert await shared.tell_shared(one, campaign.org_id, campaign.id, import_id, fence=fence[0], lease_seconds=60)  # type: ignore[arg-type]
    async with one.system() as connection:
        await connection.execute("select pg_stat_force_next_flush()")
    after = await column(one, read)
    await one.close()
    assert await column(db, "select count(*)::int from import_faults where reason like 'line %too%'") == [
        count // 2 - 1
    ]
    # Each contact once, each number that another has too once, and each number that is forgotten twice.
    assert sum(after) - sum(before) < 6 * count  # type: ignore[arg-type]
