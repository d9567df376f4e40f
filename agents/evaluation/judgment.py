"""What is judged, and what a judgment is; and the judge that needs no model: each criterion's own rules. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agents.team.definition import Criterion
from agents.team.phrases import match_any, split_words

RULES = "rules"


@dataclass(frozen=True)
class Said:
    """A turn of the conversation. `role`: person, agent or tool; `tool`: {"name", "arguments", "is_error"} of one."""

    role: str
    text: str
    agent: str | None = None
    tool: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Conversation:
    """`outcome`: what the agents recorded it came to, None where they recorded nothing."""

    turns: Sequence[Said]
    outcome: str | None = None


@dataclass(frozen=True)
class Judgment:
    """`score`: 0 to 1; None where nobody could say, with the reason."""

    criterion: Criterion
    score: float | None
    reason: str

    def to_json(self) -> dict[str, Any]:
        """As `evaluations.criteria` has it."""
        about = {"name": self.criterion.name, "check": self.criterion.check, "weight": self.criterion.weight}
        return {**about, "score": self.score, "reason": self.reason}


class Judge(Protocol):
    @property
    def name(self) -> str: ...

    async def judge(self, criteria: Sequence[Criterion], conversation: Conversation) -> list[Judgment]:
        """One judgment a criterion, in their order. Raises JudgeFailed where it can say nothing at all."""
        ...


class RuleJudge:
    """The offline brain's judge."""

    @property
    def name(self) -> str:
        return RULES

    async def judge(self, criteria: Sequence[Criterion], conversation: Conversation) -> list[Judgment]:
        return [judge_by_rules(criterion, conversation) for criterion in criteria]


def judge_by_rules(criterion: Criterion, conversation: Conversation) -> Judgment:
    """1 where everything that the criterion asks for holds, else 0 with what does not."""
    if not criterion.has_rules:
        return Judgment(criterion, None, "it has no rule that can be followed without a language model")
    missing = _find_missing(criterion, conversation)
    return Judgment(criterion, 0.0 if missing else 1.0, "; ".join(missing) or "every rule holds")


def _find_missing(criterion: Criterion, conversation: Conversation) -> list[str]:
    missing: list[str] = []
    lines = [split_words(turn.text) for turn in conversation.turns if turn.role == "agent"]
    if criterion.said and not any(match_any(criterion.said, words) is not None for words in lines):
        missing.append("no agent said any of: " + ", ".join(criterion.said))
    if criterion.not_said and any(match_any(criterion.not_said, words) is not None for words in lines):
        missing.append("an agent said one of: " + ", ".join(criterion.not_said))
    called = {str(turn.tool["name"]) for turn in conversation.turns if turn.tool and not turn.tool.get("is_error")}
    if criterion.tool_called and criterion.tool_called not in called:
        missing.append(f"{criterion.tool_called} was not called")
    if criterion.outcome and conversation.outcome not in criterion.outcome:
        missing.append(f"it came to {conversation.outcome or 'nothing'}, not to {' or '.join(criterion.outcome)}")
    return missing


def weigh(judgments: Sequence[Judgment]) -> float | None:
    """The mean by weight of those that could be judged; None where none could."""
    judged = [(one.score, one.criterion.weight) for one in judgments if one.score is not None]
    total = sum(weight for _, weight in judged)
    return round(sum(score * weight for score, weight in judged) / total, 4) if total else None
