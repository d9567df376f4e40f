"""What the agents of one call share: LiveKit's `userdata`.

Tools reach the call through these few functions, never through a database or a room of their own.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from livekit.agents import Agent

from agents.team.definition import TeamDefinition
from agents.team.templates import fill


@dataclass
class ConversationState:
    """Made by who runs the call (agents/session.py)."""

    definition: TeamDefinition
    hang_up: Callable[[], Awaitable[None]]
    """Ends the call because the agent is done. Starts the ending and returns: it must not wait for the session,
    which itself waits for the tool that called this."""
    leave_hint: Callable[[Mapping[str, Any]], Awaitable[bool]]
    """Stores part of what the conversation came to: {"disposition": …} or {"details": {…}}. False: the disposition does
    not count, they had asked never to be called again."""
    on_handoff: Callable[[str, str], Awaitable[None]]
    """Told (from, to) when another agent has taken over, before it speaks."""
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the call knows about the person; fills `{{ name }}`, else the definition's default does."""
    zone: str = ""
    """The IANA time zone of the person, empty where nobody knows."""
    answered: bool = False
    """Nothing is said before. Set it before the session starts, or call `answer` later."""
    rescue: bool = False
    """These agents replace a lost one: they begin with an apology instead of the greeting."""
    active: str = ""
    """The name of the agent that has the call; the entry agent's, or the one to rescue."""
    agents: dict[str, Agent] = field(default_factory=dict[str, Agent])
    silent: bool = False
    """People take this call: the agents listen and say nothing by themselves."""
    ended: bool = False
    """`end_call` ran: whatever else comes up, nothing more is said."""
    details: dict[str, str] = field(default_factory=dict[str, str])
    """What `save_details` wrote down so far."""
    handoff_turn: str = ""
    """The turn (LiveKit's speech id) in which the last handoff was made: one a turn."""
    before_reply: Callable[[str], Awaitable[str | None]] | None = None
    """Given what the person's side said, returns what to answer once it may be answered; None: nothing
    (agents/answering/listening.py)."""
    wait_for_answer: Callable[[], None] | None = None
    """What the agent that entered before the answer does once there is one."""

    def __post_init__(self) -> None:
        self.active = self.active or self.definition.entry

    def answer(self) -> None:
        """The call was answered: the waiting agent may speak now."""
        self.answered = True
        if self.wait_for_answer is not None:
            speak, self.wait_for_answer = self.wait_for_answer, None
            speak()

    def fill(self, text: str) -> str:
        """A text of the definition with its `{{ variables }}` filled."""
        return fill(text, known_values(self.definition, self.variables))


def known_values(definition: TeamDefinition, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The definition's variables, each with the call's value where that is not empty, else its default."""
    given = {name: value for name, value in variables.items() if value not in (None, "")}
    return {name: given.get(name, default) for name, default in definition.variables.items()}
