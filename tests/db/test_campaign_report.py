"""Reports tell every attempt and every contact once, in any size, and no spreadsheet runs what is in them."""

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest

from app.db import Database
from app.ids import CampaignId, OrgId, new_id
from campaigns.campaigns import CampaignNotFound
from campaigns.outcomes import report
from campaigns.outcomes.report import COLUMNS, CONTACT_COLUMNS, Format, Rows, stream_report
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
    assert list(rows[0]) == [*COLUMNS, "details.slot", "details.when"]
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
    assert list(rows[0]) == [*CONTACT_COLUMNS, "variables.plan", "details.slot", "details.when"]
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
    assert "details.slot" not in rows[0]
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
