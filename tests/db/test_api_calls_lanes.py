"""`POST /api/v1/calls` on limited lines: it takes its slots among the campaigns', or is told when to come back."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from app.auth.principal import Role
from app.console.client import describe_problem
from app.ids import CallId, OrgId
from campaigns.dialing import claim_store
from campaigns.dialing.lanes import single
from campaigns.dialing.lanes.limits import LaneLimits, LineLimits, set_limits
from telephony.calls import AtFault, End, EndReason, EndResult, end_call
from telephony.carriers.base import CarrierName
from telephony.hints import leave_hint
from tests.db.api_world import Api, add_team_and_number, assert_problem
from tests.db.campaign_carrier import LedgerCarrier, read_ledger
from tests.db.campaign_world import Webhooks, column, dialing, finish, running_campaign, until

pytestmark = pytest.mark.db

CALLS = "/api/v1/calls"
NEW_CALL = {"to": "+12025550142", "team": "reception"}
OVER = End(EndResult.COMPLETED, EndReason.CALLEE_HUNG_UP, AtFault.NOBODY)


@pytest.fixture
def carrier(api: Api, tmp_path: Path) -> LedgerCarrier:
    """One that writes down when each dial came, for the api and for dialers alike."""
    carrier = LedgerCarrier(tmp_path / "ledger.jsonl")
    api.state.lines = replace(api.state.lines, carriers={CarrierName.TWILIO: carrier})
    return carrier


async def limit(api: Api, *lanes: LaneLimits, most: int | None = None, inbound: float = 0.0) -> None:
    async with api.db.system() as connection:
        await set_limits(connection, api.org_id, LineLimits(most, inbound, lanes))


async def pace(api: Api, calls_per_second: float) -> None:
    await limit(api, LaneLimits("carrier:twilio", calls_per_second=calls_per_second))


async def number_key(api: Api) -> str:
    return f"number:{(await column(api.db, 'select id from numbers'))[0]}"


async def post(api: Api, headers: dict[str, str], to: str = NEW_CALL["to"]) -> httpx.Response:
    return await api.client.post(CALLS, headers=headers, json=NEW_CALL | {"to": to})


async def post_until_placed(api: Api, headers: dict[str, str], to: str) -> None:
    """As a client does: again while it is told that no line is free."""
    async with asyncio.timeout(30):
        while (answer := await post(api, headers, to)).status_code == 429:  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.1)
    assert answer.status_code == 201, answer.text


def assert_paced(instants: Sequence[datetime], calls_per_second: int) -> None:
    for one, too_many in zip(instants, instants[calls_per_second:], strict=False):
        assert too_many - one > timedelta(seconds=1)


async def test_the_api_alone_keeps_the_pace_of_a_lane(api: Api, carrier: LedgerCarrier) -> None:
    await pace(api, 4.0)
    headers = await api.key(Role.OPERATOR)
    await asyncio.gather(*(post_until_placed(api, headers, f"+120255501{n}") for n in range(40, 52)))
    dials = sorted(one.at for one in read_ledger(carrier.path))
    assert len(dials) == 12
    assert_paced(dials, 4)


async def test_the_api_and_two_dialers_keep_the_pace_of_a_lane_together(api: Api, carrier: LedgerCarrier) -> None:
    await pace(api, 8.0)
    campaign = await running_campaign(api.db, api.org_id, 16, calls_per_second=50.0)
    headers, webhooks = await api.key(), Webhooks(api.db, carrier)
    async with dialing(api.db, carrier, name="one"), dialing(api.db, carrier, name="two"):
        await asyncio.gather(
            finish(api.db, campaign, webhooks),
            *(post_until_placed(api, headers, f"+120255501{n}") for n in range(40, 50)),
        )
    ledger = sorted(read_ledger(carrier.path), key=lambda one: one.at)
    by_campaign = [one.attempt_id != "None" for one in ledger]
    assert (by_campaign.count(True), by_campaign.count(False)) == (16, 10)
    assert any(one != other for one, other in pairwise(by_campaign[:-10])), "they dialed at the same time"
    assert_paced([one.at for one in ledger], 8)


async def test_who_comes_while_the_pace_is_used_up_waits_a_moment_or_is_told_when_to_come_back(
    api: Api, carrier: LedgerCarrier
) -> None:
    await pace(api, 0.1)
    headers = await api.key(Role.OPERATOR) | {"Idempotency-Key": "first"}
    assert (await post(api, headers)).status_code == 201
    second = headers | {"Idempotency-Key": "second"}
    refused = await post(api, second)
    problem = assert_problem(refused, 429, "no_line_free")
    assert refused.headers["retry-after"] == str(problem["retry_after_seconds"])
    assert 5 <= problem["retry_after_seconds"] <= 11
    assert "carrier:twilio" in problem["detail"]
    assert len(await column(api.db, "select id from calls")) == 1
    assert len(read_ledger(carrier.path)) == 1
    again = await post(api, headers)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    # The key was not used up: when the lane is free again the same request goes through.
    async with api.db.system() as connection:
        await connection.execute("update lanes set next_dial_at = clock_timestamp() + interval '0.7 seconds'")
        free_at = await connection.fetchval("select next_dial_at from lanes")
    late = await post(api, second)
    assert (late.status_code, "idempotency-replayed" in late.headers) == (201, False)
    assert read_ledger(carrier.path)[-1].at >= free_at - timedelta(milliseconds=5)


async def test_the_same_request_sent_twice_at_once_is_one_call_also_on_a_slow_lane(
    api: Api, carrier: LedgerCarrier
) -> None:
    await limit(api, LaneLimits("carrier:twilio", calls_per_second=0.1, max_concurrent=1))
    headers = await api.key() | {"Idempotency-Key": "one"}
    answers = await asyncio.gather(*(post(api, headers) for _ in range(5)))
    assert {answer.status_code for answer in answers} <= {201, 202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(read_ledger(carrier.path)) == 1


@pytest.mark.parametrize("what", ["carrier", "number", "organization", "kept for callers"])
async def test_calls_at_once_are_limited_and_a_call_that_ends_makes_room(
    api: Api, carrier: LedgerCarrier, what: str
) -> None:
    if what == "organization":
        await limit(api, most=2)
    elif what == "kept for callers":
        await limit(api, most=4, inbound=0.5)
    else:
        await limit(api, LaneLimits("carrier:twilio" if what == "carrier" else await number_key(api), max_concurrent=2))
    headers = await api.key(Role.OPERATOR)
    placed = [await post(api, headers) for _ in range(2)]
    assert [answer.status_code for answer in placed] == [201, 201]
    refused = assert_problem(await post(api, headers | {"Idempotency-Key": "third"}), 429, "no_line_free")
    assert refused["retry_after_seconds"] >= 1
    assert len(await column(api.db, "select id from calls")) == 2
    await end_call(api.db, CallId(UUID(placed[0].json()["id"])), OVER)
    assert (await post(api, headers | {"Idempotency-Key": "third"})).status_code == 201
    assert len(read_ledger(carrier.path)) == 3


async def test_a_caller_takes_a_line_that_is_not_kept(api: Api, carrier: LedgerCarrier) -> None:
    await limit(api, most=2)
    await api.add_call(number_id=str((await column(api.db, "select id from numbers"))[0]))
    headers = await api.key()
    assert (await post(api, headers)).status_code == 201
    assert_problem(await post(api, headers), 429, "no_line_free")


async def test_many_at_once_beside_a_dialer_never_hold_more_lines_than_there_are(
    api: Api, carrier: LedgerCarrier
) -> None:
    """Nobody hangs up: whatever was dialed holds its line."""
    await limit(api, LaneLimits(await number_key(api), max_concurrent=6))
    await running_campaign(api.db, api.org_id, 20)
    headers = await api.key()
    async with dialing(api.db, carrier, name="one"), dialing(api.db, carrier, name="two"):
        answers = await asyncio.gather(*(post(api, headers, f"+120255501{n}") for n in range(40, 60)))

        async def full() -> bool:
            return len(read_ledger(carrier.path)) >= 6

        await until(full)
        await asyncio.sleep(0.6)  # two ticks in which a seventh might be dialed
    assert len(read_ledger(carrier.path)) == 6
    assert {answer.status_code for answer in answers} <= {201, 429}
    by_api = sum(one.attempt_id == "None" for one in read_ledger(carrier.path))
    assert by_api == [answer.status_code for answer in answers].count(201)


async def test_a_call_of_the_api_holds_one_line_of_a_campaigns(api: Api, carrier: LedgerCarrier) -> None:
    await limit(api, most=3)
    assert (await post(api, await api.key())).status_code == 201
    await running_campaign(api.db, api.org_id, 5)
    async with dialing(api.db, carrier):

        async def three() -> bool:
            return len(read_ledger(carrier.path)) >= 3

        await until(three)
        await asyncio.sleep(0.6)  # two ticks in which a fourth might be dialed
    assert len(read_ledger(carrier.path)) == 3


async def test_while_a_dialer_counts_the_lines_the_api_waits_and_does_not_make_it_wait(
    api: Api, carrier: LedgerCarrier
) -> None:
    await limit(api, most=5)
    headers = await api.key()
    async with api.db.system() as connection:
        assert await claim_store.try_lock_claims(connection, api.org_id)
        waiting = asyncio.create_task(post(api, headers))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        assert read_ledger(carrier.path) == []
    assert (await waiting).status_code == 201
    async with api.db.system() as connection:
        assert await claim_store.try_lock_claims(connection, api.org_id)
        assert_problem(await post(api, headers), 429, "no_line_free")
    assert len(read_ledger(carrier.path)) == 1


async def test_a_lane_that_somebody_holds_for_long_is_not_waited_for(
    api: Api, carrier: LedgerCarrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single, "LOCK_MILLISECONDS", 100)
    await pace(api, 10.0)
    headers = await api.key()
    async with api.db.system() as connection:
        await connection.execute("select from lanes for no key update")
        assert_problem(await post(api, headers), 429, "no_line_free")
    assert (await post(api, headers)).status_code == 201


async def test_what_the_gates_refuse_costs_no_slot(api: Api, carrier: LedgerCarrier) -> None:
    await pace(api, 0.1)
    headers = await api.key()
    rules = {"calls": {"per_minute": 1}}
    assert (await api.client.put("/api/v1/dialing-rules", headers=headers, json=rules)).status_code == 200
    assert_problem(await post(api, headers, "+442079460018"), 403, "toll_gate_refused")
    assert (await post(api, headers)).status_code == 201
    async with api.db.system() as connection:
        await connection.execute("update lanes set next_dial_at = '-infinity'")
    assert_problem(await post(api, headers), 429, "dial_limit_reached")
    assert await column(api.db, "select next_dial_at = '-infinity' from lanes") == [True]


async def test_a_dial_that_misses_its_slot_takes_another_and_the_pace_holds(
    api: Api, carrier: LedgerCarrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that stumbles once: the dial would have come late into somebody else's second."""
    await pace(api, 2.0)
    look, stumbles = single.read_clock, [0.0, 0.6]

    async def stumble(db: Any) -> Any:
        clock = await look(db)
        await asyncio.sleep(stumbles.pop(0) if stumbles else 0.0)
        return clock

    monkeypatch.setattr(single, "read_clock", stumble)
    headers = await api.key()
    slots: list[object] = []
    first = asyncio.create_task(post(api, headers))

    async def taken() -> bool:
        slots[:] = await column(api.db, "select next_dial_at from lanes where next_dial_at > clock_timestamp()")
        return bool(slots)

    await until(taken)
    assert (await first).status_code == 201
    [dial] = read_ledger(carrier.path)
    [following] = await column(api.db, "select next_dial_at from lanes")
    assert isinstance(following, datetime)
    assert following > slots[0], "it took a second slot"  # type: ignore[operator]
    late = dial.at - (following - timedelta(seconds=1.05 / 2))
    assert timedelta(milliseconds=-5) <= late <= timedelta(milliseconds=40)


