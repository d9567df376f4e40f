"""The agents of one call, as LiveKit runs them.

`build_agents` turns a definition into them; they share one `ConversationState`. Who takes over takes the whole
conversation along, tool results included, under instructions of its own.
"""

from collections.abc import AsyncIterable, Callable
from typing import Any

from livekit.agents import NOT_GIVEN, Agent, FlushSentinel, ModelSettings, NotGivenOr, StopResponse, llm, tts

from agents.conversation_state import ConversationState
from agents.handoff import build_handoffs
from agents.team.definition import AgentDefinition
from agents.tools.catalog import build_tools

PHONE_MANNERS = (
    "You speak on the telephone. Answer in one to three short spoken sentences, without lists, symbols or markup, "
    "and ask one question at a time."
)


class TeamAgent(Agent):
    """One agent of a team; LiveKit's `id` is its name in the definition."""

    def __init__(
        self,
        definition: AgentDefinition,
        state: ConversationState,
        *,
        llm: NotGivenOr[llm.LLM[Any]],
        tts: NotGivenOr[tts.TTS[Any]],
        history: NotGivenOr[llm.ChatContext] = NOT_GIVEN,
    ) -> None:
        super().__init__(
            id=definition.name,
            instructions=write_instructions(definition, state),
            tools=[*build_tools(definition.tools, state), *build_handoffs(definition.handoffs, state)],
            llm=llm,
            tts=tts,
        )
        if history:
            # Not through the constructor, which drops calls of tools that this agent does not have itself.
            self._chat_ctx = history.copy(exclude_instructions=True)
        self.definition = definition
        self.state = state
        self.has_greeted = False

    async def on_enter(self) -> None:
        """Take the conversation over, and speak first if the call is answered."""
        came_from = self.state.active
        took_over = came_from != self.definition.name
        if took_over:
            await self._take_context(self.state.agents[came_from])
            self.state.active = self.definition.name
            await self.state.on_handoff(came_from, self.definition.name)
        if self.state.answered:
            self._speak_first(took_over=took_over)
        else:
            self.state.wait_for_answer = lambda: self._speak_first(took_over=took_over)

    async def _take_context(self, previous: Agent) -> None:
        """All that was said and done, but the other's instructions: calls of tools that we lack are kept too."""
        history = previous.chat_ctx.copy(exclude_instructions=True, exclude_config_update=True)
        await self.update_chat_ctx(history, exclude_invalid_function_calls=False)

    def _speak_first(self, *, took_over: bool) -> None:
        """A rescuer apologizes; an agent greets once (the entry agent only who has just been put through);
        otherwise the model carries on."""
        greeting = self.definition.greeting
        is_return = self.has_greeted or (took_over and self.definition.name == self.state.definition.entry)
        self.has_greeted = True
        if self.state.rescue:
            self.state.rescue = False
            self.session.say(self.state.fill(self.state.definition.rescue_line))
        elif greeting and not is_return:
            self.session.say(self.state.fill(greeting))
        else:
            self.session.generate_reply()

    async def on_user_turn_completed(self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage) -> None:
        """LiveKit's hook between what was heard and the reply."""
        if self.state.before_reply is None:
            return
        words = await self.state.before_reply(new_message.text_content or "")
        if words is None:
            raise StopResponse
        if words != new_message.text_content:
            new_message.content = [words]

    async def llm_node(
        self, chat_ctx: llm.ChatContext, tools: list[llm.Tool], model_settings: ModelSettings
    ) -> AsyncIterable[llm.ChatChunk | str | FlushSentinel]:
        """LiveKit's own, silent where people talk, and once the call is being ended: models love to answer a tool's
        result."""
        if self.state.ended or self.state.silent:
            return
        async for chunk in Agent.default.llm_node(self, chat_ctx, tools, model_settings):
            yield chunk


def write_instructions(definition: AgentDefinition, state: ConversationState) -> str:
    """What a language model is told: the agent's own instructions, manners, what `look_up` knows, colleagues."""
    parts = [state.fill(definition.instructions), PHONE_MANNERS]
    if "look_up" in definition.tools and state.definition.facts:
        parts.append("Topics that look_up knows: " + ", ".join(state.definition.facts) + ".")
    return "\n\n".join(parts)


def build_agents(
    state: ConversationState,
    *,
    make_llm: Callable[[AgentDefinition], NotGivenOr[llm.LLM[Any]]],
    make_tts: Callable[[AgentDefinition], NotGivenOr[tts.TTS[Any]]] = lambda _: NOT_GIVEN,
    history: NotGivenOr[llm.ChatContext] = NOT_GIVEN,
) -> dict[str, Agent]:
    """Make every agent of the team, put them into `state.agents`, and return them by name.

    Start the session with `state.agents[state.active]`. `history` is what was said so far, for a rescue.
    """
    for definition in state.definition.agents:
        is_active = definition.name == state.active
        state.agents[definition.name] = TeamAgent(
            definition,
            state,
            llm=make_llm(definition),
            tts=make_tts(definition),
            history=history if is_active else NOT_GIVEN,
        )
    return state.agents
