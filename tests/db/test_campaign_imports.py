"""A contacts file becomes a campaign: good rows in, bad and repeated ones told, nothing of a broken file."""

import io
import json

import asyncpg
import pytest

from app.db import Database
from app.errors import InvalidInput
from app.ids import E164, OrgId, UserId, new_id
from campaigns import campaigns
from campaigns.campaigns import CampaignState, Plan
from campaigns.creating import NoCallerId, NoSuchTeam, create_campaign_from_file
from campaigns.imports.files import csv_rows
from campaigns.imports.files.rows import EmptyFile
from campaigns.imports.importing import import_contacts
from campaigns.imports.report import ImportReport
from campaigns.imports.writing import shared
from campaigns.lifecycle import control
from tests.db.campaign_world import CALLER_ID, add_team, column

GOOD = "phone,name,visit\n+12025550110,Ada,cleaning\n+12025550111,Bo,check-up\n"


@pytest.fixture
async def ready(db: Database, org: OrgId) -> OrgId:
    """An organization with a published team and a number."""
    await add_team(db, org)
    return org


async def create(db: Database, org: OrgId, text: str, **plan: object) -> tuple[campaigns.Campaign, ImportReport]:
    usual = {"name": "Recall", "team": "reception"} | plan
    return await create_campaign_from_file(db, org, Plan(**usual), io.BytesIO(text.encode()))  # type: ignore[arg-type]


async def contacts_of(db: Database, campaign: campaigns.Campaign) -> list[asyncpg.Record]:
    async with db.system() as connection:
        return await connection.fetch("select * from contacts where campaign_id = $1 order by line", campaign.id)


async def test_good_rows_become_waiting_contacts_with_their_columns(db: Database, ready: OrgId) -> None:
    campaign, report = await create(db, ready, GOOD)
    rows = await contacts_of(db, campaign)
    assert [(r["line"], r["phone"], r["name"], r["variables"], r["status"]) for r in rows] == [
        (2, "+12025550110", "Ada", {"visit": "cleaning"}, "waiting"),
        (3, "+12025550111", "Bo", {"visit": "check-up"}, "waiting"),
    ]
    assert (report.rows, report.accepted, report.errors) == (2, 2, [])
    assert campaign.from_number == CALLER_ID


async def test_repeats_are_told_with_the_line_they_repeat(db: Database, ready: OrgId) -> None:
    text = GOOD + "(202) 555-0110,Ada again,\n+12025550112,Cy,\nnonsense,Di,\n+1 202 555 0112,Cy again,\n"
    campaign, report = await create(db, ready, text)
    assert (report.rows, report.accepted, report.rejected, report.duplicates) == (6, 3, 1, 2)
    told = [(e["line"], e["value"], e["reason"]) for e in report.to_json()["errors"]]
    assert told[0] == (4, "(202) 555-0110", "repeats line 2")
    assert told[1][0] == 6
    assert told[2] == (7, "+1 202 555 0112", "repeats line 5")
    assert [r["name"] for r in await contacts_of(db, campaign)] == ["Ada", "Bo", "Cy"]


