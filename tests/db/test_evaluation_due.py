"""No worker's death loses an evaluation: whoever finds a call that is over and not judged judges it, once."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from agents import worker
from agents.course.aftermath import look_back
from agents.course.opening import Opened, open_call
from agents.desk import Desk, OpenCalls
from agents.evaluation import due
from agents.evaluation.judgment import Conversation, Judgment, RuleJudge
from agents.speech.registry import Providers
from agents.team.definition import Criterion, TeamDefinition
from agents.team.parse import parse_team
from app.db import Database
from app.ids import CallId, CampaignId, OrgId, new_id
from app.settings import Settings
from campaigns.lifecycle.watch import look_at_canary
from telephony.calls import DispatchMetadata, load_call
from tests.db.campaign_world import column, until
from tests.db.test_evaluation import TEAM, two_calls

pytestmark = pytest.mark.db

ROOM = cast(Any, SimpleNamespace(name="room"))


class CountingJudge(RuleJudge):
    """By the rules; with `stuck`, not before the end of the world."""

    def __init__(self) -> None:
        self.asked = 0
        self.begun = asyncio.Event()
        self.stuck = False

    async def judge(self, criteria: Sequence[Criterion], conversation: Conversation) -> list[Judgment]:
        self.asked += 1
        self.begun.set()
        if self.stuck:
            await asyncio.Event().wait()
        return await super().judge(criteria, conversation)


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> CountingJudge:
    counting = CountingJudge()
    monkeypatch.setattr(Providers, "build_judge", lambda _self, _team: counting)
    return counting


@pytest.fixture
def desk() -> Desk:
    given: Any = {"home": Path("unused")}
    return Desk(Settings(**given), cast(Any, None), OpenCalls(1))


async def publish(db: Database, org: OrgId, team: TeamDefinition = TEAM) -> UUID:
    """→ the version."""
    team_id, version_id = new_id(), new_id()
    async with db.system() as connection:
        await connection.execute(
            "insert into teams (id, org_id, slug, name) values ($1, $2, $3, 'Small')", team_id, org, team_id.hex
        )
        await connection.execute(
            """insert into team_versions (id, org_id, team_id, version, status, definition, source)
               values ($1, $2, $3, 1, 'draft', $4, '')""",
            version_id,
            org,
            team_id,
            team.model_dump(mode="json"),
        )
    return version_id


async def ended_call(db: Database, org: OrgId, team: TeamDefinition = TEAM) -> tuple[CampaignId, CallId]:
    """A conversation that a team with criteria took, and that has ended; of a campaign."""
    campaign, good, _ = await two_calls(db, org)
    version = await publish(db, org, team)
    ends = "end_result = $3, ended_at = $4, status = $5"
    async with db.system() as connection:
        row = await connection.fetchrow("select end_result, ended_at, status from calls where id = $1", good)
        assert row is not None
        await connection.execute(
            "update calls set team_version_id = $2, end_result = null, ended_at = null, status = 'in-progress'"
            " where id = $1",
            good,
            version,
        )
    await open_call(db, ROOM, DispatchMetadata(call_id=CallId(good)))
    async with db.system() as connection:
        await connection.execute(f"update calls set team_version_id = $2, {ends} where id = $1", good, version, *row)
    return campaign, CallId(good)


async def let_leases_end(db: Database) -> None:
    async with db.system() as connection:
        await connection.execute("update evaluations_due set lease_until = now()")


async def scores(db: Database) -> list[object]:
    return await column(db, "select score from evaluations")


async def test_a_worker_killed_between_end_and_judgment_leaves_it_to_another_who_judges_once(
    db: Database, org: OrgId, desk: Desk, judge: CountingJudge
) -> None:
    campaign, call = await ended_call(db, org)
    judge.stuck = True
    dying = asyncio.create_task(look_back(db, desk, Opened(await load_call(db, call), TEAM), None))
    await judge.begun.wait()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    judge.stuck = False
    # While its lease lasts the call is the dead one's.
    assert not await due.evaluate_left(db, desk)
    assert await scores(db) == []
    assert (await look_at_canary(db, org, campaign)).counts.judged == 0
    await let_leases_end(db)
    found = await asyncio.gather(*(due.evaluate_left(db, desk) for _ in range(5)))
    assert sorted(found) == [False] * 4 + [True]
    assert judge.asked == 2
    assert await scores(db) == [0.75]
    assert await column(db, "select count(*) from call_events where kind = 'call.evaluated'") == [1]
    assert await column(db, "select call_id from evaluations_due") == []
    counts = (await look_at_canary(db, org, campaign)).counts
    assert (counts.judged, counts.scored) == (1, 1)
    # Who comes now changes nothing.
    await look_back(db, desk, Opened(await load_call(db, call), TEAM), None)
    assert judge.asked == 2
    assert await column(db, "select call_id from evaluations_due") == []


async def test_a_worker_killed_before_it_looked_back_leaves_it_too(
    db: Database, org: OrgId, desk: Desk, judge: CountingJudge
) -> None:
    await ended_call(db, org)
    assert await due.evaluate_left(db, desk)
    assert await scores(db) == [0.75]


async def test_a_call_that_goes_on_or_has_just_ended_is_left_to_its_own_worker(
    db: Database, org: OrgId, desk: Desk, judge: CountingJudge
) -> None:
    _, call = await ended_call(db, org)
    async with db.system() as connection:
        await connection.execute("update calls set ended_at = now() where id = $1", call)
    assert not await due.evaluate_left(db, desk)
    await look_back(db, desk, Opened(await load_call(db, call), TEAM), None)
    assert (await scores(db), judge.asked) == ([0.75], 1)


async def test_what_kills_every_worker_is_given_up_and_says_so(
    db: Database, org: OrgId, desk: Desk, judge: CountingJudge
) -> None:
    campaign, _ = await ended_call(db, org)
    judge.stuck = True
    for _ in range(due.MOST_TRIES):
        judge.begun.clear()
        dying = asyncio.create_task(due.evaluate_left(db, desk))
        await judge.begun.wait()
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        await let_leases_end(db)
    assert await due.evaluate_left(db, desk)
    assert judge.asked == due.MOST_TRIES
    assert await column(db, "select reason from evaluations") == ["it was begun 3 times and came to no end"]
    assert (await look_at_canary(db, org, campaign)).counts.judged == 1
    assert not await due.evaluate_left(db, desk)


async def test_without_criteria_or_an_answer_nothing_is_due(
    db: Database, org: OrgId, desk: Desk, judge: CountingJudge
) -> None:
    plain = parse_team("name: Plain\nslug: plain\nentry: front\nagents: [{name: front, instructions: Be kind.}]\n")
    _, call = await ended_call(db, org, plain)
    assert await column(db, "select call_id from evaluations_due") == []
    await look_back(db, desk, Opened(await load_call(db, call), plain), None)
    assert await column(db, "select call_id from evaluations_due") == []
    version = await publish(db, org)
    async with db.system() as connection:
        await connection.execute(
            "update calls set answered_at = null, team_version_id = $2 where id = $1", call, version
        )
        await connection.execute("insert into evaluations_due (call_id, org_id) values ($1, $2)", call, org)
    assert await due.evaluate_left(db, desk)
    assert (judge.asked, await scores(db)) == (0, [])
    assert await column(db, "select call_id from evaluations_due") == []


async def test_one_that_always_fails_holds_up_no_other(
    db: Database, org: OrgId, desk: Desk, judge: CountingJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, broken = await ended_call(db, org)
    evaluate_call = due.evaluate_call

    async def fail_on_one(on: Database, call: Any, *arguments: Any) -> Any:
        if call.id == broken:
            raise ZeroDivisionError
        return await evaluate_call(on, call, *arguments)

    monkeypatch.setattr(due, "evaluate_call", fail_on_one)
    monkeypatch.setattr(due, "AT_ONCE", 1)
    monkeypatch.setattr(due, "POLL_SECONDS", 0.01)
    async with db.system() as connection:
        version = await connection.fetchval("select team_version_id from calls where id = $1", broken)
        [other] = await connection.fetch("select id from calls where id <> $1", broken)
        await connection.execute("update calls set team_version_id = $2 where id = $1", other["id"], version)
        await connection.execute("insert into evaluations_due (call_id, org_id) values ($1, $2)", other["id"], org)
    watching = asyncio.create_task(due.watch_due(db, desk))

    async def other_is_judged() -> bool:
        return await column(db, "select call_id from evaluations") == [other["id"]]

    try:
        await until(other_is_judged)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_a_worker_that_starts_judges_what_is_left(
    db: Database, org: OrgId, desk: Desk, judge: CountingJudge, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ended_call(db, org)
    closed: list[str] = []

    class Server:
        """A worker's server that is told to stop when the evaluation is there."""

        async def run(self) -> None:
            await until(self._is_evaluated)

        async def _is_evaluated(self) -> bool:
            return bool(await scores(db))

        async def drain(self) -> None:
            closed.append("drained")

        async def aclose(self) -> None:
            closed.append("closed")

    async def nothing(_: Settings) -> None:
        return None

    for name in ("check_providers", "build_noise_cancellation", "quiet_logs"):
        monkeypatch.setattr(worker, name, lambda *_: None)
    monkeypatch.setattr(worker, "warm_clients", nothing)
    monkeypatch.setattr(worker, "load_engines", lambda: SimpleNamespace(close=lambda: closed.append("engines")))
    monkeypatch.setattr(worker, "build_server", lambda _: Server())
    await worker.run_worker(desk.settings.model_copy(update={"database_url": database_url}))
    assert await scores(db) == [0.75]
    assert closed == ["drained", "closed", "engines"]
