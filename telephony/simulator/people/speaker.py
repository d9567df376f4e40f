"""A mouth and an ear on one line: what every simulated person and machine that speaks is made of."""

import math
from dataclasses import dataclass, field
from typing import Any

from telephony.media.g711 import FRAME_SECONDS
from telephony.simulator.audio.ear import Stretch, seconds
from telephony.simulator.audio.line import Line
from telephony.simulator.audio.voice import Voice
from telephony.simulator.journal import Journal
from telephony.simulator.people.persona import SpokenLine

KEY_SECONDS = 0.25
"""From one key to the next; `w` in the digits waits half a second more."""


@dataclass
class Utterance:
    """Something that was said; ticks of the line, `end` is None while it is being spoken."""

    text: str
    start: int
    end: int | None = None
    barge_in: bool = False


@dataclass
class Speaker:
    """`said` grows as the call goes on."""

    line: Line
    voice: Voice
    journal: Journal
    call_sid: str
    said: list[Utterance] = field(default_factory=list[Utterance])

    @property
    def now(self) -> int:
        return self.line.tick

    # -- speaking

    async def audio(self, spoken: SpokenLine, speed: float = 1.0) -> bytes:
        if spoken.audio is not None:
            return await self.voice.load(spoken.audio)
        return await self.voice.speak(spoken.say, speed) if spoken.say is not None else b""

    async def deliver(self, spoken: SpokenLine, speed: float = 1.0) -> None:
        """Press the line's keys, then say its words."""
        for digit in spoken.digits:
            if digit not in "wW":
                self.line.press(digit)
            await self.wait(KEY_SECONDS if digit not in "wW" else 0.5)
        if spoken.say is None and spoken.audio is None:
            return
        audio = await self.audio(spoken, speed)
        barge_in = spoken.barge_in_after_seconds is not None
        await self.utter(spoken.say or str(spoken.audio), audio, barge_in=barge_in)

    async def say(self, text: str) -> None:
        await self.utter(text, await self.voice.speak(text))

    async def utter(self, text: str, audio: bytes, *, barge_in: bool = False) -> None:
        utterance = Utterance(text, self.now, barge_in=barge_in)
        self.said.append(utterance)
        await self.line.say(audio)
        utterance.end = self.now
        self.journal.note(
            "callee.spoke",
            call_sid=self.call_sid,
            text=text,
            started_seconds=seconds(utterance.start),
            ended_seconds=seconds(utterance.end),
            barge_in=barge_in,
        )

    # -- listening

    async def wait(self, duration_seconds: float) -> None:
        until = self.now + ticks(duration_seconds)
        while self.now < until:
            await self.line.next_tick()

    async def reply_ended(self, since: int, silence_seconds: float, deadline: int) -> Stretch | None:
        """Wait for speech after `since` and then `silence_seconds` without any; None when the deadline came first."""
        while self.now < deadline:
            reply = self.line.ear.heard_since(since)
            if reply is not None and self.now - reply.end >= ticks(silence_seconds):
                return reply
            await self.line.next_tick()
        return None

    async def reply_lasts(self, since: int, for_seconds: float, deadline: int) -> None:
        """Until speech after `since` has gone on for so long, or the deadline."""
        while self.now < deadline:
            reply = self.line.ear.heard_since(since)
            if reply is not None and self.now >= reply.start + ticks(for_seconds):
                return
            await self.line.next_tick()

    # -- what came of it

    def report(self) -> dict[str, Any]:
        """The timeline of both sides, in seconds from the answer (the same as positions in the two WAV files)."""
        stretches = self.line.ear.stretches
        return {
            "answered_for_seconds": seconds(self.now),
            "first_heard_seconds": seconds(stretches[0].start) if stretches else None,
            "heard": [{"from_seconds": seconds(s.start), "to_seconds": seconds(s.end)} for s in stretches],
            "said": [self._describe(utterance) for utterance in self.said],
        }

    def _describe(self, utterance: Utterance) -> dict[str, Any]:
        ear = self.line.ear
        described: dict[str, Any] = {
            "text": utterance.text,
            "from_seconds": seconds(utterance.start),
            "to_seconds": None if utterance.end is None else seconds(utterance.end),
            "barge_in": utterance.barge_in,
            "reply_after_seconds": None,
            "heard_stopped_after_seconds": None,
        }
        if utterance.end is not None and (reply := ear.first_after(utterance.end)) is not None:
            described["reply_after_seconds"] = seconds(reply.start - utterance.end)
        if utterance.barge_in and (running := ear.running_at(utterance.start)) is not None:
            described["heard_stopped_after_seconds"] = seconds(running.end - utterance.start)
        return described


def ticks(duration_seconds: float) -> int:
    return math.ceil(duration_seconds / FRAME_SECONDS)
