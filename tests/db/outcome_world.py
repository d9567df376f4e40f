"""Campaigns with attempts that are over, made row by row: what the tests of outcomes look at."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from app.db import Connection, Database
from app.ids import CampaignId, OrgId, new_id

NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)


async def add_campaign(connection: Connection, org: OrgId, **columns: Any) -> CampaignId:
    """A draft with a team and a number of its own."""
    team, number, campaign = new_id(), new_id(), CampaignId(new_id())
    await connection.execute(
        "insert into teams (id, org_id, slug, name) values ($1, $2, $3, 'Team')", team, org, f"t{team.hex[-12:]}"
    )
    await connection.execute(
        "insert into numbers (id, org_id, e164, carrier) values ($1, $2, $3, 'twilio')",
        number,
        org,
        f"+1202{number.int % 10**10:010d}",
    )
    values = {"name": "Recall", "status": "draft"} | columns
    names = ", ".join(values)
    marks = ", ".join(f"${n}" for n in range(5, 5 + len(values)))
    await connection.execute(
        f"insert into campaigns (id, org_id, team_id, from_number_id, {names}) values ($1, $2, $3, $4, {marks})",
        campaign,
        org,
        team,
        number,
        *values.values(),
    )
    return campaign


async def add_contacts(connection: Connection, org: OrgId, campaign: CampaignId, count: int) -> list[UUID]:
    """Waiting contacts +12025550100 and up, lines 2 and up."""
    ids = [new_id() for _ in range(count)]
    await connection.execute(
        """
        insert into contacts (id, org_id, campaign_id, line, phone, name, variables)
        select id, $2, $3, n + 1, '+12025550' || (99 + n)::text, 'Contact ' || n, '{"plan": "gold"}'
        from unnest($1::uuid[]) with ordinality as given (id, n)
        """,
        ids,
        org,
        campaign,
    )
    return ids


async def add_attempt(
    connection: Connection,
    org: OrgId,
    campaign: CampaignId,
    contact: UUID,
    disposition: str,
    *,
    result: str = "completed",
    reason: str = "callee_hung_up",
    answered: bool = True,
    hint: dict[str, Any] | None = None,
    dialed_at: datetime = NOON,
    talk_seconds: float = 42.0,
    ordinal: int = 1,
    gates: list[dict[str, Any]] | None = None,
) -> tuple[UUID, UUID]:
    """A settled attempt and its call, ended → (attempt, call). The contact is finished with that disposition."""
    attempt, call = new_id(), new_id()
    answered_at = dialed_at + timedelta(seconds=8) if answered else None
    await connection.execute(
        """
        insert into calls (id, org_id, channel, direction, status, room_name, carrier, carrier_call_id, to_number,
                           attempt_id, hint, end_result, end_reason, end_at_fault, created_at, dialed_at, ringing_at,
                           answered_at, ended_at)
        select $1::uuid, $2, 'phone', 'outbound',
               case when $3 in ('rejected', 'indeterminate') then 'failed' else $3 end,
               $1::uuid::text, 'twilio', 'CA' || $1::uuid::text, phone, $4, $5, $3, $6, 'nobody', $7::timestamptz, $7,
               $7::timestamptz + interval '2 seconds', $8, coalesce($8, $7) + make_interval(secs => $9)
        from contacts where id = $10
        """,
        call,
        org,
        result,
        attempt,
        hint or {},
        reason,
        dialed_at,
        answered_at,
        talk_seconds,
        contact,
    )
    await connection.execute(
        """
        insert into attempts (id, org_id, campaign_id, contact_id, ordinal, status, dialer, fence, lease_until, call_id,
                              disposition, claimed_at, dialed_at, settled_at, phone, gates)
        select $1, $2, $3, $4, $5, 'settled', 'one', 1, now(), $6, $7, $8, $8, now(), phone, $9
        from contacts where id = $4
        """,
        attempt,
        org,
        campaign,
        contact,
        ordinal,
        call,
        disposition,
        dialed_at,
        gates or [],
    )
    await connection.execute(
        """
        update contacts set status = 'finished', disposition = $2, attempts_made = attempts_made + 1,
                            finished_at = now() where id = $1
        """,
        contact,
        disposition,
    )
    return attempt, call


async def run(db: Database, campaign: CampaignId) -> None:
    async with db.system() as connection:
        await connection.execute(
            "update campaigns set status = 'running', started_at = now() - interval '5 minutes' where id = $1", campaign
        )
