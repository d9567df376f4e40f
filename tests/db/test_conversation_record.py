"""What a conversation leaves in the database, while it goes on and after it broke off."""

import asyncio
import hashlib
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from livekit.agents import (
    ChatMessage,
    ConversationItemAddedEvent,
    FunctionCall,
    FunctionCallOutput,
    FunctionToolsExecutedEvent,
)
from livekit.rtc import EventEmitter

from agents.record import transcript_store
from agents.record.recording import Recording
from agents.record.transcript import Transcript, write_chat_context
from agents.record.wav import PERSON, SAMPLE_RATE, Piece
from app.db import Database
from app.ids import E164, OrgId
from telephony.calls import Call
from telephony.carriers.base import CarrierName
from telephony.inbound import Arrival, answer_inbound
from tests.db.world import make_number

pytestmark = pytest.mark.db

OURS = E164("+12025550100")


class Session(EventEmitter[Any]):
    """The part of LiveKit's session that tells what happens."""

    def say(self, role: str, text: str, *, interrupted: bool = False, **metrics: float) -> None:
        item = ChatMessage(role=role, content=[text], interrupted=interrupted, metrics=metrics)  # type: ignore[arg-type]
        self.emit("conversation_item_added", ConversationItemAddedEvent(item=item))

    def use_tool(self, name: str, arguments: str, output: str) -> None:
        call = FunctionCall(call_id="c", name=name, arguments=arguments)
        answer = FunctionCallOutput(call_id="c", name=name, output=output, is_error=False)
        self.emit(
            "function_tools_executed",
            FunctionToolsExecutedEvent(function_calls=[call], function_call_outputs=[answer]),
        )


@pytest.fixture
async def call(db: Database, org: OrgId) -> Call:
    await make_number(db, org, OURS)
    return await answer_inbound(db, Arrival(CarrierName.SIP, "SCL_1", "call-room", OURS, "+12025550123"))


@pytest.fixture
async def transcript(db: Database, call: Call) -> AsyncIterator[Transcript]:
    transcript = Transcript(db, call)
    yield transcript
    await transcript.close()


async def turns(db: Database, call: Call) -> list[dict[str, Any]]:
    async with db.system() as connection:
        rows = await connection.fetch("select * from turns where call_id = $1 order by started_at, id", call.id)
    return [dict(row) for row in rows]


async def events(db: Database, call: Call, kind: str) -> list[dict[str, Any]]:
    async with db.system() as connection:
        rows = await connection.fetch(
            "select data from call_events where call_id = $1 and kind = $2 order by id", call.id, kind
        )
    return [row["data"] for row in rows]


async def until(check: Callable[[], Awaitable[Any]]) -> Any:
    """What `check` finds as soon as it finds something."""
    async with asyncio.timeout(10):
        while not (found := await check()):
            pause = 0.01
            await asyncio.sleep(pause)
    return found


async def until_stored(db: Database, call: Call, count: int) -> list[dict[str, Any]]:
    async def stored() -> list[dict[str, Any]]:
        found = await turns(db, call)
        return found if len(found) >= count else []

    return await until(stored)


async def test_a_turn_is_stored_while_the_call_goes_on(db: Database, call: Call, transcript: Transcript) -> None:
    session = Session()
    transcript.listen(session, lambda: "reception")  # type: ignore[arg-type]
    session.say("assistant", "Hello.", started_speaking_at=10.0, stopped_speaking_at=11.0, llm_node_ttft=0.02)
    session.say("user", "What are your opening hours?", started_speaking_at=12.0, end_of_turn_delay=0.3)
    said, asked = await until_stored(db, call, 2)
    assert (said["role"], said["agent"], said["text"]) == ("agent", "reception", "Hello.")
    assert (said["ended_at"] - said["started_at"]).total_seconds() == 1.0
    assert said["latency_ms"] == {"model": 20}
    assert (asked["role"], asked["agent"], asked["latency_ms"]) == ("person", None, {"end_of_turn": 300})
    added = await events(db, call, "turn.added")
    assert [(event["role"], event["turn_id"]) for event in added] == [
        ("agent", str(said["id"])),
        ("person", str(asked["id"])),
    ]


async def test_a_tool_call_is_a_turn_with_its_arguments_and_outcome(
    db: Database, call: Call, transcript: Transcript
) -> None:
    session = Session()
    transcript.listen(session, lambda: "billing")  # type: ignore[arg-type]
    session.use_tool("look_up", '{"topic": "parking"}', "Behind the building.")
    [turn] = await until_stored(db, call, 1)
    assert (turn["role"], turn["agent"], turn["text"]) == ("tool", "billing", "Behind the building.")
    assert turn["tool"] == {"name": "look_up", "arguments": {"topic": "parking"}, "is_error": False}
    assert (await events(db, call, "tool.called"))[0]["tool"] == "look_up"


