"""A slot is held by a call that is up, or on its way: what a dead dialer may have dialed is asked about at once, and
frees its slot long before the carrier's no is believed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.db import Database
from app.ids import OrgId
from campaigns.dialing import claim_store
from campaigns.dialing.attempts import Times
from campaigns.dialing.claiming import claim_due
from campaigns.dialing.departures import mark
from campaigns.dialing.dialer import Dialer, tick
from campaigns.dialing.intents import commit_intents
from campaigns.dialing.recovery.presence import DatabaseClock, beat
from campaigns.dialing.recovery.reconcile import is_in_the_past
from telephony.calls import load_call
from telephony.carriers.outgoing import outgoing_call
from tests.db.campaign_carrier import LedgerCarrier, lines_over, read_ledger
from tests.db.campaign_world import Webhooks, attempt_is, column, numbers, running_campaign, until

PATIENT = Times(lease=3600, presence=1.0, request=60, grace=3600, look_again=3600, last_words=0.1)
"""No no of the carrier is believed while a test runs."""


async def leave_marked(db: Database, org: OrgId) -> None:
    """A dialer is dead that marked the only claim that fits as sent, a while ago."""
    [claims] = await claim_due(db, org, dialer="dead", times=PATIENT)
    intents = await commit_intents(db, claims, lead_seconds=0.1)
    assert await mark(db, intents.departures)
    async with db.system() as connection:
        await connection.execute("update calls set dialed_at = dialed_at - interval '2 seconds'")


async def count_held(db: Database, org: OrgId) -> int:
    async with db.system() as connection:
        return sum(row["open_attempts"] for row in await claim_store.select_rooms(connection, org))


class Heir:
    """A dialer whose rounds are told one by one."""

    def __init__(self, db: Database, carrier: LedgerCarrier, *, asks: bool = True) -> None:
        lines = lines_over(db, carrier)
        self.dialer = Dialer("heir", lines if asks else replace(lines, carriers={}), times=PATIENT)

    async def look(self) -> bool:
        """One round, with everything that it began; always True."""
        await beat(self.dialer.db, self.dialer.name, self.dialer.clock)
        await tick(self.dialer)
        await self.dialer.tasks.drain(within_seconds=10)
        return True


async def test_a_dead_dialers_dial_that_the_carrier_does_not_have_frees_its_slot_and_is_not_dialed_again(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    campaign = await running_campaign(db, org, 2, max_concurrent=1)
    await leave_marked(db, org)
    assert await count_held(db, org) == 1
    heir = Heir(db, carrier)

    async def other_is_dialed() -> bool:
        await heir.look()
        return len(read_ledger(carrier.path)) == 1

    await until(other_is_dialed)
    assert await column(db, "select status from attempts order by claimed_at") == ["uncertain", "placed"]
    [first] = await column(
        db, "select phone from attempts where campaign_id = $1 order by claimed_at limit 1", campaign.id
    )
    assert first not in numbers(carrier)
    assert await count_held(db, org) == 1


async def test_a_dead_dialers_dial_that_the_carrier_has_holds_its_slot_until_the_call_is_over(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    await running_campaign(db, org, 2, max_concurrent=1)
    await leave_marked(db, org)
    lines = lines_over(db, carrier)
    [call_id] = await column(db, "select id from calls")
    await carrier.dial(outgoing_call(await load_call(db, call_id), lines.settings, 15))  # type: ignore[arg-type]
    heir = Heir(db, carrier)
    for _ in range(3):
        await heir.look()
    assert await column(db, "select status from attempts") == ["placed"]
    assert (await count_held(db, org), len(read_ledger(carrier.path))) == (1, 1)
    await Webhooks(db, carrier, status="busy").deliver()

    async def other_is_dialed() -> bool:
        await heir.look()
        return len(read_ledger(carrier.path)) == 2

    await until(other_is_dialed)


async def test_a_slot_is_held_while_the_carrier_cannot_be_asked(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    await running_campaign(db, org, 2, max_concurrent=1)
    await leave_marked(db, org)
    carrier.reachable = False
    heir = Heir(db, carrier)
    for _ in range(3):
        await heir.look()
    assert (await count_held(db, org), read_ledger(carrier.path)) == (1, [])
    carrier.reachable = True

    async def free() -> bool:
        await heir.look()
        return len(read_ledger(carrier.path)) == 1

    await until(free)


async def test_a_call_that_the_carrier_has_after_all_counts_again_and_is_the_only_one(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    """The request reached the carrier later than anybody would believe."""
    campaign = await running_campaign(db, org, 1)
    await leave_marked(db, org)
    heir = Heir(db, carrier)

    async def free() -> bool:
        await heir.look()
        return await count_held(db, org) == 0

    await until(free)
    lines = lines_over(db, carrier)
    [call_id] = await column(db, "select id from calls")
    await carrier.dial(outgoing_call(await load_call(db, call_id), lines.settings, 15))  # type: ignore[arg-type]
    async with db.system() as connection:
        await connection.execute("update attempts set lease_until = clock_timestamp()")
    await heir.look()
    await attempt_is(db, campaign, "placed")
    assert (await count_held(db, org), len(read_ledger(carrier.path))) == (1, 1)


async def test_without_a_list_an_empty_room_frees_the_slot_too(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    """As by SIP: LiveKit is asked who is in the call's room."""
    campaign = await running_campaign(db, org, 1)
    await leave_marked(db, org)
    heir = Heir(db, carrier, asks=False)

    async def free() -> bool:
        await heir.look()
        return await count_held(db, org) == 0

    await until(free)
    await attempt_is(db, campaign, "uncertain")


async def test_what_a_dialer_asked_about_when_it_died_is_asked_by_another_at_once(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    await running_campaign(db, org, 1)
    await leave_marked(db, org)
    async with db.system() as connection:
        await connection.execute(
            """update attempts set status = 'uncertain', dialer = 'asker', fence = nextval('attempt_fences'),
                                   lease_until = clock_timestamp() + interval '1 hour'"""
        )
    await beat(db, "asker", DatabaseClock())
    heir = Heir(db, carrier)
    await heir.look()
    assert carrier.listed == 0

    async def asked() -> bool:
        await heir.look()
        return carrier.listed == 1

    await until(asked)
    assert await count_held(db, org) == 0


async def test_the_carriers_no_frees_no_slot_while_the_request_may_be_on_its_way(
    db: Database, org: OrgId, carrier: LedgerCarrier
) -> None:
    await running_campaign(db, org, 1)
    await leave_marked(db, org)
    [call_id] = await column(db, "select id from calls")
    call = await load_call(db, call_id)  # type: ignore[arg-type]
    assert call.dialed_at is not None
    assert not is_in_the_past(call, now=call.dialed_at + timedelta(seconds=0.5))
    assert is_in_the_past(call, now=datetime.now(UTC))
