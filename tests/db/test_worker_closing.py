"""A conversation that goes wrong where few things do: nothing goes on behind it, and nobody is left on the line."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.rtc import EventEmitter
from structlog.testing import capture_logs

from agents import worker
from agents.course import wrap_up
from agents.course.opening import Opened
from agents.desk import Desk, OpenCalls
from agents.record.transcript import Transcript, Turn
from agents.team.parse import parse_team
from app.clock import utc_now
from app.db import Database, DatabaseUnavailable
from app.ids import E164, OrgId
from app.settings import Settings
from telephony.calls import Call, End, EndReason, EndResult, end_call, mark_answered
from telephony.carriers.base import CarrierName
from telephony.inbound import Arrival, answer_inbound
from telephony.legs import LegKind
from tests.db.world import make_number
from tests.fakes import FakeSwitchboard, room_leg

pytestmark = pytest.mark.db

OURS = E164("+12025550100")
TEAM = """
name: Test
slug: test
entry: reception
agents:
  - name: reception
    instructions: You answer.
"""


@pytest.fixture
async def call(db: Database, org: OrgId) -> Call:
    await make_number(db, org, OURS)
    return await answer_inbound(db, Arrival(CarrierName.SIP, "SCL_1", "call-room", OURS, "+12025550123"))


class Broken(Exception):
    """What nobody foresaw."""


async def test_a_conversation_that_cannot_begin_leaves_no_task_behind(
    db: Database, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find_person(*_: Any, **__: Any) -> Any:
        return room_leg(LegKind.SIP, "sip_person")

    def prepare_agents(*_: Any, **__: Any) -> None:
        raise Broken

    monkeypatch.setattr(worker, "find_person", find_person)
    monkeypatch.setattr(worker, "prepare_agents", prepare_agents)
    room: EventEmitter[Any] = EventEmitter()
    context: Any = SimpleNamespace(room=room, job=SimpleNamespace(id="AJ_1"))
    settings: Any = Settings(home=tmp_path)
    desk = Desk(settings, SimpleNamespace(), OpenCalls(1))  # type: ignore[arg-type]
    with pytest.raises(Broken):
        await worker.converse(context, desk, db, Opened(call, parse_team(TEAM)))
    assert {task.get_name() for task in asyncio.all_tasks()} & {"transcript", "recording"} == set()


async def test_the_line_is_closed_though_postgres_is_away(
    db: Database, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switchboard, end = FakeSwitchboard(), End(EndResult.COMPLETED, EndReason.AGENT_ENDED)
    hung_up: list[tuple[Call, End]] = []

    async def open_lines(*_: Any) -> Any:
        async def close() -> None: ...

        return SimpleNamespace(db=db, switchboard=switchboard, carriers={}, close=close)

    async def hang_up(_: Any, asked: Call, with_end: End) -> None:
        hung_up.append((asked, with_end))
        raise DatabaseUnavailable("Away.")

    def system() -> Any:
        raise DatabaseUnavailable("Away.")

    monkeypatch.setattr(wrap_up, "open_lines", open_lines)
    monkeypatch.setattr(wrap_up, "hang_up", hang_up)
    monkeypatch.setattr(db, "system", system)
    await wrap_up.end_by(db, Settings(home=tmp_path), call, end)
    assert hung_up == [(call, end)]
    await wrap_up.end_by(db, Settings(home=tmp_path), call, room_leg(LegKind.SIP, "sip_person"))


async def test_the_log_tells_how_a_call_ended_and_nothing_of_who_called_or_what_was_said(
    db: Database, call: Call
) -> None:
    transcript = Transcript(db, call)
    transcript.add_turn(Turn("person", None, "My secret.", utc_now()))
    transcript.add_turn(
        Turn("tool", "reception", "Done.", utc_now(), tool={"name": "look_up", "arguments": {}, "is_error": False})
    )
    await transcript.close()
    await mark_answered(db, call.id)
    await end_call(db, call.id, End(EndResult.COMPLETED, EndReason.CALLER_HUNG_UP))
    with capture_logs() as lines:
        await wrap_up.tell_end(db, call, transcript)
    [line] = lines
    seconds = line.pop("seconds")
    assert 0 <= seconds < 30
    assert line == {
        "event": "call ended",
        "log_level": "info",
        "call_id": str(call.id),
        "result": "completed",
        "reason": "caller_hung_up",
        "at_fault": "nobody",
        "turns": 1,
    }
