"""What a conversation was worth, on the rows: stored once, shown with the call, in reports and to the canary."""

import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from agents.answering.verdict import By, Finding
from agents.course.aftermath import look_back
from agents.course.opening import Opened
from agents.desk import Desk, OpenCalls
from agents.evaluation.evaluating import Evaluation, evaluate_call
from agents.evaluation.judgment import RuleJudge
from agents.team.parse import parse_team
from app.auth.principal import Role
from app.db import Database
from app.ids import CampaignId, OrgId, new_id
from app.settings import Settings
from campaigns.campaigns import Plan
from campaigns.creating import create_campaign
from campaigns.lifecycle.preflight import run_preflight
from campaigns.lifecycle.watch import look_at_canary
from campaigns.outcomes.page.facts import gather_facts
from campaigns.outcomes.page.html_report import render_page
from campaigns.outcomes.report import Format, Rows, stream_report
from telephony.calls import AnsweredBy, load_call
from telephony.watch.answerer import note_answerer
from tests.db.api_world import Api
from tests.db.campaign_world import add_team
from tests.db.outcome_world import add_attempt, add_campaign, add_contacts

pytestmark = pytest.mark.db

TEAM = parse_team(
    """
name: Small
slug: small
entry: front
agents:
  - {name: front, instructions: Be kind., tools: [record_outcome]}
evaluation:
  - {name: greeted, check: The agent greeted., said: [hello], weight: 3}
  - {name: agreed, check: They agreed., outcome: [confirmed]}
"""
)
BEEP = Finding(AnsweredBy.MACHINE, By.BEEP, "heard 1000 Hz for 0.50 s")


async def talk(db: Database, org: OrgId, call: UUID, *lines: tuple[str, str]) -> None:
    async with db.system() as connection:
        for place, (role, text) in enumerate(lines):
            await connection.execute(
                "insert into turns (id, org_id, call_id, role, agent, text, started_at)"
                " values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))",
                new_id(),
                org,
                call,
                role,
                "front" if role == "agent" else None,
                text,
                float(place),
            )


async def judged(db: Database, call: UUID) -> Evaluation:
    evaluation = await evaluate_call(db, await load_call(db, call), TEAM, RuleJudge())
    assert evaluation is not None
    return evaluation


async def two_calls(db: Database, org: OrgId) -> tuple[CampaignId, UUID, UUID]:
    """A campaign with a good conversation and a machine."""
    async with db.system() as connection:
        campaign = await add_campaign(connection, org, status="running", canary=json.loads('{"contacts": 2}'))
        await connection.execute("update campaigns set resumed_at = '-infinity', canary_status = 'dialing'")
        one, other = await add_contacts(connection, org, campaign, 2)
        _, good = await add_attempt(connection, org, campaign, one, "reached", hint={"disposition": "reached"})
        _, machine = await add_attempt(connection, org, campaign, other, "voicemail")
    await talk(db, org, good, ("agent", "Hello there."), ("person", "Yes?"))
    await talk(db, org, machine, ("agent", "Hello there."), ("person", "Leave a message."))
    await note_answerer(db, machine, BEEP.answered_by, BEEP.evidence)
    return campaign, good, machine


async def test_a_call_is_judged_once_and_told_of(db: Database, org: OrgId) -> None:
    _, good, machine = await two_calls(db, org)
    first = await judged(db, good)
    assert (first.score, first.judge) == (0.75, "rules")
    await judged(db, good)
    assert (await judged(db, machine)).reason == "a machine answered: there was no conversation"
    async with db.system() as connection:
        rows = await connection.fetch("select call_id, score, reason, criteria from evaluations order by score")
        told = await connection.fetch("select call_id, data from call_events where kind = 'call.evaluated' order by id")
        heard = await connection.fetchval("select data from call_events where kind = 'call.answered_by'")
    assert [(row["call_id"], row["score"]) for row in rows] == [(good, 0.75), (machine, None)]
    assert [one["score"] for one in rows[0]["criteria"]] == [1.0, 0.0]
    assert [(row["call_id"], row["data"]["score"]) for row in told] == [(good, 0.75), (machine, None)]
    assert heard == {"answered_by": "machine", "by": "beep"}


