"""Reports tell every attempt and every contact once, in any size, and no spreadsheet runs what is in them."""

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest

from app.db import Database
from app.ids import CampaignId, OrgId, new_id
from campaigns.campaigns import CampaignNotFound, Plan
from campaigns.creating import create_campaign_from_file
from campaigns.outcomes import report, report_store
from campaigns.outcomes.report import COLUMNS, CONTACT_COLUMNS, Format, Rows, stream_report
from tests.db.campaign_world import add_team
from tests.db.outcome_world import NOON, add_attempt, add_campaign, add_contacts

pytestmark = pytest.mark.db


async def text_of(db: Database, org: OrgId, campaign: CampaignId, rows: Rows, form: Format) -> str:
    return "".join([piece async for piece in stream_report(db, org, campaign, rows, form)])


async def csv_of(db: Database, org: OrgId, campaign: CampaignId, rows: Rows) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(await text_of(db, org, campaign, rows, Format.CSV))))


async def json_of(db: Database, org: OrgId, campaign: CampaignId, rows: Rows) -> list[dict[str, Any]]:
    return json.loads(await text_of(db, org, campaign, rows, Format.JSON))


async def small_campaign(db: Database, org: OrgId, **columns: Any) -> CampaignId:
    """Three contacts: a sale with details after a busy try, a voicemail, and one not called yet."""
    async with db.system() as connection:
        campaign = await add_campaign(connection, org, **columns)
        contacts = await add_contacts(connection, org, campaign, 3)
        await add_attempt(
            connection, org, campaign, contacts[0], "busy", result="busy", reason="busy", answered=False, talk_seconds=3
        )
        hint = {"disposition": "sold", "details": {"slot": "=HYPERLINK(1)", "when": "Tuesday"}}
        await add_attempt(
            connection, org, campaign, contacts[0], "sold", hint=hint, ordinal=2, dialed_at=NOON + timedelta(hours=1)
        )
        await add_attempt(
            connection, org, campaign, contacts[1], "voicemail", reason="machine", dialed_at=NOON + timedelta(hours=2)
        )
        await connection.execute("update contacts set name = '+cmd|calc' where id = $1", contacts[1])
    return campaign


async def test_every_attempt_is_a_row_with_its_details_as_columns(db: Database, org: OrgId) -> None:
    campaign = await small_campaign(db, org, outcomes={"codes": {"sold": "SALE", "busy": "B"}})
    rows = await csv_of(db, org, campaign, Rows.ATTEMPTS)
    assert list(rows[0]) == [*COLUMNS, "details.slot", "details.when", "other_details"]
    assert [(row["phone"], row["attempt"], row["disposition"], row["code"]) for row in rows] == [
        ("+12025550100", "1", "busy", "B"),
        ("+12025550100", "2", "sold", "SALE"),
        ("+12025550101", "1", "voicemail", "voicemail"),
    ]
    assert (rows[1]["details.when"], rows[1]["duration_seconds"], rows[1]["ring_seconds"]) == ("Tuesday", "42.0", "6.0")
    assert (rows[0]["duration_seconds"], rows[0]["answered_at"], rows[0]["ring_seconds"]) == ("", "", "1.0")


async def test_no_cell_of_a_csv_is_a_formula_and_json_has_the_words_as_they_were(db: Database, org: OrgId) -> None:
    campaign = await small_campaign(db, org)
    rows = await csv_of(db, org, campaign, Rows.ATTEMPTS)
    assert rows[1]["details.slot"] == "'=HYPERLINK(1)"
    assert rows[2]["name"] == "'+cmd|calc"
    records = await json_of(db, org, campaign, Rows.ATTEMPTS)
    assert records[1]["details"] == {"slot": "=HYPERLINK(1)", "when": "Tuesday"}
    assert records[2]["name"] == "+cmd|calc"


async def test_every_contact_is_a_row_with_its_last_conversation_and_the_columns_of_its_list(
    db: Database, org: OrgId
) -> None:
    campaign = await small_campaign(db, org)
    rows = await csv_of(db, org, campaign, Rows.CONTACTS)
    named = ["variables.plan", "other_variables", "details.slot", "details.when", "other_details"]
    assert list(rows[0]) == [*CONTACT_COLUMNS, *named]
    assert [(row["status"], row["disposition"], row["attempts"]) for row in rows] == [
        ("finished", "sold", "2"),
        ("finished", "voicemail", "1"),
        ("waiting", "", "0"),
    ]
    assert rows[0]["details.when"] == "Tuesday"
    assert rows[0]["variables.plan"] == "gold"
    assert rows[2]["due_at"] != ""
    records = await json_of(db, org, campaign, Rows.CONTACTS)
    assert records[0]["variables"] == {"plan": "gold"}
    assert records[0]["last_dialed_at"] == "2026-11-20T18:00:00.000Z"


async def test_a_campaign_chooses_the_columns_of_its_results(db: Database, org: OrgId) -> None:
    campaign = await small_campaign(db, org, outcomes={"columns": ["when"]})
    rows = await csv_of(db, org, campaign, Rows.ATTEMPTS)
    assert {"details.slot", "other_details"}.isdisjoint(rows[0])
    assert json.loads(rows[1]["detail"])["slot"] == "=HYPERLINK(1)"