async def test_repeats_are_found_across_chunks(db: Database, ready: OrgId, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", 26)
    numbers = [10, 11, 12, 13, 11, 14, 10]
    text = "phone\n" + "".join(f"+120255501{n}\n" for n in numbers)
    _, report = await create(db, ready, text)
    assert (report.accepted, report.duplicates) == (5, 2)
    assert [(e.line, e.reason) for e in report.errors] == [(6, "repeats line 3"), (8, "repeats line 2")]


async def test_a_second_file_adds_only_what_the_campaign_does_not_have(db: Database, ready: OrgId) -> None:
    campaign, _ = await create(db, ready, GOOD)
    more = io.BytesIO(b"phone\n+12025550111\n+12025550115\n")
    report = await import_contacts(db, ready, campaign.id, more)
    assert (report.accepted, report.duplicates) == (1, 1)
    assert report.errors[0].reason == "in this campaign already"


async def test_numbers_on_the_do_not_call_list_go_in_as_blocked(db: Database, ready: OrgId) -> None:
    async with db.system() as connection:
        await connection.execute(
            "insert into do_not_call (id, org_id, phone) values ($1, $2, '+12025550111')", new_id(), ready
        )
    campaign, report = await create(db, ready, GOOD)
    assert (report.rows, report.accepted, report.blocked) == (2, 2, 1)
    assert [(e.line, e.reason) for e in report.errors] == [(3, "on the do-not-call list: never dialed")]
    assert [r["status"] for r in await contacts_of(db, campaign)] == ["waiting", "blocked"]


async def test_whoever_is_blocked_for_a_further_number_is_told_by_that_number(db: Database, ready: OrgId) -> None:
    async with db.system() as connection:
        await connection.execute(
            "insert into do_not_call (id, org_id, phone) values ($1, $2, '+12025550145')", new_id(), ready
        )
    text = (
        "Phone,Home phone,Phone 3\n+12025550110,,(202) 555-0145\n+12025550111,202-555-0112,\n2025550145,2025550113,\n"
    )
    campaign, report = await create(db, ready, text)
    assert [(e.line, e.column, e.value) for e in report.errors] == [
        (2, "Phone 3", "(202) 555-0145"),
        (4, "Phone", "2025550145"),
    ]
    assert [r["status"] for r in await contacts_of(db, campaign)] == ["blocked", "waiting", "blocked"]


@pytest.mark.parametrize("size", [1, 20_000])
async def test_a_further_number_that_is_anothers_own_is_told_once_whatever_their_order(
    db: Database, ready: OrgId, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(shared, "PAGE_CONTACTS", size)
    campaign, _ = await create(db, ready, "phone\n+12025550120\n")
    text = (
        "phone,phone2,phone3\n+12025550110,2025550111,\n+12025550111,,\n+12025550112,+12025550110,+12025550120\n"
        "+12025550113,+12025550114,not one\n"
    )
    report = await import_contacts(db, ready, campaign.id, io.BytesIO(text.encode()))
    assert (report.rows, report.accepted, report.warned) == (4, 4, 4)
    assert [(e.line, e.value, e.reason[:10]) for e in report.errors] == [
        (2, "+12025550111", "line 3 has"),
        (4, "+12025550110", "line 2 has"),
        (4, "+12025550120", "another co"),
        (5, "not one", "Not a phon"),
    ]
    async with db.system() as connection:
        lane = await connection.fetchrow("select import_id, fence from import_lanes order by fence desc limit 1")
    assert lane is not None
    where, fence = (db, ready, campaign.id, lane["import_id"]), lane["fence"]
    assert await shared.tell_shared(*where, fence=fence, lease_seconds=1)
    assert not await shared.tell_shared(*where, fence=fence - 1, lease_seconds=1)
    assert await column(db, "select count(*) from import_faults") == [4]
    assert await column(db, "select sum(warned)::int from import_lanes") == [4]


async def test_numbers_without_plus_are_read_as_of_the_organizations_country(db: Database, ready: OrgId) -> None:
    async with db.system() as connection:
        await connection.execute("update organizations set country = 'GB' where id = $1", ready)
    campaign, _ = await create(db, ready, "phone\n020 7946 0123\n")
    assert (await contacts_of(db, campaign))[0]["phone"] == "+442079460123"


@pytest.mark.parametrize(
    "bad",
    [b"", b"phone,name\n", b"email\na@example.com\n", b"\x1f\x8b\x08", b'phone\n+12025550110\n"open\n'],
    ids=["empty", "header only", "no phone column", "compressed", "open quote"],
)
async def test_of_an_unusable_file_nothing_stays(db: Database, ready: OrgId, bad: bytes) -> None:
    with pytest.raises(InvalidInput):
        await create_campaign_from_file(db, ready, Plan(name="Recall", team="reception"), io.BytesIO(bad))
    async with db.system() as connection:
        assert await connection.fetchval("select count(*) from campaigns") == 0
        assert await connection.fetchval("select count(*) from contacts") == 0


async def test_a_file_of_only_bad_rows_is_reported_and_cannot_be_started(db: Database, ready: OrgId) -> None:
    campaign, report = await create(db, ready, "phone\nx\ny\n")
    assert (report.rows, report.rejected, report.accepted) == (2, 2, 0)
    with pytest.raises(CampaignState, match="No contact"):
        await control.start_campaign(db, ready, campaign.id)


async def test_the_report_stays_with_the_campaign(db: Database, ready: OrgId) -> None:
    campaign, report = await create(db, ready, GOOD + "x,,\n")
    kept = (await campaigns.load_campaign(db, ready, campaign.id)).import_report
    assert kept == json.loads(json.dumps(report.to_json()))


async def test_an_unknown_team_and_a_foreign_number_are_named(db: Database, ready: OrgId) -> None:
    with pytest.raises(NoSuchTeam, match='"nobody" does not exist'):
        await create(db, ready, GOOD, team="nobody")
    with pytest.raises(NoCallerId, match="not one of yours"):
        await create(db, ready, GOOD, from_number=E164("+12025550199"))


async def test_a_supervisor_imports_under_row_level_security_and_a_viewer_may_not(db: Database, ready: OrgId) -> None:
    claims = {role: await _member(db, ready, role) for role in ("supervisor", "viewer")}
    plan = Plan(name="Recall", team="reception")
    file = io.BytesIO(GOOD.encode())
    campaign, report = await create_campaign_from_file(db, ready, plan, file, claims=claims["supervisor"])
    assert report.accepted == 2
    assert (await control.start_campaign(db, ready, campaign.id, claims=claims["supervisor"])).status == "running"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await create_campaign_from_file(db, ready, plan, io.BytesIO(GOOD.encode()), claims=claims["viewer"])


async def _member(db: Database, org: OrgId, role: str) -> dict[str, str]:
    user = UserId(new_id())
    async with db.system() as connection:
        await connection.execute("insert into auth.users (id) values ($1)", user)
        await connection.execute("insert into members (org_id, user_id, role) values ($1, $2, $3)", org, user, role)
    return {"sub": str(user), "role": "authenticated"}


async def test_a_header_without_rows_is_an_empty_file(db: Database, ready: OrgId) -> None:
    with pytest.raises(EmptyFile, match="no contact under them"):
        await create(db, ready, "phone\n\n")


async def test_what_the_toll_gate_would_refuse_does_not_go_in_and_says_why(db: Database, ready: OrgId) -> None:
    text = f"phone\n+12025550110\n{CALLER_ID}\n+1 900 555 0100\n+870 773 111 632\n+44 20 7946 0123\n911\n"
    campaign, report = await create(db, ready, text)
    assert [r["phone"] for r in await contacts_of(db, campaign)] == ["+12025550110"]
    told = report.to_json()["errors"]
    assert [e["line"] for e in told] == [3, 4, 5, 6, 7]
    for error, part in zip(told, ("own numbers", "premium", "satellites", "GB", "Emergency"), strict=True):
        assert part in error["reason"]


async def test_a_repeated_column_is_a_warning_of_the_report(db: Database, ready: OrgId) -> None:
    campaign, _ = await create(db, ready, "phone,note,note\n+12025550110,a,b\n")
    kept = (await campaigns.load_campaign(db, ready, campaign.id)).import_report
    assert kept["warnings"] == ['Column 3 is called "note" like an earlier one; it is read as "note_3".']
