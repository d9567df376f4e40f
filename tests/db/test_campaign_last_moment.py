"""The last moment before a dial: between the intent and its slot a number may still come onto a list."""

import asyncio
from pathlib import Path

from app.db import Database
from app.ids import OrgId
from campaigns.dialing.dialer import Dialer, dial
from campaigns.dialing.dialer_state import LONGEST_LEAD_SECONDS
from campaigns.do_not_call.entries import add_entry
from tests.db.campaign_carrier import LedgerCarrier, lines_over, read_ledger
from tests.db.campaign_world import QUICK, Webhooks, add_team, column, dialing, finish, running_campaign, until


async def test_a_number_listed_after_its_intent_and_before_its_slot_is_not_dialed(
    db: Database, org: OrgId, tmp_path: Path
) -> None:
    await add_team(db, org)
    carrier = LedgerCarrier(tmp_path / "ledger.jsonl")
    campaign = await running_campaign(db, org, 3, calls_per_second=1.0)

    async def intent_stands() -> bool:
        """One dial is out, and a later one has its intent and its slot already."""
        query = "select phone from attempts where campaign_id = $1 and status = 'dialing'"
        dialed = {one.to for one in read_ledger(carrier.path)}
        return bool(dialed) and bool(set(await column(db, query, campaign.id)) - dialed)

    async with dialing(db, carrier):
        await until(intent_stands)
        dialed = {one.to for one in read_ledger(carrier.path)}
        for phone in {f"+12025550{n}" for n in (110, 111, 112)} - dialed:
            async with db.system() as connection:
                await add_entry(connection, org, phone, reason="asked by letter")
        await finish(db, campaign, Webhooks(db, carrier), hurry=True)
    assert {one.to for one in read_ledger(carrier.path)} == dialed
    blocked = await column(db, "select status from contacts where campaign_id = $1 order by phone", campaign.id)
    assert sorted(map(str, blocked)) == ["blocked", "blocked", "finished"]


async def test_a_number_listed_after_its_dial_was_marked_is_not_dialed(
    db: Database, org: OrgId, tmp_path: Path
) -> None:
    """A slow dialer marks its dials as sent a second before their slots."""
    await add_team(db, org)
    carrier = LedgerCarrier(tmp_path / "ledger.jsonl")
    campaign = await running_campaign(db, org, 1)
    dialer = Dialer(name="slow", lines=lines_over(db, carrier), times=QUICK, lead=LONGEST_LEAD_SECONDS)

    async def marked() -> bool:
        return bool(await column(db, "select id from calls where dialed_at > clock_timestamp()"))

    dialing = asyncio.create_task(dial(dialer))
    try:
        await until(marked)
        async with db.system() as connection:
            await add_entry(connection, org, "+12025550110", reason="asked by letter")
        await finish(db, campaign, Webhooks(db, carrier), hurry=True)
    finally:
        dialer.stopping.set()
        await dialing
    assert read_ledger(carrier.path) == []
    assert await column(db, "select status from contacts") == ["blocked"]
