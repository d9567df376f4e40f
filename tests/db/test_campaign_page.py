"""The report page: of its own, true to the rows, and safe whatever things are called."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from app.db import Database
from app.ids import CampaignId, OrgId, new_id
from campaigns.campaigns import CampaignNotFound
from campaigns.outcomes.page import html_report
from campaigns.outcomes.page.facts import add_hours, gather_facts, guess_zone, write_money
from campaigns.outcomes.page.html_report import PressBusy, render_page, write_page
from tests.db.outcome_world import NOON, add_attempt, add_campaign, add_contacts

pytestmark = pytest.mark.db


class Reader(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


async def lively_campaign(db: Database, org: OrgId, **columns: Any) -> CampaignId:
    """Sixty contacts, half of them in Kolkata, dialed over a day; some cost money, and people waited for replies."""
    async with db.system() as connection:
        campaign = await add_campaign(connection, org, **columns)
        contacts = await add_contacts(connection, org, campaign, 60)
        await connection.execute(
            "update contacts set time_zone = 'Asia/Kolkata' where line % 2 = 0 and campaign_id = $1", campaign
        )
        for n, contact in enumerate(contacts[:50]):
            answered = n % 3 == 0
            _, call = await add_attempt(
                connection,
                org,
                campaign,
                contact,
                "reached" if answered else "no-answer",
                result="completed" if answered else "no-answer",
                reason="callee_hung_up" if answered else "no_answer",
                answered=answered,
                dialed_at=NOON + timedelta(minutes=30 * (n % 10)),
                talk_seconds=15.0 * (1 + n % 5),
            )
            await connection.execute(
                """
                insert into turns (id, org_id, call_id, role, agent, text, latency_ms, started_at)
                values ($1, $2, $3, 'agent', 'a', 'Yes.', jsonb_build_object('reply', $4::int), now())
                """,
                new_id(),
                org,
                call,
                700 + 10 * n,
            )
            await connection.execute(
                """
                insert into dial_charges (call_id, org_id, day, currency, rate, charged, settled)
                values ($1, $2, current_date, 'USD', 1300, 1300, true)
                """,
                call,
                org,
            )
        for minutes in range(4):
            await connection.execute(
                "insert into campaign_samples values ($1, $2, $3, $4::bigint, $4::bigint / 2, $4::bigint, 60)",
                org,
                campaign,
                NOON + timedelta(minutes=minutes),
                10 * minutes,
            )
    return campaign


async def test_the_facts_add_up_to_the_rows(db: Database, org: OrgId) -> None:
    campaign = await lively_campaign(db, org)
    facts = await gather_facts(db, org, campaign)
    assert (facts.dials, facts.answered) == (50, 17)
    assert {one.disposition: one.dials for one in facts.outcomes} == {"no-answer": 33, "reached": 17}
    assert facts.cost_minor == {"USD": pytest.approx(65.0)}
    assert sum(tally.dials for tally in facts.by_hour.values()) == 50
    assert set(facts.by_zone_hour) == {"Asia/Kolkata", "America/New_York"}
    # 17:00 UTC is 22:30 in Kolkata, noon in New York.
    assert {*facts.by_zone_hour["Asia/Kolkata"], *facts.by_zone_hour["America/New_York"]} >= {22, 12}
    assert sum(facts.talks.values()) == 17
    assert sum(facts.latencies.values()) == 17
    assert facts.talk_seconds == pytest.approx(sum(15.0 * (1 + n % 5) for n in range(0, 50, 3)))
    assert facts.ring_seconds / facts.answered == pytest.approx(6.0)
    assert [sample.dialed for sample in facts.samples] == [0, 10, 20, 30]


async def test_the_page_is_whole_and_fetches_nothing(db: Database, org: OrgId) -> None:
    campaign = await lively_campaign(db, org, status="running")
    page = await write_page(db, org, campaign, press=asyncio.Semaphore(1))
    reader = Reader(page)
    figures = [attributes for tag, attributes in reader.tags if tag == "figure"]
    assert len(figures) == 7
    assert sum(tag == "svg" for tag, _ in reader.tags) == 7
    assert not any(tag in ("script", "iframe", "img", "link", "object") for tag, _ in reader.tags)
    for tag, attributes in reader.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "xlink:href"):
                assert value is not None
                assert value.startswith("#"), (tag, value)
    assert not re.search(r"url\((?!#)", page)
    assert "34.0%" in reader.text
    assert "0.65" in reader.text


async def test_the_same_facts_make_the_same_page(db: Database, org: OrgId) -> None:
    campaign = await lively_campaign(db, org)
    facts = await gather_facts(db, org, campaign)
    assert render_page(facts) == render_page(facts)


async def test_what_campaigns_and_outcomes_are_called_is_text_and_nothing_else(db: Database, org: OrgId) -> None:
    evil = '<script>alert("$x$")</script>'
    async with db.system() as connection:
        campaign = await add_campaign(
            connection, org, name=evil, pause_reason="<img src=x>", outcomes={"codes": {"busy": "<b>$\\frac$"}}
        )
        contacts = await add_contacts(connection, org, campaign, 3)
        await add_attempt(connection, org, campaign, contacts[0], "<svg/onload=alert(1)>")
        await add_attempt(connection, org, campaign, contacts[1], "busy", result="busy", answered=False)
    page = await write_page(db, org, campaign, press=asyncio.Semaphore(1))
    reader = Reader(page)
    assert not any(tag in ("script", "img", "b") and attributes for tag, attributes in reader.tags)
    assert not any("onload" in attributes for _, attributes in reader.tags)
    assert evil in reader.text
    assert "<svg/onload=alert(1)>" in reader.text


async def test_a_campaign_without_a_dial_has_a_page_too(db: Database, org: OrgId) -> None:
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
    assert "Nothing to show yet." in await write_page(db, org, campaign, press=asyncio.Semaphore(1))
    with pytest.raises(CampaignNotFound):
        await write_page(db, org, CampaignId(new_id()), press=asyncio.Semaphore(1))


def hour_row(zone: str | None, hour: datetime, *, dials: int, answered: int, example: str = "") -> dict[str, Any]:
    prefix = example[:5] or None
    return {"zone": zone, "prefix": prefix, "example": example, "hour": hour, "dials": dials, "answered": answered}


def test_hours_are_those_of_the_place_that_rang_half_hours_and_summer_time_included() -> None:
    here = "+12025550100"
    rows = [
        hour_row("Asia/Kolkata", datetime(2026, 7, 1, 4, tzinfo=UTC), dials=2, answered=1),
        hour_row(None, datetime(2026, 7, 1, 14, tzinfo=UTC), dials=1, answered=0, example=here),
        hour_row(None, datetime(2026, 12, 1, 14, tzinfo=UTC), dials=1, answered=1, example=here),
        hour_row("Not/AZone", datetime(2026, 7, 1, 3, tzinfo=UTC), dials=1, answered=1),
    ]
    by_hour, by_zone = add_hours(rows)
    assert {hour: tally.dials for hour, tally in by_hour.items()} == {3: 1, 9: 3, 10: 1}
    assert by_zone["America/New_York"][9].answered == 1
    assert guess_zone("not a number") == "unknown zone"


def test_money_is_written_with_the_digits_of_its_currency() -> None:
    assert write_money(123456.7, "USD") == "1,234.57"
    assert write_money(1234, "JPY") == "1,234"


async def test_only_so_many_pages_are_made_at_a_time_and_who_waits_too_long_is_told_to_come_back(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
    press = asyncio.Semaphore(1)
    monkeypatch.setattr(html_report, "PATIENCE_SECONDS", 0.05)
    async with press:
        with pytest.raises(PressBusy) as raised:
            await write_page(db, org, campaign, press=press)
    assert raised.value.extra == {"retry_after_seconds": 30}
    with pytest.raises(CampaignNotFound):
        await write_page(db, org, CampaignId(new_id()), press=press)
    assert "Nothing to show yet." in await write_page(db, org, campaign, press=press)
