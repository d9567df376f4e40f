"""Keys that the person presses: collected, taken as their turn, answered by the team's rules."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from livekit.rtc import EventEmitter

from agents.course import keys
from agents.course.keys import collect_keys, listen_for_keys, take_keys
from agents.record.transcript import read_message
from agents.team.parse import parse_team
from telephony.legs import LegKind
from tests.fakes import room_leg
from tests.unit.conversations import Talk, talk_to, wait_until
from tests.unit.sound import Loudspeaker

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "harbor-dental"
REMINDER = parse_team((EXAMPLES / "reminder.yaml").read_text())
CONFIRMED = "assistant: Thank you. Your appointment is confirmed. Can I do anything else for you?"


class Events:
    """Where a transcript's events go."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, Any]] = []

    def add_event(self, kind: str, data: Any) -> None:
        self.kept.append((kind, data))


def press(room: EventEmitter[Any], digit: str, by: str | None = "sip_person") -> None:
    participant: Any = SimpleNamespace(identity=by) if by else None
    room.emit("sip_dtmf_received", rtc.SipDTMF(code=0, digit=digit, participant=participant))


def queue_of(*pressed: str) -> "asyncio.Queue[str]":
    queue: asyncio.Queue[str] = asyncio.Queue()
    for digit in pressed:
        queue.put_nowait(digit)
    return queue


async def test_keys_are_collected_up_to_the_hash_or_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "PAUSE_SECONDS", 0.02)
    queue = queue_of("4", "2", "#", "1", "*")
    async with asyncio.timeout(5):
        assert [await collect_keys(queue), await collect_keys(queue)] == ["42", "1*"]
        assert await collect_keys(queue_of("#")) == "#"


@pytest.mark.parametrize(("kind", "recorded"), [(LegKind.SIP, ["1"]), (LegKind.WEB, ["1"]), (LegKind.STREAM, [])])
def test_a_key_is_recorded_once_and_only_the_persons_keys_count(kind: LegKind, recorded: list[str]) -> None:
    room, events = EventEmitter[Any](), Events()
    pressed = listen_for_keys(room, room_leg(kind, "sip_person"), events)  # type: ignore[arg-type]
    press(room, "1")
    press(room, "2", by="somebody-else")
    press(room, "3", by=None)
    assert (pressed.qsize(), pressed.get_nowait()) == (1, "1")
    assert events.kept == [("dtmf.received", {"digit": digit}) for digit in recorded]


async def listen(talk: Talk, pressed: "asyncio.Queue[str]") -> "asyncio.Task[None]":
    return asyncio.create_task(take_keys(talk.session, talk.state, pressed))


async def test_one_pressed_at_the_question_confirms_as_the_word_does() -> None:
    async with talk_to(REMINDER) as talk:
        spoken = []
        talk.session.on("conversation_item_added", lambda event: spoken.append(read_message(event.item, "reminder")))
        taking = await listen(talk, queue_of("1", "#"))
        await wait_until(lambda: CONFIRMED in talk.history())
        taking.cancel()
        assert talk.hints == [{"disposition": "confirmed"}]
        assert [(turn.role, turn.text) for turn in spoken if turn and turn.role == "person"] == [("person", "1")]


async def test_keys_silence_the_agent_and_are_answered() -> None:
    loudspeaker = Loudspeaker()
    loudspeaker.muted = True
    async with talk_to(REMINDER, loudspeaker=loudspeaker) as talk:
        loudspeaker.muted = False
        question = talk.session.say("Can you confirm it?")
        async with asyncio.timeout(5):
            await loudspeaker.playing.wait()
            loudspeaker.muted = True
            taking = await listen(talk, queue_of("1", "#"))
            await question.wait_for_playout()
        assert question.interrupted
        await wait_until(lambda: CONFIRMED in talk.history())
        taking.cancel()
        assert talk.hints == [{"disposition": "confirmed"}]


@pytest.mark.parametrize("when", ["before the answer", "after the goodbye"])
async def test_keys_that_nobody_asked_for_are_left(when: str) -> None:
    async with talk_to(REMINDER, answered=when != "before the answer") as talk:
        talk.state.ended = when == "after the goodbye"
        pressed = queue_of("1", "#")
        taking = await listen(talk, pressed)
        await wait_until(pressed.empty)
        for _ in range(20):
            await asyncio.sleep(0)
        taking.cancel()
        assert "user: 1" not in talk.history()
