"""A campaign's life: scheduled, judged by its first calls, paused by itself, changed while it does not dial."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.db import Database
from app.ids import CampaignId, OrgId
from campaigns.campaigns import Campaign, CampaignState, Plan, load_campaign
from campaigns.creating import Once, RequestKeyReused, create_campaign
from campaigns.lifecycle.control import finish_campaign, pass_canary, pause_campaign, start_campaign
from campaigns.lifecycle.editing import Edit, edit_campaign
from campaigns.lifecycle.redial import redial_unreached
from campaigns.lifecycle.settings import InvalidSettings
from campaigns.lifecycle.watch import judge_breakers, judge_canaries, keep_times
from tests.db.lifecycle_world import add_ended_calls, add_team, end_contacts
from tests.db.outcome_world import add_contacts

pytestmark = pytest.mark.db

NOW = datetime.now(UTC)
SOON, LATER = NOW + timedelta(hours=1), NOW + timedelta(hours=2)


async def draft(db: Database, org: OrgId, *, contacts: int = 5, **plan: Any) -> tuple[Campaign, list[UUID]]:
    await add_team(db, org)
    made = await create_campaign(db, org, Plan(**{"name": "Recall", "team": "reception"} | plan))
    async with db.system() as connection:
        ids = await add_contacts(connection, org, made.id, contacts)
    return made, ids


async def set_column(db: Database, campaign: Campaign, change: str) -> None:
    async with db.system() as connection:
        await connection.execute(f"update campaigns set {change} where id = $1", campaign.id)


async def reload(db: Database, campaign: Campaign) -> Campaign:
    return await load_campaign(db, campaign.org_id, campaign.id)


async def waiting_due(db: Database, campaign_id: CampaignId) -> list[str]:
    async with db.system() as connection:
        rows = await connection.fetch(
            "select phone from contacts where campaign_id = $1 and status = 'waiting' order by phone", campaign_id
        )
    return [row["phone"] for row in rows]


# -- time


async def test_a_campaign_with_a_start_ahead_is_scheduled_and_runs_from_then_on(db: Database, org: OrgId) -> None:
    campaign, _ = await draft(db, org, starts_at=SOON)
    assert (await start_campaign(db, org, campaign.id)).status == "scheduled"
    await keep_times(db)
    assert (await reload(db, campaign)).status == "scheduled"
    await set_column(db, campaign, "starts_at = now()")
    await keep_times(db)
    started = await reload(db, campaign)
    assert (started.status, started.started_at is not None) == ("running", True)


async def test_a_deadline_ends_it_whatever_it_is_doing_and_it_cannot_be_started_after(db: Database, org: OrgId) -> None:
    campaign, _ = await draft(db, org, deadline_at=SOON)
    await start_campaign(db, org, campaign.id)
    await set_column(db, campaign, "deadline_at = now()")
    await keep_times(db)
    over = await reload(db, campaign)
    assert (over.status, over.finish_reason) == ("finished", "deadline")
    assert len(await waiting_due(db, campaign.id)) == 5
    with pytest.raises(CampaignState, match="redial"):
        await start_campaign(db, org, campaign.id)


async def test_a_draft_past_its_deadline_is_not_started(db: Database, org: OrgId) -> None:
    campaign, _ = await draft(db, org, deadline_at=NOW - timedelta(days=1))
    with pytest.raises(CampaignState, match="deadline"):
        await start_campaign(db, org, campaign.id)


async def test_it_is_ended_for_good_by_hand(db: Database, org: OrgId) -> None:
    campaign, _ = await draft(db, org)
    await start_campaign(db, org, campaign.id)
    over = await finish_campaign(db, org, campaign.id)
    assert (over.status, over.finish_reason) == ("finished", "stopped")
    assert (await finish_campaign(db, org, campaign.id)).finished_at == over.finished_at


# -- the canary


async def on_canary(db: Database, org: OrgId, rule: dict[str, Any]) -> tuple[Campaign, list[UUID]]:
    campaign, contacts = await draft(db, org, contacts=20, settings={"canary": rule})
    started = await start_campaign(db, org, campaign.id)
    assert started.canary_status == "dialing"
    return started, contacts


async def test_a_canary_whose_calls_are_answered_passes(db: Database, org: OrgId) -> None:
    campaign, contacts = await on_canary(db, org, {"contacts": 4, "least_answer_rate": 0.5})
    await add_ended_calls(db, org, campaign.id, contacts[:3], answered=True, seconds_ago=0)
    await judge_canaries(db)
    assert (await reload(db, campaign)).canary_status == "dialing"
    await add_ended_calls(db, org, campaign.id, contacts[3:4], seconds_ago=0)
    await judge_canaries(db)
    judged = await reload(db, campaign)
    assert (judged.status, judged.canary_status) == ("running", "passed")
    async with db.system() as connection:
        told = await connection.fetch("select data from campaign_events where kind = 'campaign.canary'")
    assert [row["data"]["canary_status"] for row in told] == ["passed"]


async def test_a_canary_that_cannot_hold_any_more_pauses_the_campaign_with_its_reason(db: Database, org: OrgId) -> None:
    campaign, contacts = await on_canary(db, org, {"contacts": 4, "least_answer_rate": 0.75})
    await add_ended_calls(db, org, campaign.id, contacts[:2], seconds_ago=0)
    await judge_canaries(db)
    judged = await reload(db, campaign)
    assert (judged.status, judged.canary_status) == ("paused", "stopped")
    assert judged.pause_reason == "Canary: 0 of 2 first calls were answered; at least 75% of 4 must be."


async def test_a_stopped_canary_begins_anew_when_the_campaign_is_started_again(db: Database, org: OrgId) -> None:
    campaign, contacts = await on_canary(db, org, {"contacts": 4, "least_answer_rate": 0.75})
    await add_ended_calls(db, org, campaign.id, contacts[:2], seconds_ago=0)
    await judge_canaries(db)
    again = await start_campaign(db, org, campaign.id)
    assert (again.status, again.canary_status, again.pause_reason) == ("running", "dialing", None)
    await judge_canaries(db)
    assert (await reload(db, campaign)).canary_status == "dialing"


async def test_a_person_may_let_it_go_on_past_its_canary(db: Database, org: OrgId) -> None:
    campaign, contacts = await on_canary(db, org, {"contacts": 4, "least_answer_rate": 0.75})
    await add_ended_calls(db, org, campaign.id, contacts[:2], seconds_ago=0)
    await judge_canaries(db)
    passed = await pass_canary(db, org, campaign.id)
    assert (passed.status, passed.canary_status) == ("running", "passed")
    await pause_campaign(db, org, campaign.id)
    assert (await start_campaign(db, org, campaign.id)).canary_status == "passed"


async def test_a_canary_waits_for_the_scores_of_its_conversations(db: Database, org: OrgId) -> None:
    campaign, contacts = await on_canary(db, org, {"contacts": 2, "least_score": 0.8})
    await add_ended_calls(db, org, campaign.id, contacts[:2], answered=True, seconds_ago=0)
    await judge_canaries(db)
    assert (await reload(db, campaign)).canary_status == "dialing"
    async with db.system() as connection:
        await connection.execute(
            "insert into evaluations (call_id, org_id, score) select id, org_id, 0.6 from calls where org_id = $1", org
        )
    await judge_canaries(db)
    judged = await reload(db, campaign)
    assert judged.canary_status == "stopped"
    assert "0.60" in (judged.pause_reason or "")


# -- the breaker


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"result": "failed", "reason": "carrier_error", "at_fault": "carrier"}, "failed at the carrier"),
        ({"result": "failed", "reason": "worker_lost", "at_fault": "us"}, "failed on our side"),
        ({"answered": True, "disposition": "abandoned"}, "heard nobody"),
    ],
)
async def test_a_campaign_pauses_itself_when_something_broke(
    db: Database, org: OrgId, call: dict[str, Any], says: str
) -> None:
    campaign, contacts = await draft(db, org, contacts=40)
    await start_campaign(db, org, campaign.id)
    await add_ended_calls(db, org, campaign.id, contacts[:10], answered=True, seconds_ago=0)
    await judge_breakers(db)
    assert (await reload(db, campaign)).status == "running"
    await add_ended_calls(db, org, campaign.id, contacts[10:], seconds_ago=0, **call)
    await judge_breakers(db)
    paused = await reload(db, campaign)
    assert paused.status == "paused"
    assert says in (paused.pause_reason or "")


async def test_a_collapse_of_the_answer_rate_pauses_it_and_what_was_before_the_resume_is_forgiven(
    db: Database, org: OrgId
) -> None:
    campaign, contacts = await draft(db, org, contacts=80)
    await start_campaign(db, org, campaign.id)
    await set_column(db, campaign, "resumed_at = now() - interval '1 hour'")
    await add_ended_calls(db, org, campaign.id, contacts[:40], answered=True, seconds_ago=1800)
    await add_ended_calls(db, org, campaign.id, contacts[40:], seconds_ago=10)
    await judge_breakers(db)
    paused = await reload(db, campaign)
    assert paused.status == "paused"
    assert "against 100% before" in (paused.pause_reason or "")
    await start_campaign(db, org, campaign.id)
    await judge_breakers(db)
    assert (await reload(db, campaign)).status == "running"


# -- changes


async def test_a_paused_campaign_is_changed_and_a_running_one_is_not(db: Database, org: OrgId) -> None:
    campaign, _ = await draft(db, org)
    await start_campaign(db, org, campaign.id)
    edit = Edit(plain={"calls_per_second": 2.5, "name": "Again"}, settings={"retry": {"max_attempts": 7}})
    with pytest.raises(CampaignState, match="pause it first"):
        await edit_campaign(db, org, campaign.id, edit)
    await pause_campaign(db, org, campaign.id)
    edited = await edit_campaign(db, org, campaign.id, edit)
    assert (edited.calls_per_second, edited.name, edited.retry.max_attempts) == (2.5, "Again", 7)
    assert (edited.max_concurrent, edited.team) == (campaign.max_concurrent, "reception")


async def test_what_is_said_of_a_subject_is_merged_into_what_is_there_and_null_takes_away(
    db: Database, org: OrgId
) -> None:
    campaign, _ = await draft(db, org, settings={"canary": {"contacts": 9, "most_failed": 0.5}})
    outcomes = {"busy": {"next_number": False}, "no_answer": {"delays_seconds": [60]}}
    retry = {"outcomes": outcomes, "callback_seconds": "never"}
    said = {"canary": {"contacts": 3, "most_failed": None}, "retry": retry}
    edited = await edit_campaign(db, org, campaign.id, Edit(settings=said))
    assert edited.settings["canary"] == {"contacts": 3}
    busy, usual = edited.retry.outcomes["busy"], campaign.retry.outcomes["busy"]
    assert (busy.next_number, busy.delays_seconds) == (False, usual.delays_seconds)
    assert edited.retry.outcomes["no-answer"].delays_seconds == (60,)
    assert edited.retry.callback_seconds == "never"
    assert edited.retry.outcomes.keys() == campaign.retry.outcomes.keys()


async def test_every_fault_of_the_settings_is_told_with_its_path(db: Database, org: OrgId) -> None:
    campaign, _ = await draft(db, org)
    wrong = Edit(settings={"retry": {"max_attempts": 0}, "canary": {"contacts": -1}})
    with pytest.raises(InvalidSettings) as refused:
        await edit_campaign(db, org, campaign.id, wrong)
    assert {fault["path"] for fault in refused.value.extra["errors"]} == {
        "body.retry.max_attempts",
        "body.canary.contacts",
    }


async def test_a_deadline_before_the_start_is_refused(db: Database, org: OrgId) -> None:
    campaign, _ = await draft(db, org, starts_at=LATER)
    with pytest.raises(InvalidSettings, match="after the start"):
        await edit_campaign(db, org, campaign.id, Edit(times={"deadline_at": SOON}))


# -- made once, and again


async def test_the_same_request_makes_one_campaign_and_another_one_with_its_key_is_refused(
    db: Database, org: OrgId
) -> None:
    await add_team(db, org)
    plan = Plan(name="Recall", team="reception")
    first = await create_campaign(db, org, plan, once=Once("key", b"1"))
    assert (await create_campaign(db, org, plan, once=Once("key", b"1"))).id == first.id
    with pytest.raises(RequestKeyReused):
        await create_campaign(db, org, plan, once=Once("key", b"2"))


async def test_redial_makes_a_draft_of_those_who_were_not_reached_with_their_memory(db: Database, org: OrgId) -> None:
    campaign, _ = await draft(db, org, contacts=10, settings={"pace": {}})
    await start_campaign(db, org, campaign.id)
    async with db.system() as connection:
        await connection.execute("update contacts set memory = '{\"last\": 1}'")
        for disposition, count in (("reached", 3), ("callback", 2), ("busy", 1), ("unknown", 1), ("abandoned", 1)):
            await end_contacts(connection, campaign.id, disposition, count)
    copied = await redial_unreached(db, org, campaign.id, once=Once("again", b"1"))
    assert copied.contacts == 4
    assert (copied.campaign.status, copied.campaign.parent_id) == ("draft", campaign.id)
    assert copied.campaign.retry == campaign.retry
    async with db.system() as connection:
        rows = await connection.fetch("select * from contacts where campaign_id = $1", copied.campaign.id)
    assert {row["memory"]["last"] for row in rows} == {1}
    assert {row["status"] for row in rows} == {"waiting"}
    assert {row["attempts_made"] for row in rows} == {0}
    again = await redial_unreached(db, org, campaign.id, once=Once("again", b"1"))
    assert (again.campaign.id, again.contacts) == (copied.campaign.id, 4)


async def test_redial_of_a_finished_campaign_takes_those_along_who_still_waited(db: Database, org: OrgId) -> None:
    campaign, _ = await draft(db, org, contacts=4)
    await start_campaign(db, org, campaign.id)
    async with db.system() as connection:
        await end_contacts(connection, campaign.id, "reached", 1)
    await finish_campaign(db, org, campaign.id)
    assert (await redial_unreached(db, org, campaign.id)).contacts == 3


@pytest.mark.parametrize("at_once", [1, 2, 5, 6])
async def test_every_contact_is_copied_once_however_many_go_at_once(
    db: Database, org: OrgId, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr("campaigns.lifecycle.copies.copying.AT_ONCE", at_once)
    campaign, _ = await draft(db, org, contacts=5)
    await finish_campaign(db, org, campaign.id)
    copied = await redial_unreached(db, org, campaign.id)
    assert copied.contacts == 5
    assert await waiting_due(db, copied.campaign.id) == await waiting_due(db, campaign.id)


async def test_redial_with_nobody_left_leaves_no_campaign(db: Database, org: OrgId) -> None:
    campaign, _ = await draft(db, org)
    with pytest.raises(CampaignState, match="Nobody to dial again"):
        await redial_unreached(db, org, campaign.id, outcomes=["busy"])
    async with db.system() as connection:
        assert await connection.fetchval("select count(*) from campaigns") == 1
