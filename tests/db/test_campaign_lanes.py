"""Lanes and lines: what several campaigns share is never dialed faster, or more at once, than it may be."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from app.db import Database
from app.ids import CallId, OrgId, new_id
from campaigns.dialing.lanes.limits import LaneLimits, LineLimits, NoSuchLane, load_limits, set_limits
from telephony.calls import AtFault, End, EndReason, EndResult, end_call
from tests.db.campaign_carrier import LedgerCarrier, read_ledger
from tests.db.campaign_world import Webhooks, column, dialing, finish, running_campaign, until


async def limit(db: Database, org: OrgId, *lanes: LaneLimits, most: int | None = None, inbound: float = 0.0) -> None:
    async with db.system() as connection:
        await set_limits(connection, org, LineLimits(most, inbound, lanes))


async def number_key(db: Database) -> str:
    return f"number:{(await column(db, 'select id from numbers'))[0]}"


async def test_two_campaigns_on_one_lane_keep_its_pace_together(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    await limit(db, org, LaneLimits("carrier:twilio", calls_per_second=8.0))
    first = await running_campaign(db, org, 8, calls_per_second=50.0)
    second = await running_campaign(db, org, 8, first=120, calls_per_second=50.0)
    webhooks = Webhooks(db, carrier)
    async with dialing(db, carrier, name="one"), dialing(db, carrier, name="two"):
        await finish(db, first, webhooks)
        await finish(db, second, webhooks)
    dials = sorted(one.at for one in read_ledger(carrier.path))
    assert len(dials) == 16
    for one, ninth in zip(dials, dials[8:], strict=False):
        assert ninth - one > timedelta(seconds=1)


async def test_at_one_call_a_second_no_two_dials_fall_into_a_second_across_a_restart(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    await limit(db, org, LaneLimits(await number_key(db), calls_per_second=1.0))
    campaign = await running_campaign(db, org, 5, calls_per_second=50.0)
    webhooks = Webhooks(db, carrier)

    async def two() -> bool:
        await webhooks.deliver()
        return len(webhooks.told) >= 2

    async with dialing(db, carrier, name="one"), dialing(db, carrier, name="two"):
        await until(two)
    async with dialing(db, carrier, name="three"):
        await finish(db, campaign, webhooks)
    dials = sorted(one.at for one in read_ledger(carrier.path))
    assert len(dials) == 5
    assert all(later - sooner > timedelta(seconds=1) for sooner, later in pairwise(dials))


@pytest.mark.parametrize("what", ["lane", "organization"])
async def test_calls_at_once_are_counted_over_all_campaigns(
    db: Database, org: OrgId, carrier: LedgerCarrier, what: str
) -> None:
    if what == "lane":
        await limit(db, org, LaneLimits(await number_key(db), max_concurrent=3))
    else:
        await limit(db, org, most=4, inbound=0.25)
    first = await running_campaign(db, org, 4)
    second = await running_campaign(db, org, 4, first=120)
    webhooks = Webhooks(db, carrier)
    async with dialing(db, carrier, name="one"), dialing(db, carrier, name="two"):

        async def full() -> bool:
            return len(read_ledger(carrier.path)) >= 3

        await until(full)
        await asyncio.sleep(0.6)  # two ticks in which a fourth might be dialed
        assert len(read_ledger(carrier.path)) == 3
        await finish(db, first, webhooks)
        await finish(db, second, webhooks)
    assert len(read_ledger(carrier.path)) == 8


async def test_callers_take_lines_from_dials_and_not_the_other_way_round(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    await limit(db, org, most=2)
    call = await add_caller(db, org)
    campaign = await running_campaign(db, org, 3)
    webhooks = Webhooks(db, carrier)
    async with dialing(db, carrier):

        async def one() -> bool:
            return len(read_ledger(carrier.path)) >= 1

        await until(one)
        await asyncio.sleep(0.6)  # two ticks in which a second might be dialed
        assert len(read_ledger(carrier.path)) == 1
        await end_call(db, call, End(EndResult.COMPLETED, EndReason.CALLER_HUNG_UP, AtFault.NOBODY))

        async def two() -> bool:
            return len(read_ledger(carrier.path)) == 2

        await until(two)
        await finish(db, campaign, webhooks)


async def add_caller(db: Database, org: OrgId) -> CallId:
    """A call inward that goes on."""
    call_id = CallId(new_id())
    async with db.system() as connection:
        await connection.execute(
            """insert into calls (id, org_id, channel, direction, status, room_name, number_id)
               values ($1, $2, 'phone', 'inbound', 'in-progress', $1::uuid::text, (select id from numbers))""",
            call_id,
            org,
        )
    return call_id


async def test_a_lane_must_be_one_of_the_organizations(db: Database, org: OrgId, carrier: LedgerCarrier) -> None:
    with pytest.raises(NoSuchLane, match="carrier:twilio"):
        await limit(db, org, LaneLimits(f"number:{new_id()}", calls_per_second=1))
    await limit(db, org, LaneLimits("carrier:twilio", calls_per_second=2.5), most=9, inbound=0.5)
    await limit(db, org, LaneLimits(await number_key(db), max_concurrent=4))
    async with db.system() as connection:
        limits = await load_limits(connection, org)
    assert (limits.max_concurrent_calls, limits.inbound_share) == (None, 0.0)
    assert limits.lanes == [LaneLimits(await number_key(db), None, 4)]
    assert "carrier:twilio" in limits.keys
