"""What a conversation is worth: by rules, by a language model, and what happens where neither can say."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, APIError, llm

from agents.evaluation.evaluating import evaluate, fill_criteria
from agents.evaluation.judgment import Conversation, Judge, Judgment, RuleJudge, Said, judge_by_rules, weigh
from agents.evaluation.model_judge import INSTRUCTIONS, JudgeFailed, ModelJudge, read_answer
from agents.team.definition import Criterion
from agents.team.parse import InvalidTeam, parse_team, read_team
from telephony.calls import AnsweredBy, Call
from tests.unit.test_telephony_calls import a_call

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "harbor-dental"
TALK = Conversation(
    [
        Said("agent", "Hello Ada. This is Rosa from Harbor Dental.", "reminder"),
        Said("person", "Yes, I confirm."),
        Said("tool", "Noted: confirmed.", "reminder", {"name": "record_outcome", "arguments": {}, "is_error": False}),
        Said("tool", "No.", "reminder", {"name": "look_up", "arguments": {}, "is_error": True}),
        Said("agent", "Thank you. Goodbye.", "reminder"),
    ],
    "confirmed",
)
SMALL = """
name: Small
slug: small
entry: front
agents:
  - {name: front, instructions: Be kind., tools: [record_outcome]}
"""


def criterion(name: str = "one", **rules: Any) -> Criterion:
    return Criterion(name=name, check="It went well.", weight=rules.pop("weight", 1.0), **rules)


@pytest.mark.parametrize(
    ("rules", "score"),
    [
        ({"said": ["harbor dental"]}, 1.0),
        ({"said": ["i confirm"]}, 0.0),  # the person's words are not the agent's
        ({"not_said": ["never"]}, 1.0),
        ({"not_said": ["goodbye|bye"]}, 0.0),
        ({"tool_called": "record_outcome"}, 1.0),
        ({"tool_called": "look_up"}, 0.0),  # it failed
        ({"outcome": ["confirmed", "reschedule"]}, 1.0),
        ({"outcome": ["callback"]}, 0.0),
        ({"said": ["this is rosa"], "outcome": ["callback"]}, 0.0),
        ({}, None),
    ],
)
def test_a_criterion_is_met_where_all_its_rules_hold(rules: dict[str, Any], score: float | None) -> None:
    judgment = judge_by_rules(criterion(**rules), TALK)
    assert judgment.score == score
    assert judgment.reason


def test_the_score_is_weighed_over_what_could_be_judged() -> None:
    def judged(score: float | None, weight: float) -> Judgment:
        return Judgment(criterion(weight=weight), score, "")

    assert weigh([judged(1.0, 3), judged(0.0, 1), judged(None, 10)]) == 0.75
    assert weigh([judged(None, 1)]) is None


class Model(llm.LLM[Any]):
    """A language model that answers with a text, or fails."""

    def __init__(self, answer: str | Exception) -> None:
        super().__init__()
        self.answer = answer
        self.asked: list[str] = []

    @property
    def model(self) -> str:
        return "test-model"

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        **_: Any,
    ) -> "Stream":
        self.asked = [item.text_content or "" for item in chat_ctx.items if item.type == "message"]
        return Stream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=replace(conn_options, max_retry=0))


class Stream(llm.LLMStream):
    async def _run(self) -> None:
        assert isinstance(self._llm, Model)
        if isinstance(self._llm.answer, Exception):
            raise self._llm.answer
        delta = llm.ChoiceDelta(role="assistant", content=self._llm.answer)
        self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=delta))


async def test_a_language_model_judges_every_criterion_in_words() -> None:
    model = Model('```json\n{"one": {"score": 0.5, "reason": "Half."}, "two": {"score": 2}, "other": 1}\n```')
    criteria = [criterion("one"), criterion("two"), criterion("three")]
    judgments = await ModelJudge(model).judge(criteria, TALK)
    assert [(one.score, one.reason) for one in judgments] == [
        (0.5, "Half."),
        (None, "the language model did not judge it"),
        (None, "the language model did not judge it"),
    ]
    instructions, question = model.asked
    assert instructions == INSTRUCTIONS
    asked = json.loads(question)
    assert [one["name"] for one in asked["criteria"]] == ["one", "two", "three"]
    assert "person: Yes, I confirm." in asked["transcript"]
    assert "tool record_outcome({}): Noted: confirmed." in asked["transcript"]


@pytest.mark.parametrize("answer", ["It went fine.", "{", "}{", '{"one": '])
def test_an_answer_that_is_no_json_is_refused(answer: str) -> None:
    with pytest.raises(JudgeFailed):
        read_answer([criterion()], answer)


class Sleeper:
    """A judge that never answers."""

    name = "sleeper"

    async def judge(self, criteria: Sequence[Criterion], conversation: Conversation) -> list[Judgment]:
        await asyncio.Event().wait()
        return []


@pytest.mark.parametrize(
    ("judge", "reason"),
    [
        (Sleeper(), "did not answer within 0 seconds"),
        (ModelJudge(Model(APIError("no such model", retryable=False))), "no such model"),
        (ModelJudge(Model("I would say: good.")), "not JSON"),
        (RuleJudge(), "no criterion could be judged"),
    ],
)
async def test_a_judge_that_fails_leaves_no_score_and_says_why(judge: Judge, reason: str) -> None:
    evaluation = await evaluate([criterion()], TALK, a_call(), judge, within_seconds=0.2)
    assert evaluation.score is None
    assert reason in evaluation.reason
    assert evaluation.judge == judge.name


@pytest.mark.parametrize(
    ("call", "conversation", "reason"),
    [
        (replace(a_call(), answered_by=AnsweredBy.MACHINE), TALK, "machine"),
        (a_call(), Conversation([Said("agent", "Hello?")]), "said nothing"),
    ],
)
async def test_what_was_no_conversation_is_not_judged(call: Call, conversation: Conversation, reason: str) -> None:
    evaluation = await evaluate([criterion(said=["hello"])], conversation, call, RuleJudge(), within_seconds=5)
    assert evaluation.score is None
    assert reason in evaluation.reason
    assert evaluation.judge == ""


def test_every_fault_of_the_criteria_is_named_with_all_others() -> None:
    bad = SMALL + (
        "evaluation:\n"
        "  - {name: one, check: 'Hello {{ nobody }}.', tool_called: look_up, outcome: [great]}\n"
        "  - {name: one, check: ok, weight: 0, said: ['...'], heard: [x]}\n"
    )
    with pytest.raises(InvalidTeam) as refused:
        parse_team(bad)
    assert {error["path"] for error in refused.value.extra["errors"]} == {
        "evaluation.0.check",
        "evaluation.0.tool_called",
        "evaluation.0.outcome.0",
        "evaluation.1.name",
        "evaluation.1.weight",
        "evaluation.1.said.0",
        "evaluation.1.heard",
    }


def test_a_criterion_without_a_rule_is_warned_of() -> None:
    parsed = read_team(SMALL + "evaluation: [{name: kind, check: The agent was kind.}]\n")
    assert [fault.path for fault in parsed.warnings] == ["evaluation.0"]


def test_a_check_is_filled_with_what_the_call_knows() -> None:
    team = parse_team(
        SMALL + "variables: {day: some day}\nevaluation: [{name: a, check: 'Named {{ day }}.', said: [day]}]\n"
    )
    assert [one.check for one in fill_criteria(team, {"day": "Tuesday"})] == ["Named Tuesday."]


async def test_the_example_team_judges_a_good_and_a_bad_call_apart() -> None:
    team = parse_team((EXAMPLES / "reminder.yaml").read_text())
    assert len(team.evaluation) >= 2
    good = await evaluate(team.evaluation, TALK, a_call(), RuleJudge(), within_seconds=5)
    bad = Conversation([Said("agent", "Hello.", "reminder"), Said("person", "Who is there?")])
    poor = await evaluate(team.evaluation, bad, a_call(), RuleJudge(), within_seconds=5)
    assert good.score is not None
    assert poor.score is not None
    assert good.score >= 0.8 > 0.5 >= poor.score
