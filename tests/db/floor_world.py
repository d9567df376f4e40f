"""Operators around a campaign whose calls they take, and calls in every state."""

from uuid import UUID

from app.db import Database
from app.ids import OrgId, new_id
from campaigns.campaigns import Campaign
from telephony.calls import Call, End, EndReason, EndResult, end_call, load_call, mark_answered
from telephony.floor import operator_store
from telephony.floor.answered import FloorCall
from telephony.floor.operators import Operator, OperatorState, add_operator, load_operator

TALKED = End(EndResult.COMPLETED, EndReason.OPERATOR_ENDED)


async def put_operator(db: Database, org: OrgId, name: str, *, campaigns: list[UUID] | None = None) -> UUID:
    """Who is available now."""
    async with db.system() as connection:
        operator = await add_operator(connection, org, name=name, campaigns=campaigns)
        assert await operator_store.set_available(connection, operator.id)
    return operator.id


async def operator_now(db: Database, org: OrgId, operator_id: UUID) -> Operator:
    async with db.system() as connection:
        return await load_operator(connection, org, operator_id)


async def state_of(db: Database, org: OrgId, operator_id: UUID) -> OperatorState:
    return (await operator_now(db, org, operator_id)).state


async def put_call(db: Database, campaign: Campaign, *, phone: str = "+12025550142", answered: bool = True) -> Call:
    """An attempt of the campaign whose call is open, and answered unless it is said otherwise."""
    call_id, attempt_id, contact_id = new_id(), new_id(), new_id()
    async with db.system() as connection:
        await connection.execute(
            """insert into contacts (id, org_id, campaign_id, phone, status) values ($1, $2, $3, $4, 'in-flight')""",
            contact_id,
            campaign.org_id,
            campaign.id,
            phone,
        )
        await connection.execute(
            """insert into calls (id, org_id, channel, direction, status, room_name, from_number, to_number, attempt_id,
                                  dialed_at, ringing_at)
               values ($1, $2, 'phone', 'outbound', 'ringing', $5, '+12025550101', $3, $4, now(), now())""",
            call_id,
            campaign.org_id,
            phone,
            attempt_id,
            str(call_id),
        )
        await connection.execute(
            """insert into attempts (id, org_id, campaign_id, contact_id, ordinal, status, dialer, fence, lease_until,
                                     call_id, dialed_at, phone)
               values ($1, $2, $3, $4, 1, 'placed', 'd', 1, now() + interval '1 hour', $5, now(), $6)""",
            attempt_id,
            campaign.org_id,
            campaign.id,
            contact_id,
            call_id,
            phone,
        )
    if answered:
        await mark_answered(db, call_id)
    return await load_call(db, call_id)


async def finish_call(db: Database, call: Call) -> None:
    assert await end_call(db, call.id, TALKED)


def floor_of(campaign: Campaign) -> FloorCall:
    return FloorCall(campaign.id, "Nobody is free.", 2.0)


async def day_counts(db: Database, campaign: Campaign) -> tuple[int, int]:
    """(answered, abandoned) over all days."""
    async with db.system() as connection:
        row = await connection.fetchrow(
            """select coalesce(sum(answered), 0) as answered, coalesce(sum(abandoned), 0) as abandoned
               from floor_days where campaign_id = $1""",
            campaign.id,
        )
    assert row is not None
    return row["answered"], row["abandoned"]


async def outcome_of(db: Database, call: Call) -> str:
    async with db.system() as connection:
        return str(await connection.fetchval("select outcome from floor_calls where call_id = $1", call.id))
