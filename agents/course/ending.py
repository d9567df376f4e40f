"""How a conversation comes to its end: whoever says it first, and the two clocks that say it themselves."""

import asyncio
from typing import Any

from livekit import rtc
from livekit.agents import AgentSession

from agents.conversation_state import ConversationState
from agents.course.person import read_participant
from app.logs import get_logger
from telephony.calls import End, EndReason, EndResult
from telephony.legs import RoomLeg

log = get_logger(__name__)

Session = AgentSession[ConversationState]

STILL_THERE = "Are you still there?"
QUIET_SECONDS = 12.0
"""Nobody says anything for so long: ask."""
QUIET_AFTER_QUESTION_SECONDS = 8.0
LONGEST_CALL_SECONDS = 3600.0
GOODBYE_SECONDS = 15.0
GLANCE_SECONDS = 0.25

Cause = End | RoomLeg | None
"""An end that we name; the person's leg that left; or None, where the room was closed by others, who know why."""


class Ending:
    """Over when the first `end` comes; later ones change nothing."""

    def __init__(self) -> None:
        self._cause: asyncio.Future[Cause] = asyncio.get_running_loop().create_future()

    def end(self, cause: Cause) -> None:
        if not self._cause.done():
            self._cause.set_result(cause)

    @property
    def is_over(self) -> bool:
        return self._cause.done()

    async def wait(self) -> Cause:
        return await asyncio.shield(self._cause)


def watch_room(room: rtc.Room, ending: Ending) -> None:
    """Over when the room is gone, or we were put out of it."""

    def on_disconnected(_: rtc.DisconnectReason.ValueType) -> None:
        ending.end(None)

    room.on("disconnected", on_disconnected)


def watch_person(room: rtc.Room, person: RoomLeg, ending: Ending) -> None:
    """Over when the person leaves."""

    def on_left(participant: rtc.RemoteParticipant) -> None:
        if participant.identity == person.identity:
            ending.end(read_participant(participant))

    room.on("participant_disconnected", on_left)


class Patience:
    """Asks a person who is silent, and says goodbye to one who stays so."""

    def __init__(self, session: Session, state: ConversationState) -> None:
        self._session = session
        self._state = state
        self._now = asyncio.get_running_loop().time
        self._quiet_since = self._now()
        for name in ("user_state_changed", "agent_state_changed"):
            session.on(name, self._stir)

    def _stir(self, _: Any) -> None:
        self._quiet_since = self._now()

    def measure_quiet(self) -> float:
        """Seconds for which both have been silent; none before the answer, or while the agent thinks."""
        busy = self._session.user_state == "speaking" or self._session.agent_state in ("speaking", "thinking")
        if busy or not self._state.answered:
            self._quiet_since = self._now()
        return self._now() - self._quiet_since

    async def run(self, ending: Ending) -> None:
        """Until the call is over."""
        while not ending.is_over:
            await self._wait_for_quiet(QUIET_SECONDS)
            await self._session.say(STILL_THERE).wait_for_playout()
            asked_at = self._now()
            await self._wait_for_quiet(QUIET_AFTER_QUESTION_SECONDS)
            if self._now() - asked_at < QUIET_AFTER_QUESTION_SECONDS + 1.0:
                await say_goodbye(self._session, self._state)
                ending.end(End(EndResult.COMPLETED, EndReason.SILENCE))

    async def _wait_for_quiet(self, seconds: float) -> None:
        while (quiet := self.measure_quiet()) < seconds:
            # Never longer than a glance: who speaks and falls silent in between must be seen.
            pause = min(GLANCE_SECONDS, seconds - quiet)
            await asyncio.sleep(pause)


async def limit_duration(session: Session, state: ConversationState, ending: Ending) -> None:
    """No call lasts for ever."""
    await asyncio.sleep(LONGEST_CALL_SECONDS)
    await say_goodbye(session, state)
    ending.end(End(EndResult.COMPLETED, EndReason.MAX_DURATION))


async def say_goodbye(session: Session, state: ConversationState) -> None:
    """The team's farewell, and nothing after it."""
    state.ended = True
    try:
        farewell = session.say(state.fill(state.definition.farewell), allow_interruptions=False)
        await asyncio.wait_for(farewell.wait_for_playout(), GOODBYE_SECONDS)
    except (RuntimeError, TimeoutError):
        log.warning("the farewell was not heard")
