"""What ends a call from inside: silence, failing providers, a worker that stops; and how many calls it takes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import APIConnectionError, ErrorEvent, llm, stt, tts
from livekit.rtc import EventEmitter

from agents.conversation_state import ConversationState
from agents.course import apologies, ending
from agents.course.apologies import BROKEN, GIVING_UP, Apologies
from agents.course.ending import STILL_THERE, Ending, Patience
from agents.desk import OpenCalls
from agents.team.definition import TeamDefinition
from agents.team.parse import parse_team
from telephony.calls import End, EndReason, EndResult

TEAM = """
name: Test
slug: test
entry: reception
farewell: Goodbye then.
trouble_line: That did not work.
agents:
  - name: reception
    instructions: You answer.
"""


class Speech:
    async def wait_for_playout(self) -> None:
        await asyncio.sleep(0)


class Session(EventEmitter[Any]):
    """The part of LiveKit's session that speaks and tells who is speaking."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.user_state, self.agent_state = "listening", "listening"

    def say(self, text: str, *, audio: AsyncIterator[rtc.AudioFrame] | None = None, **_: Any) -> Speech:
        self.said.append(text)
        return Speech()


class Voice:
    """Stands where the offline voice does; nothing is synthesized as nobody listens."""


@pytest.fixture
def state() -> ConversationState:
    definition: TeamDefinition = parse_team(TEAM)

    async def nothing(*_: Any) -> None: ...

    return ConversationState(definition, hang_up=nothing, leave_hint=nothing, on_handoff=nothing, answered=True)


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience that is counted in hundredths."""
    monkeypatch.setattr(ending, "QUIET_SECONDS", 0.12)
    monkeypatch.setattr(ending, "QUIET_AFTER_QUESTION_SECONDS", 0.08)
    monkeypatch.setattr(ending, "GLANCE_SECONDS", 0.01)


async def test_the_first_end_counts() -> None:
    over = Ending()
    first = End(EndResult.COMPLETED, EndReason.AGENT_ENDED)
    over.end(first)
    over.end(None)
    assert await over.wait() is first


@pytest.mark.usefixtures("hurry")
async def test_who_stays_silent_is_asked_once_and_then_let_go(state: ConversationState) -> None:
    session, over = Session(), Ending()
    async with asyncio.timeout(5):
        await Patience(session, state).run(over)  # type: ignore[arg-type]
    assert session.said == [STILL_THERE, "Goodbye then."]
    assert await over.wait() == End(EndResult.COMPLETED, EndReason.SILENCE)
    assert state.ended


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("busy", ["person", "agent", "ringing"])
async def test_nobody_is_asked_while_someone_speaks_or_the_phone_still_rings(
    state: ConversationState, busy: str
) -> None:
    session, over = Session(), Ending()
    session.user_state = "speaking" if busy == "person" else "listening"
    session.agent_state = "thinking" if busy == "agent" else "listening"
    state.answered = busy != "ringing"
    waiting = asyncio.create_task(Patience(session, state).run(over))  # type: ignore[arg-type]
    done, _ = await asyncio.wait([waiting], timeout=0.5)
    assert not done
    assert session.said == []
    waiting.cancel()


def failure(kind: str) -> ErrorEvent:
    details = {"timestamp": 1.0, "label": "provider", "error": APIConnectionError("down"), "recoverable": False}
    made = {"llm": llm.LLMError, "stt": stt.STTError, "tts": tts.TTSError}[kind](**details)
    return ErrorEvent(error=made, source=None)


async def test_one_failure_is_apologized_for_and_the_second_ends_the_call(state: ConversationState) -> None:
    session, over = Session(), Ending()
    sorry = Apologies(session, state, Voice())  # type: ignore[arg-type]
    for _ in range(2):
        session.emit("error", failure("llm"))
    async with asyncio.timeout(5):
        await sorry.run(over)
    assert session.said == ["That did not work.", GIVING_UP]
    assert await over.wait() == BROKEN


async def test_a_failure_long_after_the_first_is_forgiven_again(
    state: ConversationState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apologies, "FORGIVEN_FOR_SECONDS", 0.0)
    session, over = Session(), Ending()
    sorry = asyncio.create_task(Apologies(session, state, Voice()).run(over))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    for _ in range(3):
        session.emit("error", failure("tts"))
    async with asyncio.timeout(5):
        while len(session.said) < 3:
            pause = 0.01
            await asyncio.sleep(pause)
    assert not over.is_over
    sorry.cancel()


async def test_an_agent_that_went_deaf_says_so_and_ends_the_call(state: ConversationState) -> None:
    session, over = Session(), Ending()
    sorry = Apologies(session, state, Voice())  # type: ignore[arg-type]
    session.emit("error", failure("stt"))
    async with asyncio.timeout(5):
        await sorry.run(over)
    assert session.said == [GIVING_UP]
    assert await over.wait() == BROKEN


def test_a_worker_takes_no_more_calls_than_it_may() -> None:
    calls = OpenCalls(2)
    assert [calls.promise("a"), calls.promise("b"), calls.promise("c")] == [True, True, False]
    assert calls.load == 1.0
    calls.forget("a")
    assert calls.promise("c")


async def test_a_worker_that_stops_leaves_its_calls_and_takes_no_more() -> None:
    calls, over = OpenCalls(2), Ending()
    assert calls.promise("a")
    with calls.hold("a", over):
        await asyncio.to_thread(calls.leave_all)
        async with asyncio.timeout(5):
            assert await over.wait() is None
    assert not calls.promise("b")


async def test_a_call_that_begins_while_the_worker_stops_is_left_at_once() -> None:
    calls, over = OpenCalls(2), Ending()
    calls.leave_all()
    with calls.hold("a", over):
        assert over.is_over
