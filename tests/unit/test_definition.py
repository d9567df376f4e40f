"""A team file: what it may hold, and that every fault in it is named at once."""

from pathlib import Path

import pytest
import yaml

from agents.team.definition import load_definition
from agents.team.parse import InvalidTeam, parse_team, read_team
from agents.team.templates import fill

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "harbor-dental"

SMALL = """
name: Small
slug: small
entry: front
variables: {first_name: there}
facts: {hours: Always open.}
agents:
  - name: front
    instructions: Be kind to {{ first_name }}.
    greeting: Hello {{ first_name }}.
    tools: [look_up, record_outcome, end_call]
    handoffs: [{to: billing, when: It is about money.}]
    rules:
      - hear: [hours]
        tool: look_up
        arguments: {topic: hours}
        say: "{{ result }}"
  - name: billing
    instructions: Talk about money.
"""


def faults(text: str) -> dict[str, str]:
    """Path → message of every fault of a team file that must not be accepted."""
    with pytest.raises(InvalidTeam) as refused:
        parse_team(text)
    return {error["path"]: error["message"] for error in refused.value.extra["errors"]}


@pytest.mark.parametrize("name", ["team.yaml", "reminder.yaml"])
def test_the_example_teams_are_valid_without_a_warning(name: str) -> None:
    team = read_team((EXAMPLES / name).read_text())
    assert team.warnings == []


def test_the_example_team_has_reception_scheduling_and_billing() -> None:
    team = parse_team((EXAMPLES / "team.yaml").read_text())
    assert team.entry == "reception"
    assert [agent.name for agent in team.agents] == ["reception", "scheduling", "billing"]
    assert team.agent("reception").greeting == "Thank you for calling Harbor Dental. This is Rosa. How can I help you?"


def test_the_organization_file_names_the_teams_that_exist() -> None:
    organization = yaml.safe_load((EXAMPLES / "organization.yaml").read_text())
    slugs = {parse_team((EXAMPLES / name).read_text()).slug for name in organization["teams"]}
    assert {number["team"] for number in organization["numbers"]} <= slugs


def test_a_definition_survives_being_stored() -> None:
    team = parse_team((EXAMPLES / "team.yaml").read_text())
    assert load_definition(team.model_dump(mode="json")) == team


def test_every_fault_is_named_at_once_with_its_path_and_line() -> None:
    text = """
name: Faulty
slug: Not A Slug
entry: fornt
colour: blue
agents:
  - name: front
    instructions: ""
    greeting: Hello {{ first_nam }}.
    tools: [look_upp, end_call]
    handoffs:
      - {to: billling, when: It is about money.}
      - {to: front, when: Never.}
    rules:
      - hear: ["..."]
        handoff: scheduling
      - hear: [bye]
        tool: record_outcome
        arguments: {outcome: cured, mood: good}
  - name: billing
    instructions: Talk about money.
    rules:
      - hear: [pay]
      - hear: [(a+)+$]
        say: "{{ result }}"
        end: true
  - name: billing
    instructions: Twice.
"""
    assert faults(text) == {
        "slug": "string should match pattern '^[a-z0-9][a-z0-9-]{0,62}$'",
        "colour": "there is no field 'colour' here",
        "agents.0.instructions": "string should have at least 1 character",
        "agents.2.name": "'billing' is here twice",
        "entry": "no agent is called 'fornt'; did you mean 'front'?",
        "agents.0.tools.0": "no tool is called 'look_upp'; did you mean 'look_up'?",
        "agents.0.handoffs.0.to": "no agent is called 'billling'; did you mean 'billing'?",
        "agents.0.handoffs.1.to": "an agent cannot hand over to itself",
        "agents.0.rules.0.hear.0": "needs at least one word to listen for",
        "agents.0.rules.0.handoff": "this agent has no handoff to 'scheduling'",
        "agents.0.rules.1.tool": "is not among this agent's tools",
        "agents.0.rules.1.arguments.outcome": "must be one of confirmed, reschedule, callback, not_interested, "
        "wrong_number, do_not_call, voicemail_left, reached",
        "agents.0.rules.1.arguments.mood": "record_outcome takes no argument of this name",
        "agents.1.rules.0": "does nothing; give it say, tool, handoff or end",
        "agents.1.rules.1.hear.0": "cannot read '(a+)+$': write words, word|word, stem*, ..., <name>, "
        "<name:word|word> or <name...>",
        "agents.1.rules.1.end": "needs end_call among this agent's tools",
        "agents.1.rules.1.say": "only the `say` of a rule with a tool may use {{ result }}",
        "agents.0.greeting": "{{ first_nam }} is not declared under variables",
    }
    with pytest.raises(InvalidTeam) as refused:
        parse_team(text)
    lines = {error["path"]: error["line"] for error in refused.value.extra["errors"]}
    assert lines["agents.0.handoffs.0.to"] == 12
    assert "agents.0.handoffs.0.to: no agent is called 'billling'" in refused.value.detail


