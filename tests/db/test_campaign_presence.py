"""Dialers tell that they live; what a silent one had in hand returns within seconds, its leases notwithstanding."""

import asyncio

import pytest

from app.db import Database, DatabaseUnavailable
from app.ids import OrgId
from campaigns.dialing import attempt_store
from campaigns.dialing.attempts import Times
from campaigns.dialing.claiming import claim_due
from campaigns.dialing.departures import mark
from campaigns.dialing.dialer import name_dialer
from campaigns.dialing.intents import commit_intents
from campaigns.dialing.recovery.presence import DatabaseClock, beat, withdraw
from campaigns.dialing.recovery.reconcile import recover_expired
from tests.db.campaign_carrier import LedgerCarrier, read_ledger
from tests.db.campaign_world import Webhooks, column, dialing, finish, numbers, running_campaign, until

LONG = Times(lease=3600, request=0.5, grace=0.3, look_again=0.4, presence=2.0)


async def statuses(db: Database) -> list[object]:
    return await column(db, "select status from attempts order by claimed_at, id")


@pytest.mark.parametrize("step", ["claimed", "intent", "marked"])
async def test_what_a_dead_dialer_had_in_hand_is_dialed_once_by_another_whatever_its_lease(
    db: Database, org: OrgId, carrier: LedgerCarrier, step: str
) -> None:
    campaign = await running_campaign(db, org, 2)
    clock = DatabaseClock()
    await beat(db, "dead", clock)
    [claims] = await claim_due(db, org, dialer="dead", times=LONG)
    if step != "claimed":
        intents = await commit_intents(db, claims, lead_seconds=0.1)
        if step == "marked":
            await mark(db, intents.departures)
    async with dialing(db, carrier, name="heir", times=LONG):
        await finish(db, campaign, Webhooks(db, carrier), hurry=True)
    assert set(numbers(carrier).values()) == {1}
    assert len(read_ledger(carrier.path)) == 2


async def test_what_a_live_dialer_has_in_hand_stays_its_own(db: Database, org: OrgId, carrier: LedgerCarrier) -> None:
    await running_campaign(db, org, 2)
    await beat(db, "alive", DatabaseClock())
    await claim_due(db, org, dialer="alive", times=LONG)
    await recover_expired(db, LONG, dialer="other", in_hand=())
    assert await statuses(db) == ["claimed", "claimed"]


async def test_a_dialer_that_says_goodbye_is_not_waited_for(db: Database, org: OrgId, carrier: LedgerCarrier) -> None:
    await running_campaign(db, org, 2)
    await beat(db, "leaving", DatabaseClock())
    await claim_due(db, org, dialer="leaving", times=LONG)
    await withdraw(db, "leaving")
    await recover_expired(db, LONG, dialer="other", in_hand=())
    assert await statuses(db) == ["released", "released"]


async def test_what_a_dialer_has_by_the_rows_and_does_not_know_of_goes_back(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    """As after a commit whose answer was lost."""
    await running_campaign(db, org, 3)
    await beat(db, "confused", DatabaseClock())
    [claims] = await claim_due(db, org, dialer="confused", times=LONG)
    await commit_intents(db, claims[:2], lead_seconds=0.1)
    await recover_expired(db, LONG, dialer="confused", in_hand={claims[0].attempt_id})
    assert await statuses(db) == ["dialing", "uncertain", "released"]
    assert await column(db, "select count(*) from contacts where status = 'waiting'") == [1]


async def test_a_stopped_dialer_leaves_no_row_behind(db: Database, org: OrgId, carrier: LedgerCarrier) -> None:
    async def told() -> bool:
        return await column(db, "select name from dialers") == ["short"]

    async with dialing(db, carrier, name="short"):
        await until(told)
    assert await column(db, "select name from dialers") == []


async def test_no_two_starts_of_a_dialer_have_the_same_name() -> None:
    assert name_dialer() != name_dialer()


async def test_the_sample_with_the_shortest_way_tells_the_databases_time(db: Database) -> None:
    clock = DatabaseClock()
    for _ in range(3):
        await beat(db, "one", clock)
    [now] = await column(db, "select clock_timestamp()")
    assert abs(clock.local(now) - asyncio.get_running_loop().time()) < 0.5  # type: ignore[arg-type]


async def test_a_dialer_finds_something_to_claim_behind_the_slots_of_a_slow_one(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    """Whose slots lie 1.2 s ahead, so that nothing is left of the next half second."""
    await running_campaign(db, org, 60, calls_per_second=20.0)
    async with db.system() as connection:
        await connection.execute("update campaigns set next_dial_at = clock_timestamp() + interval '1.2 seconds'")
    times = Times(presence=60)
    assert await claim_due(db, org, dialer="quick", times=times) == []
    await beat(db, "slow", DatabaseClock(), lead_seconds=1.2)
    assert len(await claim_due(db, org, dialer="quick", times=times)) == 1


async def test_who_freezes_in_the_middle_of_a_statement_does_not_keep_its_locks(
    db: Database, org: OrgId, carrier: LedgerCarrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres calls such a one active, not idle: it has half of a statement."""
    monkeypatch.setattr(attempt_store, "HELD_AT_MOST_MS", "300")
    campaign = await running_campaign(db, org, 1)

    async def freeze() -> None:
        async with db.system() as frozen:
            await attempt_store.bound_idle(frozen)
            await frozen.execute("select from campaigns where id = $1 for update", campaign.id)
            await frozen.prepare("select 1")  # read by Postgres, which waits for its arguments
            async with db.system() as other:
                await other.execute("set local lock_timeout = '20s'")
                await other.execute("update campaigns set name = 'Free' where id = $1", campaign.id)

    with pytest.raises(DatabaseUnavailable):
        await freeze()
    assert await column(db, "select name from campaigns") == ["Free"]