async def test_a_machine_that_is_always_too_late_dials_nobody_and_says_so(
    api: Api, carrier: LedgerCarrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single, "LATE_SECONDS", -1.0)
    monkeypatch.setattr(single, "MISSES", 2)
    await pace(api, 20.0)
    headers = await api.key() | {"Idempotency-Key": "one"}
    problem = assert_problem(await post(api, headers), 503, "not_sent")
    assert read_ledger(carrier.path) == []
    call = (await api.client.get(f"{CALLS}/{problem['call_id']}", headers=headers)).json()
    assert (call["status"], call["end"]["reason"]) == ("canceled", "api_ended")
    assert (await post(api, headers)).json() == problem


async def test_who_asks_for_no_more_calls_while_the_dial_waits_for_its_slot_is_not_dialed(
    api: Api, carrier: LedgerCarrier
) -> None:
    await pace(api, 0.8)
    headers = await api.key()
    assert (await post(api, headers)).status_code == 201
    waiting = asyncio.create_task(post(api, headers, "+12025550143"))

    async def intended() -> bool:
        return len(await column(api.db, "select id from calls")) == 2

    await until(intended)
    calling = await api.add_call(from_number="+12025550143")
    await leave_hint(api.db, calling, {"disposition": "do_not_call"})
    problem = assert_problem(await waiting, 403, "on_do_not_call_list")
    assert [one.to for one in read_ledger(carrier.path)] == ["+12025550142"]
    call = (await api.client.get(f"{CALLS}/{problem['call_id']}", headers=headers)).json()
    assert (call["status"], call["end"]["reason"]) == ("canceled", "toll_gate")


