"""Who answered a call that a person is to take: a person, or a machine that would waste their time. Its rule,
`judge_greeting`, is pure.

A person says a word or two and waits; a machine speaks on, or says that it is one. Whoever is in doubt is a person: a
machine costs an operator seconds, a person who is hung up on is a call abandoned.
"""

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from livekit.agents import UserInputTranscribedEvent

from agents.answering.verdict import find_machine_phrase
from agents.course.ending import Session

QUIET_MEANS_PERSON_SECONDS = 1.0
"""Somebody who picks up and says nothing waits for us."""
LEAST_HEARD_SECONDS = 0.4
"""So much is listened to in any case: what was said before we came in, nobody heard."""
LONGEST_GREETING_SECONDS = 3.0
"""Nobody who picks up a telephone speaks on for so long without a pause."""
GLANCE_SECONDS = 0.05


class Greeted(StrEnum):
    LISTEN = "listen"
    PERSON = "person"
    MACHINE = "machine"


@dataclass(frozen=True)
class Greeting:
    """What was heard since the answer, or since we came in, `heard_seconds` ago. `spoke_seconds`: how long they speak,
    or spoke; 0 if they have not. `speaking`: still."""

    since_answer_seconds: float
    heard_seconds: float
    spoke_seconds: float
    speaking: bool
    words: str = ""


def judge_greeting(heard: Greeting) -> Greeted:
    if find_machine_phrase(heard.words) is not None:
        return Greeted.MACHINE
    if heard.speaking:
        return Greeted.MACHINE if heard.spoke_seconds >= LONGEST_GREETING_SECONDS else Greeted.LISTEN
    is_waiting = heard.since_answer_seconds >= QUIET_MEANS_PERSON_SECONDS and heard.heard_seconds >= LEAST_HEARD_SECONDS
    return Greeted.PERSON if heard.spoke_seconds > 0 or is_waiting else Greeted.LISTEN


class Screening:
    """Listens to the greeting from now on; make it at the answer, or as soon after it as can be."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._now = asyncio.get_running_loop().time
        self._began = self._answered_at = self._now()
        self._spoke_since: float | None = None
        self._spoke_seconds = 0.0
        self._words: dict[bool, str] = {True: "", False: ""}
        session.on("user_input_transcribed", self._on_words)

    def _on_words(self, event: UserInputTranscribedEvent) -> None:
        if event.is_final:
            self._words = {True: f"{self._words[True]} {event.transcript}", False: ""}
        else:
            self._words[False] = event.transcript

    def count_from(self, seconds_ago: float) -> None:
        """The answer was so long ago."""
        self._answered_at = self._now() - seconds_ago

    def look(self) -> Greeting:
        """As of now; to be asked often."""
        speaking = self._session.user_state == "speaking"
        if speaking:
            self._spoke_since = self._spoke_since or self._now()
            self._spoke_seconds = max(self._now() - self._spoke_since, GLANCE_SECONDS)
        else:
            self._spoke_since = None
        words = " ".join(self._words.values())
        now = self._now()
        return Greeting(now - self._answered_at, now - self._began, self._spoke_seconds, speaking, words)

    async def judge(self) -> Greeted:
        """PERSON or MACHINE, within QUIET_MEANS_PERSON_SECONDS and a greeting."""
        while (verdict := judge_greeting(self.look())) is Greeted.LISTEN:  # noqa: ASYNC110  # time passes, no event
            await asyncio.sleep(GLANCE_SECONDS)
        return verdict

    def close(self) -> None:
        self._session.off("user_input_transcribed", self._on_words)
