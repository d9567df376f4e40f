"""Whom a gate put off is asked again as soon as the gates say something else; retries and callbacks stay."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from app.db import Database
from app.ids import E164, CampaignId, ContactId, OrgId
from campaigns.campaigns import Campaign
from campaigns.contacts import edit_contact
from campaigns.dialing.claiming import find_open
from campaigns.gates import again
from campaigns.gates.again import LOOKED_FOR_SECONDS, ask_again
from campaigns.gates.gates import Candidate
from campaigns.lifecycle.control import pause_campaign, start_campaign
from campaigns.lifecycle.editing import Edit, edit_campaign
from campaigns.lifecycle.preflight import run_preflight
from campaigns.rules.retries import RetryRule
from campaigns.schedules.clock import watch_campaigns
from tests.db.campaign_carrier import LedgerCarrier, read_ledger
from tests.db.campaign_world import add_team, column, dialing, running_campaign, until
from tests.db.gate_world import add_dial

pytestmark = pytest.mark.db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CONTACTS = 5


def closed_for_days() -> list[str]:
    """Whatever day it is where the phones ring."""
    return [(date.today() + n * DAY).isoformat() for n in range(-1, 3)]  # noqa: DTZ011 - a day more at both ends


@pytest.fixture
async def closed(db: Database, org: OrgId) -> Campaign:
    """A running campaign that is closed today and tomorrow."""
    await add_team(db, org)
    campaign = await running_campaign(db, org, CONTACTS)
    await set_columns(db, campaign.id, calling={"defaults": False, "closed_dates": closed_for_days()})
    return campaign


async def set_columns(db: Database, campaign: CampaignId, **columns: object) -> None:
    async with db.system() as connection:
        for name, value in columns.items():
            await connection.execute(f"update campaigns set {name} = $2 where id = $1", campaign, value)


async def look(db: Database, campaign: CampaignId) -> list[UUID]:
    """As a dialer that is about to claim: who is open, and who is not is put off."""
    async with db.system() as connection:
        return await find_open(connection, campaign, limit=100)


async def due_now(db: Database) -> list[object]:
    return await column(db, "select id from contacts where status = 'waiting' and due_at <= now() order by due_at, id")


async def change(db: Database, campaign: Campaign, **settings: dict[str, object]) -> None:
    """Paused, changed, resumed."""
    await pause_campaign(db, campaign.org_id, campaign.id)
    await edit_campaign(db, campaign.org_id, campaign.id, Edit(settings=settings))
    await start_campaign(db, campaign.org_id, campaign.id)


async def test_whom_hours_put_off_is_due_again_once_they_are_other_ones(db: Database, closed: Campaign) -> None:
    everybody = sorted(map(str, await due_now(db)))
    assert await look(db, closed.id) == []
    assert await due_now(db) == []
    await change(db, closed, calling={"closed_dates": []})
    await ask_again(db)
    assert sorted(map(str, await due_now(db))) == everybody
    # What is told of it before the next dial says the same.
    [zone] = (await run_preflight(db, closed.org_id, closed.id)).zones
    assert zone.opens_at is not None
    assert zone.opens_at <= datetime.now(UTC)
    assert sorted(map(str, await look(db, closed.id))) == everybody
    assert await column(db, "select put_off_at from contacts") == [None] * CONTACTS


async def test_retries_and_callbacks_keep_their_times(db: Database, closed: Campaign) -> None:
    retry, callback, *_ = await due_now(db)
    async with db.system() as connection:
        await connection.execute("update contacts set due_at = now() + interval '1 day' where id = $1", retry)
        await connection.execute(
            "update contacts set due_at = now() + interval '2 days', callback_at = now() + interval '2 days'"
            " where id = $1",
            callback,
        )
    await look(db, closed.id)
    await change(db, closed, calling={"closed_dates": []})
    await ask_again(db)
    assert {retry, callback}.isdisjoint(await due_now(db))
    assert len(await due_now(db)) == CONTACTS - 2


async def test_who_is_still_closed_to_is_put_off_once_and_not_again_and_again(db: Database, closed: Campaign) -> None:
    await look(db, closed.id)
    await change(db, closed, calling={"closed_dates": [*closed_for_days(), "2030-01-01"]})
    await ask_again(db)
    assert len(await due_now(db)) == CONTACTS
    await look(db, closed.id)
    await ask_again(db)
    assert await due_now(db) == []


@pytest.mark.parametrize("settings", [{"retry": {"max_attempts": 4}}, {"calling": {"defaults": False}}])
async def test_an_edit_that_changes_no_gate_asks_nobody_again(
    db: Database, closed: Campaign, settings: dict[str, dict[str, object]]
) -> None:
    await look(db, closed.id)
    await change(db, closed, **settings)
    await ask_again(db)
    assert await due_now(db) == []


async def test_who_breaks_off_in_the_middle_leaves_the_rest_to_the_next(
    db: Database, closed: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(again, "AT_ONCE", 2)
    await look(db, closed.id)
    await change(db, closed, calling={"closed_dates": []})

    async def break_off(_seconds: float) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(again, "rest", break_off)
    with pytest.raises(ZeroDivisionError):
        await ask_again(db)
    assert len(await due_now(db)) == 2
    monkeypatch.undo()
    await ask_again(db)
    assert len(await due_now(db)) == CONTACTS


async def test_what_a_dialer_puts_off_by_the_old_rules_and_commits_late_is_found(
    db: Database, closed: Campaign
) -> None:
    async with db.system() as late:
        assert await find_open(late, closed.id, limit=100) == []
        await change(db, closed, calling={"closed_dates": []})
        await ask_again(db)
    assert await due_now(db) == []
    await ask_again(db)
    assert len(await due_now(db)) == CONTACTS
    assert await column(db, "select gates_changed_at is null from campaigns") == [False]
    async with db.system() as connection:
        await connection.execute(
            "update campaigns set gates_changed_at = gates_changed_at - make_interval(secs => $1)",
            LOOKED_FOR_SECONDS,
        )
    await ask_again(db)
    assert await column(db, "select gates_changed_at is null from campaigns") == [True]


async def test_somebody_who_is_held_has_their_turn_later(db: Database, closed: Campaign) -> None:
    await look(db, closed.id)
    await change(db, closed, calling={"closed_dates": []})
    await set_columns(db, closed.id, gates_changed_at=datetime.now(UTC) - HOUR)
    async with db.system() as connection:
        await connection.execute("update contacts set put_off_at = put_off_at - interval '2 hours'")
    async with db.system() as holding:
        held = await holding.fetchval("select id from contacts order by id limit 1 for update")
        async with asyncio.timeout(5):
            await ask_again(db)
            await ask_again(db)
        assert held not in await due_now(db)
        assert await column(db, "select gates_changed_at is null from campaigns") == [False]
    await ask_again(db)
    assert held in await due_now(db)


async def test_a_contact_of_another_zone_is_asked_again_and_one_with_another_name_is_not(
    db: Database, closed: Campaign
) -> None:
    one, other, retry, *_ = [ContactId(UUID(str(contact))) for contact in await due_now(db)]
    async with db.system() as connection:
        await connection.execute("update contacts set due_at = now() + interval '1 day' where id = $1", retry)
    await look(db, closed.id)
    now = datetime.now(UTC)
    async with db.system() as connection:
        await edit_contact(connection, closed.org_id, one, {"time_zone": "Asia/Tokyo"}, now=now)
        await edit_contact(connection, closed.org_id, other, {"name": "Ada"}, now=now)
        await edit_contact(connection, closed.org_id, retry, {"time_zone": "Asia/Tokyo"}, now=now)
    assert await due_now(db) == [one]
    assert await column(db, "select id from contacts where put_off_at is null order by id") == sorted([one, retry])


async def test_who_named_a_time_after_being_put_off_keeps_it(db: Database, closed: Campaign) -> None:
    [one, *_] = [ContactId(UUID(str(contact))) for contact in await due_now(db)]
    await look(db, closed.id)
    now = datetime.now(UTC)
    async with db.system() as connection:
        edited = await edit_contact(connection, closed.org_id, one, {"callback_at": now + DAY}, now=now)
    await change(db, closed, calling={"closed_dates": []})
    await ask_again(db)
    assert edited.due_at == now + DAY
    assert one not in await due_now(db)


async def test_whom_a_cap_put_off_is_dialed_once_it_is_raised(db: Database, org: OrgId, tmp_path: Path) -> None:
    await add_team(db, org)
    carrier = LedgerCarrier(tmp_path / "ledger.jsonl")
    campaign = await running_campaign(db, org, 1, retry=RetryRule(max_attempts=3))
    await pause_campaign(db, org, campaign.id)
    await set_columns(db, campaign.id, caps={"contact": {"per_week": 1}})
    [contact] = await column(db, "select id from contacts")
    async with db.system() as connection:
        one = Candidate(ContactId(UUID(str(contact))), org, campaign.id, E164("+12025550110"))
        await add_dial(connection, one, datetime.now(UTC) - HOUR)
    await start_campaign(db, org, campaign.id)

    async def put_off() -> bool:
        return "caps" in await column(db, "select put_off_by from attempts")

    async def is_dialed() -> bool:
        return bool(read_ledger(carrier.path))

    async with dialing(db, carrier):
        await until(put_off)
        assert await due_now(db) == []
        await change(db, campaign, caps={"contact": {"per_week": 2}})
        await ask_again(db)
        await until(is_dialed)
    assert [one.to for one in read_ledger(carrier.path)] == ["+12025550110"]


async def test_the_dialers_clock_asks_them(db: Database, closed: Campaign, database_url: str) -> None:
    await look(db, closed.id)
    await change(db, closed, calling={"closed_dates": []})
    stopping = asyncio.Event()
    clock = asyncio.create_task(watch_campaigns(db, database_url, stopping))

    async def all_due() -> bool:
        return len(await due_now(db)) == CONTACTS

    try:
        await until(all_due)
    finally:
        stopping.set()
        await asyncio.wait_for(clock, 10)