async def test_without_limits_nothing_is_waited_for_and_no_lane_is_written(api: Api, carrier: LedgerCarrier) -> None:
    headers = await api.key()
    async with api.db.system() as connection:
        assert await claim_store.try_lock_claims(connection, api.org_id)
        assert (await post(api, headers)).status_code == 201
    assert await column(api.db, "select key from lanes") == []


async def test_anothers_lanes_are_not_ours(api: Api, carrier: LedgerCarrier) -> None:
    await pace(api, 0.1)
    other = await api.other_organization()
    await add_team_and_number(api.db, other, "+12025550102")
    for headers in (await api.key(), await api.key(org_id=other)):
        assert (await post(api, headers)).status_code == 201


# -- what a role may do to lanes


async def as_role(api: Api, role: Role, org_id: OrgId, query: str) -> None:
    user = await api.user((api.org_id, role))
    async with api.db.request({"sub": str(user), "role": "authenticated"}) as connection:
        await connection.execute(query, org_id)


LATER = "select private.move_lanes($1, array['carrier:twilio'], array[now() + interval '1 hour'])"
SOONER = "select private.move_lanes($1, array['carrier:twilio'], array['-infinity'::timestamptz])"


async def test_who_may_place_calls_moves_a_lane_forward_and_never_back(api: Api) -> None:
    await pace(api, 1.0)
    await as_role(api, Role.OPERATOR, api.org_id, LATER)
    [moved] = await column(api.db, "select next_dial_at from lanes where next_dial_at > now() + interval '59 minutes'")
    await as_role(api, Role.OPERATOR, api.org_id, SOONER)
    assert await column(api.db, "select next_dial_at from lanes") == [moved]


@pytest.mark.parametrize("query", [LATER, "select private.hold_lanes($1, array['carrier:twilio'])"])
async def test_who_may_not_place_calls_cannot_touch_a_lane_nor_can_anybody_elses_operator(api: Api, query: str) -> None:
    await pace(api, 1.0)
    other = await api.other_organization()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await as_role(api, Role.VIEWER, api.org_id, query)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await as_role(api, Role.OPERATOR, other, query)


async def test_the_command_line_says_why_in_words(api: Api, carrier: LedgerCarrier) -> None:
    await limit(api, LaneLimits("carrier:twilio", max_concurrent=1))
    headers = await api.key()
    await post(api, headers)
    refused = await post(api, headers)
    line = describe_problem(refused.status_code, refused.text)
    assert line == "All lines of carrier:twilio are in use (max_concurrent 1)."
