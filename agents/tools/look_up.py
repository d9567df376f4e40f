"""The tool that knows the organization's facts: what the team file holds under `facts`."""

from livekit.agents import RunContext, ToolError, function_tool

from agents.conversation_state import ConversationState


@function_tool
async def look_up(context: RunContext[ConversationState], topic: str) -> str:
    """Look up a fact about the organization before you state it: opening hours, address, prices and the like.
    Say only what it returns; if it knows nothing, tell the person that you do not know.

    Args:
        topic: One of the topics named in your instructions, exactly as it is written there.
    """
    state = context.userdata
    fact = state.definition.facts.get(topic.strip().lower().replace(" ", "_"))
    if fact is None:
        known = ", ".join(state.definition.facts) or "none"
        raise ToolError(f"Nothing is known about {topic!r}. Known topics: {known}.")
    return state.fill(fact)
