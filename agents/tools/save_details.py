"""The tool that writes down what the person told, field by field."""

from livekit.agents import RunContext, ToolError, function_tool

from agents.conversation_state import ConversationState
from telephony.hints import spell_name

MAX_FIELDS = 50
MAX_VALUE_CHARACTERS = 1_000


@function_tool
async def save_details(context: RunContext[ConversationState], field: str, value: str) -> str:
    """Write down one thing that the person told you and that the team needs later. Call it once for each, as soon
    as you know it; a later value replaces an earlier one. Never write down card numbers or passwords.

    Args:
        field: A short name in small letters, such as reason, preferred_day or callback_number.
        value: What the person said, in their own words where they matter.
    """
    details = context.userdata.details
    name, value = spell_name(field), value.strip()[:MAX_VALUE_CHARACTERS]
    if not name or not value:
        raise ToolError("Give both a field and a value.")
    if name not in details and len(details) >= MAX_FIELDS:
        raise ToolError(f"Only {MAX_FIELDS} details fit; write only what matters.")
    details[name] = value
    await context.userdata.leave_hint({"details": dict(details)})
    return f"Saved: {name}."
