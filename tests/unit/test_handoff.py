"""Handoffs in a real AgentSession: control moves, the conversation comes along, nothing is lost beside another tool."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, llm

from agents.speech.script import Reply, ToolCall
from agents.speech.scripted import ScriptedModel, ScriptedStream
from agents.team.parse import parse_team
from tests.unit.conversations import talk_to, wait_until
from tests.unit.sound import Loudspeaker

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "harbor-dental"
TEAM = parse_team((EXAMPLES / "team.yaml").read_text())
REMINDER = parse_team((EXAMPLES / "reminder.yaml").read_text())


async def test_a_handoff_moves_the_call_and_the_next_agent_greets() -> None:
    async with talk_to(TEAM) as talk:
        turn = await talk.say("I would like to book an appointment.")
        assert turn.said == [
            "I will connect you with scheduling.",
            "This is Nina from scheduling. Which day would suit you?",
        ]
        assert talk.handoffs == [("reception", "scheduling")]
        assert talk.state.active == talk.agent.definition.name == "scheduling"


async def test_a_handoff_beside_another_tool_still_switches_and_keeps_both_results() -> None:
    async with talk_to(TEAM) as talk:
        turn = await talk.say("I have a question about my bill.")
        assert turn.called == ["record_outcome", "hand_off_to_billing"]
        assert turn.results == {
            "record_outcome": "Noted: reached.",
            "hand_off_to_billing": "billing has taken over.",
        }
        assert talk.agent.definition.name == "billing"
        assert talk.hints == [{"disposition": "reached"}]
        assert talk.history()[1:] == [
            "assistant: Thank you for calling Harbor Dental. This is Rosa. How can I help you?",
            "user: I have a question about my bill.",
            "assistant: I will connect you with billing.",
            "call: record_outcome",
            "call: hand_off_to_billing",
            "result: record_outcome: Noted: reached.",
            "result: hand_off_to_billing: billing has taken over.",
            "assistant: This is Marco from billing. Is it about an invoice, a payment, or your insurance?",
        ]


async def test_the_next_agent_has_its_own_instructions_and_only_those() -> None:
    async with talk_to(TEAM) as talk:
        await talk.say("I have a question about my bill.")
        system = [line for line in talk.history() if line.startswith("system:")]
        assert len(system) == 1
        assert "You are Marco" in system[0]
        assert "Rosa" not in system[0]


async def test_control_goes_round_and_comes_back_without_a_second_greeting() -> None:
    async with talk_to(TEAM) as talk:
        await talk.say("I have a question about my bill.")
        back = await talk.say("I have another question.")
        assert back.said == [
            "I will connect you with reception.",
            "You are back at reception. What else can I do for you?",
        ]
        hours = await talk.say("What are your opening hours?")
        assert hours.said == ["We are open Monday to Friday from eight in the morning until six in the evening."]
        again = await talk.say("Then I want to pay my bill.")
        assert again.said == [
            "I will connect you with billing.",
            "You can pay by card at the front desk, or by bank transfer.",
        ]
        assert talk.handoffs == [("reception", "billing"), ("billing", "reception"), ("reception", "billing")]
        ids = [item.id for item in talk.agent.chat_ctx.items]
        assert len(ids) == len(set(ids))
        assert len([line for line in talk.history() if line.startswith("user:")]) == 4


async def test_what_was_saved_by_one_agent_is_known_after_the_handoff() -> None:
    async with talk_to(TEAM) as talk:
        await talk.say("I want to see a dentist.")
        await talk.say("Tuesday morning, please.")
        assert talk.hints == [{"details": {"day": "tuesday morning"}}]
        await talk.say("I have a question about my bill.")
        assert "result: save_details: Saved: day." in talk.history()


async def test_a_campaign_contact_who_wants_another_day_is_noted_and_handed_over_in_one_turn() -> None:
    async with talk_to(REMINDER, variables={"name": "Ada", "appointment": "on Monday at ten"}) as talk:
        turn = await talk.say("I cannot come that day. I need to reschedule my appointment.")
        assert turn.called == ["record_outcome", "hand_off_to_scheduling"]
        assert talk.hints == [{"disposition": "reschedule"}]
        assert talk.handoffs == [("reminder", "scheduling")]


async def test_words_spoken_over_the_announcement_do_not_lose_the_handoff() -> None:
    """LiveKit drops a handoff whose turn is interrupted after its tool has run."""
    speaker = Loudspeaker()
    speaker.muted = True
    async with talk_to(TEAM, loudspeaker=speaker) as talk:
        speaker.muted = False
        turn = talk.begin("I would like to book an appointment.")
        await asyncio.wait_for(speaker.playing.wait(), 5)
        speech = talk.session.current_speech
        assert speech is not None
        await wait_until(lambda: not speech.allow_interruptions)
        with pytest.raises(RuntimeError):
            speech.interrupt()
        speaker.muted = True
        speaker.finish()
        await asyncio.wait_for(turn, 5)
        assert talk.handoffs == [("reception", "scheduling")]


async def test_two_handoffs_in_one_turn_make_one_switch() -> None:
    """A language model may do it; the first counts, the second is told so."""
    async with talk_to(TEAM) as talk:
        talk.agent.update_options(llm=Undecided(TEAM, TEAM.agent("reception"), {}))
        turn = await talk.say("Money and appointments.")
        assert turn.called == ["hand_off_to_scheduling", "hand_off_to_billing"]
        assert "one colleague at a time" in turn.results["hand_off_to_billing"]
        assert talk.handoffs == [("reception", "scheduling")]


class Undecided(ScriptedModel):
    """A model that hands over to two colleagues at once."""

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        **_: Any,
    ) -> ScriptedStream:
        reply = Reply(calls=(ToolCall("hand_off_to_scheduling", {}), ToolCall("hand_off_to_billing", {})))
        return ScriptedStream(self, reply, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)