def test_a_missing_argument_is_named() -> None:
    assert faults(SMALL.replace("arguments: {topic: hours}", "arguments: {}")) == {
        "agents.0.rules.0.arguments": "look_up needs the argument 'topic'"
    }


def test_a_missing_field_is_named() -> None:
    assert faults("name: Nobody\nslug: nobody\nentry: front\n") == {
        "agents": "field required",
        "entry": "no agent is called 'front'",
    }


def test_a_hole_that_is_none_is_named() -> None:
    assert faults(SMALL.replace("Hello {{ first_name }}", "Hello {{ First Name }}")) == {
        "agents.0.greeting": "cannot read '{{ First Name }}'; write {{ name }} in small letters"
    }


def test_an_agent_that_nobody_hands_over_to_is_a_warning() -> None:
    team = read_team(SMALL.replace("handoffs: [{to: billing, when: It is about money.}]", ""))
    assert [(w.path, w.message) for w in team.warnings] == [
        ("agents.1", "nobody hands over to 'billing', so it never speaks")
    ]


def test_yes_no_and_clock_times_stay_text() -> None:
    team = parse_team(SMALL + "    rules: [{hear: [yes, no, on], say: 12:30}]\n")
    assert team.agent("billing").rules[0].hear == ["yes", "no", "on"]
    assert team.agent("billing").rules[0].say == "12:30"


def test_a_number_where_text_belongs_says_to_quote_it() -> None:
    assert faults(SMALL.replace("greeting: Hello {{ first_name }}.", "greeting: 24")) == {
        "agents.0.greeting": 'must be text; put it in quotes: "24"'
    }


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("name: [unclosed\n", "line 2, column 1", 2),
        ("name: a\nname: b\n", "line 2, column 1: the key 'name' is here twice", 2),
        ("name: !!python/object/apply:os.system [date]\n", "line 1, column 7: could not determine a constructor", 1),
        ("a: &a [*a]\n", "line 1, column 8: an anchor holds itself", 1),
        ("? [a, b]\n: c\n", "line 1, column 3: a key must be a plain word", 1),
        ("[" * 50, "line 1, column 21: nested deeper than 20", 1),
        ("a: &a x\nb: [" + "*a, " * 21 + "]\n", "more than 20 aliases", 2),
        ("name: \x00\n", "unacceptable character", None),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: but found another document", 2),
    ],
)
def test_what_is_not_yaml_gives_one_error_with_its_place(text: str, message: str, line: int | None) -> None:
    with pytest.raises(InvalidTeam) as refused:
        parse_team(text)
    (error,) = refused.value.extra["errors"]
    assert message in error["message"]
    assert error["line"] == line


@pytest.mark.parametrize("text", ["", "just words", "- a\n- b\n", "null\n"])
def test_a_file_that_is_no_mapping_says_what_it_should_be(text: str) -> None:
    assert faults(text) == {"": "a team file is a mapping: name, slug, entry, agents and so on"}


def test_a_file_too_large_is_refused_before_it_is_read() -> None:
    assert faults("# " + "x" * 300_000) == {"": "the file is longer than 262144 characters"}


def test_any_scrambling_of_a_valid_file_is_refused_with_paths_or_accepted_but_never_crashes() -> None:
    """Cut the example at every hundredth character and replace each line's value in turn."""
    text = (EXAMPLES / "team.yaml").read_text()
    broken = [text[:length] for length in range(0, len(text), 100)]
    lines = SMALL.splitlines()
    for index, line in enumerate(lines):
        for value in ("{}", "[]", "7", "null", "[[{a: 1}]]", "{a: [1]}", "true"):
            key = line.split(":")[0]
            broken.append("\n".join([*lines[:index], f"{key}: {value}", *lines[index + 1 :]]))
    for candidate in broken:
        try:
            outcome: object = parse_team(candidate)
        except InvalidTeam as refused:
            outcome = refused.extra["errors"]
        assert outcome, candidate


@pytest.mark.parametrize(
    ("text", "values", "filled"),
    [
        ("Hello {{ name }}.", {"name": "Ada"}, "Hello Ada."),
        ("Hello {{name}} there.", {"name": ""}, "Hello there."),
        ("One.\n\nTwo {{ name }}.", {"name": "x"}, "One.\n\nTwo x."),
        ("{{ result.price }} {{ result.none.deeper }}", {"result": {"price": 12}}, "12 "),
        ("{{ name }}", {"name": "{{ secret }}", "secret": "s"}, "{{ secret }}"),
    ],
)
def test_holes_are_filled_once_and_nothing_in_them_runs(text: str, values: dict[str, object], filled: str) -> None:
    assert fill(text, values) == filled
