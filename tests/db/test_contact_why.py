"""When a contact may be called next: every wait at once, in hours, before the deadline."""

from datetime import UTC, datetime, timedelta

import pytest

from app.db import Database
from app.ids import OrgId
from campaigns.gates.gates import Candidate, Gate
from campaigns.gates.why import Why, why
from tests.db.gate_world import NOON, add_campaign, add_contact, dialed

pytestmark = pytest.mark.db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SATURDAY_EIGHT = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
"""The next opening in New York after NOON, which is Friday, has closed."""


async def ask(db: Database, one: Candidate, now: datetime = NOON) -> Why:
    async with db.system() as connection:
        return await why(connection, one.org_id, one.contact_id, now=now)


async def test_a_cap_that_ends_at_night_waits_for_the_morning(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org, caps={"contact": {"per_day": 1}}))
    await dialed(db, one, 10 * HOUR)  # 02:00 in New York, so room is made at 02:00 of Saturday
    told = await ask(db, one)
    [caps] = [verdict for verdict in told.verdicts if verdict.gate is Gate.CAPS]
    assert caps.next_at == NOON + 14 * HOUR
    assert told.next_at == SATURDAY_EIGHT


async def test_a_contact_that_is_due_later_waits_for_the_hours_of_that_day(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org), due_at=NOON + 12 * HOUR)
    assert (await ask(db, one)).next_at == SATURDAY_EIGHT


async def test_what_opens_only_after_the_deadline_never_opens(db: Database, org: OrgId) -> None:
    campaign = await add_campaign(db, org, deadline_at=SATURDAY_EIGHT)
    one = await add_contact(db, org, campaign, due_at=NOON + 12 * HOUR)
    assert (await ask(db, one)).next_at is None


@pytest.mark.parametrize("status", ["draft", "paused", "finished"])
async def test_a_campaign_that_does_not_run_calls_nobody_before_somebody_starts_it(
    db: Database, org: OrgId, status: str
) -> None:
    one = await add_contact(db, org, await add_campaign(db, org, status=status))
    told = await ask(db, one)
    assert told.next_at is None
    assert told.summary.startswith("not called, campaign: ")


async def test_the_next_number_is_the_one_that_is_asked_about(db: Database, org: OrgId) -> None:
    phones = ["+12025550110", "+13105550110"]
    one = await add_contact(db, org, await add_campaign(db, org), phones=phones, phone_index=1)
    told = await ask(db, one)
    assert told.contact.next_phone == phones[1]
    [hours] = [verdict for verdict in told.verdicts if verdict.gate is Gate.CALLING_HOURS]
    assert hours.source == "zone America/Los_Angeles of the number, US-CA"


async def test_asking_why_holds_nobody_up(db: Database, org: OrgId) -> None:
    one = await add_contact(db, org, await add_campaign(db, org, caps={"number": {"per_day": 1}}), due_at=NOON)
    async with db.system() as connection:
        await why(connection, org, one.contact_id, now=NOON)
        assert (await ask(db, one)).next_at == NOON
        locks = await connection.fetchval("select count(*) from pg_locks where locktype = 'advisory'")
    assert locks == 0
