"""Who answered a call that people take, however late and however much at once the audio and its words come: the
simulated machines' own greetings, people's, the real VAD and recognizer, and a clock that the test moves."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soxr
import yaml

from agents.answering.verdict import By
from agents.floor import screening
from agents.floor.ear import RATE, WINDOW, WINDOW_SECONDS, Ear, Samples, Voice
from agents.floor.screening import Greeted, Greeting, Screening, find_machine, judge_greeting
from telephony.media.g711 import SAMPLE_RATE, decode_mulaw
from telephony.simulator.audio.recognizer import Recognizer
from telephony.simulator.audio.voice import Voice as SimulatedVoice
from telephony.simulator.audio.voice import beep
from telephony.simulator.people import persona as personas
from tests.unit.test_worker_endings import Session

PERSONAS = yaml.safe_load((Path(personas.__file__).parent / "personas.yaml").read_text())["personas"]
MACHINES = [name for name, one in PERSONAS.items() if one["kind"] == "voicemail"]
PEOPLE = {
    "hello": "Hello?",
    "name": "Hello, this is Ada.",
    "twice": "Hello? Hello, who is this?",
    "office": "Harbor Dental, good morning. This is Ada, how can I help you?",
    "silent": "",
}
BEFORE_SECONDS, AFTER_SECONDS = 0.5, 3.0
STEP_SECONDS = 0.05
GIVE_UP_SECONDS = 60.0
UTTERANCE_ENDS_SECONDS = 0.3
"""So much quiet has the recognizer begin with the words (agents/speech/utterances.py)."""


@dataclass(frozen=True)
class Side:
    """What comes down the line from the answer on, and its words as they are recognized: (when their speech is over in
    the audio, what was understood)."""

    audio: Samples
    words: tuple[tuple[float, str], ...]


class Studio:
    """Makes what machines and people say into audio and words."""

    def __init__(self, folder: Path) -> None:
        self._voice = SimulatedVoice(folder)
        self._recognizer = Recognizer()
        self._made: dict[str, Side] = {}

    async def make(self, name: str) -> Side:
        if name not in self._made:
            self._made[name] = await (self._make_machine(name) if name in MACHINES else self._say(PEOPLE[name], b""))
        return self._made[name]

    async def _make_machine(self, name: str) -> Side:
        machine = personas.Voicemail.model_validate(PERSONAS[name])
        beeps = b"" if machine.full else b"".join(beep(one.hertz, one.seconds) for one in machine.beeps)
        return await self._say(machine.greeting, quiet(machine.pause_seconds) + beeps)

    async def _say(self, text: str, then: bytes) -> Side:
        spoken = await self._voice.speak(text) if text else b""
        mulaw = quiet(BEFORE_SECONDS) + spoken + then + quiet(AFTER_SECONDS)
        narrow = decode_mulaw(mulaw).astype(np.float32)
        audio = soxr.resample(narrow, SAMPLE_RATE, RATE).clip(-32768, 32767).astype(np.int16)
        words: list[tuple[float, str]] = []
        for began, ended in find_stretches(audio):
            heard = mulaw[max(0, round((began - 0.3) * SAMPLE_RATE)) : round((ended + 0.3) * SAMPLE_RATE)]
            if understood := await self._recognizer.recognize(heard):
                words.append((ended, understood))
        return Side(audio, tuple(words))

    def close(self) -> None:
        self._voice.close()
        self._recognizer.close()


def quiet(seconds: float) -> bytes:
    return bytes([0xFF]) * round(seconds * SAMPLE_RATE)


def find_stretches(audio: Samples) -> list[tuple[float, float]]:
    """Speech between pauses, in seconds: what a recognizer takes for an utterance."""
    ear, found, spoke = Ear(), list[tuple[float, float]](), 0.0
    for at in range(0, len(audio) - WINDOW, WINDOW):
        ear.hear(audio[at : at + WINDOW])
        voice, now = ear.voice, at / RATE + WINDOW_SECONDS
        if voice.spoke > spoke:
            goes_on = found and now - found[-1][1] <= UTTERANCE_ENDS_SECONDS
            found[-1:] = [(found[-1][0], now)] if goes_on else [*found[-1:], (now - WINDOW_SECONDS, now)]
        spoke = voice.spoke
    return found


@pytest.fixture(scope="module")
async def studio(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Studio]:
    studio = Studio(tmp_path_factory.mktemp("voice"))
    yield studio
    studio.close()


def steadily(at: float) -> float:
    return at + 0.1


def late(at: float) -> float:
    return at + 1.5


def in_bursts(at: float) -> float:
    """A machine that comes to it every two seconds."""
    return (at // 2.0 + 1.0) * 2.0


@dataclass
class Heard:
    """The first verdict, and what gave the machine away, if something did by the end."""

    verdict: Greeted
    by: By | None


def screen(side: Side, arrives: Any, recognizer_seconds: float | None) -> Heard:
    """Play it on a virtual clock: what sounds at t is here at `arrives(t)`, its words `recognizer_seconds` after that
    (None: never); looked at every STEP_SECONDS."""
    session: Any = Session()
    now = 0.0
    screened = Screening(session, clock=lambda: now)
    frames = [
        (arrives(at / RATE), partial(screened.hear, side.audio[at : at + WINDOW], RATE))
        for at in range(0, len(side.audio), WINDOW)
    ]
    said = [
        (
            arrives(ended + UTTERANCE_ENDS_SECONDS) + recognizer_seconds,
            partial(session.emit, "user_input_transcribed", SimpleNamespace(transcript=words, is_final=True)),
        )
        for ended, words in side.words
        if recognizer_seconds is not None
    ]
    # The api says 0.4 s after the answer that it was one.
    to_come = sorted([*frames, *said, (0.4, partial(screened.count_from, 0.4))], key=lambda one: one[0])
    verdict = Greeted.LISTEN
    while verdict is Greeted.LISTEN:
        assert now < GIVE_UP_SECONDS
        now += STEP_SECONDS
        while to_come and to_come[0][0] <= now:
            to_come.pop(0)[1]()
        verdict = judge_greeting(screened.look())
    finding = screened.find_machine()
    return Heard(verdict, finding and finding.by)


ARRIVALS = pytest.mark.parametrize("arrives", [steadily, late, in_bursts])


@ARRIVALS
@pytest.mark.parametrize("recognizer_seconds", [0.1, 0.5])
@pytest.mark.parametrize("name", MACHINES)
async def test_a_machine_is_one_however_late_its_audio_and_its_words_come(
    studio: Studio, name: str, arrives: Any, recognizer_seconds: float
) -> None:
    assert screen(await studio.make(name), arrives, recognizer_seconds).verdict is Greeted.MACHINE


@ARRIVALS
@pytest.mark.parametrize("name", sorted(set(MACHINES) - {"voicemail_no_beep"}))
async def test_most_machines_are_known_without_a_word_by_their_length_or_their_beep(
    studio: Studio, name: str, arrives: Any
) -> None:
    heard = screen(await studio.make(name), arrives, None)
    assert heard.verdict is Greeted.MACHINE
    assert heard.by in (By.LENGTH, By.BEEP)


@ARRIVALS
@pytest.mark.parametrize("recognizer_seconds", [0.1, 2.0, None])
@pytest.mark.parametrize("name", PEOPLE)
async def test_a_person_is_one_however_late_their_audio_and_their_words_come(
    studio: Studio, name: str, arrives: Any, recognizer_seconds: float | None
) -> None:
    heard = screen(await studio.make(name), arrives, recognizer_seconds)
    assert (heard.verdict, heard.by) == (Greeted.PERSON, None)


@pytest.mark.parametrize("stops", ["before it speaks", "in a sentence", "after a sentence", "in a pause"])
async def test_no_time_that_passes_without_audio_makes_a_verdict(studio: Studio, stops: str) -> None:
    side = await studio.make("voicemail")
    ended = side.words[0][0]
    heard_seconds = {
        "before it speaks": BEFORE_SECONDS,
        "in a sentence": ended - 0.3,
        "after a sentence": ended,
        "in a pause": ended + 0.7,
    }[stops]
    now = 0.0
    screened = Screening(Session(), clock=lambda: now)  # type: ignore[arg-type]
    screened.count_from(0.0)
    screened.hear(side.audio[: round(heard_seconds * RATE)], RATE)
    for now in (0.0, 1.0, 10.0, 100.0):  # noqa: B007  # the clock reads it
        assert judge_greeting(screened.look()) is Greeted.LISTEN


async def test_where_no_audio_comes_at_all_it_is_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "DEAF_SECONDS", 0.01)
    assert await Screening(Session()).judge() is Greeted.PERSON  # type: ignore[arg-type]


async def test_what_rang_or_was_announced_before_the_answer_is_not_the_callee(studio: Studio) -> None:
    session: Any = Session()
    screened = Screening(session)
    screened.hear((await studio.make("voicemail")).audio, RATE)
    announced = SimpleNamespace(transcript="Please leave a message", is_final=True)
    session.emit("user_input_transcribed", announced)
    assert screened.find_machine() is not None
    screened.begin()
    screened.count_from(0.0)
    assert (screened.find_machine(), screened.look().voice) == (None, Voice())


async def test_who_was_screened_is_no_machine_whatever_they_say(studio: Studio) -> None:
    session: Any = Session()
    screened = Screening(session)
    screened.close()
    screened.hear((await studio.make("voicemail")).audio, RATE)
    session.emit("user_input_transcribed", SimpleNamespace(transcript="Leave a message", is_final=True))
    assert (screened.find_machine(), screened.seconds_since_greeting) == (None, 0.0)


@pytest.mark.parametrize(
    ("voice", "since_answer", "words", "verdict"),
    [
        (Voice(heard=0.9, quiet=0.9), 0.9, "", Greeted.LISTEN),
        (Voice(heard=1.0, quiet=1.0), 1.0, "", Greeted.PERSON),
        (Voice(heard=0.6, quiet=0.6), 3.0, "", Greeted.LISTEN),
        (Voice(heard=2.0, spoke=0.03, unbroken=0.03, quiet=0.1), 2.0, "", Greeted.LISTEN),
        (Voice(heard=2.0, spoke=0.03, unbroken=0.03, quiet=0.4), 2.0, "", Greeted.PERSON),
        (Voice(heard=2.0, spoke=0.6, unbroken=0.6, quiet=0.2), 2.0, "Hello?", Greeted.LISTEN),
        (Voice(heard=2.0, spoke=0.6, unbroken=0.6, quiet=0.3), 2.0, "Hello?", Greeted.PERSON),
        (Voice(heard=2.0, spoke=0.6, unbroken=0.6, quiet=0.8), 2.0, "", Greeted.LISTEN),
        (Voice(heard=2.0, spoke=0.6, unbroken=0.6, quiet=0.9), 2.0, "", Greeted.PERSON),
        (Voice(heard=3.0, spoke=1.6, unbroken=1.6, quiet=0.8), 3.0, "Thank you for calling.", Greeted.LISTEN),
        (Voice(heard=3.0, spoke=1.6, unbroken=1.6, quiet=0.9), 3.0, "Thank you for calling.", Greeted.PERSON),
        (Voice(heard=3.5, spoke=2.9, unbroken=3.0, quiet=0.0), 3.5, "", Greeted.MACHINE),
        (Voice(heard=7.0, spoke=4.5, unbroken=1.6, quiet=0.0), 7.0, "", Greeted.MACHINE),
        (Voice(heard=2.0, spoke=1.5, unbroken=1.5, quiet=0.3), 2.0, "Leave a message, please.", Greeted.MACHINE),
        (Voice(heard=3.0, spoke=0.5, unbroken=0.5, quiet=1.0, sounding=True), 3.0, "Bob.", Greeted.LISTEN),
        (Voice(heard=3.0, spoke=0.5, unbroken=0.5, quiet=1.0, beeped=True), 3.0, "Bob.", Greeted.MACHINE),
    ],
)
def test_a_person_says_a_word_and_waits_and_a_machine_speaks_on(
    voice: Voice, since_answer: float, words: str, verdict: Greeted
) -> None:
    greeting = Greeting(voice, since_answer, words)
    assert judge_greeting(greeting) is verdict
    assert (find_machine(greeting) is not None) is (verdict is Greeted.MACHINE)


def test_a_campaign_that_must_connect_sooner_makes_sure_for_less_long() -> None:
    greeting = Greeting(Voice(heard=2.0, spoke=1.6, unbroken=1.6, quiet=0.5), 2.0, "Thank you for calling.")
    assert judge_greeting(greeting, over_seconds=0.5) is Greeted.PERSON
