"""Who picked up, by what was said and what came of it. Pure.

Few phrases, and only such as people hardly say on picking up: a person who is taken for a machine is made to wait for
a beep. What a conversation came to in the end has the last word.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from agents.team.phrases import compile_phrase, match_phrase, split_words
from telephony.calls import AnsweredBy

MACHINE_PHRASES = (
    "leave ... message",
    "leave your name|number",
    "leave us|me your|a name|number|message",
    "record your|a message",
    "after|at the beep|tone|signal",
    "voicemail",
    "voice mail",
    "mailbox",
    "answering machine",
)
PERSON_AFTER_TURNS = 3
"""Most greetings of machines are heard as one or two turns. Who says more, and none of the phrases, is taken for a
person, until one of the phrases comes after all."""
MACHINE_WORDS = frozenset({"voicemail-left", "voicemail"})


class By(StrEnum):
    """How a finding was made."""

    WORDS = "words"
    BEEP = "beep"
    SIT = "sit"
    LENGTH = "length"
    """Of the greeting: people do not speak on for so long."""
    END = "end"


@dataclass(frozen=True)
class Finding:
    answered_by: AnsweredBy
    by: By
    because: str

    @property
    def evidence(self) -> dict[str, Any]:
        """As `calls.answered_by_evidence` has it."""
        return {"by": self.by.value, "because": self.because}


def find_machine_phrase(words: str) -> str | None:
    """The first phrase of a machine that stands in what was heard."""
    heard = split_words(words)
    return next((phrase for phrase in MACHINE_PHRASES if match_phrase(compile_phrase(phrase), heard) is not None), None)


def judge_words(words: str, *, turns: int) -> Finding | None:
    """After the person's side has said so many turns, these the last; None: not known yet."""
    phrase = find_machine_phrase(words)
    if phrase is not None:
        return Finding(AnsweredBy.MACHINE, By.WORDS, f'heard "{phrase}"')
    if turns >= PERSON_AFTER_TURNS:
        return Finding(AnsweredBy.PERSON, By.WORDS, f"{turns} turns, and no word of a machine")
    return None


def conclude(found: Finding | None, *, hint: Mapping[str, Any], turns: int) -> Finding | None:
    """At the end of the conversation. None: nobody said anything."""
    word = hint.get("disposition")
    if isinstance(word, str) and word:
        said = word.lower().replace("_", "-")
        verdict = AnsweredBy.MACHINE if said in MACHINE_WORDS else AnsweredBy.PERSON
        if found is not None and found.answered_by is verdict:
            return found
        before = f"; first taken for a {found.answered_by.value}: {found.because}" if found else ""
        return Finding(verdict, By.END, f"the conversation came to {said}{before}")
    if found is None and turns:
        return Finding(AnsweredBy.PERSON, By.END, f"they spoke {turns} times, and no word of a machine")
    return found
