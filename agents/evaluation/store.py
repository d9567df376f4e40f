"""The SQL of evaluations. Every function takes the caller's transaction."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from app.db import Connection


async def insert_evaluation(
    connection: Connection,
    *,
    call_id: UUID,
    org_id: UUID,
    score: float | None,
    reason: str,
    judge: str,
    criteria: Sequence[Mapping[str, Any]],
) -> bool:
    """False, and nothing changed, where this call has its evaluation."""
    done = await connection.execute(
        """
        insert into evaluations (call_id, org_id, score, reason, judge, criteria)
        values ($1, $2, $3, $4, $5, $6) on conflict (call_id) do nothing
        """,
        call_id,
        org_id,
        score,
        reason,
        judge,
        [dict(criterion) for criterion in criteria],
    )
    return done == "INSERT 0 1"
