"""Campaigns, contacts and dials as rows, for the gates to judge."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from app.db import Connection, Database
from app.ids import E164, AttemptId, CampaignId, ContactId, OrgId, new_id
from campaigns.gates.gates import Candidate, Gate, Verdict, check_gates, load_policy
from telephony.carriers.base import CarrierName
from tests.db.world import make_number

NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
"""Friday noon in New York."""
CALLER_ID = E164("+12025550101")
PHONE = E164("+12025550110")


async def add_campaign(db: Database, org: OrgId, **columns: Any) -> CampaignId:
    """A running campaign with these columns; settings as JSON values."""
    async with db.system() as connection:
        team = await connection.fetchval("select id from teams where org_id = $1", org)
    if team is None:
        await make_number(db, org, CALLER_ID, carrier=CarrierName.TWILIO)
    campaign_id = CampaignId(new_id())
    async with db.system() as connection:
        await connection.execute(
            """
            insert into campaigns (id, org_id, name, team_id, from_number_id, status)
            select $1, $2, 'Recall', t.id, n.id, 'running' from teams t, numbers n
            where t.org_id = $2 and n.org_id = $2 limit 1
            """,
            campaign_id,
            org,
        )
        for name, value in columns.items():
            await connection.execute(f"update campaigns set {name} = $2 where id = $1", campaign_id, value)
    return campaign_id


async def add_contact(
    db: Database, org: OrgId, campaign_id: CampaignId, phone: str = PHONE, **columns: Any
) -> Candidate:
    """A waiting contact, and what the gates are asked about it."""
    contact_id = ContactId(new_id())
    async with db.system() as connection:
        await connection.execute(
            "insert into contacts (id, org_id, campaign_id, phone, phones) values ($1, $2, $3, $4, array[$4])",
            contact_id,
            org,
            campaign_id,
            phone,
        )
        for name, value in columns.items():
            await connection.execute(f"update contacts set {name} = $2 where id = $1", contact_id, value)
    known = {name: value for name, value in columns.items() if name in Candidate.__dataclass_fields__}
    return Candidate(contact_id, org, campaign_id, E164(phone), **known)


async def add_dial(connection: Connection, one: Candidate, at: datetime, *, status: str = "settled") -> AttemptId:
    """An attempt whose request went out then."""
    attempt_id = AttemptId(new_id())
    await connection.execute(
        """
        insert into attempts (id, org_id, campaign_id, contact_id, ordinal, status, dialer, fence, lease_until, phone,
                              dialed_at)
        values ($1, $2, $3, $4, 1, $5, 'test', 1, $7, $6, $7)
        """,
        attempt_id,
        one.org_id,
        one.campaign_id,
        one.contact_id,
        status,
        one.phone,
        at,
    )
    return attempt_id


async def dialed(db: Database, one: Candidate, *ago: timedelta, status: str = "settled") -> None:
    """Dials so long before NOON."""
    async with db.system() as connection:
        for span in ago:
            await add_dial(connection, one, NOON - span, status=status)


async def ask(
    db: Database, candidates: Sequence[Candidate], *, now: datetime = NOON, **given: Any
) -> dict[ContactId, list[Verdict]]:
    """The gates of the first candidate's campaign."""
    async with db.system() as connection:
        policy = await load_policy(connection, candidates[0].campaign_id)
        return await check_gates(connection, policy, candidates, now=now, **given)


async def ask_gate(db: Database, one: Candidate, gate: Gate, *, now: datetime = NOON, **given: Any) -> Verdict:
    """What one gate says."""
    verdicts = (await ask(db, [one], now=now, **given))[one.contact_id]
    [found] = [verdict for verdict in verdicts if verdict.gate is gate]
    return found
