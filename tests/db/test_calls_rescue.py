"""What happens to an open call when its agent, its caller or its room is gone."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from app.db import Database
from app.ids import E164, OrgId
from app.settings import Settings
from telephony import store
from telephony.calls import Call, DispatchMetadata, End, EndReason, EndResult, end_call, load_call, mark_answered
from telephony.carriers.base import CarrierName
from telephony.inbound import Arrival, answer_inbound
from telephony.legs import LegKind, RoomLeg, beat_agent, join_leg
from telephony.livekit_event import EventName, LiveKitEvent
from telephony.outbound import Lines
from telephony.watch import replacement, rescue
from telephony.watch.replacement import MOST_RESCUES
from telephony.watch.rescue import end_lost, hang_up_abandoned, on_room_event, rescue_silent
from tests.db.world import make_number
from tests.fakes import FakeSwitchboard, room_leg

OURS = E164("+12025550100")
ROOM = "call-room"
CALLER = room_leg(LegKind.SIP, "sip_1")
AGENT = room_leg(LegKind.AGENT, "agent-1")


@pytest.fixture
def switchboard() -> FakeSwitchboard:
    return FakeSwitchboard(rooms={ROOM: [CALLER, AGENT]})


@pytest.fixture
async def lines(db: Database, org: OrgId, switchboard: FakeSwitchboard, tmp_path: Path) -> Any:
    await make_number(db, org, OURS)
    lines = Lines(db, cast(Any, switchboard), {}, Settings(home=tmp_path))
    yield lines
    await lines.close()


@pytest.fixture
async def call(lines: Lines) -> Call:
    """A call that is going on: a caller and an agent in the room."""
    call = await answer_inbound(lines.db, Arrival(CarrierName.SIP, "SCL_1", ROOM, OURS, "+12025550123"))
    await join_leg(lines.db, call, kind=LegKind.SIP, identity=CALLER.identity)
    await beat_agent(lines.db, call.id, identity=AGENT.identity)
    await mark_answered(lines.db, call.id)
    return call


def left(leg: RoomLeg, room: str = ROOM) -> LiveKitEvent:
    return LiveKitEvent("EV_1", EventName.PARTICIPANT_LEFT, room, leg, datetime.now(UTC))


def finished(room: str = ROOM) -> LiveKitEvent:
    return LiveKitEvent("EV_2", EventName.ROOM_FINISHED, room, None, datetime.now(UTC))


async def settled(lines: Lines) -> None:
    """Wait until the tasks that follow the call are done."""
    async with asyncio.timeout(10):
        while lines.tasks:
            await asyncio.gather(*lines.tasks)


async def backdate(lines: Lines, seconds: float) -> None:
    """As if everything of the call had happened that much earlier."""
    async with lines.db.system() as connection:
        for table, columns in {
            "calls": ("created_at", "ringing_at", "answered_at"),
            "legs": ("joined_at", "seen_at", "left_at"),
        }.items():
            moved = ", ".join(f"{column} = {column} - $1 * interval '1 second'" for column in columns)
            await connection.execute(f"update {table} set {moved}", seconds)


async def test_a_lost_agent_is_replaced_once_however_often_we_are_told(
    lines: Lines, call: Call, switchboard: FakeSwitchboard
) -> None:
    switchboard.rooms[ROOM] = [CALLER]
    await asyncio.gather(*(on_room_event(lines, left(AGENT)) for _ in range(5)))
    await settled(lines)
    assert switchboard.dispatched == [(ROOM, DispatchMetadata(call_id=call.id, rescue=True))]
    rescued = await load_call(lines.db, call.id)
    assert (rescued.rescues, rescued.end) == (1, None)


async def test_an_agent_whose_heart_stops_is_replaced_and_its_ghost_removed(
    lines: Lines, call: Call, switchboard: FakeSwitchboard
) -> None:
    await rescue_silent(lines)
    assert switchboard.dispatched == [], "it still beats"
    await backdate(lines, rescue.SILENT_AFTER_SECONDS + 1)
    await asyncio.gather(rescue_silent(lines), rescue_silent(lines))
    await settled(lines)
    assert len(switchboard.dispatched) == 1
    assert AGENT.identity not in [leg.identity for leg in switchboard.rooms[ROOM]]
    await on_room_event(lines, left(AGENT))
    assert len(switchboard.dispatched) == 1, "LiveKit's late word about the same loss changes nothing"


async def test_an_agent_that_was_killed_before_its_first_beat_is_replaced(
    lines: Lines, call: Call, switchboard: FakeSwitchboard
) -> None:
    async with lines.db.system() as connection:
        await connection.execute("update legs set seen_at = null")
    await rescue_silent(lines)
    assert switchboard.dispatched == [], "it has just arrived"
    await backdate(lines, rescue.SILENT_AFTER_SECONDS + 1)
    await rescue_silent(lines)
    await settled(lines)
    assert len(switchboard.dispatched) == 1


async def test_without_a_replacement_the_caller_is_hung_up_on(
    lines: Lines, call: Call, switchboard: FakeSwitchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacement, "REPLACEMENT_SECONDS", 0.3)
    monkeypatch.setattr(replacement, "POLL_SECONDS", 0.05)
    switchboard.worker_free = False
    switchboard.rooms[ROOM] = [CALLER]
    await on_room_event(lines, left(AGENT))
    await settled(lines)
    assert (await load_call(lines.db, call.id)).end == replacement.WORKER_LOST
    assert switchboard.closed == [ROOM]
    assert len(switchboard.dispatched) > 1, "it was asked for until the time was up"


async def test_a_rescue_goes_on_when_livekit_fails_at_first(
    lines: Lines, call: Call, switchboard: FakeSwitchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacement, "POLL_SECONDS", 0.05)
    switchboard.rooms[ROOM] = [CALLER]
    switchboard.failures[ROOM] = 2
    await on_room_event(lines, left(AGENT))
    await settled(lines)
    assert switchboard.dispatched == [(ROOM, DispatchMetadata(call_id=call.id, rescue=True))]
    assert (await load_call(lines.db, call.id)).rescues == 1


async def test_a_hang_up_that_fails_is_tried_again_until_the_caller_is_off_the_line(
    lines: Lines, call: Call, switchboard: FakeSwitchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacement, "REPLACEMENT_SECONDS", 0.2)
    monkeypatch.setattr(replacement, "POLL_SECONDS", 0.05)
    switchboard.rooms[ROOM] = [CALLER]
    switchboard.failures[ROOM] = 10
    await on_room_event(lines, left(AGENT))
    await settled(lines)
    assert switchboard.dispatched == []
    assert (await load_call(lines.db, call.id)).end == replacement.WORKER_LOST
    assert switchboard.closed == [ROOM]


async def test_the_trouble_of_one_call_does_not_keep_another_from_its_rescue(
    lines: Lines, call: Call, switchboard: FakeSwitchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacement, "REPLACEMENT_SECONDS", 0.5)
    monkeypatch.setattr(replacement, "HANG_UP_SECONDS", 0.2)
    monkeypatch.setattr(replacement, "POLL_SECONDS", 0.05)
    other = await answer_inbound(lines.db, Arrival(CarrierName.SIP, "SCL_2", "call-other", OURS, "+12025550124"))
    await beat_agent(lines.db, other.id, identity="agent-2")
    switchboard.rooms["call-other"] = [CALLER, room_leg(LegKind.AGENT, "agent-2")]
    switchboard.failures[ROOM] = 1_000_000
    await backdate(lines, rescue.SILENT_AFTER_SECONDS + 1)
    await rescue_silent(lines)
    await settled(lines)
    assert switchboard.dispatched == [("call-other", DispatchMetadata(call_id=other.id, rescue=True))]


async def test_a_sweep_goes_past_a_call_that_it_cannot_help(
    lines: Lines, call: Call, switchboard: FakeSwitchboard
) -> None:
    other = await answer_inbound(lines.db, Arrival(CarrierName.SIP, "SCL_2", "call-other", OURS, "+12025550124"))
    await beat_agent(lines.db, other.id, identity="agent-2")
    async with lines.db.system() as connection:
        await connection.execute("update legs set left_at = now() where kind = 'agent'")
    await backdate(lines, 60)
    switchboard.rooms = {ROOM: [CALLER], "call-other": [CALLER]}
    switchboard.failures[ROOM] = 1_000_000
    await hang_up_abandoned(lines)
    assert (await load_call(lines.db, other.id)).end == replacement.WORKER_LOST


async def test_after_too_many_losses_the_call_ends(lines: Lines, call: Call, switchboard: FakeSwitchboard) -> None:
    for number in range(MOST_RESCUES + 1):
        [agent] = [leg for leg in switchboard.rooms[ROOM] if leg.kind is LegKind.AGENT]
        await beat_agent(lines.db, call.id, identity=agent.identity)
        switchboard.rooms[ROOM] = [CALLER]
        await on_room_event(lines, left(agent))
        await settled(lines)
        assert len(switchboard.dispatched) == min(number + 1, MOST_RESCUES)
    assert (await load_call(lines.db, call.id)).end == replacement.WORKER_LOST


async def test_an_agent_that_ended_the_call_itself_is_not_replaced(
    lines: Lines, call: Call, switchboard: FakeSwitchboard
) -> None:
    end = End(EndResult.COMPLETED, EndReason.AGENT_ENDED)
    await end_call(lines.db, call.id, end)
    await on_room_event(lines, left(AGENT))
    assert switchboard.dispatched == []
    assert switchboard.closed == [ROOM], "and nobody stays behind in the room"
    assert (await load_call(lines.db, call.id)).end == end


async def test_an_agent_is_not_replaced_when_the_caller_left_too(
    lines: Lines, call: Call, switchboard: FakeSwitchboard
) -> None:
    switchboard.rooms[ROOM] = []
    await on_room_event(lines, left(AGENT))
    assert switchboard.dispatched == []


async def test_a_caller_who_hangs_up_ends_the_call_and_the_room(
    lines: Lines, call: Call, switchboard: FakeSwitchboard
) -> None:
    await on_room_event(lines, left(room_leg(LegKind.SIP, CALLER.identity, reason="CLIENT_INITIATED")))
    assert (await load_call(lines.db, call.id)).end == End(EndResult.COMPLETED, EndReason.CALLER_HUNG_UP)
    assert switchboard.closed == [ROOM]


async def test_a_room_that_finished_under_an_open_call_ends_it_as_indeterminate(lines: Lines, call: Call) -> None:
    await on_room_event(lines, finished())
    assert (await load_call(lines.db, call.id)).end == rescue.LOST


async def test_news_of_an_arrival_that_the_departure_overtook_opens_no_leg(
    lines: Lines, call: Call, switchboard: FakeSwitchboard
) -> None:
    await on_room_event(lines, left(AGENT))
    await settled(lines)
    joined = LiveKitEvent("EV_3", EventName.PARTICIPANT_JOINED, ROOM, AGENT, datetime.now(UTC))
    await on_room_event(lines, joined)
    async with lines.db.system() as connection:
        legs = await store.select_legs(connection, call.id)
    assert all(leg["left_at"] for leg in legs if leg["identity"] == AGENT.identity)


async def test_rooms_of_others_are_none_of_our_business(lines: Lines, call: Call, switchboard: FakeSwitchboard) -> None:
    await on_room_event(lines, finished("their-room"))
    await on_room_event(lines, left(AGENT, "their-room"))
    assert (await load_call(lines.db, call.id)).end is None
    assert switchboard.dispatched == []


async def test_a_caller_refused_for_want_of_a_worker_leaves_a_row(lines: Lines) -> None:
    leg = room_leg(
        LegKind.SIP,
        "sip_9",
        reason="CLIENT_INITIATED",
        **{
            "sip.ruleID": "SDR_1",
            "sip.callID": "SCL_9",
            "sip.trunkPhoneNumber": OURS,
            "sip.phoneNumber": "+12025550123",
            "sip.callStatus": "ringing",
        },
    )
    await on_room_event(lines, left(leg, "call-refused"))
    await on_room_event(lines, left(leg, "call-refused"))
    async with lines.db.system() as connection:
        rows = await connection.fetch("select end_result, end_reason from calls")
    assert [tuple(row) for row in rows] == [("failed", "no_worker")]


async def test_a_call_whose_agent_left_while_nobody_watched_is_ended(
    lines: Lines, call: Call, switchboard: FakeSwitchboard
) -> None:
    switchboard.rooms[ROOM] = [CALLER]
    async with lines.db.system() as connection:
        await connection.execute("update legs set left_at = now() where kind = 'agent'")
    await hang_up_abandoned(lines)
    assert (await load_call(lines.db, call.id)).end is None, "a moment ago only: its rescuer may be at it"
    await backdate(lines, 60)
    await hang_up_abandoned(lines)
    assert (await load_call(lines.db, call.id)).end == replacement.WORKER_LOST


async def test_a_call_without_a_room_is_ended_once_it_has_been_quiet(
    lines: Lines, call: Call, switchboard: FakeSwitchboard
) -> None:
    del switchboard.rooms[ROOM]
    await end_lost(lines)
    assert (await load_call(lines.db, call.id)).end is None
    await backdate(lines, rescue.QUIET_SECONDS + 1)
    await end_lost(lines)
    assert (await load_call(lines.db, call.id)).end == rescue.LOST


async def test_a_call_that_goes_on_is_left_alone_however_long(lines: Lines, call: Call) -> None:
    await backdate(lines, 3600)
    await beat_agent(lines.db, call.id, identity=AGENT.identity)
    await rescue_silent(lines)
    await hang_up_abandoned(lines)
    await end_lost(lines)
    assert (await load_call(lines.db, call.id)).end is None
