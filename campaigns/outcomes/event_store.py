"""The SQL of campaign events. Every function takes the caller's transaction."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from app.db import Connection, Row

NewEvent = tuple[UUID, UUID, UUID | None, UUID | None, str, Mapping[str, Any]]
"""org_id, campaign_id, attempt_id, contact_id, kind, data."""


async def insert_events(connection: Connection, rows: Sequence[NewEvent]) -> None:
    """In the order given. Only for our own processes: no member of an organization may write one."""
    org_ids, campaign_ids, attempt_ids, contact_ids, kinds, data = map(list, zip(*rows, strict=True))
    await connection.execute(
        """
        insert into campaign_events (org_id, campaign_id, attempt_id, contact_id, kind, data)
        select org_id, campaign_id, attempt_id, contact_id, kind, data::jsonb
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[])
          with ordinality as told (org_id, campaign_id, attempt_id, contact_id, kind, data, n) order by n
        """,
        org_ids,
        campaign_ids,
        attempt_ids,
        contact_ids,
        kinds,
        [json.dumps(dict(one)) for one in data],
    )


async def select_feed(
    connection: Connection,
    org_id: UUID,
    campaign_id: UUID,
    *,
    after: tuple[int, int],
    horizon: int,
    limit: int,
) -> Sequence[Row]:
    """Events after the cursor (transaction, id) and below `horizon` → transaction (text), id, attempt_id, contact_id,
    kind, data, at."""
    return await connection.fetch(
        """
        select tx::text as transaction, id, attempt_id, contact_id, kind, data, at from campaign_events
        where org_id = $1 and campaign_id = $2 and (tx, id) > ($3::text::xid8, $4::bigint) and tx < $5::text::xid8
        order by tx, id limit $6
        """,
        org_id,
        campaign_id,
        str(after[0]),
        after[1],
        str(horizon),
        limit,
    )


async def is_held_back(connection: Connection, org_id: UUID, campaign_id: UUID, *, horizon: int) -> bool:
    """Whether it has events at or above `horizon`, which `select_feed` does not give yet."""
    return bool(
        await connection.fetchval(
            """
            select exists (select from campaign_events
                           where org_id = $1 and campaign_id = $2 and tx >= $3::text::xid8)
            """,
            org_id,
            campaign_id,
            str(horizon),
        )
    )


async def delete_old_events(connection: Connection, *, days: int, limit: int) -> None:
    """Some of what is older than anybody comes back for."""
    await connection.execute(
        """
        delete from campaign_events where id in (
          select id from campaign_events where at < now() - make_interval(days => $1) order by at limit $2)
        """,
        days,
        limit,
    )
