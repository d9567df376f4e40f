"""Who picked up, by words, beep and end; and when the agent speaks because of it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from livekit.agents import UserInputTranscribedEvent

from agents.answering import listening
from agents.answering.listening import BEEPED, Answering
from agents.answering.verdict import By, Finding, conclude, find_machine_phrase, judge_words
from agents.team.parse import parse_team
from telephony.calls import AnsweredBy
from telephony.media.g711 import decode_mulaw
from telephony.simulator.audio.voice import beep
from tests.unit.conversations import Talk, talk_to, wait_until

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "harbor-dental"
REMINDER = parse_team((EXAMPLES / "reminder.yaml").read_text())
RATE = 8000
VOICEMAIL = "You have reached my voicemail. Please leave a message after the beep."
MACHINE = Finding(AnsweredBy.MACHINE, By.WORDS, 'heard "voicemail"')


@pytest.mark.parametrize(
    "words",
    [
        VOICEMAIL,
        "Leave a message.",
        "At the tone, please record your message.",
        "If you leave your name and number I will call you back.",
        "The mailbox is full and cannot accept any messages at this time.",
    ],
)
def test_what_machines_say_is_recognized(words: str) -> None:
    assert find_machine_phrase(words) is not None
    finding = judge_words(words, turns=1)
    assert finding is not None
    assert (finding.answered_by, finding.by) == (AnsweredBy.MACHINE, By.WORDS)


@pytest.mark.parametrize(
    "words",
    ["Hello?", "Yes, I can confirm it.", "I cannot talk, I am driving.", "He is not available, call back tomorrow."],
)
def test_what_people_say_is_not(words: str) -> None:
    assert judge_words(words, turns=1) is None
    finding = judge_words(words, turns=3)
    assert finding is not None
    assert finding.answered_by is AnsweredBy.PERSON


@pytest.mark.parametrize(
    ("found", "hint", "turns", "verdict", "by"),
    [
        (None, {}, 2, AnsweredBy.PERSON, By.END),
        (None, {"disposition": "voicemail_left"}, 1, AnsweredBy.MACHINE, By.END),
        (MACHINE, {"disposition": "voicemail_left"}, 1, AnsweredBy.MACHINE, By.WORDS),
        (MACHINE, {}, 1, AnsweredBy.MACHINE, By.WORDS),
        (MACHINE, {"disposition": "confirmed"}, 4, AnsweredBy.PERSON, By.END),
    ],
)
def test_what_the_conversation_came_to_has_the_last_word(
    found: Finding | None, hint: dict[str, Any], turns: int, verdict: AnsweredBy, by: By
) -> None:
    last = conclude(found, hint=hint, turns=turns)
    assert last is not None
    assert (last.answered_by, last.by) == (verdict, by)


def test_of_a_call_in_which_nobody_spoke_nothing_is_said() -> None:
    assert conclude(None, hint={}, turns=0) is None


class Listener:
    """An Answering on a real conversation, with what it noted."""

    def __init__(self, talk: Talk) -> None:
        self.noted: list[Finding] = []
        self.talk = talk
        self.answering = Answering(talk.session, talk.state, self._note)
        self.task = asyncio.create_task(self.answering.run())

    async def _note(self, finding: Finding) -> None:
        self.noted.append(finding)

    def hear(self, mulaw: bytes) -> None:
        samples = decode_mulaw(mulaw)
        for at in range(0, len(samples), 256):
            self.answering.hear(samples[at : at + 256], RATE)

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


def quiet(seconds: float) -> bytes:
    return bytes([0xFF]) * round(seconds * RATE)


async def test_a_machines_words_are_answered_after_its_beep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "NO_BEEP_SECONDS", 1000.0)
    async with talk_to(REMINDER) as talk:
        listener = Listener(talk)
        held = asyncio.create_task(listener.answering.before_reply(VOICEMAIL))
        listener.hear(quiet(0.5))
        await wait_until(lambda: len(listener.noted) == 1)
        assert not held.done()
        listener.hear(beep(1000, 0.5) + quiet(0.5))
        await asyncio.wait_for(held, 5)
        await wait_until(lambda: len(listener.noted) == 2)
        assert [finding.by for finding in listener.noted] == [By.WORDS, By.BEEP]
        assert "1000 Hz" in listener.noted[1].because
        assert "leave ... message" in listener.noted[1].because
        await listener.close()


async def test_a_machine_that_never_beeps_is_answered_after_a_silence_and_only_once_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listening, "NO_BEEP_SECONDS", 0.1)
    async with talk_to(REMINDER) as talk:
        listener = Listener(talk)
        await asyncio.wait_for(listener.answering.before_reply(VOICEMAIL), 5)
        monkeypatch.setattr(listening, "NO_BEEP_SECONDS", 1000.0)
        await asyncio.wait_for(listener.answering.before_reply("Are you a voicemail?"), 5)
        await listener.close()


async def test_a_machine_that_goes_on_talking_is_answered_once_for_all_that_it_said() -> None:
    async with talk_to(REMINDER) as talk:
        listener = Listener(talk)
        held = asyncio.create_task(listener.answering.before_reply("This is the voicemail of Ada."))
        await wait_until(lambda: len(listener.noted) == 1)
        talk.session.emit("user_input_transcribed", UserInputTranscribedEvent(transcript="I", is_final=False))
        talk.session.emit("user_input_transcribed", UserInputTranscribedEvent(transcript="I am out.", is_final=True))
        assert await asyncio.wait_for(held, 5) is None
        listener.hear(quiet(0.5) + beep(1000, 0.5) + quiet(0.5))
        answered = await asyncio.wait_for(listener.answering.before_reply("I am out."), 5)
        assert answered == "This is the voicemail of Ada. I am out."
        await listener.close()


async def test_a_person_is_answered_at_once_and_their_whistle_is_no_beep_any_more() -> None:
    async with talk_to(REMINDER) as talk:
        listener = Listener(talk)
        for words in ("Hello?", "Who is this?", "Yes, I confirm."):
            await asyncio.wait_for(listener.answering.before_reply(words), 5)
        listener.hear(beep(1000, 0.5) + quiet(1))
        await wait_until(lambda: bool(listener.noted))
        assert [(one.answered_by, one.by) for one in listener.noted] == [(AnsweredBy.PERSON, By.WORDS)]
        await listener.close()


async def test_a_beep_without_words_that_were_understood_gets_the_message_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listening, "WORDS_SECONDS", 0.05)
    async with talk_to(REMINDER) as talk:
        listener = Listener(talk)
        listener.hear(quiet(0.5) + beep(440, 0.3) + quiet(0.5))
        await wait_until(lambda: {"disposition": "voicemail_left"} in talk.hints)
        assert f"user: {BEEPED}" in talk.history()
        speech = talk.session.say("And this is said to its end.")
        assert not speech.allow_interruptions
        assert [finding.by for finding in listener.noted] == [By.BEEP]
        await listener.close()


async def test_nothing_is_listened_for_before_the_answer() -> None:
    async with talk_to(REMINDER, answered=False) as talk:
        listener = Listener(talk)
        listener.hear(beep(1000, 0.5) + quiet(1))
        assert listener.answering.found is None
        await listener.close()


async def test_a_long_greeting_that_sounded_like_a_person_is_a_machines_once_it_says_so() -> None:
    async with talk_to(REMINDER) as talk:
        listener = Listener(talk)
        for words in ("Thank you for calling.", "I am sorry that I missed you.", "I am away from my desk."):
            await asyncio.wait_for(listener.answering.before_reply(words), 5)
        held = asyncio.create_task(listener.answering.before_reply("Leave your name after the tone."))
        await wait_until(lambda: len(listener.noted) == 2)
        assert not held.done()
        listener.hear(quiet(0.5) + beep(1000, 0.5) + quiet(0.5))
        await asyncio.wait_for(held, 5)
        await wait_until(lambda: len(listener.noted) == 3)
        assert [one.answered_by for one in listener.noted] == [AnsweredBy.PERSON, *[AnsweredBy.MACHINE] * 2]
        await listener.close()
