"""Listening for a machine while a call that we placed begins: its words, its beep, and the right moment to speak.

A message that begins when the machine's words end is spoken over the wait for its beep and is cut. So what was
recognized as a machine is answered after the beep, or once it has been quiet for long enough that none will come.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import numpy as np
from livekit import rtc
from livekit.agents import SpeechCreatedEvent, UserInputTranscribedEvent
from livekit.agents.voice import SpeechHandle
from livekit.agents.voice.io import AudioInput

from agents.answering.beep import BeepDetector, Heard, Samples, Sound
from agents.answering.verdict import By, Finding, judge_words
from agents.conversation_state import ConversationState
from agents.course.ending import Session
from app.db import DatabaseUnavailable
from app.logs import get_logger
from telephony.calls import AnsweredBy

log = get_logger(__name__)

NO_BEEP_SECONDS = 2.5
"""A machine that has been quiet for so long records without a sign."""
LONGEST_GREETING_SECONDS = 45.0
LISTEN_SECONDS = 90.0
"""After the answer; a beep that comes later is no machine's greeting."""
WORDS_SECONDS = 1.5
"""The machine's words may be recognized so long after its beep; then they are what is answered."""
GLANCE_SECONDS = 0.05
SILENCED_SECONDS = 3.0
BEEPED = "(An answering machine: leave the message after the beep.)"
"""What a beep without words is taken as: the machine's turn."""


class Answering:
    """One outbound call's. `hear` and `before_reply` are called as things happen; `run` is the task that acts."""

    def __init__(self, session: Session, state: ConversationState, note: Callable[[Finding], Awaitable[None]]) -> None:
        self._session = session
        self._state = state
        self._note = note
        self._now = asyncio.get_running_loop().time
        self._detector: BeepDetector | None = None
        self._began: float | None = None
        self._to_do: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self._beeped = asyncio.Event()
        self._spoke = asyncio.Event()
        self._holding = False
        self._waited = False
        self._unanswered = ""
        self._sentences = 0
        self._latest: SpeechHandle | None = None
        session.on("user_input_transcribed", self._on_transcribed)
        session.on("speech_created", self._on_speech)
        self.turns = 0
        """How often the callee's side has said something."""
        self.found: Finding | None = None

    @property
    def is_listening(self) -> bool:
        """For a beep: since the answer, until a person is known to be there."""
        if not self._state.answered or (self.found is not None and self.found.answered_by is AnsweredBy.PERSON):
            return False
        if self._began is None:
            self._began = self._now()
        return self._now() - self._began < LISTEN_SECONDS and not self._beeped.is_set()

    def hear(self, samples: Samples, rate: int) -> None:
        if not self.is_listening:
            return
        if self._detector is None:
            self._detector = BeepDetector(rate)
        heard = self._detector.hear(samples)
        if heard is not None:
            self._take_tones(heard)

    def _on_transcribed(self, event: UserInputTranscribedEvent) -> None:
        self._sentences += event.is_final

    def _on_speech(self, event: SpeechCreatedEvent) -> None:
        self._latest = event.speech_handle
        if self._beeped.is_set():
            self._protect_message()

    def _protect_message(self) -> None:
        """Nothing interrupts what is said to a machine: its last words are recognized after its beep, and would have
        the message begin anew."""
        speech = self._latest
        if speech is not None and not speech.interrupted and not speech.done():
            speech.allow_interruptions = False

    def _take_tones(self, heard: Heard) -> None:
        tones = ", ".join(f"{tone.hertz:.0f} Hz for {tone.seconds:.2f} s" for tone in heard.tones)
        if heard.sound is Sound.SIT:
            self._find(Finding(AnsweredBy.MACHINE, By.SIT, f"the network's tones: {tones}"))
            return
        self._beeped.set()
        before = f", after its words: {self.found.because}" if self.found else ""
        self._find(Finding(AnsweredBy.MACHINE, By.BEEP, f"heard {tones}{before}"))
        if not self._holding:
            self._spoke.clear()
            self._to_do.put_nowait(self._speak_after_beep)

    async def before_reply(self, words: str) -> str | None:
        """What to answer, as soon as it may be answered: at once, or for a machine after its beep. None: nothing, for
        the machine went on talking; its words come back with those that follow."""
        self.turns += 1
        self._spoke.set()
        words, self._unanswered = f"{self._unanswered} {words}".strip(), ""
        finding = judge_words(words, turns=self.turns)
        if finding is not None and (self.found is None or self._corrects(finding)):
            self._find(finding)
        by_words = self.found is not None and self.found.by is By.WORDS
        # Once only: whoever goes on talking without a beep is not made to wait before every answer.
        if by_words and not self._waited and not await self._wait_for_beep():
            self._unanswered = words
            return None
        if self._beeped.is_set():
            # The reply may have been made while we waited.
            self._protect_message()
        return words

    def _corrects(self, finding: Finding) -> bool:
        """A machine with a long greeting sounds like a person who says one sentence after the other, until it says what
        only machines say."""
        found = self.found
        return found is not None and (found.answered_by, found.by, finding.answered_by) == (
            AnsweredBy.PERSON,
            By.WORDS,
            AnsweredBy.MACHINE,
        )

    async def _wait_for_beep(self) -> bool:
        """False: more words came before it."""
        self._holding, heard = True, self._sentences
        began = quiet_since = self._now()
        try:
            while not self._beeped.is_set() and self.is_listening:
                if self._sentences > heard:
                    return False
                now = self._now()
                sounding = self._detector is not None and self._detector.is_sounding
                if self._session.user_state == "speaking" or sounding:
                    quiet_since = now
                if now - quiet_since >= NO_BEEP_SECONDS or now - began >= LONGEST_GREETING_SECONDS:
                    self._waited = True
                    break
                await asyncio.sleep(GLANCE_SECONDS)
            return True
        finally:
            self._holding = False

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            act = await self._to_do.get()
            await act()

    async def _speak_after_beep(self) -> None:
        """Where no turn is waiting for the beep: take the beep as one, unless the words come after all."""
        if self._session.agent_state != "speaking":
            try:
                async with asyncio.timeout(WORDS_SECONDS):
                    await self._spoke.wait()
            except TimeoutError:
                pass
            else:
                return
        if self._state.ended:
            return
        try:
            await asyncio.wait_for(self._session.interrupt(), SILENCED_SECONDS)
            self._session.generate_reply(user_input=BEEPED)
        except (RuntimeError, TimeoutError):
            log.warning("a beep came when nothing could be said")

    def _find(self, finding: Finding) -> None:
        self.found = finding

        async def note() -> None:
            try:
                await self._note(finding)
            except DatabaseUnavailable:
                log.warning("who answered was not stored")

        self._to_do.put_nowait(note)


class Hearing(Protocol):
    """Who is given the callee's audio, mono PCM at `rate`, as it passes; not to wait."""

    def hear(self, samples: Samples, rate: int) -> None: ...


class OverheardInput(AudioInput):
    """The callee's audio on its way to the agent: passes every frame on, after `hearing` has had it."""

    def __init__(self, hearing: Hearing, source: AudioInput) -> None:
        super().__init__(label="Overheard", source=source)
        self._hearing = hearing

    async def __anext__(self) -> rtc.AudioFrame:
        frame = await super().__anext__()
        self._hearing.hear(np.frombuffer(bytes(frame.data), np.int16), frame.sample_rate)
        return frame
