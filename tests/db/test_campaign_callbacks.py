"""A callback asked for in a call is the contact's next call, and its agent knows of the last one."""

from datetime import UTC, datetime, timedelta

import pytest

from app.db import Database
from app.ids import OrgId, new_id
from campaigns.campaigns import Campaign, Plan
from campaigns.creating import create_campaign
from campaigns.dialing.claiming import claim_due
from campaigns.dialing.settling import settle_ended
from campaigns.lifecycle.control import start_campaign
from campaigns.rules.retries import RetryRule
from tests.db.campaign_world import QUICK
from tests.db.lifecycle_world import add_team
from tests.db.outcome_world import add_contacts

pytestmark = pytest.mark.db


async def call_that_ended(db: Database, org: OrgId, hint: dict[str, object]) -> Campaign:
    """A running campaign, of whose only contact a placed call was answered and has ended, with this hint."""
    await add_team(db, org)
    plan = Plan(
        name="Recall", team="reception", retry=RetryRule(max_attempts=1), settings={"calling": {"defaults": False}}
    )
    campaign = await create_campaign(db, org, plan)
    async with db.system() as connection:
        [contact] = await add_contacts(connection, org, campaign.id, 1)
    await start_campaign(db, org, campaign.id)
    call_id, attempt_id = new_id(), new_id()
    async with db.system() as connection:
        await connection.execute("update contacts set status = 'in-flight', time_zone = 'America/New_York'")
        await connection.execute(
            """
            insert into calls (id, org_id, channel, direction, status, room_name, attempt_id, hint, dialed_at,
                               answered_at, ended_at, end_result, end_reason, end_at_fault)
            values ($1, $2, 'phone', 'outbound', 'completed', $3, $4, $5, now() - interval '1 minute',
                    now() - interval '1 minute', now() - interval '10 seconds', 'completed', 'callee_hung_up', 'nobody')
            """,
            call_id,
            org,
            f"call-{call_id}",
            attempt_id,
            hint,
        )
        await connection.execute(
            """
            insert into attempts (id, org_id, campaign_id, contact_id, ordinal, status, dialer, fence, lease_until,
                                  call_id, phone, dialed_at)
            values ($1, $2, $3, $4, 1, 'placed', 'd', 1, now() + interval '1 minute', $5, '+12025550100', now())
            """,
            attempt_id,
            org,
            campaign.id,
            contact,
            call_id,
        )
    return campaign


async def test_a_callback_is_due_at_its_instant_though_the_dials_are_used_up_and_the_next_agent_knows(
    db: Database, org: OrgId
) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=5)
    details = {"callback_at": at.isoformat(), "callback_text": "in five hours", "reason": "pain"}
    await call_that_ended(db, org, {"disposition": "callback", "details": details})
    assert await settle_ended(db, QUICK) == 1
    async with db.system() as connection:
        contact = await connection.fetchrow("select * from contacts")
        assert (contact["status"], contact["disposition"]) == ("waiting", "callback")
        assert contact["due_at"] == contact["callback_at"] == at
        await connection.execute("update contacts set due_at = now()")
    [batch] = await claim_due(db, org, dialer="one", times=QUICK)
    [claim] = batch
    assert claim.variables["last_call_outcome"] == "callback"
    assert "reason: pain" in claim.variables["last_talk_details"]
    assert claim.variables["time_zone"] == "America/New_York"


async def test_after_a_wrong_number_the_contacts_next_number_is_dialed_and_the_wrong_one_never_again(
    db: Database, org: OrgId
) -> None:
    campaign = await call_that_ended(db, org, {"disposition": "wrong_number"})
    async with db.system() as connection:
        await connection.execute("update campaigns set retry = '{}' where id = $1", campaign.id)
        await connection.execute("update contacts set phones = array['+12025550100', '+12025550177']")
    await settle_ended(db, QUICK)
    async with db.system() as connection:
        contact = await connection.fetchrow("select * from contacts")
    assert (contact["status"], contact["phone_index"]) == ("waiting", 1)
    assert contact["memory"]["wrong_numbers"] == ["+12025550100"]
    [batch] = await claim_due(db, org, dialer="one", times=QUICK)
    assert [claim.to for claim in batch] == ["+12025550177"]


async def test_words_alone_are_read_in_the_contacts_zone(db: Database, org: OrgId) -> None:
    await call_that_ended(db, org, {"disposition": "callback", "details": {"callback_text": "tomorrow at three"}})
    await settle_ended(db, QUICK)
    async with db.system() as connection:
        local = await connection.fetchval("select due_at at time zone 'America/New_York' from contacts")
    assert (local.hour, local.minute) == (15, 0)


async def test_a_callback_without_an_instant_is_due_two_hours_later(db: Database, org: OrgId) -> None:
    await call_that_ended(db, org, {"disposition": "callback"})
    before = datetime.now(UTC)
    await settle_ended(db, QUICK)
    async with db.system() as connection:
        contact = await connection.fetchrow("select * from contacts")
    assert (contact["status"], contact["disposition"], contact["callback_at"]) == ("waiting", "callback", None)
    assert before + timedelta(hours=2) <= contact["due_at"] <= datetime.now(UTC) + timedelta(hours=2)


async def test_a_campaign_may_leave_wishes_without_an_instant_to_others(db: Database, org: OrgId) -> None:
    campaign = await call_that_ended(db, org, {"disposition": "callback"})
    async with db.system() as connection:
        await connection.execute(
            "update campaigns set retry = $2 where id = $1", campaign.id, {"callback_seconds": "never"}
        )
    await settle_ended(db, QUICK)
    async with db.system() as connection:
        contact = await connection.fetchrow("select * from contacts")
    assert (contact["status"], contact["disposition"]) == ("finished", "callback")


async def test_one_wish_too_many_is_kept_for_a_redial_though_this_campaign_makes_no_more_calls(
    db: Database, org: OrgId
) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=5)
    await call_that_ended(db, org, {"disposition": "callback", "details": {"callback_at": at.isoformat()}})
    async with db.system() as connection:
        await connection.execute("update contacts set attempts_made = 9")
    await settle_ended(db, QUICK)
    async with db.system() as connection:
        contact = await connection.fetchrow("select * from contacts")
    assert (contact["status"], contact["disposition"], contact["callback_at"]) == ("finished", "callback", at)
