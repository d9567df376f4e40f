"""The one on the far end of an answered call: speaks the persona's lines, listens, and hangs up."""

import asyncio
from dataclasses import dataclass
from typing import Any

from telephony.simulator.audio.ear import seconds
from telephony.simulator.audio.recognizer import Recognizer
from telephony.simulator.people.machines import offer_menu, screen_caller, take_message
from telephony.simulator.people.persona import (
    Answers,
    Converses,
    HangsUpEarly,
    Menu,
    PicksUp,
    Screens,
    SpokenLine,
    Voicemail,
)
from telephony.simulator.people.speaker import Speaker, ticks

LISTEN_SECONDS = 1.0
"""How often someone who waits for a word makes out what was said."""


@dataclass
class Callee:
    """One person or machine on one line."""

    persona: PicksUp
    speaker: Speaker
    recognizer: Recognizer

    async def act(self) -> None:
        """Play the persona; returning means that the person hangs up."""
        match self.persona:
            case Answers():
                await self._answer(self.persona)
            case Screens():
                if await screen_caller(self.speaker, self.persona):
                    await self.speaker.deliver(self.persona.greets, self.persona.speed)
                    await self._converse(self.persona)
            case Voicemail():
                await take_message(self.speaker, self.persona)
            case Menu():
                await offer_menu(self.speaker, self.persona)
            case HangsUpEarly():
                await self.speaker.wait(self.persona.after_seconds)

    async def prepare(self) -> None:
        """Synthesize every line before it is needed, so that nobody waits for it in the call."""
        for text, speed in _texts(self.persona):
            await self.speaker.voice.speak(text, speed)

    def report(self) -> dict[str, Any]:
        return self.speaker.report()

    async def _answer(self, persona: Answers) -> None:
        conversation = asyncio.create_task(self._greet_and_converse(persona))
        sides = {conversation}
        if persona.hangs_up_at:
            sides.add(asyncio.create_task(self._wait_for_words(persona.hangs_up_at)))
        try:
            done, _ = await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)
        for side in done:
            side.result()

    async def _greet_and_converse(self, persona: Answers) -> None:
        if persona.greets is not None:
            await self.speaker.wait(persona.greets_after_seconds)
            await self.speaker.deliver(persona.greets, persona.speed)
        await self._converse(persona)

    async def _converse(self, persona: Converses) -> None:
        speaker = self.speaker
        leave = speaker.now + ticks(persona.max_seconds)
        try:
            async with asyncio.timeout(persona.max_seconds):
                since = speaker.said[-1].end or 0 if speaker.said else 0
                for spoken in persona.lines:
                    await self._await_turn(persona, spoken, since)
                    await speaker.deliver(spoken, persona.speed)
                    since = speaker.now
                await self._part(persona, since, leave)
        except TimeoutError:
            speaker.journal.note("callee.lost_patience", call_sid=speaker.call_sid, after_seconds=persona.max_seconds)

    async def _await_turn(self, persona: Converses, spoken: SpokenLine, since: int) -> None:
        """Until it is this line's turn: the reply has ended, or has gone on long enough to be talked over."""
        deadline = self.speaker.now + ticks(spoken.wait_seconds)
        if spoken.barge_in_after_seconds is None:
            await self.speaker.reply_ended(since, persona.reply_silence_seconds, deadline)
        else:
            await self.speaker.reply_lasts(since, spoken.barge_in_after_seconds, deadline)

    async def _part(self, persona: Converses, since: int, leave: int) -> None:
        """After the last line: hear the reply out, then hang up, or stay until nobody has spoken for long."""
        until = self.speaker.now + ticks(persona.patience_seconds)
        reply = await self.speaker.reply_ended(since, persona.reply_silence_seconds, until)
        if persona.hangs_up or reply is None:
            return
        await self.speaker.reply_ended(since, persona.patience_seconds, leave)

    async def _wait_for_words(self, words: tuple[str, ...]) -> None:
        """Returns when one of them was heard."""
        speaker, listened = self.speaker, 0
        while True:
            await speaker.wait(LISTEN_SECONDS)
            latest = speaker.line.ear.heard_since(listened)
            if latest is None:
                continue
            listened = speaker.now
            heard = await self.recognizer.recognize(speaker.line.heard_between(latest.start, listened))
            if any(word.lower() in heard.lower() for word in words):
                # What was said stays in the WAV file; the journal tells when it was understood.
                speaker.journal.note("callee.heard_word", call_sid=speaker.call_sid, at_seconds=seconds(speaker.now))
                return


def _texts(persona: PicksUp) -> list[tuple[str, float]]:
    """What the persona may say, each with its speed."""
    match persona:
        case Answers(lines=lines, speed=speed, greets=greets):
            return [(line.say, speed) for line in (*lines, *([greets] if greets else [])) if line.say]
        case Screens(lines=lines, speed=speed, greets=greets):
            spoken = [(line.say, speed) for line in (*lines, greets) if line.say]
            return [*spoken, (persona.prompt, 1.0), (persona.holds, 1.0), (persona.declines, 1.0)]
        case Voicemail(greeting=greeting):
            return [(greeting, 1.0)]
        case Menu(prompt=prompt, misunderstood=misunderstood):
            return [(prompt, 1.0), (misunderstood, 1.0)]
        case HangsUpEarly():
            return []
