"""Evaluations that are due. A call has one from the moment that a team with criteria takes it, and keeps it until it is
judged: whoever holds the lease judges it, at first the worker that had the call, then any.

A worker may die with a judgment in hand, and so may the next one over the same call: after a few tries it has no score,
and says why, so that a canary need not wait for it.
"""

import asyncio

from agents.desk import Desk
from agents.evaluation import store
from agents.evaluation.evaluating import JUDGE_SECONDS, Evaluation, evaluate_call, keep_evaluation
from agents.speech.registry import Providers
from agents.team.definition import TeamDefinition
from agents.team.teams import load_team_version
from app.db import Database, DatabaseUnavailable
from app.ids import CallId
from app.logs import get_logger
from telephony.calls import Call, load_call

log = get_logger(__name__)

LEASE_SECONDS = JUDGE_SECONDS + 15.0
LEFT_ALONE_SECONDS = 20.0
"""After a call's end, the worker that had it comes to judging it by itself."""
MOST_TRIES = 3
POLL_SECONDS = 10.0
AT_ONCE = 4


async def evaluate_own(db: Database, desk: Desk, call: Call, definition: TeamDefinition) -> None:
    """An ended call that this worker had, unless somebody else judges it or has. Raises DatabaseUnavailable."""
    if not definition.evaluation:
        return
    async with db.system() as connection:
        ours = await store.claim_due(connection, call_id=call.id, org_id=call.org_id, lease_seconds=LEASE_SECONDS)
    if ours:
        await _judge(db, desk, call, definition)


async def watch_due(db: Database, desk: Desk) -> None:
    """Judge what workers that died have left, for ever: when this one starts, and now and then."""
    while True:
        try:
            more = await evaluate_left(db, desk)
        except DatabaseUnavailable as error:
            log.warning("evaluations wait for the database", why=error.detail)
            more = False
        except Exception:
            # The outermost loop: a call that cannot be judged is tried again, and holds up no other.
            log.exception("a call could not be evaluated; it is tried again")
            more = False
        if not more:
            await asyncio.sleep(POLL_SECONDS)


async def evaluate_left(db: Database, desk: Desk) -> bool:
    """Some calls that are over for a while and have no evaluation; False where there are none."""
    async with db.system() as connection:
        left = await store.take_due(
            connection, limit=AT_ONCE, lease_seconds=LEASE_SECONDS, ended_before_seconds=LEFT_ALONE_SECONDS
        )
    done = await asyncio.gather(
        *(_evaluate(db, desk, call_id, tries) for call_id, tries in left.items()), return_exceptions=True
    )
    for failed in done:
        if failed is not None:
            raise failed
    return bool(left)


async def _evaluate(db: Database, desk: Desk, call_id: CallId, tries: int) -> None:
    call = await load_call(db, call_id)
    assert call.team_version_id is not None  # or no team had taken it
    if tries > MOST_TRIES:
        await keep_evaluation(db, call, Evaluation(None, f"it was begun {MOST_TRIES} times and came to no end"))
        return
    async with db.system() as connection:
        version = await load_team_version(connection, call.team_version_id)
    log.info("evaluating a call that another worker left", call_id=str(call_id), tries=tries)
    await _judge(db, desk, call, version.definition)


async def _judge(db: Database, desk: Desk, call: Call, definition: TeamDefinition) -> None:
    providers = Providers(desk.settings, desk.engines)
    try:
        await evaluate_call(db, call, definition, providers.build_judge(definition))
    finally:
        await providers.close()
