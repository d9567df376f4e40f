"""How long people stay on a line that carries no sound."""

from dataclasses import dataclass
from random import Random
from typing import Any

from telephony.simulator.mode import Mode
from telephony.simulator.people.persona import Answers, HangsUpEarly, Menu, PicksUp, Screens, Voicemail

CHARACTERS_PER_SECOND = 15.0
"""Of speech at an ordinary pace."""


def speech_seconds(text: str) -> float:
    return len(text) / CHARACTERS_PER_SECOND


def stay_seconds(persona: PicksUp, chance: Random) -> float:
    """How long this persona would stay on the line, in simulated seconds."""
    match persona:
        case Answers(talks_between=(least, most), max_seconds=limit):
            return min(chance.uniform(least, most), limit)
        case Voicemail(greeting=greeting, records_seconds=records, full=full):
            return speech_seconds(greeting) + (0.0 if full else records)
        case HangsUpEarly(after_seconds=after):
            return after
        case Menu(prompt=prompt, repeats=repeats, waits_seconds=waits):
            return repeats * (speech_seconds(prompt) + waits)
        case Screens(prompt=prompt, decides_seconds=decides, accepts=accepts, talks_between=(least, most)):
            return speech_seconds(prompt) + decides + (chance.uniform(least, most) if accepts else 0.0)


@dataclass
class SilentCallee:
    """Somebody who picked up where only the signaling is played; `act` returns when they hang up."""

    persona: PicksUp
    mode: Mode
    chance: Random
    stayed_seconds: float = 0.0

    async def prepare(self) -> None:
        self.stayed_seconds = stay_seconds(self.persona, self.chance)

    async def act(self) -> None:
        await self.mode.wait(self.stayed_seconds)

    def report(self) -> dict[str, Any] | None:
        return None
