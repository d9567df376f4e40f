"""The scripted model: what it hears, what it answers, and that it answers the same every time."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from livekit.agents import llm

from agents.speech.script import Exchange, find_rule
from agents.speech.scripted import ScriptedModel
from agents.team.definition import TeamDefinition
from agents.team.parse import parse_team
from agents.team.phrases import InvalidPhrase, compile_phrase, match_any, split_words
from agents.tools.catalog import CATALOG
from app.console.demonstration.caller import Voice
from telephony.media.g711 import decode_mulaw, encode_mulaw
from telephony.simulator.people.persona import Answers, Voicemail
from telephony.simulator.people.table import SHIPPED, load_personas
from tests.unit.conversations import talk_to

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "harbor-dental"
TEAM = parse_team((EXAMPLES / "team.yaml").read_text())
REMINDER = parse_team((EXAMPLES / "reminder.yaml").read_text())


@pytest.mark.parametrize(
    ("phrase", "heard", "captured"),
    [
        ("opening hours", "Uh, what're your OPENING, hours?", {}),
        ("opening hours", "hours of opening", None),
        ("book|schedule", "I'd like to schedule it", {}),
        ("reschedul*", "we are rescheduling", {}),
        ("dont call", "Don't call me", {}),
        ("don't call", "do not; dont call", {}),
        ("leave ... message", "please leave me a short message", {}),
        ("leave ... message", "leave it now then and send a message", None),
        ("name is <name>", "My name is Grace Hopper.", {"name": "grace"}),
        ("call me <when...>", "call me next tuesday at nine", {"when": "next tuesday at nine"}),
        ("<day:monday|tue*> ... <time:morning|noon>", "Tuesday in the morning", {"day": "tuesday", "time": "morning"}),
        ("name is <name>", "my name is", None),
        ("café", "the CAFÉ please", {}),
        ("1|one", "1.", {}),
    ],
)
def test_phrases_match_words_not_spelling(phrase: str, heard: str, captured: dict[str, str] | None) -> None:
    assert match_any([phrase], split_words(heard)) == captured


@pytest.mark.parametrize(
    "phrase", ["...", "<name>", "... hello", "a.b", "x " * 21, "<A>", "a||b", "<n:>", ".*", "(a|b)"]
)
def test_a_phrase_that_cannot_be_read_is_refused(phrase: str) -> None:
    with pytest.raises(InvalidPhrase):
        compile_phrase(phrase)


def test_the_longest_speech_against_the_widest_phrase_stays_cheap() -> None:
    """The work is counted, not timed: tokens looked at for 200 equal words and three open places."""
    looked = 0

    class Counted(str):
        __slots__ = ()

        def startswith(self, *stems: Any) -> bool:
            nonlocal looked
            looked += 1
            return stems == (("a",),)

        def __hash__(self) -> int:
            return 0

        def __eq__(self, _: object) -> bool:
            return False

    words: list[str] = [Counted("a")] * len(split_words("a " * 100_000))
    assert len(words) == 200
    assert match_any(["a* <b...> a* <c...> a* <d...> never*"], words) is None
    assert looked < 200 * 9**3 * 2


async def answer(
    team: TeamDefinition, agent: str, items: list[tuple[str, str]], variables: dict[str, str] | None = None
) -> llm.CollectedResponse:
    """What the model of this agent says to a conversation of (role, text)."""
    context = llm.ChatContext.empty()
    for role, text in items:
        context.add_message(role=role, content=text)  # type: ignore[arg-type]
    model = ScriptedModel(team, team.agent(agent), variables or {})
    return await model.chat(chat_ctx=context, tools=list(CATALOG.values())).collect()


async def test_it_streams_word_by_word() -> None:
    model = ScriptedModel(TEAM, TEAM.agent("reception"), {})
    context = llm.ChatContext.empty()
    context.add_message(role="user", content="Hello")
    async with model.chat(chat_ctx=context, tools=[]) as stream:
        pieces = [chunk.delta.content async for chunk in stream if chunk.delta]
    assert pieces == ["Hello. ", "How ", "can ", "I ", "help ", "you?"]


async def test_the_same_conversation_gets_the_same_answer_to_the_letter() -> None:
    context = llm.ChatContext.empty()
    context.add_message(role="user", content="What are your opening hours?")
    model = ScriptedModel(TEAM, TEAM.agent("reception"), {})
    runs = [
        [chunk.model_dump() async for chunk in model.chat(chat_ctx=context, tools=list(CATALOG.values()))]
        for _ in range(3)
    ]
    assert runs[0] == runs[1] == runs[2]
    assert json.loads(runs[0][0]["delta"]["tool_calls"][0]["arguments"]) == {"topic": "opening_hours"}


async def test_it_calls_only_what_is_offered() -> None:
    context = llm.ChatContext.empty()
    context.add_message(role="user", content="Goodbye.")
    model = ScriptedModel(TEAM, TEAM.agent("reception"), {})
    offered = await model.chat(chat_ctx=context, tools=list(CATALOG.values())).collect()
    forbidden = await model.chat(chat_ctx=context, tools=list(CATALOG.values()), tool_choice="none").collect()
    assert [call.name for call in offered.tool_calls] == ["end_call"]
    assert forbidden.tool_calls == []
    assert forbidden.text == offered.text == "Thank you for calling Harbor Dental. Goodbye."


async def test_the_fallback_changes_when_it_is_needed_again_and_starts_over_after_an_answer() -> None:
    first, second = TEAM.agent("reception").fallback
    async with talk_to(TEAM) as talk:
        assert (await talk.say("Purple elephants.")).said == [first]
        assert (await talk.say("Purple elephants!")).said == [second]
        assert (await talk.say("Green elephants")).said == [second]
        assert (await talk.say("Where are you located?")).said == [TEAM.facts["address"]]
        assert (await talk.say("Purple elephants.")).said == [first]


async def test_yes_means_what_was_asked_last() -> None:
    yes = [("assistant", "Shall I connect you with scheduling?"), ("user", "Yes, please.")]
    assert (await answer(TEAM, "reception", yes)).text == "I will connect you with scheduling."
    other = [("assistant", "How can I help you?"), ("user", "Yes, please.")]
    assert (await answer(TEAM, "reception", other)).text == "What can I do for you?"


async def test_words_cut_in_two_by_a_pause_are_understood_together() -> None:
    context = llm.ChatContext.empty()
    context.add_message(role="user", content="When do you")
    context.add_message(role="assistant", content="Sorry, I did", interrupted=True)
    context.add_message(role="user", content="open tomorrow?")
    model = ScriptedModel(TEAM, TEAM.agent("reception"), {})
    response = await model.chat(chat_ctx=context, tools=list(CATALOG.values())).collect()
    assert [call.name for call in response.tool_calls] == ["look_up"]


async def test_asked_again_without_new_words_it_says_nothing_more() -> None:
    answered = [("user", "Hello"), ("assistant", "Hello. How can I help you?")]
    response = await answer(TEAM, "reception", answered)
    assert (response.text, response.tool_calls) == ("", [])


async def test_variables_fill_the_texts_and_defaults_fill_the_gaps() -> None:
    async with talk_to(REMINDER, variables={"name": "Ada", "appointment": ""}) as talk:
        assert talk.history()[1] == (
            "assistant: Hello Ada. This is Rosa from Harbor Dental. I am calling about your appointment this week. "
            "Can you confirm it?"
        )


async def test_a_failed_tool_is_apologized_for() -> None:
    context = llm.ChatContext.empty()
    context.add_message(role="user", content="Where are you located?")
    context.items.append(llm.FunctionCall(call_id="1", name="look_up", arguments="{}"))
    context.items.append(llm.FunctionCallOutput(call_id="1", name="look_up", output="boom", is_error=True))
    model = ScriptedModel(TEAM, TEAM.agent("reception"), {})
    response = await model.chat(chat_ctx=context, tools=list(CATALOG.values())).collect()
    assert response.text == TEAM.trouble_line


async def test_an_appointment_is_found_read_back_and_booked() -> None:
    async with talk_to(TEAM) as talk:
        await talk.say("I would like to book an appointment.")
        assert (await talk.say("Tuesday would be good.")).said == [
            "Would you like tuesday in the morning or in the afternoon?"
        ]
        assert (await talk.say("In the morning.")).said == ["Shall I book tuesday morning for you?"]
        booked = await talk.say("Yes, please.")
        assert booked.said == [
            "Your appointment is booked. We will call you back with the exact time. Is there anything else?"
        ]
        assert talk.hints[-1] == {"disposition": "confirmed"}
        assert talk.state.details == {"day": "tuesday", "time": "morning"}
        assert (await talk.say("No, thank you. Goodbye.")).said == ["Thank you for calling Harbor Dental. Goodbye."]
        assert talk.hang_ups == 1


OUTCOMES = {
    "confirms": "confirmed",
    "asks_appointment": "reschedule",
    "another_day": "reschedule",
    "not_interested": "not_interested",
    "remove_me": "do_not_call",
    "interrupts": "confirmed",
    "voicemail": "voicemail_left",
}


def persona_lines() -> dict[str, list[str]]:
    """What the simulator's people say, as the file that it ships with has it."""
    lines: dict[str, list[str]] = {}
    for name, persona in load_personas(SHIPPED).personas.items():
        if isinstance(persona, Answers):
            lines[name] = [line.say for line in persona.lines if line.say]
        elif isinstance(persona, Voicemail):
            lines[name] = [persona.greeting]
    return lines


