"""A team in a real LiveKit session, without sound: what tests of tools, handoffs and the scripted model talk to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from livekit.agents import NOT_GIVEN, AgentSession, NotGivenOr, llm
from livekit.agents.voice.run_result import RunResult

from agents.conversation import TeamAgent, build_agents
from agents.conversation_state import ConversationState
from agents.speech.scripted import ScriptedModel
from agents.team.definition import TeamDefinition
from tests.unit.sound import Loudspeaker, SilentVoice


@dataclass
class Talk:
    """A conversation in text, and what the team told the call: hints, handoffs, the end. `notes_count`: False once the
    person asked never to be called again."""

    session: AgentSession[ConversationState]
    state: ConversationState
    hints: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    handoffs: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    hang_ups: int = 0
    notes_count: bool = True

    def begin(self, text: str) -> RunResult[None]:
        """What the person says; does not wait for the answer."""
        return self.session.run(user_input=text)

    async def say(self, text: str) -> "Turn":
        """What the person says; returns once the team has finished its answer."""
        return Turn(await self.session.run(user_input=text))

    @property
    def agent(self) -> TeamAgent:
        agent = self.session.current_agent
        assert isinstance(agent, TeamAgent)
        return agent

    def history(self) -> list[str]:
        """What the present agent's model sees, a line an item."""
        return [line for item in self.agent.chat_ctx.items if (line := _line(item))]


@dataclass
class Turn:
    run: RunResult[None]

    @property
    def said(self) -> list[str]:
        return [
            event.item.text_content or ""
            for event in self.run.events
            if event.type == "message" and event.item.role == "assistant"
        ]

    @property
    def called(self) -> list[str]:
        return [event.item.name for event in self.run.events if event.type == "function_call"]

    @property
    def results(self) -> dict[str, str]:
        return {e.item.name: e.item.output for e in self.run.events if e.type == "function_call_output"}


def _line(item: llm.ChatItem) -> str:
    if item.type == "message":
        return f"{item.role}: {item.text_content}"
    if item.type == "function_call":
        return f"call: {item.name}"
    if item.type == "function_call_output":
        return f"result: {item.name}: {item.output}"
    return ""


@asynccontextmanager
async def talk_to(
    team: TeamDefinition,
    *,
    variables: Mapping[str, Any] | None = None,
    answered: bool = True,
    history: NotGivenOr[llm.ChatContext] = NOT_GIVEN,
    loudspeaker: Loudspeaker | None = None,
    **state: Any,
) -> AsyncIterator[Talk]:
    """Start the team with the scripted model; yields once it has spoken first."""
    told: list[Talk] = []

    async def hang_up() -> None:
        told[0].hang_ups += 1

    async def leave_hint(hint: Mapping[str, Any]) -> bool:
        told[0].hints.append(dict(hint))
        return told[0].notes_count

    async def on_handoff(from_: str, to: str) -> None:
        told[0].handoffs.append((from_, to))

    shared = ConversationState(
        team, hang_up, leave_hint, on_handoff, variables=variables or {}, answered=answered, **state
    )
    build_agents(shared, make_llm=lambda agent: ScriptedModel(team, agent, shared.variables), history=history)
    session = AgentSession[ConversationState](
        userdata=shared, turn_handling={"turn_detection": None}, tts=SilentVoice() if loudspeaker else NOT_GIVEN
    )
    session.output.audio = loudspeaker
    talk = Talk(session, shared)
    told.append(talk)
    try:
        await session.start(shared.agents[shared.active], capture_run=True, record=False)
        yield talk
    finally:
        await session.aclose()


async def wait_until(holds: Callable[[], bool], *, seconds: float = 5) -> None:
    """Raises TimeoutError where it does not come true in time."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  # LiveKit has no event for most of it
            await asyncio.sleep(0.005)
