"""The SQL of evaluations. Every function takes the caller's transaction."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from app.db import Connection
from app.ids import CallId


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


# -- what is due


async def insert_due(connection: Connection, *, call_id: UUID, org_id: UUID) -> None:
    """A team with criteria has the call; again, where it is another agent's now, nothing changes."""
    await connection.execute(
        "insert into evaluations_due (call_id, org_id) values ($1, $2) on conflict do nothing", call_id, org_id
    )


async def claim_due(connection: Connection, *, call_id: UUID, org_id: UUID, lease_seconds: float) -> bool:
    """This call's is the caller's until the lease is over. False where it is somebody else's, or done."""
    row = await connection.fetchrow(
        """
        insert into evaluations_due as d (call_id, org_id, tries, lease_until)
        select $1, $2, 1, now() + make_interval(secs => $3)
        where not exists (select from evaluations where call_id = $1)
        on conflict (call_id) do update set tries = d.tries + 1, lease_until = excluded.lease_until
          where d.lease_until <= now()
        returning call_id
        """,
        call_id,
        org_id,
        lease_seconds,
    )
    return row is not None


async def take_due(
    connection: Connection, *, limit: int, lease_seconds: float, ended_before_seconds: float
) -> dict[CallId, int]:
    """Of calls that ended so long ago, those that are nobody's and are the caller's from now on → with how many tries,
    this one included. Those that were tried least go first."""
    rows = await connection.fetch(
        """
        with due as (
          select d.call_id from evaluations_due d join calls c on c.id = d.call_id
          where d.lease_until <= now() and c.ended_at <= now() - make_interval(secs => $3)
          order by d.tries, c.ended_at limit $1 for update of d skip locked
        )
        update evaluations_due d set tries = d.tries + 1, lease_until = now() + make_interval(secs => $2)
        from due where d.call_id = due.call_id returning d.call_id, d.tries
        """,
        limit,
        lease_seconds,
        ended_before_seconds,
    )
    return {row["call_id"]: row["tries"] for row in rows}


async def delete_due(connection: Connection, call_id: UUID) -> None:
    await connection.execute("delete from evaluations_due where call_id = $1", call_id)
