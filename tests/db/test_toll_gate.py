"""The toll gate's limits as rows: they hold for everyone at once, and money follows the length of calls."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.auth.principal import Role
from app.db import Connection, Database
from app.errors import NotFound
from app.ids import E164, CallId, NumberId, OrgId, new_id
from telephony.carriers.base import CarrierName
from telephony.lines.numbers import Number, NumberNotFound
from telephony.outbound import DialRequest, prepare_call
from telephony.toll_gate import store
from telephony.toll_gate.destinations import TollGateRefused
from telephony.toll_gate.gate import Gate, open_gate
from telephony.toll_gate.limits import DialLimitReached
from tests.db.tenant_rows import Tenant, add_user
from tests.db.world import make_number

pytestmark = pytest.mark.db

OURS, KIM, LEE = E164("+12025550101"), E164("+12025550123"), E164("+12025550145")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
RATES = [{"prefix": "+1", "per_1000_minutes_minor": 1000}]


@pytest.fixture
async def number(db: Database, org: OrgId) -> Number:
    return await make_number(db, org, OURS, carrier=CarrierName.TWILIO)


async def set_rules(db: Database, org: OrgId, **rules: Any) -> None:
    async with db.system() as connection:
        await store.insert_rules(connection, org, rules, set_by=None)


async def reserve(
    connection: Connection, number: Number, *numbers: E164, now: datetime | None = None
) -> list[DialLimitReached | None]:
    gate = await open_gate(connection, number.org_id, number.id)
    return await gate.reserve(connection, numbers, now=now, call_ids=[CallId(new_id()) for _ in numbers])


async def dial(db: Database, number: Number, to: E164 = KIM, *, now: datetime | None = None) -> CallId:
    """An intent, as a dialer or the api writes it."""
    async with db.system() as connection:
        version = await connection.fetchval("select id from team_versions where org_id = $1", number.org_id)
        request = DialRequest(number.org_id, to, version, number.id)
        return (await prepare_call(connection, request, now=now or datetime.now(UTC))).id


async def end(db: Database, call_id: CallId, *, seconds: float | None) -> None:
    """The call is over; after so many seconds of talk, or unanswered."""
    async with db.system() as connection:
        await connection.execute(
            """
            update calls set status = 'completed', end_result = 'completed', ended_at = now(),
                             answered_at = now() - make_interval(secs => $2)
            where id = $1
            """,
            call_id,
            seconds,
        )


async def spent(db: Database, number: Number) -> int:
    """Thousandths of a cent today, after everything that is over was settled."""
    async with db.system() as connection:
        await store.settle_charges(connection, number.org_id)
        today = await connection.fetchval("select (now() at time zone 'utc')::date")
        return (await store.select_spend(connection, number.org_id, currency="USD", today=today))["day"]


async def test_without_limits_a_dial_writes_no_count_and_takes_no_lock(db: Database, number: Number) -> None:
    async with db.system() as first, db.system() as second:
        assert await reserve(first, number, KIM, LEE) == [None, None]
        assert await reserve(second, number, KIM) == [None]
        assert await first.fetchval("select count(*) from pg_locks where locktype = 'advisory'") == 0
        assert await first.fetchval("select count(*) from dial_counts") == 0


async def test_the_caller_id_is_ours_or_there_is_no_gate(db: Database, number: Number, org: OrgId) -> None:
    async with db.system() as connection:
        with pytest.raises(NumberNotFound):
            await open_gate(connection, org, NumberId(new_id()))
        with pytest.raises(NotFound):
            await open_gate(connection, OrgId(new_id()), number.id)


async def test_a_limit_holds_for_many_dialers_at_once(database_url: str, number: Number) -> None:
    """Twelve transactions ask for five each, at the same moment: no more than the limit are let through."""
    db = await Database.connect(database_url, max_size=12)
    try:
        await set_rules(db, number.org_id, calls={"per_minute": 17})

        async def ask() -> int:
            async with db.system() as connection:
                verdicts = await reserve(connection, number, *[KIM] * 5)
                await asyncio.sleep(0.01)
            return sum(verdict is None for verdict in verdicts)

        assert sum(await asyncio.gather(*(ask() for _ in range(12)))) == 17
    finally:
        await db.close()


async def test_what_is_rolled_back_was_not_counted(db: Database, number: Number) -> None:
    await set_rules(db, number.org_id, calls={"per_minute": 1})

    async def fail() -> None:
        async with db.system() as connection:
            assert await reserve(connection, number, KIM) == [None]
            raise RuntimeError("the intent fails")

    with pytest.raises(RuntimeError):
        await fail()
    async with db.system() as connection:
        assert await reserve(connection, number, KIM) == [None]
    async with db.system() as connection:
        assert await reserve(connection, number, KIM) != [None]


async def test_a_minute_later_there_is_room_again_and_old_buckets_are_forgotten(db: Database, number: Number) -> None:
    await set_rules(db, number.org_id, calls={"per_minute": 1})
    async with db.system() as connection:
        assert await reserve(connection, number, KIM, now=NOW) == [None]
        [refused] = await reserve(connection, number, KIM, now=NOW + timedelta(seconds=59))
        assert refused is not None
        assert await reserve(connection, number, KIM, now=refused.retry_at) == [None]
        assert await connection.fetchval("select count(*) from dial_counts") == 1


async def test_one_number_is_not_called_more_often_than_allowed_whoever_asks(db: Database, number: Number) -> None:
    await set_rules(db, number.org_id, per_number={"per_hour": 2})
    await dial(db, number, now=datetime.now(UTC) - timedelta(minutes=61))
    await dial(db, number)
    await dial(db, number)
    with pytest.raises(DialLimitReached):
        await dial(db, number)
    await dial(db, number, LEE)


async def test_the_rules_are_asked_afresh_for_each_gate(db: Database, number: Number) -> None:
    await set_rules(db, number.org_id, refused_prefixes=["+1202"])
    with pytest.raises(TollGateRefused):
        await dial(db, number)
    await set_rules(db, number.org_id, allowed_countries=["GB"])
    await dial(db, number)
    await dial(db, number, E164("+442079460000"))
    async with db.system() as connection:
        assert await connection.fetchval("select count(*) from dialing_rules") == 2, "what held before is history"


async def test_money_is_set_aside_and_settles_to_the_length_of_the_call(db: Database, number: Number) -> None:
    await set_rules(db, number.org_id, spend={"currency": "USD", "per_day_minor": 100, "rates": RATES})
    short, unanswered, running = [await dial(db, number) for _ in range(3)]
    assert await spent(db, number) == 9000, "three minutes each"
    await end(db, short, seconds=61)
    await end(db, unanswered, seconds=None)
    assert await spent(db, number) == 2000 + 0 + 3000, "every minute begun is paid"
    async with db.system() as connection:
        await connection.execute(
            "update calls set status = 'in-progress', answered_at = now() - interval '290 seconds' where id = $1",
            running,
        )
    assert await spent(db, number) == 2000 + 5000, "a call that goes on costs what it cost so far"
    assert await spent(db, number) == 7000, "and settling again changes nothing"


async def test_a_spend_cap_stops_dials_and_ended_calls_make_room(db: Database, number: Number) -> None:
    await set_rules(db, number.org_id, spend={"currency": "USD", "per_month_minor": 6, "rates": RATES})
    first = await dial(db, number)
    await dial(db, number)
    with pytest.raises(DialLimitReached, match="month"):
        await dial(db, number)
    await end(db, first, seconds=None)
    await dial(db, number)


async def test_an_intent_that_failed_costs_nothing(db: Database, number: Number) -> None:
    await set_rules(db, number.org_id, spend={"currency": "USD", "per_day_minor": 3, "rates": RATES})
    async with db.system() as connection:  # reserved and committed, but its call was never written
        assert await reserve(connection, number, KIM) == [None]
    await dial(db, number)


async def test_where_money_is_capped_a_destination_without_a_rate_is_not_dialed(db: Database, number: Number) -> None:
    rules = {"allowed_countries": ["GB"], "spend": {"currency": "USD", "rates": RATES}}
    await set_rules(db, number.org_id, **rules)
    with pytest.raises(TollGateRefused, match="No rate"):
        await dial(db, number, E164("+442079460000"))


async def gate_of(db: Database, number: Number) -> Gate:
    async with db.system() as connection:
        return await open_gate(connection, number.org_id, number.id)


async def test_a_spend_cap_without_the_ids_of_the_calls_is_a_mistake_of_ours(db: Database, number: Number) -> None:
    await set_rules(db, number.org_id, spend={"currency": "USD", "rates": RATES})
    gate = await gate_of(db, number)
    async with db.system() as connection:
        with pytest.raises(ValueError, match="ids of the calls"):
            await gate.reserve(connection, [KIM])


async def claims_of(db: Database, org: OrgId, role: Role) -> dict[str, str]:
    async with db.system() as connection:
        user: UUID = await add_user(connection, Tenant(org_id=str(org), rows={}), role)
    return {"sub": str(user), "role": "authenticated"}


@pytest.mark.parametrize(
    "forgery",
    [
        "update dial_counts set dials = 1",
        "delete from dial_counts",
        "delete from dial_charges",
        "update dial_spend set charged = 0",
        "delete from dialing_rules",
        "update dialing_rules set rules = '{}'",
        "insert into dialing_rules (id, org_id, rules) select gen_random_uuid(), id, '{}' from organizations",
    ],
)
async def test_an_operator_dials_under_the_limits_and_cannot_make_room_for_more(
    db: Database, number: Number, forgery: str
) -> None:
    rules = {"calls": {"per_minute": 1}, "spend": {"currency": "USD", "per_day_minor": 100, "rates": RATES}}
    await set_rules(db, number.org_id, **rules)
    operator = await claims_of(db, number.org_id, Role.OPERATOR)
    async with db.request(operator) as connection:
        assert await reserve(connection, number, KIM) == [None]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with db.request(operator) as connection:
            await connection.execute(forgery)
    async with db.request(operator) as connection:
        assert await reserve(connection, number, KIM) != [None]


@pytest.mark.parametrize("call", ["private.settle_dials($1)", "private.count_dials($1, '{}', '{}', '{}', '{}')"])
async def test_nobody_counts_for_an_organization_that_is_not_theirs(db: Database, number: Number, call: str) -> None:
    viewer = await claims_of(db, number.org_id, Role.VIEWER)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with db.request(viewer) as connection:
            await connection.execute(f"select {call}", number.org_id)


async def test_one_batch_is_counted_in_one_go(db: Database, number: Number) -> None:
    await set_rules(db, number.org_id, calls={"per_minute": 3}, per_number={"per_day": 1})
    async with db.system() as connection:
        found = await reserve(connection, number, KIM, KIM, LEE, E164("+12025550146"))
        assert [verdict is None for verdict in found] == [True, False, True, True]
        assert await connection.fetchval("select sum(dials) from dial_counts") == 3
