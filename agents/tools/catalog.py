"""Every tool that a team file may name; agents/tools/signatures.py says what each takes."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from livekit.agents import FunctionTool

from agents.conversation_state import ConversationState
from agents.tools.end_call import end_call
from agents.tools.look_up import look_up
from agents.tools.record_outcome import record_outcome
from agents.tools.save_details import save_details
from agents.tools.schedule_callback import schedule_callback

AnyTool = FunctionTool[..., Any]

TOOLS = [end_call, look_up, record_outcome, save_details, schedule_callback]

CATALOG: Mapping[str, AnyTool] = {tool.info.name: tool for tool in cast(list[AnyTool], TOOLS)}


def build_tools(names: Iterable[str], conversation: ConversationState) -> list[AnyTool]:
    """The tools of these names, for the agents of this conversation."""
    return [CATALOG[name] for name in names]
