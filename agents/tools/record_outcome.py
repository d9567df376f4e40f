"""The tool that notes what a call came to, as a hint for who placed it."""

from livekit.agents import RunContext, function_tool

from agents.conversation_state import ConversationState
from agents.tools.signatures import Outcome


@function_tool
async def record_outcome(context: RunContext[ConversationState], outcome: Outcome) -> str:
    """Note what this call came to, as soon as it is clear; the last note counts, but do_not_call stays. Do not
    mention it to the person.

    Args:
        outcome: confirmed: they agreed. reschedule: they want another time. callback: call them again later.
            not_interested: they declined. wrong_number: somebody else's number. do_not_call: they asked never to
            be called again, and no campaign calls them from now on. voicemail_left: you left a message on an
            answering machine. reached: they listened, and none of these fits.
    """
    if not await context.userdata.leave_hint({"disposition": outcome.value}):
        return "Not noted: they asked never to be called again, and that stays the outcome."
    return f"Noted: {outcome.value}."
