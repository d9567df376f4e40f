"""The agents of one call, and what they share.

`build_agents` turns a definition into the agents that LiveKit runs. They share one `ConversationState`, LiveKit's
`userdata`: tools reach the call through it, never through a database or a room of their own.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from livekit.agents import NOT_GIVEN, Agent, NotGivenOr, llm, tts

from agents.definition import AgentDefinition, TeamDefinition


@dataclass
class ConversationState:
    """What the agents of one call share; made by who runs the call (agents/session.py)."""

    definition: TeamDefinition
    hang_up: Callable[[], Awaitable[None]]
    """Ends the call because the agent is done. Starts the ending and returns: it must not wait for the session,
    which itself waits for the tool that called this."""
    leave_hint: Callable[[Mapping[str, Any]], Awaitable[None]]
    """Stores part of what the conversation came to: {"disposition": …} or {"details": {…}}."""
    on_handoff: Callable[[str, str], Awaitable[None]]
    """Told (from, to) when another agent has taken over, before it speaks."""
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the call knows about the person; fills `{{ name }}`, else the definition's default does."""
    answered: bool = False
    """Nothing is said before. Set it before the session starts, or call `answer` later."""
    rescue: bool = False
    """These agents replace a lost one: they begin with an apology instead of the greeting."""
    active: str = ""
    """The name of the agent that has the call; the entry agent's, or the one to rescue."""
    agents: dict[str, "TeamAgent"] = field(default_factory=dict[str, "TeamAgent"])
    ended: bool = False
    """`end_call` ran: whatever else comes up, nothing more is said."""

    def __post_init__(self) -> None:
        self.active = self.active or self.definition.entry

    def answer(self) -> None:
        """The call was answered: the waiting agent may speak now."""
        raise NotImplementedError


class TeamAgent(Agent):
    """One agent of a team, as LiveKit runs it; `id` is its name in the definition."""


def build_agents(
    state: ConversationState,
    *,
    make_llm: Callable[[AgentDefinition], llm.LLM],
    make_tts: Callable[[AgentDefinition], NotGivenOr[tts.TTS]] = lambda _: NOT_GIVEN,
) -> dict[str, TeamAgent]:
    """Make every agent of the team, put them into `state.agents`, and return them by name.

    Start the session with `state.agents[state.active]`.
    """
    raise NotImplementedError
