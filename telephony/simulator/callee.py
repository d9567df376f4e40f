"""The person on the far end of an answered call: speaks the persona's lines, listens, and hangs up."""

import asyncio
import math
from dataclasses import dataclass, field
from typing import Any

from telephony.media.g711 import FRAME_SECONDS
from telephony.simulator.audio.ear import Stretch, seconds
from telephony.simulator.audio.line import Line
from telephony.simulator.audio.voice import Voice, beep
from telephony.simulator.journal import Journal
from telephony.simulator.persona import Answers, HangsUpEarly, PicksUp, SpokenLine, Voicemail

KEY_SECONDS = 0.25
"""From one key to the next; `w` in the digits waits half a second more."""


@dataclass
class Utterance:
    """Something that the person said; ticks of the line, `end` is None while it is being spoken."""

    text: str
    start: int
    end: int | None = None
    barge_in: bool = False


@dataclass
class Callee:
    """One person on one line. `said` grows as the call goes on."""

    persona: PicksUp
    line: Line
    voice: Voice
    journal: Journal
    call_sid: str
    said: list[Utterance] = field(default_factory=list[Utterance])

    async def act(self) -> None:
        """Play the persona; returning means that the person hangs up."""
        match self.persona:
            case Answers():
                await self._converse(self.persona)
            case Voicemail():
                await self._record_message(self.persona)
            case HangsUpEarly():
                await self._wait_until(self.line.tick + _ticks(self.persona.after_seconds))

    async def prepare(self) -> None:
        """Synthesize every line before it is needed, so that nobody waits for it in the call."""
        match self.persona:
            case Answers(lines=lines, speed=speed):
                for line in lines:
                    await self._audio(line, speed)
            case Voicemail(greeting=greeting):
                await self.voice.speak(greeting)
            case HangsUpEarly():
                pass

    async def _converse(self, persona: Answers) -> None:
        leave = self.line.tick + _ticks(persona.max_seconds)
        try:
            async with asyncio.timeout(persona.max_seconds):
                since = 0
                for spoken in persona.lines:
                    await self._await_turn(persona, spoken, since)
                    await self._deliver(spoken, persona.speed)
                    since = self.line.tick
                await self._part(persona, since, leave)
        except TimeoutError:
            self.journal.note("callee.lost_patience", call_sid=self.call_sid, after_seconds=persona.max_seconds)

    async def _await_turn(self, persona: Answers, spoken: SpokenLine, since: int) -> None:
        """Until it is this line's turn: the reply has ended, or has gone on long enough to be talked over."""
        deadline = self.line.tick + _ticks(spoken.wait_seconds)
        if spoken.barge_in_after_seconds is None:
            await self._reply_ended(since, persona.reply_silence_seconds, deadline)
            return
        while self.line.tick < deadline:
            reply = self.line.ear.heard_since(since)
            if reply is not None and self.line.tick >= reply.start + _ticks(spoken.barge_in_after_seconds):
                return
            await self.line.next_tick()

    async def _reply_ended(self, since: int, silence_seconds: float, deadline: int) -> Stretch | None:
        """Wait for speech after `since` and then `silence_seconds` without any; None when the deadline came first."""
        while self.line.tick < deadline:
            reply = self.line.ear.heard_since(since)
            if reply is not None and self.line.tick - reply.end >= _ticks(silence_seconds):
                return reply
            await self.line.next_tick()
        return None

    async def _deliver(self, spoken: SpokenLine, speed: float) -> None:
        for digit in spoken.digits:
            if digit not in "wW":
                self.line.press(digit)
            await self._wait_until(self.line.tick + _ticks(KEY_SECONDS if digit not in "wW" else 0.5))
        if spoken.say is None and spoken.audio is None:
            return
        audio = await self._audio(spoken, speed)
        barge_in = spoken.barge_in_after_seconds is not None
        await self._utter(spoken.say or str(spoken.audio), audio, barge_in=barge_in)

    async def _audio(self, spoken: SpokenLine, speed: float) -> bytes:
        if spoken.audio is not None:
            return await self.voice.load(spoken.audio)
        return await self.voice.speak(spoken.say, speed) if spoken.say is not None else b""

    async def _utter(self, text: str, audio: bytes, *, barge_in: bool = False) -> None:
        utterance = Utterance(text, self.line.tick, barge_in=barge_in)
        self.said.append(utterance)
        await self.line.say(audio)
        utterance.end = self.line.tick
        self.journal.note(
            "callee.spoke",
            call_sid=self.call_sid,
            text=text,
            started_seconds=seconds(utterance.start),
            ended_seconds=seconds(utterance.end),
            barge_in=barge_in,
        )

    async def _part(self, persona: Answers, since: int, leave: int) -> None:
        """After the last line: hear the reply out, then hang up, or stay until nobody has spoken for long."""
        patience = _ticks(persona.patience_seconds)
        reply = await self._reply_ended(since, persona.reply_silence_seconds, self.line.tick + patience)
        if persona.hangs_up or reply is None:
            return
        await self._reply_ended(since, persona.patience_seconds, leave)

    async def _record_message(self, persona: Voicemail) -> None:
        await self._wait_until(self.line.tick + _ticks(0.5))
        await self._utter(persona.greeting, await self.voice.speak(persona.greeting))
        await self._wait_until(self.line.tick + _ticks(0.3))
        await self._utter("(beep)", beep())
        await self._wait_until(self.line.tick + _ticks(persona.records_seconds))

    async def _wait_until(self, tick: int) -> None:
        while self.line.tick < tick:
            await self.line.next_tick()

    def report(self) -> dict[str, Any]:
        """The timeline of both sides, in seconds from the answer (the same as positions in the two WAV files)."""
        ear = self.line.ear
        stretches = ear.stretches
        return {
            "answered_for_seconds": seconds(self.line.tick),
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


def _ticks(duration_seconds: float) -> int:
    return math.ceil(duration_seconds / FRAME_SECONDS)
