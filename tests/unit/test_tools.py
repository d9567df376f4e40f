"""The tools in a real AgentSession: what they do to the call, and what they answer when misused."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from livekit.agents import llm
from livekit.agents.llm.utils import build_legacy_openai_schema, build_strict_openai_schema

from agents.team.definition import TeamDefinition
from agents.team.parse import parse_team
from agents.tools.catalog import CATALOG
from agents.tools.signatures import SIGNATURES, Parameter
from tests.unit.conversations import talk_to
from tests.unit.sound import Loudspeaker

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "harbor-dental"
TEAM = parse_team((EXAMPLES / "team.yaml").read_text())


def team_with(rules: str, tools: str = "look_up, record_outcome, save_details, end_call") -> TeamDefinition:
    """A team of one agent with these rules."""
    return parse_team(
        f"name: One\nslug: one\nentry: solo\nfarewell: So long.\nfacts: {{price: It costs ten euros.}}\n"
        f"agents:\n  - name: solo\n    instructions: Help.\n    greeting: Hello.\n    tools: [{tools}]\n"
        f"    rules:\n{rules}"
    )


def test_the_catalog_names_each_tool_by_its_own_name_and_explains_it_to_a_model() -> None:
    for name, tool in CATALOG.items():
        assert tool.info.name == tool.id == name
        assert len(tool.info.description or "") > 80


def test_the_signatures_are_those_of_the_tools_themselves() -> None:
    assert set(SIGNATURES) == set(CATALOG)
    for name, tool in CATALOG.items():
        schema = build_legacy_openai_schema(tool)["function"]["parameters"]
        required = schema.get("required", [])
        assert SIGNATURES[name] == {
            argument: Parameter(argument in required, choices_of(spec, schema))
            for argument, spec in schema["properties"].items()
        }


def choices_of(spec: dict[str, Any], schema: dict[str, Any]) -> tuple[str, ...]:
    """The values that a JSON schema allows for one argument; empty where any text goes."""
    for part in [spec, *spec.get("allOf", []), *spec.get("anyOf", [])]:
        if reference := part.get("$ref"):
            part = schema["$defs"][reference.rsplit("/", 1)[1]]
        if "enum" in part:
            return tuple(part["enum"])
    return ()


async def test_end_call_hangs_up_once_after_the_goodbye_and_says_nothing_more() -> None:
    async with talk_to(TEAM) as talk:
        turn = await talk.say("No, thank you. Goodbye.")
        assert turn.said == ["Thank you for calling Harbor Dental. Goodbye."]
        assert talk.hang_ups == 1
        assert talk.state.ended
        assert (await talk.say("Are you still there? What are your opening hours?")).said == []
        assert talk.hang_ups == 1


async def test_the_line_closes_only_once_the_goodbye_was_heard_to_its_end() -> None:
    speaker = Loudspeaker()
    speaker.muted = True
    async with talk_to(TEAM, loudspeaker=speaker) as talk:
        speaker.muted = False
        leaving = talk.begin("Goodbye.")
        await asyncio.wait_for(speaker.playing.wait(), 5)
        assert talk.hang_ups == 0
        speaker.finish()
        await asyncio.wait_for(leaving, 5)
        assert talk.hang_ups == 1


@pytest.mark.parametrize("rule", ["{hear: [bye], say: Goodbye then., end: true}", "{hear: [bye], tool: end_call}"])
async def test_who_speaks_over_the_goodbye_keeps_the_call(rule: str) -> None:
    speaker = Loudspeaker()
    speaker.muted = True
    hello = "      - {hear: [price], tool: look_up, arguments: {topic: price}, say: '{{ result }}'}\n"
    async with talk_to(team_with(f"      - {rule}\n{hello}"), loudspeaker=speaker) as talk:
        speaker.muted = False
        leaving = talk.begin("bye")
        await asyncio.wait_for(speaker.playing.wait(), 5)
        speaker.muted = True
        await talk.session.interrupt()
        await asyncio.wait_for(leaving, 5)
        assert talk.hang_ups == 0
        assert not talk.state.ended
        assert (await talk.say("What is the price?")).said == ["It costs ten euros."]


async def test_end_call_speaks_the_teams_farewell_where_the_agent_has_not() -> None:
    async with talk_to(team_with("      - {hear: [bye], tool: end_call}\n")) as talk:
        assert (await talk.say("bye")).said == ["So long."]
        assert talk.hang_ups == 1


async def test_end_call_speaks_the_farewell_it_is_given() -> None:
    rule = "      - {hear: [bye], tool: end_call, arguments: {farewell: Take care.}}\n"
    async with talk_to(team_with(rule)) as talk:
        assert (await talk.say("bye")).said == ["Take care."]
        assert talk.hang_ups == 1


async def test_an_outcome_noted_while_leaving_is_stored_before_the_line_closes() -> None:
    rule = "      - {hear: [bye], say: Bye., tool: record_outcome, arguments: {outcome: reached}, end: true}\n"
    async with talk_to(team_with(rule)) as talk:
        turn = await talk.say("bye")
        assert turn.said == ["Bye."]
        assert turn.called == ["record_outcome", "end_call"]
        assert talk.hints == [{"disposition": "reached"}]
        assert talk.hang_ups == 1


async def test_an_outcome_that_does_not_count_is_told_to_the_agent() -> None:
    rule = "      - {hear: [well], say: Fine., tool: record_outcome, arguments: {outcome: not_interested}}\n"
    async with talk_to(team_with(rule)) as talk:
        talk.notes_count = False
        told = (await talk.say("well")).results["record_outcome"]
        assert told == "Not noted: they asked never to be called again, and that stays the outcome."


async def test_details_add_up_and_a_later_value_replaces_an_earlier_one() -> None:
    saves = "say: Yes., tool: save_details, arguments: {field"
    rules = (
        f'      - {{hear: ["day <it>"], {saves}: day, value: "{{{{ it }}}}"}}}}\n'
        f'      - {{hear: ["name <it>"], {saves}: Full Name, value: "{{{{ it }}}}"}}}}\n'
    )
    async with talk_to(team_with(rules)) as talk:
        await talk.say("day monday")
        await talk.say("name ada")
        await talk.say("day friday")
        assert talk.hints[-1] == {"details": {"day": "friday", "full_name": "ada"}}


async def test_an_empty_detail_is_refused_and_apologized_for() -> None:
    rule = '      - {hear: [save], tool: save_details, arguments: {field: day, value: "  "}, say: "{{ result }}"}\n'
    async with talk_to(team_with(rule)) as talk:
        turn = await talk.say("save")
        assert turn.results["save_details"] == "Give both a field and a value."
        assert turn.said == ["I am sorry, that did not work just now."]
        assert talk.hints == []


async def test_look_up_answers_from_the_facts() -> None:
    async with talk_to(TEAM) as talk:
        turn = await talk.say("What are your opening hours?")
        assert turn.called == ["look_up"]
        assert turn.said == ["We are open Monday to Friday from eight in the morning until six in the evening."]


async def test_an_unknown_topic_names_the_known_ones() -> None:
    rule = '      - {hear: [weather], tool: look_up, arguments: {topic: weather}, say: "{{ result }}"}\n'
    async with talk_to(team_with(rule)) as talk:
        turn = await talk.say("weather")
        assert turn.results["look_up"] == "Nothing is known about 'weather'. Known topics: price."


async def test_the_topics_stand_in_the_instructions_of_who_can_look_them_up() -> None:
    async with talk_to(TEAM) as talk:
        assert "Topics that look_up knows: opening_hours, address" in str(talk.agent.instructions)


async def test_nothing_is_said_before_the_call_is_answered() -> None:
    async with talk_to(TEAM, answered=False) as talk:
        assert [line for line in talk.history() if line.startswith("assistant:")] == []
        talk.state.answer()
        await asyncio.wait_for(talk.session.wait_for_idle(), 5)
        talk.state.answer()
        await asyncio.wait_for(talk.session.wait_for_idle(), 5)
        assert [line for line in talk.history() if line.startswith("assistant:")] == [
            "assistant: Thank you for calling Harbor Dental. This is Rosa. How can I help you?"
        ]


async def test_a_rescuer_apologizes_instead_of_greeting_and_knows_what_was_said() -> None:
    said = llm.ChatContext.empty()
    said.add_message(role="user", content="I have a question about my bill.")
    said.add_message(role="assistant", content="Is it about an invoice?")
    async with talk_to(TEAM, rescue=True, active="billing", history=said) as talk:
        assert talk.agent.definition.name == "billing"
        assert talk.history()[1:] == [
            "user: I have a question about my bill.",
            "assistant: Is it about an invoice?",
            "assistant: Sorry, I lost you for a moment. Could you say that again, please?",
        ]
        assert (await talk.say("How can I pay?")).said == [TEAM.facts["payment"]]
        assert talk.handoffs == []


@pytest.mark.parametrize("tool", ["end_call", "look_up", "record_outcome", "save_details"])
async def test_every_tool_is_offered_to_a_model_that_wants_strict_schemas(tool: str) -> None:
    schema = build_strict_openai_schema(CATALOG[tool])["function"]
    assert schema["strict"] is True
    assert schema["parameters"]["additionalProperties"] is False