async def call_contact(lines: list[str]) -> tuple[str, int]:
    """Say these lines to the reminder team, which must understand each; the outcome noted last, the hang-ups."""
    fallbacks = {text for agent in REMINDER.agents for text in agent.fallback}
    async with talk_to(REMINDER, variables={"name": "Ada", "appointment": "on Monday at ten"}) as talk:
        for line in lines:
            turn = await talk.say(line)
            assert turn.said, line
            assert turn.said[0] not in fallbacks, line
        return [hint["disposition"] for hint in talk.hints if "disposition" in hint][-1], talk.hang_ups


@pytest.mark.parametrize("persona", OUTCOMES)
async def test_every_persona_of_the_simulator_comes_to_its_outcome(persona: str) -> None:
    assert await call_contact(persona_lines()[persona]) == (OUTCOMES[persona], 1)


async def test_a_question_about_a_bill_is_noted_for_another_office_and_is_no_callback_of_this_campaign() -> None:
    async with talk_to(REMINDER, variables={"name": "Ada", "appointment": "on Monday at ten"}) as talk:
        for line in persona_lines()["asks_billing"]:
            await talk.say(line)
        assert talk.hang_ups == 1
        assert [hint["disposition"] for hint in talk.hints if "disposition" in hint] == []
        assert talk.state.details == {"billing_question": "wants a call from the billing office"}


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        (["You have the wrong number."], "wrong_number"),
        (["No.", "Monday.", "Yes."], "reschedule"),
        (["Yes.", "No."], "confirmed"),
        (["1", "Thank you. Goodbye."], "confirmed"),
        (["Can you call me back later?"], "callback"),
        (["Please call me tomorrow."], "callback"),
        (["I cannot confirm it, I need another day.", "Friday morning.", "Right."], "reschedule"),
        (["Hello, I can't come to the phone right now, please leave a message."], "voicemail_left"),
        (["Who is this?", "Okay, yes.", "No, that's all."], "confirmed"),
    ],
)
async def test_people_who_are_no_persona_are_understood_too(lines: list[str], outcome: str) -> None:
    assert await call_contact(lines) == (outcome, 1)


SPOKEN = [
    ("reception", "What are your opening hours?"),
    ("reception", "Where are you located?"),
    ("reception", "I have a question about my bill."),
    ("reception", "I would like to book an appointment."),
    ("reception", "No, thank you. Goodbye."),
    ("scheduling", "Tuesday morning, please."),
    ("scheduling", "Wednesday."),
    ("billing", "When is my invoice due?"),
    ("billing", "How much do I owe?"),
]


async def test_what_a_recognizer_makes_of_a_telephone_line_meets_the_same_rules() -> None:
    """Each line is spoken, sent through G.711 and recognized; what is heard must lead where what was said does."""
    voice = Voice()
    try:
        for name, said in SPOKEN:
            sound = decode_mulaw(encode_mulaw(await voice.speak(said)))
            heard = await voice.transcribe(np.pad(sound, 4000))
            rules = TEAM.agent(name).rules
            expected = find_rule(rules, Exchange("", said, said))
            found = find_rule(rules, Exchange("", heard, heard))
            assert expected is not None
            assert found is not None, heard
            assert rules.index(found[0]) == rules.index(expected[0]), heard
    finally:
        voice.close()
