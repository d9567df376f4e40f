"""Who answered a call that a person is to take: a person, or a machine that would waste their time. Its rule,
`judge_greeting`, is pure. Time is the audio's: late audio makes a late verdict, not a wrong one. The clock on the wall
can only add patience: where much audio comes at once, its words come after it.

A person says a word or two and waits; a machine speaks on, or says that it is one. Whoever is in doubt is a person: a
machine costs an operator seconds, a person who is hung up on is a call abandoned.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from livekit.agents import UserInputTranscribedEvent

from agents.answering.beep import Samples
from agents.answering.verdict import By, Finding, find_machine_phrase
from agents.course.ending import Session
from agents.floor.ear import PAUSE_SECONDS, RATE, Ear, Voice
from telephony.calls import AnsweredBy

QUIET_MEANS_PERSON_SECONDS = 1.0
"""Somebody who picks up and says nothing waits for us."""
LEAST_HEARD_SECONDS = 0.7
"""So much is listened to in any case: what was said before we came in, nobody heard, and machines begin to speak some
half a second after they pick up."""
LEAST_SPEECH_SECONDS = 0.1
"""Less is a click."""
SHORT_GREETING_SECONDS = 1.2
"""Who has said so little, and in words, has greeted; who has said more may be a machine between two sentences."""
LONGEST_STRETCH_SECONDS = 3.0
"""Nobody who picks up a telephone speaks on for so long without a pause."""
LONGEST_GREETING_SECONDS = 4.5
"""Nor for so long with no more than the pauses between sentences."""
OVER_SECONDS = 0.9
"""After so much quiet a greeting is over: voices leave 0.5 to 0.8 s between two sentences."""
DEAF_SECONDS = 5.0
"""No audio at all for so long: there is nothing to judge by."""
GLANCE_SECONDS = 0.05


class Greeted(StrEnum):
    LISTEN = "listen"
    PERSON = "person"
    MACHINE = "machine"


@dataclass(frozen=True)
class Greeting:
    """What was heard. `since_answer_seconds`: how far after the answer the audio is; it may be later by the clock."""

    voice: Voice
    since_answer_seconds: float = 0.0
    words: str = ""


def find_machine(greeting: Greeting) -> Finding | None:
    """What gives a machine away, if something does."""
    voice = greeting.voice
    if (phrase := find_machine_phrase(greeting.words)) is not None:
        return Finding(AnsweredBy.MACHINE, By.WORDS, f'heard "{phrase}"')
    if voice.beeped:
        return Finding(AnsweredBy.MACHINE, By.BEEP, "heard a tone")
    if voice.unbroken >= LONGEST_STRETCH_SECONDS or voice.spoke >= LONGEST_GREETING_SECONDS:
        because = f"spoke for {voice.spoke:.1f} s, {voice.unbroken:.1f} s of it without a pause"
        return Finding(AnsweredBy.MACHINE, By.LENGTH, because)
    return None


def judge_greeting(greeting: Greeting, *, over_seconds: float = OVER_SECONDS) -> Greeted:
    """`over_seconds`: the quiet after which a greeting that may be a machine's was a person's."""
    voice = greeting.voice
    if find_machine(greeting) is not None:
        return Greeted.MACHINE
    if voice.sounding:
        return Greeted.LISTEN
    if voice.spoke >= LEAST_SPEECH_SECONDS:
        has_greeted = voice.spoke <= SHORT_GREETING_SECONDS and bool(greeting.words)
        is_person = voice.quiet >= (min(PAUSE_SECONDS, over_seconds) if has_greeted else over_seconds)
    else:
        is_person = (
            greeting.since_answer_seconds >= QUIET_MEANS_PERSON_SECONDS
            and voice.heard >= LEAST_HEARD_SECONDS
            and voice.quiet >= PAUSE_SECONDS
        )
    return Greeted.PERSON if is_person else Greeted.LISTEN


class Screening:
    """Listens to the greeting from the first audio on; `close` it."""

    def __init__(self, session: Session, clock: Callable[[], float] | None = None) -> None:
        self._session = session
        self._now = clock or asyncio.get_running_loop().time
        self._ear = Ear()
        self._heard_at = self._spoke_at = self._now()
        self._answer_before_audio = 0.0
        self._words: dict[bool, str] = {True: "", False: ""}
        self._is_closed = False
        session.on("user_input_transcribed", self._on_words)

    def hear(self, samples: Samples, rate: int) -> None:
        assert rate == RATE, rate  # sessions listen at no other: agents/session.py
        if self._is_closed:
            return
        before = self._ear.voice.spoke
        self._ear.hear(samples)
        self._heard_at = self._now()
        if self._ear.voice.spoke > before:
            self._spoke_at = self._heard_at

    def _on_words(self, event: UserInputTranscribedEvent) -> None:
        if event.is_final:
            self._words = {True: f"{self._words[True]} {event.transcript}", False: ""}
        else:
            self._words[False] = event.transcript

    def begin(self) -> None:
        """They pick up now: what rang or was announced before was not they."""
        self._ear.forget()
        self._words = {True: "", False: ""}

    def count_from(self, seconds_ago: float) -> None:
        """The answer was so long ago. From here on the audio is the clock."""
        self._answer_before_audio = seconds_ago - self._ear.voice.heard

    def look(self) -> Greeting:
        """As far as the audio has come; to be asked often."""
        voice = self._ear.voice
        quiet = min(voice.quiet, self._now() - self._spoke_at)
        words = " ".join(self._words.values()).strip()
        return Greeting(replace(voice, quiet=quiet), self._answer_before_audio + voice.heard, words)

    @property
    def seconds_since_greeting(self) -> float:
        """How long they have waited for us, by the audio; 0 while they speak, for who says nothing, and once closed."""
        voice = self._ear.voice
        return voice.quiet if voice.spoke >= LEAST_SPEECH_SECONDS and not self._is_closed else 0.0

    async def judge(self, *, over_seconds: float = OVER_SECONDS) -> Greeted:
        """PERSON or MACHINE; PERSON too where nothing at all is heard for DEAF_SECONDS."""
        self._heard_at = self._now()
        while (verdict := judge_greeting(self.look(), over_seconds=over_seconds)) is Greeted.LISTEN:
            if self._now() - self._heard_at >= DEAF_SECONDS:
                return Greeted.PERSON
            await asyncio.sleep(GLANCE_SECONDS)
        return verdict

    def find_machine(self) -> Finding | None:
        """What gives a machine away by now: words may come late."""
        return None if self._is_closed else find_machine(self.look())

    def close(self) -> None:
        """Hear no more: whoever it is, they are no machine from now on."""
        if self._is_closed:
            return
        self._is_closed = True
        self._session.off("user_input_transcribed", self._on_words)
