"""The SQL that copies contacts from one campaign to another. Every function takes the caller's transaction."""

from collections.abc import Sequence
from uuid import UUID

from app.db import Connection
from app.ids import new_id


async def copy_contacts(
    connection: Connection,
    source_id: UUID,
    target_id: UUID,
    *,
    outcomes: Sequence[str] | None,
    with_waiting: bool,
    after: str,
    limit: int,
) -> tuple[int, str | None]:
    """The next contacts by number, from after `after` on, go in as new ones; how many, and after which number to go
    on, None at the end.

    `outcomes` None: every one that is not blocked; else those finished with one of these, and with `with_waiting`
    those that wait. What the last call left for the next comes along.
    """
    row = await connection.fetchrow(
        """
        with page as (
          select c.*, row_number() over (order by c.phone) as n from contacts c
          where c.campaign_id = $1 and c.phone > $5
            and (case when $3::text[] is null then c.status <> 'blocked'
                      else (c.status = 'finished' and c.disposition = any($3)) or ($4 and c.status = 'waiting') end)
          order by c.phone limit $6
        ), added as (
          insert into contacts (id, org_id, campaign_id, line, phone, name, variables, phones, time_zone, consent_at,
                                consent_expires_at, consent_source, memory)
          select i.id, p.org_id, $2, p.line, p.phone, p.name, p.variables, p.phones, p.time_zone, p.consent_at,
                 p.consent_expires_at, p.consent_source, p.memory
          from page p join unnest($7::uuid[]) with ordinality i (id, n) on i.n = p.n
          returning phone
        )
        select count(*) as count, max(phone) as last from added
        """,
        source_id,
        target_id,
        outcomes,
        with_waiting,
        after,
        limit,
        [new_id() for _ in range(limit)],
    )
    assert row is not None  # an aggregate has one row
    return row["count"], row["last"] if row["count"] == limit else None


async def count_contacts_of(connection: Connection, org_id: UUID, campaign_id: UUID) -> int:
    return await connection.fetchval(
        "select count(*) from contacts where org_id = $1 and campaign_id = $2", org_id, campaign_id
    )
