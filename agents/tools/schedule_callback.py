"""The tool that notes when the person wants to be called again."""

from datetime import UTC
from zoneinfo import ZoneInfo

from livekit.agents import RunContext, ToolError, function_tool

from agents.conversation_state import ConversationState
from app.clock import utc_now
from app.spoken_time import read_spoken_time


@function_tool
async def schedule_callback(context: RunContext[ConversationState], when: str) -> str:
    """Note when the person wants to be called again, as soon as they have named a time. It also notes the outcome of
    this call as callback. Afterwards say the day and the time back to the person, as this returns them.

    Args:
        when: The time in the person's own words, with the day if they named one: "after lunch", "tomorrow at three",
            "in two hours", "Monday morning".
    """
    state = context.userdata
    now = utc_now().astimezone(ZoneInfo(state.zone) if state.zone else UTC)
    at = read_spoken_time(when, now)
    if at is None:
        raise ToolError("That names no time ahead. Ask for a day and a time, and pass on what they say.")
    if not state.zone and not _is_delay(when):
        raise ToolError("Nobody knows where the person is. Ask in how many hours or days to call, and pass that on.")
    noted = {"callback_at": at.isoformat(), "callback_text": when.strip()[:300]}
    if not await state.leave_hint({"disposition": "callback", "details": {**state.details, **noted}}):
        return "Not noted: they asked never to be called again, so nobody will call them."
    state.details.update(noted)
    local = at.astimezone(now.tzinfo)
    return f"Noted: {local:%A}, {local:%B} {local.day}, at {local:%I:%M %p}.".replace(" 0", " ")


def _is_delay(when: str) -> bool:
    """ "in two hours" is the same instant everywhere."""
    return any(word in when.lower() for word in ("hour", "minute"))
