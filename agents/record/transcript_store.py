"""The SQL of what a conversation leaves behind: turns and recordings. Every function takes the caller's transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import Connection, Row
from app.ids import CallId, OrgId


async def insert_turn(
    connection: Connection,
    *,
    turn_id: UUID,
    org_id: OrgId,
    call_id: CallId,
    role: str,
    agent: str | None,
    text: str,
    tool: Mapping[str, Any] | None,
    interrupted: bool,
    latency_ms: Mapping[str, int],
    started_at: datetime,
    ended_at: datetime | None,
) -> bool:
    """False, and nothing changed, if this turn is stored already."""
    done = await connection.execute(
        """
        insert into turns (id, org_id, call_id, role, agent, text, tool, interrupted, latency_ms, started_at, ended_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        on conflict (id) do nothing
        """,
        turn_id,
        org_id,
        call_id,
        role,
        agent,
        text,
        tool,
        interrupted,
        dict(latency_ms),
        started_at,
        ended_at,
    )
    return done == "INSERT 0 1"


async def select_turns(connection: Connection, call_id: CallId) -> Sequence[Row]:
    """All of a call, in the order in which they were spoken → role, agent, text, tool, interrupted."""
    return await connection.fetch(
        "select role, agent, text, tool, interrupted from turns where call_id = $1 order by started_at, id", call_id
    )


async def select_last_agent(connection: Connection, call_id: CallId) -> str | None:
    """Who had the call last: whoever was handed it, else whoever spoke."""
    return await connection.fetchval(
        """
        select coalesce(
          (select data ->> 'to' from call_events
           where call_id = $1 and kind = 'handoff.made' order by id desc limit 1),
          (select agent from turns
           where call_id = $1 and agent is not null order by started_at desc, id desc limit 1))
        """,
        call_id,
    )


async def insert_recording(
    connection: Connection,
    *,
    recording_id: UUID,
    org_id: OrgId,
    call_id: CallId,
    path: str,
    sample_rate: int,
    started_at: datetime,
) -> None:
    await connection.execute(
        """
        insert into recordings (id, org_id, call_id, path, format, channels, sample_rate, started_at)
        values ($1, $2, $3, $4, 'wav', 2, $5, $6)
        """,
        recording_id,
        org_id,
        call_id,
        path,
        sample_rate,
        started_at,
    )


async def finish_recording(connection: Connection, recording_id: UUID, duration_seconds: float, *, sha256: str) -> None:
    """`sha256`: of the file as it is now, in hexadecimal; a copy that differs was changed."""
    await connection.execute(
        "update recordings set duration_seconds = $2, finished_at = now(), sha256 = $3 where id = $1",
        recording_id,
        duration_seconds,
        sha256,
    )
