"""The persona table: who picks up which number, and what a wrong file is told."""

from pathlib import Path

import pytest

from telephony.simulator.people.persona import Answers, SpokenLine
from telephony.simulator.people.table import SHIPPED, InvalidPersonas, load_personas, parse_persona


def test_the_shipped_numbers_cover_every_persona() -> None:
    table = load_personas(SHIPPED)
    reached = {table.choose(f"{first}{last:02}") for first in ("+120255501", "+4420794609") for last in range(100)}
    assert reached == table.personas.keys()
    assert {persona.kind for persona in table.personas.values()} == {
        "answers",
        "busy",
        "hangs_up_early",
        "invalid",
        "menu",
        "mix",
        "no_answer",
        "rejects",
        "screens",
        "voicemail",
    }


@pytest.mark.parametrize(
    ("number", "name"),
    [
        ("+12025550102", "confirms"),
        ("+12025550120", "asks_appointment"),
        ("+12025550139", "asks_billing"),
        ("+12025550150", "busy"),
        ("+12025550189", "voicemail"),
        ("+12025550199", "slow_keypad"),
    ],
)
def test_the_last_two_digits_choose_the_persona(number: str, name: str) -> None:
    assert load_personas(SHIPPED).choose(number) == name


def test_a_numbers_own_rule_wins_over_its_digits(tmp_path: Path) -> None:
    path = tmp_path / "personas.yaml"
    path.write_text(
        "personas: {a: {kind: busy}, b: {kind: rejects}, c: {kind: invalid}}\n"
        'numbers: {"+12025550150": b}\n'
        "last_two_digits: [{first: 50, last: 59, persona: a}]\n"
        "default: c\n"
    )
    table = load_personas(path)
    assert [table.choose(f"+120255501{end}") for end in ("50", "51", "60")] == ["b", "a", "c"]


def test_every_fault_of_a_file_is_named_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "personas.yaml"
    path.write_text(
        "personas: {a: {kind: answers, lines: [{say: ''}, {wait_seconds: 1}], speed: 9}, b: {kind: flies}}\n"
        "default: a\n"
    )
    with pytest.raises(InvalidPersonas) as invalid:
        load_personas(path)
    paths = {error["path"] for error in invalid.value.extra["errors"]}
    assert {"personas.a.answers.lines.0.say", "personas.a.answers.lines.1", "personas.a.answers.speed"} <= paths
    assert "personas.b" in paths


@pytest.mark.parametrize("text", ["personas: [", "personas: {}\ndefault: nobody\n", "just text", ""])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "personas.yaml"
    path.write_text(text)
    with pytest.raises(InvalidPersonas):
        load_personas(path)


def test_an_inline_persona_answers_unless_it_says_otherwise_and_takes_plain_lines() -> None:
    persona = parse_persona({"lines": ["Hello.", {"digits": "1"}]})
    assert isinstance(persona, Answers)
    assert persona.lines == (SpokenLine(say="Hello."), SpokenLine(digits="1"))
    assert persona.hangs_up
