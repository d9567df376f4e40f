"""A call's row: opened once, changed by compare-and-set, ended once, whoever says so and however often."""

import asyncio
from uuid import UUID

import pytest

from app.db import Connection, Database
from app.ids import E164, OrgId
from telephony import store
from telephony.calls import (
    AtFault,
    Call,
    CallNotFound,
    CallStatus,
    End,
    EndReason,
    EndResult,
    end_call,
    load_call,
    mark_answered,
    mark_ringing,
)
from telephony.carriers.base import CarrierName
from telephony.hints import leave_hint
from telephony.inbound import Arrival, UnknownNumber, answer_inbound
from telephony.legs import LegKind, beat_agent, join_leg, leave_leg
from tests.db.world import make_number

OURS = E164("+12025550100")
HUNG_UP = End(EndResult.COMPLETED, EndReason.CALLER_HUNG_UP)
LOST = End(EndResult.FAILED, EndReason.WORKER_LOST, AtFault.US)


def arriving(carrier_call_id: str = "SCL_1", *, dialed: str = OURS, room: str | None = "call-room") -> Arrival:
    return Arrival(CarrierName.SIP, carrier_call_id, room, dialed, "+12025550123")


@pytest.fixture
async def call(db: Database, org: OrgId) -> Call:
    await make_number(db, org, OURS)
    return await answer_inbound(db, arriving())


async def kinds(db: Database, call: Call) -> list[str]:
    async with db.system() as connection:
        rows = await connection.fetch("select kind from call_events where call_id = $1 order by id", call.id)
    return [row["kind"] for row in rows]


async def test_an_arrival_opens_a_ringing_call_for_the_published_team(db: Database, call: Call, org: OrgId) -> None:
    assert (call.org_id, call.status, call.room_name) == (org, CallStatus.RINGING, "call-room")
    assert call.team_version_id is not None
    assert (call.from_number, call.to_number) == ("+12025550123", OURS)
    assert await kinds(db, call) == ["call.opened"]


async def test_the_same_arrival_again_is_the_same_call_even_at_the_same_moment(db: Database, org: OrgId) -> None:
    await make_number(db, org, OURS)
    calls = await asyncio.gather(*(answer_inbound(db, arriving(room=None)) for _ in range(8)))
    assert len({call.id for call in calls}) == 1
    assert await kinds(db, calls[0]) == ["call.opened"]


async def test_a_room_of_our_own_is_named_after_the_call(db: Database, org: OrgId) -> None:
    await make_number(db, org, OURS)
    call = await answer_inbound(db, arriving(room=None))
    assert call.room_name == f"call-{call.id}"


@pytest.mark.parametrize("dialed", ["+12025550199", "100", ""])
async def test_a_number_that_is_not_ours_is_unknown(db: Database, org: OrgId, dialed: str) -> None:
    await make_number(db, org, OURS)
    with pytest.raises(UnknownNumber):
        await answer_inbound(db, arriving(dialed=dialed))


@pytest.mark.parametrize("missing", ["routes", "team_versions"])
async def test_a_number_without_route_or_published_team_is_unknown(db: Database, org: OrgId, missing: str) -> None:
    await make_number(db, org, OURS)
    async with db.system() as connection:
        await connection.execute(
            "delete from routes" if missing == "routes" else "update team_versions set status = 'draft'"
        )
    with pytest.raises(UnknownNumber):
        await answer_inbound(db, arriving())


async def test_another_call_cannot_take_a_room(db: Database, call: Call) -> None:
    with pytest.raises(UnknownNumber):
        await answer_inbound(db, arriving("SCL_2"))


async def test_answering_is_told_once(db: Database, call: Call) -> None:
    results = await asyncio.gather(*(mark_answered(db, call.id) for _ in range(5)))
    assert sorted(results) == [False, False, False, False, True]
    answered = await load_call(db, call.id)
    assert answered.status is CallStatus.IN_PROGRESS
    assert answered.answered_at is not None
    assert not await mark_ringing(db, call.id), "news of ringing that comes late changes nothing"
    assert await kinds(db, call) == ["call.opened", "call.answered"]


async def test_the_first_end_wins_and_closes_the_legs(db: Database, call: Call) -> None:
    await join_leg(db, call, kind=LegKind.SIP, identity="sip_1")
    results = await asyncio.gather(*(end_call(db, call.id, end) for end in (HUNG_UP, LOST, HUNG_UP, LOST)))
    assert results.count(True) == 1
    ended = await load_call(db, call.id)
    assert ended.end in (HUNG_UP, LOST)
    assert ended.end is not None
    assert ended.status is ended.end.status
    async with db.system() as connection:
        assert all(leg["left_at"] for leg in await store.select_legs(connection, call.id))
    assert (await kinds(db, call)).count("call.ended") == 1
    assert not await mark_answered(db, call.id)


async def test_hints_merge_and_details_merge_by_key(db: Database, call: Call) -> None:
    await leave_hint(db, call.id, {"disposition": "callback", "details": {"day": "Monday", "name": "Kim"}})
    await leave_hint(db, call.id, {"details": {"day": "Tuesday"}})
    await leave_hint(db, call.id, {"disposition": "booked"})
    assert (await load_call(db, call.id)).hint == {
        "disposition": "booked",
        "details": {"day": "Tuesday", "name": "Kim"},
    }


async def test_a_leg_joins_once_leaves_once_and_may_come_back(db: Database, call: Call) -> None:
    assert await join_leg(db, call, kind=LegKind.SIP, identity="sip_1")
    assert not await join_leg(db, call, kind=LegKind.SIP, identity="sip_1")
    left = await asyncio.gather(*(leave_leg(db, call, identity="sip_1") for _ in range(4)))
    assert left.count(True) == 1
    assert not await join_leg(db, call, kind=LegKind.SIP, identity="sip_1", unless_left=True)
    assert await join_leg(db, call, kind=LegKind.SIP, identity="sip_1")


async def test_an_agent_beats_until_it_is_given_up_or_the_call_is_over(db: Database, call: Call) -> None:
    assert await beat_agent(db, call.id, identity="agent-1")
    assert await beat_agent(db, call.id, identity="agent-1")
    assert (await kinds(db, call)).count("leg.joined") == 1
    await leave_leg(db, call, identity="agent-1")
    assert not await beat_agent(db, call.id, identity="agent-1"), "a given up agent does not come back"
    assert await beat_agent(db, call.id, identity="agent-2")
    await end_call(db, call.id, HUNG_UP)
    assert not await beat_agent(db, call.id, identity="agent-2")


async def test_an_agent_goes_on_when_livekits_news_of_its_arrival_comes_between_its_own_two_looks(
    db: Database, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat_leg, beats = store.beat_leg, 0

    async def beat_then_let_the_webhook_in(connection: Connection, call_id: UUID, identity: str) -> bool:
        nonlocal beats
        beats += 1
        alive = await beat_leg(connection, call_id, identity)
        if beats == 1:
            assert not alive
            assert await join_leg(db, call, kind=LegKind.AGENT, identity=identity, unless_left=True)
        return alive

    monkeypatch.setattr(store, "beat_leg", beat_then_let_the_webhook_in)
    assert await beat_agent(db, call.id, identity="agent-1")
    assert beats == 2
    assert (await kinds(db, call)).count("leg.joined") == 1


async def test_a_call_that_does_not_exist_is_not_found(db: Database, org: OrgId) -> None:
    with pytest.raises(CallNotFound):
        await load_call(db, org)