async def test_the_canary_sees_what_is_evaluated_and_what_has_a_score(db: Database, org: OrgId) -> None:
    campaign, good, machine = await two_calls(db, org)
    counts = (await look_at_canary(db, org, campaign)).counts
    assert (counts.answered, counts.judged, counts.scored, counts.mean_score) == (2, 0, 0, None)
    for call in (good, machine):
        await judged(db, call)
    counts = (await look_at_canary(db, org, campaign)).counts
    assert (counts.answered, counts.judged, counts.scored, counts.mean_score) == (2, 2, 1, 0.75)


@pytest.mark.parametrize("rows", list(Rows))
async def test_reports_have_the_score_and_who_answered_as_columns(db: Database, org: OrgId, rows: Rows) -> None:
    campaign, good, _ = await two_calls(db, org)
    await judged(db, good)
    text = "".join([part async for part in stream_report(db, org, campaign, rows, Format.CSV)])
    told = [(row["score"], row["answered_by"]) for row in csv.DictReader(io.StringIO(text))]
    assert sorted(told) == [("", "machine"), ("0.75", "")]


async def test_the_report_page_shows_the_mean_score_and_the_canary(db: Database, org: OrgId) -> None:
    campaign, good, _ = await two_calls(db, org)
    await judged(db, good)
    page = render_page(await gather_facts(db, org, campaign))
    assert "mean score of 1 conversations" in page
    assert "0.75" in page
    assert "still being judged" in page


async def test_a_call_shows_its_evaluation_over_rest(api: Api) -> None:
    ended: dict[str, Any] = {"end_result": "completed", "end_reason": "agent_ended", "end_at_fault": "nobody"}
    times = dict.fromkeys(("answered_at", "ended_at"), "2026-11-20T17:40:00Z")
    call = await api.add_call(direction="outbound", status="completed", answered_by="person", **ended, **times)
    headers = await api.key(Role.VIEWER)
    path = f"/api/v1/calls/{call}"
    before = (await api.client.get(path, headers=headers)).json()
    assert (before["evaluation"], before["answered_by"]) == (None, "person")
    await talk(api.db, api.org_id, call, ("agent", "Hello."), ("person", "Hi."))
    await judged(api.db, call)
    evaluation = (await api.client.get(path, headers=headers)).json()["evaluation"]
    assert evaluation["score"] == 0.75
    assert [(one["name"], one["score"]) for one in evaluation["criteria"]] == [("greeted", 1.0), ("agreed", 0.0)]


async def test_the_preflight_warns_of_a_canary_that_no_team_can_pass(db: Database, org: OrgId) -> None:
    await add_team(db, org)
    settings = {"canary": {"contacts": 5, "least_score": 0.8}}
    campaign = await create_campaign(db, org, Plan(name="Recall", team="reception", settings=settings))
    told = [check for check in (await run_preflight(db, org, campaign.id)).checks if check.name == "canary"]
    assert [check.level for check in told] == ["warning"]
    async with db.system() as connection:
        definition = TEAM.model_dump(mode="json")
        await connection.execute("update team_versions set definition = $1 where status = 'published'", definition)
    assert [check.name for check in (await run_preflight(db, org, campaign.id)).checks if check.name == "canary"] == []


async def test_what_is_looked_back_on_is_the_verdict_first_and_then_the_conversation(db: Database, org: OrgId) -> None:
    _, good, _ = await two_calls(db, org)
    given: Any = {"home": Path("unused")}
    desk = Desk(Settings(**given), cast(Any, None), OpenCalls(1))
    opened = Opened(await load_call(db, good), TEAM)
    await look_back(db, desk, opened, cast(Any, SimpleNamespace(found=None, turns=1)))
    call = await load_call(db, good)
    assert call.answered_by is AnsweredBy.PERSON
    async with db.system() as connection:
        assert await connection.fetchval("select score from evaluations where call_id = $1", good) == 0.75
