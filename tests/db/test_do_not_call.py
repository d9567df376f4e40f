"""The do-not-call lists: whose, from where, and from a file."""

import io

import pytest

from app.db import Database
from app.ids import E164, CampaignId, OrgId, new_id
from campaigns.do_not_call.asking import Source, find_asked
from campaigns.do_not_call.entries import NoSuchCampaign, NotOnList, add_entry, list_entries, remove_entry
from campaigns.do_not_call.importing import ListReport, import_list
from campaigns.imports.columns import NoPhoneColumn
from campaigns.imports.files.rows import EmptyFile
from telephony.carriers.replies import Refusal
from tests.db.gate_world import add_campaign

pytestmark = pytest.mark.db


async def load(
    db: Database, org: OrgId, text: str | bytes, *, reason: str = "", campaign_id: CampaignId | None = None
) -> ListReport:
    file = io.BytesIO(text.encode() if isinstance(text, str) else text)
    return await import_list(db, org, file, reason=reason, campaign_id=campaign_id)


async def listed(db: Database, org: OrgId, campaign_id: CampaignId | None = None) -> dict[str, str]:
    async with db.system() as connection:
        entries = await list_entries(connection, org, campaign_id=campaign_id, before=None, limit=100)
    return {entry.phone: entry.reason for entry in entries}


async def test_a_campaigns_own_list_is_apart_from_the_organizations(db: Database, org: OrgId) -> None:
    campaign = await add_campaign(db, org)
    async with db.system() as connection:
        entry = await add_entry(connection, org, "+12025550145", reason="of a rival", campaign_id=campaign)
        assert (entry.campaign_id, entry.source) == (campaign, Source.API)
        with pytest.raises(NotOnList):
            await remove_entry(connection, org, "+12025550145")
    assert await listed(db, org) == {}
    assert await listed(db, org, campaign) == {"+12025550145": "of a rival"}
    async with db.system() as connection:
        await remove_entry(connection, org, "(202) 555-0145", campaign_id=campaign)
    assert await listed(db, org, campaign) == {}


async def test_a_campaign_that_is_not_there_has_no_list(db: Database, org: OrgId) -> None:
    async with db.system() as connection:
        with pytest.raises(NoSuchCampaign):
            await add_entry(connection, org, "+12025550145", reason="", campaign_id=CampaignId(new_id()))


async def test_the_numbers_of_a_file_go_onto_the_list_and_what_is_none_is_told_by_line(
    db: Database, org: OrgId
) -> None:
    text = "Phone;Reason\n(202) 555-0110;by letter\n+44 20 7946 0018;\n911;\nnobody;\n202-555-0110;again\n"
    report = await load(db, org, text, reason="list of May")
    assert (report.rows, report.added, report.known, report.rejected) == (5, 2, 1, 2)
    assert [(fault.line, fault.value) for fault in report.faults] == [(4, "911"), (5, "nobody")]
    assert await listed(db, org) == {"+12025550110": "by letter", "+442079460018": "list of May"}
    again = await load(db, org, text)
    assert (again.added, again.known) == (0, 3)


@pytest.mark.parametrize(
    "text",
    ["+12025550110\n+12025550111\n", "2025550110\r\n2025550111", "+12025550110,x\n+12025550111,y\n".encode("utf-16")],
    ids=["E.164", "national", "UTF-16"],
)
async def test_a_file_of_nothing_but_numbers_needs_no_header(db: Database, org: OrgId, text: str | bytes) -> None:
    report = await load(db, org, text)
    assert (report.rows, report.added, report.rejected) == (2, 2, 0)
    assert set(await listed(db, org)) == {"+12025550110", "+12025550111"}


async def test_every_number_of_a_row_goes_onto_the_list_whatever_its_column_is_called(db: Database, org: OrgId) -> None:
    text = (
        "Name,Mobile Phone,Home Phone,Cell,Second line,Customer\n"
        "Ann,2025550110,2025550111,2025550112,+12025550113,10017\n"
        "Bob,2025550114,,,,10018\n"
        "Cid,,,2025550115,nobody,10019\n"
        "Dee,,,,+12025550116,10020\n"
        "Eve,,,,(202) 555-0117,10021\n"
        "Fay,,,,202-555-0118,10022\n"
        "Gus,,,,,10023\n"
    )
    report = await load(db, org, text)
    assert set(await listed(db, org)) == {f"+12025550{n}" for n in range(110, 119)}
    assert (report.rows, report.added, report.known, report.rejected) == (7, 9, 0, 2)
    told = [(fault.line, fault.column, fault.value) for fault in report.faults]
    assert told == [(4, "Second line", "nobody"), (8, "Mobile Phone", "")]


async def test_rows_of_nothing_but_numbers_are_listed_with_all_of_them(db: Database, org: OrgId) -> None:
    report = await load(db, org, "+12025550110,+12025550111,Ann\n+12025550112,,Bob\n")
    assert set(await listed(db, org)) == {"+12025550110", "+12025550111", "+12025550112"}
    assert (report.rows, report.added, report.rejected) == (2, 3, 0)


async def test_a_file_that_cannot_be_used_adds_nothing(db: Database, org: OrgId) -> None:
    with pytest.raises(EmptyFile):
        await load(db, org, "")
    with pytest.raises(NoPhoneColumn):
        await load(db, org, "email\na@example.com\n")
    assert await listed(db, org) == {}


async def test_a_file_may_be_the_list_of_one_campaign(db: Database, org: OrgId) -> None:
    campaign = await add_campaign(db, org)
    await load(db, org, "phone\n+12025550110\n", campaign_id=campaign)
    assert await listed(db, org) == {}
    assert set(await listed(db, org, campaign)) == {"+12025550110"}


async def test_a_long_list_is_read_in_blocks(db: Database, org: OrgId) -> None:
    text = "phone\n" + "".join(f"+1202555{n:04d}\n" for n in range(10_000)) * 2
    report = await load(db, org, text)
    assert (report.rows, report.added, report.known) == (20_000, 10_000, 10_000)


@pytest.mark.parametrize(
    ("disposition", "refusal", "asked"),
    [
        ("do-not-call", None, {("+12025550110", "said-in-call"), ("+12025550111", "said-in-call")}),
        ("do-not-call", Refusal.UNWANTED, {("+12025550110", "said-in-call"), ("+12025550111", "said-in-call")}),
        ("refused", Refusal.UNWANTED, {("+12025550110", "carrier")}),
        ("refused", None, set()),
        ("reached", None, set()),
    ],
)
def test_who_asks_is_listed_with_all_their_numbers_and_a_network_asks_for_one(
    disposition: str, refusal: Refusal | None, asked: set[tuple[str, str]]
) -> None:
    phones = [E164("+12025550110"), E164("+12025550111")]
    found = find_asked(new_id(), disposition=disposition, refusal=refusal, dialed=phones[0], phones=phones)
    assert {(one.phone, str(one.source)) for one in found} == asked
