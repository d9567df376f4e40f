"""A provider failed in the middle of a call: the caller hears it, instead of silence.

When one of these errors comes, the fallback (agents/speech/registry.py) has failed as well. What is said comes from
the offline voice, past the session's own, so that it does not depend on what has just failed.
"""

import asyncio
from collections.abc import AsyncIterator

from livekit import rtc
from livekit.agents import CloseEvent, CloseReason, ErrorEvent, llm, stt, tts

from agents.conversation_state import ConversationState
from agents.course.ending import Ending, Session
from agents.speech.hibari import SAMPLE_RATE, HibariEngine
from app.logs import get_logger
from telephony.calls import AtFault, End, EndReason, EndResult

log = get_logger(__name__)

GIVING_UP = "I am sorry, we have a technical problem. Please call again later. Goodbye."
FORGIVEN_FOR_SECONDS = 60.0
"""A second failure within this time ends the call."""
SPEAK_SECONDS = 15.0
BROKEN = End(EndResult.FAILED, EndReason.LOST, AtFault.US)

ProviderError = llm.LLMError | stt.STTError | tts.TTSError


class Apologies:
    """Listens for a session's failures; `run` speaks."""

    def __init__(self, session: Session, state: ConversationState, voice: HibariEngine) -> None:
        self._session = session
        self._state = state
        self._voice = voice
        self._failures: asyncio.Queue[ProviderError | None] = asyncio.Queue()
        session.on("error", self._on_error)
        session.on("close", self._on_close)

    def _on_error(self, event: ErrorEvent) -> None:
        if isinstance(event.error, ProviderError) and not event.error.recoverable:
            self._failures.put_nowait(event.error)

    def _on_close(self, event: CloseEvent) -> None:
        if event.reason is CloseReason.ERROR:
            self._failures.put_nowait(None)

    async def run(self, ending: Ending) -> None:
        """Until the call is over. One failure is apologized for; deafness and a second failure end the call."""
        forgiven_until = 0.0
        now = asyncio.get_running_loop().time
        while not ending.is_over:
            failure = await self._failures.get()
            if failure is None:
                ending.end(BROKEN)
                return
            log.error(
                "a provider failed in a call", provider=failure.label, kind=failure.type, error=str(failure.error)
            )
            if failure.type == "stt_error" or now() < forgiven_until:
                await self._say(GIVING_UP)
                ending.end(BROKEN)
                return
            forgiven_until = now() + FORGIVEN_FOR_SECONDS
            await self._say(self._state.fill(self._state.definition.trouble_line))

    async def _say(self, text: str) -> None:
        try:
            speech = self._session.say(text, audio=self._read_aloud(text), allow_interruptions=False)
            await asyncio.wait_for(speech.wait_for_playout(), SPEAK_SECONDS)
        except (RuntimeError, TimeoutError):
            log.warning("an apology was not heard")

    async def _read_aloud(self, text: str) -> AsyncIterator[rtc.AudioFrame]:
        async for pcm in self._voice.say(text):
            yield rtc.AudioFrame(pcm, SAMPLE_RATE, 1, len(pcm) // 2)
