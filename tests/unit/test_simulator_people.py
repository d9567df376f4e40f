"""The simulator's people by chance: repeatable by seed, mixed by weight, and as long on the line as they would be."""

from collections import Counter
from random import Random

import pytest

from telephony.simulator.mode import Mode
from telephony.simulator.people.persona import Answers, Busy, Menu, Voicemail
from telephony.simulator.people.silent import SilentCallee, speech_seconds, stay_seconds
from telephony.simulator.people.table import InvalidPersonas, PersonaTable, parse_persona

TABLE = PersonaTable.model_validate(
    {
        "personas": {
            "talker": {"kind": "answers", "rings_between": [2, 9], "talks_between": [5, 50]},
            "busy": {"kind": "busy"},
            "crowd": {"kind": "mix", "of": {"talker": 3, "busy": 1}},
        },
        "prefixed": [{"prefix": "+4420794609", "first": 10, "last": 19, "persona": "busy"}],
        "default": "crowd",
    }
)


def test_the_same_call_meets_the_same_person_and_another_seed_another_crowd() -> None:
    def crowd(seed: int) -> list[str]:
        return [TABLE.draw("crowd", Random(f"{seed}:+12025550{n:03}:1"))[0] for n in range(200)]

    assert crowd(1) == crowd(1)
    assert crowd(1) != crowd(2)
    met = Counter(crowd(1))
    assert 120 <= met["talker"] <= 180


def test_what_a_persona_leaves_to_chance_is_decided_for_the_call() -> None:
    _, persona = TABLE.draw("talker", Random("x"))
    assert isinstance(persona, Answers)
    assert 2 <= persona.rings_seconds <= 9
    assert persona.rings_seconds != 1.0


def test_a_prefix_decides_before_the_last_two_digits_do() -> None:
    assert TABLE.choose("+442079460915") == "busy"
    assert TABLE.choose("+442079460920") == "crowd"


@pytest.mark.parametrize(
    ("personas", "fault"),
    [
        ({"crowd": {"kind": "mix", "of": {"nobody": 1}}}, "no persona is called nobody"),
        ({"crowd": {"kind": "mix", "of": {"crowd": 1}}}, "not of mixes"),
        ({"crowd": {"kind": "mix", "of": {}}}, "at least 1"),
    ],
)
def test_a_mix_is_made_of_people_that_exist(personas: dict[str, object], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        PersonaTable.model_validate({"personas": personas, "default": "crowd"})


def test_a_mix_cannot_be_called_inline() -> None:
    with pytest.raises(InvalidPersonas, match="only the file"):
        parse_persona({"kind": "mix", "of": {"confirms": 1}})


def parse_answers(**content: object) -> Answers:
    persona = parse_persona(content)
    assert isinstance(persona, Answers)
    return persona


def test_a_call_without_sound_lasts_as_long_as_it_would_with_it() -> None:
    chance = Random(1)
    assert 5 <= stay_seconds(parse_answers(talks_between=[5, 6]), chance) <= 6
    greeting = "Please leave a message after the tone."
    assert stay_seconds(Voicemail(greeting=greeting, records_seconds=8), chance) == speech_seconds(greeting) + 8
    assert stay_seconds(Voicemail(greeting=greeting, full=True), chance) == speech_seconds(greeting)
    assert stay_seconds(Menu(prompt="Press one.", repeats=2, waits_seconds=4), chance) == pytest.approx(9.33, abs=0.01)


async def test_simulated_seconds_pass_as_fast_as_the_mode_says() -> None:
    mode = Mode(signaling_only=True, time_scale=1000)
    callee = SilentCallee(parse_answers(talks_between=[40, 40]), mode, Random(1))
    await callee.prepare()
    assert callee.stayed_seconds == 40
    await callee.act()
    assert mode.simulated(0.04) == 40


def test_sound_cannot_be_hurried() -> None:
    with pytest.raises(ValueError, match="time_scale needs signaling_only"):
        Mode(time_scale=2.0)


def test_who_is_busy_rings_before_the_line_says_so() -> None:
    assert TABLE.draw("busy", Random(1)) == ("busy", Busy(rings_seconds=0.5))
