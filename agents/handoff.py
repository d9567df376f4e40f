"""Handoffs: control of the call moves from one agent of the team to another.

Each configured handoff is a tool of its own, so that a model chooses between named colleagues. The tool only says
where to go; LiveKit switches once every tool of the turn is done, and the next agent takes the whole conversation
with it when it enters (agents/conversation.py): results of tools that ran beside the handoff are in it.
"""

from typing import Any

from livekit.agents import Agent, FunctionTool, RunContext, ToolError, function_tool
from livekit.agents.llm import ToolResult

from agents.conversation_state import ConversationState
from agents.team.definition import Handoff

AnyTool = FunctionTool[..., Any]


def build_handoff(handoff: Handoff, state: ConversationState) -> AnyTool:
    """The tool that hands over to `handoff.to`."""

    @function_tool(name=handoff.tool_name, description=_describe(handoff, state))
    async def hand_off(context: RunContext[ConversationState]) -> tuple[Agent, ToolResult]:
        _claim_turn(context)
        return state.agents[handoff.to], ToolResult(f"{handoff.to} has taken over.", reply_required=False)

    return hand_off


def build_handoffs(handoffs: list[Handoff], state: ConversationState) -> list[AnyTool]:
    return [build_handoff(handoff, state) for handoff in handoffs]


def _describe(handoff: Handoff, state: ConversationState) -> str:
    return (
        f"Hand the conversation over to your colleague {handoff.to}. Use it when: {state.fill(handoff.when)}\n"
        "The colleague knows everything that was said and speaks next, so say at most one short sentence first, "
        "and never hand over to two colleagues at once."
    )


def _claim_turn(context: RunContext[ConversationState]) -> None:
    """One handoff a turn, and never away from a person who has just begun to speak."""
    state, turn = context.userdata, context.speech_handle.id
    if state.handoff_turn == turn:
        raise ToolError("Another colleague takes over already; hand over to one colleague at a time.")
    try:
        # LiveKit forgets a handoff whose turn is interrupted after the tool has run.
        context.disallow_interruptions()
    except RuntimeError as interrupted:
        raise ToolError("The person interrupted; listen to them first.") from interrupted
    state.handoff_turn = turn