async def test_pages_join_without_a_gap_or_a_repeat(db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch) -> None:
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
        contacts = await add_contacts(connection, org, campaign, 30)
        for contact in contacts:
            # All at the same instant: the id alone keeps the order.
            await add_attempt(connection, org, campaign, contact, "reached")
    monkeypatch.setattr(report, "PAGE_ROWS", 7)
    for rows in Rows:
        found = await csv_of(db, org, campaign, rows)
        assert sorted(row["phone"] for row in found) == sorted({row["phone"] for row in found})
        assert len(found) == 30
        assert len(await json_of(db, org, campaign, rows)) == 30


async def test_an_empty_campaign_has_an_empty_report_and_a_strange_one_has_none(db: Database, org: OrgId) -> None:
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
    assert await csv_of(db, org, campaign, Rows.CONTACTS) == []
    assert await json_of(db, org, campaign, Rows.ATTEMPTS) == []
    with pytest.raises(CampaignNotFound):
        await text_of(db, org, CampaignId(new_id()), Rows.ATTEMPTS, Format.CSV)


async def import_rows(db: Database, org: OrgId, header: list[str], rows: list[list[str]]) -> CampaignId:
    """A draft of a file with these cells, the phone first."""
    plan = Plan(name="Recall", team="reception")
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    campaign, _ = await create_campaign_from_file(db, org, plan, io.BytesIO(text.getvalue().encode()))
    return campaign.id


async def test_every_column_of_a_wide_file_is_a_column_of_the_results(db: Database, org: OrgId) -> None:
    await add_team(db, org)
    names = [f"c{n:03}" for n in range(499)]
    campaign = await import_rows(db, org, ["phone", *names], [["+12025550110", *(f"of {name}" for name in names)]])
    [row] = await csv_of(db, org, campaign, Rows.CONTACTS)
    assert {name: row[f"variables.{name}"] for name in names} == {name: f"of {name}" for name in names}
    assert row["other_variables"] == ""


async def test_a_column_that_only_late_contacts_fill_is_one_here_and_in_copies(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_store, "LOOKED_AT_FOR_NAMES", 1)
    await add_team(db, org)
    campaign = await import_rows(
        db, org, ["phone", "plan", "seat"], [["+12025550110", "gold", ""], ["+12025550111", "", "12"]]
    )
    async with db.system() as connection:
        # The first contact knows nothing of it, like one that the API adds.
        await connection.execute("update contacts set variables = variables - 'seat' where line = 2")
        copy = await add_campaign(connection, org, parent_id=campaign)
        again = await add_campaign(connection, org, parent_id=copy)
        await connection.execute(
            """insert into contacts (id, org_id, campaign_id, line, phone, variables)
               select gen_random_uuid(), org_id, $1, line, phone, variables from contacts where campaign_id = $2""",
            again,
            campaign,
        )
    for one in (campaign, again):
        rows = await csv_of(db, org, one, Rows.CONTACTS)
        assert [row["variables.seat"] for row in rows] == ["", "12"]
        assert [row["other_variables"] for row in rows] == ["", ""]


async def test_the_columns_of_a_file_from_which_nothing_went_in_are_none(db: Database, org: OrgId) -> None:
    campaign = await small_campaign(db, org)
    async with db.system() as connection:
        await connection.execute(
            """insert into imports (id, org_id, campaign_id, file_name, bytes, sha256, status, dialect, columns)
               values ($1, $2, $3, 'wrong.csv', 1, repeat('0', 64), 'failed', '{}', '{"variables": {"wrong": 1}}')""",
            new_id(),
            org,
            campaign,
        )
    rows = await csv_of(db, org, campaign, Rows.CONTACTS)
    assert "variables.wrong" not in rows[0]


@pytest.mark.parametrize("rows", Rows)
async def test_what_has_no_column_of_its_own_stands_in_the_one_for_the_rest(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch, rows: Rows
) -> None:
    monkeypatch.setattr(report_store, "LOOKED_AT_FOR_NAMES", 1)
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
        contacts = await add_contacts(connection, org, campaign, 2)
        rare, usual = {"rare": "=1+1", "when": "Monday"}, {"when": "Tuesday"}
        for n, details in enumerate((rare, usual)):
            at = NOON + timedelta(hours=n)
            await add_attempt(connection, org, campaign, contacts[n], "sold", hint={"details": details}, dialed_at=at)
        await connection.execute("update contacts set variables = $2 where id = $1", contacts[1], {"seat": "12"})
    found = await csv_of(db, org, campaign, rows)
    assert [row["details.when"] for row in found] == ["Monday", "Tuesday"]
    assert [row["other_details"] for row in found] == ['{"rare": "=1+1"}', ""]
    if rows is Rows.CONTACTS:
        assert [row["variables.plan"] for row in found] == ["gold", ""]
        assert [row["other_variables"] for row in found] == ["", '{"seat": "12"}']


async def test_names_beyond_the_most_columns_stand_in_the_one_for_the_rest(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_store, "MOST_NAMES", 2)
    given = {"a": "1", "b": "2", "c": "3", "d": "4"}
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
        [contact] = await add_contacts(connection, org, campaign, 1)
        await connection.execute("update contacts set variables = $2 where id = $1", contact, given)
        await add_attempt(connection, org, campaign, contact, "sold", hint={"details": given})
    [row] = await csv_of(db, org, campaign, Rows.CONTACTS)
    for kind in ("variables", "details"):
        own = {name.removeprefix(f"{kind}."): cell for name, cell in row.items() if name.startswith(f"{kind}.")}
        assert (own, json.loads(row[f"other_{kind}"])) == ({"a": "1", "b": "2"}, {"c": "3", "d": "4"})