async def test_an_interrupted_turn_says_so_and_instructions_are_no_turn(
    db: Database, call: Call, transcript: Transcript
) -> None:
    session = Session()
    transcript.listen(session, lambda: "reception")  # type: ignore[arg-type]
    session.say("system", "You are Rosa.")
    session.say("assistant", "  ")
    session.say("assistant", "We are open from", interrupted=True)
    await transcript.close()
    [turn] = await turns(db, call)
    assert turn["interrupted"] is True


async def test_a_rescuer_knows_what_was_said_and_who_had_the_call(
    db: Database, call: Call, transcript: Transcript
) -> None:
    session, active = Session(), "reception"
    transcript.listen(session, lambda: active)  # type: ignore[arg-type]
    session.say("assistant", "Hello.", started_speaking_at=1.0)
    session.say("user", "It is about my bill.", started_speaking_at=2.0)
    session.use_tool("look_up", '{"topic": "invoices"}', "Due in thirty days.")
    transcript.add_handoff("reception", "billing")
    await transcript.close()
    async with db.system() as connection:
        stored = await transcript_store.select_turns(connection, call.id)
        last = await transcript_store.select_last_agent(connection, call.id)
    assert last == "billing"
    items = write_chat_context(stored).items
    assert [item.type for item in items] == ["message", "message", "function_call", "function_call_output"]
    assert [item.role for item in items if item.type == "message"] == ["assistant", "user"]
    calls = {item.call_id for item in items if item.type in ("function_call", "function_call_output")}
    assert len(calls) == 1


async def test_nothing_is_lost_while_postgres_is_away_for_a_moment(
    db: Database, call: Call, transcript: Transcript, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.db import DatabaseUnavailable

    system, failures = db.system, iter([True, True])

    def sometimes() -> Any:
        if next(failures, False):
            raise DatabaseUnavailable("away")
        return system()

    monkeypatch.setattr(db, "system", sometimes)
    session = Session()
    transcript.listen(session, lambda: "reception")  # type: ignore[arg-type]
    session.say("assistant", "One.", started_speaking_at=1.0)
    session.say("assistant", "Two.", started_speaking_at=2.0)
    await transcript.close()
    assert [turn["text"] for turn in await turns(db, call)] == ["One.", "Two."]


async def test_a_recording_has_its_row_at_once_and_its_length_at_the_end(
    db: Database, call: Call, tmp_path: Path
) -> None:
    recording = Recording(db, call, tmp_path)

    async def is_there() -> bool:
        return (tmp_path / recording.path).exists()

    await until(is_there)
    recording.add(Piece(PERSON, time.time(), SAMPLE_RATE, np.full(SAMPLE_RATE, 900, np.int16)))
    await recording.finish()
    async with db.system() as connection:
        row = await connection.fetchrow("select * from recordings where call_id = $1", call.id)
    assert row is not None
    assert row["path"] == f"{call.org_id}/{recording.id}.wav"
    assert (row["format"], row["channels"], row["sample_rate"]) == ("wav", 2, SAMPLE_RATE)
    assert row["finished_at"] is not None
    with wave.open(str(tmp_path / row["path"])) as file:
        assert file.getnframes() / SAMPLE_RATE == row["duration_seconds"] >= 1.0
    assert row["sha256"] == hashlib.sha256((tmp_path / row["path"]).read_bytes()).hexdigest()
    assert (await events(db, call, "recording.ready"))[0]["recording_id"] == str(recording.id)


async def test_a_full_disk_ends_the_recording_and_not_the_call(db: Database, call: Call, tmp_path: Path) -> None:
    (tmp_path / str(call.org_id)).write_text("a file where the folder should be")
    recording = Recording(db, call, tmp_path)
    await recording.finish()
    recording.add(Piece(PERSON, 1.0, SAMPLE_RATE, np.zeros(10, np.int16)))
    assert await events(db, call, "recording.ready") == []


@pytest.mark.parametrize("refused_at", ["start", "end"])
async def test_a_recording_that_postgres_refuses_keeps_no_audio_in_memory(
    db: Database, call: Call, tmp_path: Path, refused_at: str
) -> None:
    """A fault that has no name of ours: there is no such table."""
    begun = Recording(db, call, tmp_path) if refused_at == "end" else None
    if begun:
        await until(lambda: count_recordings(db, call))
    async with db.system() as connection:
        await connection.execute("alter table recordings rename to recordings_elsewhere")
    recording = begun or Recording(db, call, tmp_path)
    if begun:
        await recording.finish()
    await until(lambda: has_ended(recording))
    recording.add(Piece(PERSON, time.time(), SAMPLE_RATE, np.zeros(10, np.int16)))
    assert recording._pieces == []
    await recording.finish()


async def count_recordings(db: Database, call: Call) -> int:
    async with db.system() as connection:
        return await connection.fetchval("select count(*) from recordings where call_id = $1", call.id)


async def has_ended(recording: Recording) -> bool:
    return recording.is_over
