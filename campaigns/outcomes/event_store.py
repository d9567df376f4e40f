"""The SQL of campaign events. Every function takes the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.db import Connection

if TYPE_CHECKING:
    from campaigns.outcomes.events import AttemptEvent


async def insert_events(connection: Connection, rows: Sequence[AttemptEvent]) -> None:
    """In the order given. Only for our own processes: no member of an organization may write one."""
    await connection.execute(
        """
        insert into campaign_events (org_id, campaign_id, attempt_id, contact_id, kind, data)
        select org_id, campaign_id, attempt_id, contact_id, kind, data::jsonb
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[])
          with ordinality as told (org_id, campaign_id, attempt_id, contact_id, kind, data, n) order by n
        """,
        [row.org_id for row in rows],
        [row.campaign_id for row in rows],
        [row.attempt_id for row in rows],
        [row.contact_id for row in rows],
        [row.kind.value for row in rows],
        [json.dumps(dict(row.data)) for row in rows],
    )
