"""The tool that ends a call: after the goodbye was heard, never on top of it."""

import asyncio
from contextlib import suppress

from livekit.agents import RunContext, function_tool
from livekit.agents.llm import ToolFlag, ToolResult

from agents.conversation_state import ConversationState

GOODBYE_TIMEOUT_SECONDS = 60.0
INTERRUPTED = "The person spoke while you said goodbye, so the call goes on. Listen to them."


@function_tool(flags=ToolFlag.IGNORE_ON_ENTER)
async def end_call(context: RunContext[ConversationState], farewell: str = "") -> ToolResult | str:
    """End the call. Use it once the person has said goodbye or wants nothing more, or when you were told to end
    the call. Never use it while a question is open, or because someone hesitates. Nothing can be said afterwards.

    Args:
        farewell: Your goodbye, spoken before the line closes. Leave it empty if this very reply says goodbye.
    """
    state = context.userdata
    if not await _say_goodbye(context, farewell):
        return INTERRUPTED
    state.ended = True
    await state.hang_up()
    return ToolResult("The call has ended.", reply_required=False)


async def _say_goodbye(context: RunContext[ConversationState], farewell: str) -> bool:
    """Wait until the reply was heard, then until the goodbye was; False if the person spoke meanwhile.

    A person may interrupt a goodbye ("wait, one more thing"), which is why interruptions stay allowed.
    """
    await context.wait_for_playout()
    if context.speech_handle.interrupted:
        return False
    state = context.userdata
    has_spoken = any(item.type == "message" and item.role == "assistant" for item in context.speech_handle.chat_items)
    goodbye = farewell or ("" if has_spoken else state.definition.farewell)
    if not goodbye:
        return True
    spoken = context.session.say(state.fill(goodbye))
    with suppress(TimeoutError):
        await asyncio.wait_for(spoken.wait_for_playout(), GOODBYE_TIMEOUT_SECONDS)
    return not spoken.interrupted
