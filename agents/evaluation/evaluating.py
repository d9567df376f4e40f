"""What a conversation was worth, once it is over: its turns held against the criteria of its team.

Nobody waits for it: the line is closed and the call's row has its end. Whatever fails leaves a row without a score
that says why, so that a canary knows not to wait for it. Who judges it, and when its worker is dead, says due.py.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.conversation_state import known_values
from agents.evaluation import store
from agents.evaluation.judgment import Conversation, Judge, Judgment, Said, weigh
from agents.evaluation.model_judge import JudgeFailed
from agents.record import transcript_store
from agents.team.definition import Criterion, TeamDefinition
from agents.team.templates import fill
from app.db import Database, Row
from app.logs import get_logger
from telephony.calls import AnsweredBy, Call, EventKind, record_event

log = get_logger(__name__)

JUDGE_SECONDS = 45.0


@dataclass(frozen=True)
class Evaluation:
    """`score`: 0 to 1, by the criteria's weights; None with the `reason`. `judge`: "rules" or a model's name."""

    score: float | None
    reason: str = ""
    judge: str = ""
    judgments: tuple[Judgment, ...] = ()


async def evaluate_call(
    db: Database, call: Call, definition: TeamDefinition, judge: Judge, *, within_seconds: float = JUDGE_SECONDS
) -> Evaluation | None:
    """Judge an ended call and store it; None where its team has no criteria, or nobody answered: then none is due.
    Raises DatabaseUnavailable."""
    if not definition.evaluation or call.answered_at is None:
        async with db.system() as connection:
            await store.delete_due(connection, call.id)
        return None
    async with db.system() as connection:
        rows = await transcript_store.select_turns(connection, call.id)
    criteria = fill_criteria(definition, call.variables)
    evaluation = await evaluate(criteria, read_conversation(rows, call), call, judge, within_seconds=within_seconds)
    await keep_evaluation(db, call, evaluation)
    return evaluation


async def keep_evaluation(db: Database, call: Call, evaluation: Evaluation) -> None:
    """As the call's one; where it has one that stays. None is due any more. Raises DatabaseUnavailable."""
    async with db.system() as connection:
        stored = await store.insert_evaluation(
            connection,
            call_id=call.id,
            org_id=call.org_id,
            score=evaluation.score,
            reason=evaluation.reason,
            judge=evaluation.judge,
            criteria=[one.to_json() for one in evaluation.judgments],
        )
        if stored:
            data = {"score": evaluation.score, "reason": evaluation.reason, "judge": evaluation.judge}
            await record_event(connection, call.org_id, call.id, EventKind.CALL_EVALUATED, data)
        await store.delete_due(connection, call.id)
    log.info("call evaluated", call_id=str(call.id), score=evaluation.score, judge=evaluation.judge)


def fill_criteria(definition: TeamDefinition, variables: Mapping[str, Any]) -> list[Criterion]:
    """The team's criteria, with what the call knows in the holes of their checks."""
    values = known_values(definition, variables)
    return [one.model_copy(update={"check": fill(one.check, values)}) for one in definition.evaluation]


def read_conversation(rows: Sequence[Row], call: Call) -> Conversation:
    outcome = call.hint.get("disposition")
    turns = [Said(row["role"], row["text"], row["agent"], row["tool"]) for row in rows]
    return Conversation(turns, outcome if isinstance(outcome, str) else None)


async def evaluate(
    criteria: Sequence[Criterion], conversation: Conversation, call: Call, judge: Judge, *, within_seconds: float
) -> Evaluation:
    """The judgment, or why there is none; never an error."""
    if call.answered_by is AnsweredBy.MACHINE:
        return Evaluation(None, "a machine answered: there was no conversation")
    if not any(turn.role == "person" for turn in conversation.turns):
        return Evaluation(None, "the person said nothing: there was no conversation")
    try:
        async with asyncio.timeout(within_seconds):
            judgments = await judge.judge(criteria, conversation)
    except TimeoutError:
        return Evaluation(None, f"the judge did not answer within {within_seconds:.0f} seconds", judge.name)
    except JudgeFailed as error:
        return Evaluation(None, error.detail, judge.name)
    score = weigh(judgments)
    return Evaluation(score, "" if score is not None else _why_none(judgments), judge.name, tuple(judgments))


def _why_none(judgments: Sequence[Judgment]) -> str:
    return "no criterion could be judged: " + "; ".join(dict.fromkeys(one.reason for one in judgments))
