"""What a team is: its agents, what they say, what they may do, and to whom they hand over.

Only the shape lives here. `agents/team/parse.py` reads it from YAML and checks what crosses from one part to
another (does the agent exist to which this one hands off?); docs/teams.md explains every field to its author.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]
"""Something that is spoken; may hold `{{ variable }}`."""
LongText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
"""An agent, a variable or a fact: small letters, digits and underscores, as a function's name would be."""
Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
"""What is listened for; `agents/team/phrases.py` says how it is read."""

HANDOFF_PREFIX = "hand_off_to_"


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Voice(Part):
    """Which voice speaks, by provider (a name of that provider's own), and how fast (1.0 is normal)."""

    offline: str | None = None
    deepgram: str | None = None
    openai: str | None = None
    speed: float = Field(1.0, ge=0.5, le=2.0)


class Handoff(Part):
    """Who may take over from this agent, and when: `when` is what a language model reads."""

    to: Name
    when: Text

    @property
    def tool_name(self) -> str:
        return HANDOFF_PREFIX + self.to


class Rule(Part):
    """One line of the scripted model's script: what is heard, and what is done about it, in this order.

    `say` is spoken at once; where it mentions `{{ result }}`, it waits for what the tool returned.
    """

    hear: list[Phrase] = Field(default_factory=list, max_length=100)
    """Any of these; empty matches whatever is said."""
    unless: list[Phrase] = Field(default_factory=list, max_length=100)
    """None of these."""
    after: list[Phrase] = Field(default_factory=list, max_length=20)
    """Only where the agent's own last words hold one of these: which question a bare "yes" answers."""
    say: Text | None = None
    tool: str | None = None
    arguments: dict[Name, str | int | float | bool | dict[str, str]] = Field(default_factory=dict)
    handoff: Name | None = None
    end: bool = False
    """Ends the call once `say` was heard to its end."""


class AgentDefinition(Part):
    name: Name
    instructions: LongText
    greeting: Text | None = None
    """Said on entering: by the entry agent when the call is answered, by another when it takes over."""
    voice: Voice = Field(default_factory=lambda: Voice(speed=1.0))
    model: str | None = Field(None, max_length=100)
    """A language model of the configured provider, where this agent needs another than the rest."""
    tools: list[str] = Field(default_factory=list, max_length=20)
    handoffs: list[Handoff] = Field(default_factory=list, max_length=20)
    rules: list[Rule] = Field(default_factory=list, max_length=200)
    fallback: list[Text] = Field(
        default=["Sorry, I did not catch that. Could you say it again?", "Could you put it another way, please?"],
        min_length=1,
        max_length=10,
    )
    """Said where no rule matches: the first, then the next each time in a row; the last one stays."""
    welcome_back: Text = "What else can I do for you?"
    """Said by the scripted model on taking over, where no rule answers what was said last."""

    def handoff_to(self, name: str) -> Handoff | None:
        return next((handoff for handoff in self.handoffs if handoff.to == name), None)


class Criterion(Part):
    """What a conversation is judged by once it is over. `check` says it in words, for a language model; the rest are
    the offline judge's rules, of which every one that is given must hold."""

    name: Name
    check: Text
    weight: float = Field(1.0, gt=0, le=100)
    said: list[Phrase] = Field(default_factory=list, max_length=100)
    """An agent said one of these in one of its turns."""
    not_said: list[Phrase] = Field(default_factory=list, max_length=100)
    tool_called: str | None = None
    """This tool was called, and did not fail."""
    outcome: list[str] = Field(default_factory=list, max_length=20)
    """The conversation came to one of these (`record_outcome`)."""

    @property
    def has_rules(self) -> bool:
        return bool(self.said or self.not_said or self.tool_called or self.outcome)


class TeamDefinition(Part):
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    slug: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")] = "en"
    entry: Name
    """The agent that answers."""
    agents: list[AgentDefinition] = Field(min_length=1, max_length=30)
    variables: dict[Name, Annotated[str, StringConstraints(max_length=500)]] = Field(default_factory=dict)
    """Every `{{ name }}` that the texts use, with what stands there when a call brings no value."""
    facts: dict[Name, Text] = Field(default_factory=dict)
    """What `look_up` finds, by topic."""
    evaluation: list[Criterion] = Field(default_factory=list[Criterion], max_length=30)
    """By what each conversation is judged; docs/teams.md."""
    farewell: Text = "Thank you for calling. Goodbye."
    """Said before hanging up, where the agent has not said goodbye itself."""
    rescue_line: Text = "Sorry, I lost you for a moment. Could you say that again, please?"
    """The first words of an agent that replaces a lost one in the middle of a call."""
    trouble_line: Text = "I am sorry, that did not work just now."
    """Said by the scripted model where a tool failed."""

    def agent(self, name: str) -> AgentDefinition:
        """The agent of this name. Raises KeyError: a validated definition only names agents that it has."""
        for agent in self.agents:
            if agent.name == name:
                return agent
        raise KeyError(name)


def load_definition(stored: Mapping[str, Any]) -> TeamDefinition:
    """Read a definition from the database; what is stored was checked when it was pushed."""
    return TeamDefinition.model_validate(stored)
