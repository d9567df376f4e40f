"""Outbound: the intent first, then at most one request, and honest words about what is not known."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest

from app.db import Database, DatabaseUnavailable
from app.errors import TrunklineError
from app.ids import E164, AttemptId, NumberId, OrgId, new_id
from app.settings import Settings
from telephony import outbound
from telephony.calls import AtFault, Call, CallStatus, End, EndReason, EndResult, end_call, load_call
from telephony.carriers.base import CarrierName, DialRefused, DialUncertain
from telephony.legs import LegKind
from telephony.lines.numbers import Number, NumberNotFound, NumberTaken, add_number, list_numbers
from telephony.outbound import (
    AlreadyDialed,
    AttemptHasCall,
    DialRequest,
    Lines,
    OnDoNotCallList,
    hang_up,
    place_call,
    prepare_call,
)
from telephony.toll_gate.destinations import TollGateRefused
from tests.db.world import make_number
from tests.fakes import FakeCarrier, FakeSwitchboard, room_leg

OURS, THEIRS = E164("+12025550101"), E164("+12025550123")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
async def number(db: Database, org: OrgId) -> Number:
    return await make_number(db, org, OURS, carrier=CarrierName.TWILIO)


@pytest.fixture
def carrier() -> FakeCarrier:
    return FakeCarrier()


@pytest.fixture
def switchboard() -> FakeSwitchboard:
    return FakeSwitchboard()


@pytest.fixture
def lines(db: Database, carrier: FakeCarrier, switchboard: FakeSwitchboard, tmp_path: Path) -> Lines:
    settings = Settings(home=tmp_path, public_base_url="https://calls.example.com")
    return Lines(db, cast(Any, switchboard), {CarrierName.TWILIO: carrier}, settings)


async def request_for(db: Database, number: Number, **changes: Any) -> DialRequest:
    async with db.system() as connection:
        version_id = await connection.fetchval("select id from team_versions where org_id = $1", number.org_id)
    given = {"org_id": number.org_id, "to": THEIRS, "team_version_id": version_id, "from_number_id": number.id}
    return DialRequest(**(given | changes))


async def prepared(db: Database, number: Number, **changes: Any) -> Call:
    request = await request_for(db, number, **changes)
    async with db.system() as connection:
        return await prepare_call(connection, request, now=NOW)


async def test_the_intent_is_a_queued_call_before_anything_is_dialed(
    db: Database, number: Number, carrier: FakeCarrier
) -> None:
    call = await prepared(db, number, variables={"name": "Kim"})
    assert (call.status, call.from_number, call.to_number) == (CallStatus.QUEUED, OURS, THEIRS)
    assert (call.carrier, call.created_at, call.dialed_at) == (CarrierName.TWILIO, NOW, None)
    assert call.variables == {"name": "Kim"}
    assert carrier.dialed == []


async def test_a_number_on_the_do_not_call_list_is_refused(db: Database, number: Number) -> None:
    async with db.system() as connection:
        await connection.execute(
            "insert into do_not_call (id, org_id, phone) values ($1, $2, $3)", new_id(), number.org_id, THEIRS
        )
    with pytest.raises(OnDoNotCallList):
        await prepared(db, number)


async def test_a_country_is_refused_until_the_organization_allows_it(db: Database, number: Number) -> None:
    london = E164("+442079460000")
    with pytest.raises(TollGateRefused):
        await prepared(db, number, to=london)
    async with db.system() as connection:
        await connection.execute("update organizations set settings = $1", {"allowed_countries": ["GB"]})
    assert (await prepared(db, number, to=london)).to_number == london


async def test_only_a_number_of_ours_can_be_the_caller_id(db: Database, number: Number) -> None:
    with pytest.raises(NumberNotFound):
        await prepared(db, number, from_number_id=NumberId(new_id()))


async def test_an_attempt_never_gets_a_second_call(db: Database, number: Number) -> None:
    attempt_id = AttemptId(new_id())
    await prepared(db, number, attempt_id=attempt_id)
    with pytest.raises(AttemptHasCall):
        await prepared(db, number, attempt_id=attempt_id)


async def test_the_request_carries_the_ids_out_and_the_carriers_id_comes_back(
    lines: Lines, number: Number, carrier: FakeCarrier
) -> None:
    attempt_id = AttemptId(new_id())
    call = await prepared(lines.db, number, attempt_id=attempt_id)
    await place_call(lines, call, ring_timeout_seconds=20)
    [sent] = carrier.dialed
    base = "https://calls.example.com/webhooks/twilio"
    assert sent.answer_url == f"{base}/answered/{call.id}?attempt={attempt_id}"
    assert sent.status_url == f"{base}/status/{call.id}?attempt={attempt_id}"
    assert (sent.to, sent.from_, sent.ring_timeout_seconds) == (THEIRS, OURS, 20)
    placed = await load_call(lines.db, call.id)
    assert placed.carrier_call_id == "CA1"
    assert placed.dialed_at is not None


async def test_however_often_it_is_placed_one_request_goes_out(
    lines: Lines, number: Number, carrier: FakeCarrier
) -> None:
    call = await prepared(lines.db, number)
    results = await asyncio.gather(*(place_call(lines, call) for _ in range(6)), return_exceptions=True)
    assert len(carrier.dialed) == 1
    assert sum(isinstance(result, AlreadyDialed) for result in results) == 5


async def test_a_call_that_ended_before_its_turn_is_not_dialed(
    lines: Lines, number: Number, carrier: FakeCarrier
) -> None:
    call = await prepared(lines.db, number)
    await end_call(lines.db, call.id, End(EndResult.CANCELED, EndReason.API_ENDED))
    with pytest.raises(AlreadyDialed):
        await place_call(lines, call)
    assert carrier.dialed == []


async def test_a_refused_dial_ends_the_call(lines: Lines, number: Number, carrier: FakeCarrier) -> None:
    carrier.dialing_fails_with = DialRefused("no")
    call = await prepared(lines.db, number)
    with pytest.raises(DialRefused):
        await place_call(lines, call)
    ended = await load_call(lines.db, call.id)
    assert ended.end == End(EndResult.FAILED, EndReason.CARRIER_ERROR, AtFault.CARRIER)


async def test_an_uncertain_dial_stays_open_and_is_never_repeated(
    lines: Lines, number: Number, carrier: FakeCarrier
) -> None:
    carrier.dialing_fails_with = DialUncertain("timeout")
    call = await prepared(lines.db, number)
    with pytest.raises(DialUncertain):
        await place_call(lines, call)
    assert (await load_call(lines.db, call.id)).end is None
    with pytest.raises(AlreadyDialed):
        await place_call(lines, call)
    assert len(carrier.dialed) == 1


async def test_a_sip_number_without_a_trunk_is_refused_before_any_dial(
    lines: Lines, org: OrgId, switchboard: FakeSwitchboard
) -> None:
    number = await make_number(lines.db, org, E164("+12025550100"))
    call = await prepared(lines.db, number)
    with pytest.raises(DialRefused):
        await place_call(lines, call)
    assert switchboard.dialed == []
    assert (await load_call(lines.db, call.id)).end is not None


async def test_hanging_up_ends_the_row_the_room_and_the_carriers_call(
    lines: Lines, number: Number, carrier: FakeCarrier, switchboard: FakeSwitchboard
) -> None:
    call = await prepared(lines.db, number)
    await place_call(lines, call)
    await hang_up(lines, await load_call(lines.db, call.id), End(EndResult.CANCELED, EndReason.API_ENDED))
    assert carrier.hung_up == ["CA1"]
    assert switchboard.closed == [call.room_name]
    assert (await load_call(lines.db, call.id)).status is CallStatus.CANCELED


async def test_the_carriers_side_is_hung_up_even_when_the_room_cannot_be_closed(
    lines: Lines, number: Number, carrier: FakeCarrier, switchboard: FakeSwitchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(room_name: str) -> None:
        raise TrunklineError("LiveKit is away")

    monkeypatch.setattr(switchboard, "close_room", fail)
    call = await prepared(lines.db, number)
    await place_call(lines, call)
    with pytest.raises(TrunklineError):
        await hang_up(lines, await load_call(lines.db, call.id), End(EndResult.CANCELED, EndReason.API_ENDED))
    assert carrier.hung_up == ["CA1"]


async def test_room_and_carrier_are_hung_up_when_postgres_is_away(
    lines: Lines, number: Number, carrier: FakeCarrier, switchboard: FakeSwitchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = await prepared(lines.db, number)
    await place_call(lines, call)
    placed = await load_call(lines.db, call.id)

    def away() -> NoReturn:
        raise DatabaseUnavailable("Postgres does not answer.")

    monkeypatch.setattr(lines.db, "system", away)
    with pytest.raises(DatabaseUnavailable):
        await hang_up(lines, placed, End(EndResult.COMPLETED, EndReason.AGENT_ENDED))
    assert switchboard.closed == [call.room_name]
    assert carrier.hung_up == ["CA1"]


async def test_a_bridged_call_is_left_to_its_bridge_and_hung_up_on_later_all_the_same(
    lines: Lines, number: Number, carrier: FakeCarrier, switchboard: FakeSwitchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "BRIDGE_SECONDS", 0.3)
    call = await prepared(lines.db, number)
    await place_call(lines, call)
    switchboard.rooms[call.room_name] = [room_leg(LegKind.STREAM, "caller")]
    await hang_up(lines, call, End(EndResult.COMPLETED, EndReason.AGENT_ENDED))
    assert switchboard.closed == [call.room_name]
    assert carrier.hung_up == [], "the last words are still to be heard"
    async with asyncio.timeout(5):
        await asyncio.gather(*lines.tasks)
    assert carrier.hung_up == ["CA1"]


async def test_a_bridged_call_whose_room_cannot_be_closed_is_hung_up_at_once(
    lines: Lines, number: Number, carrier: FakeCarrier, switchboard: FakeSwitchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(room_name: str) -> None:
        raise TrunklineError("LiveKit is away")

    monkeypatch.setattr(switchboard, "close_room", fail)
    call = await prepared(lines.db, number)
    await place_call(lines, call)
    switchboard.rooms[call.room_name] = [room_leg(LegKind.STREAM, "caller")]
    with pytest.raises(TrunklineError):
        await hang_up(lines, call, End(EndResult.COMPLETED, EndReason.AGENT_ENDED))
    assert carrier.hung_up == ["CA1"]


async def test_a_number_belongs_to_one_organization_only(db: Database, number: Number) -> None:
    async with db.system() as connection:
        assert [listed.e164 for listed in await list_numbers(connection, number.org_id)] == [OURS]
    with pytest.raises(NumberTaken):
        async with db.system() as connection:
            await add_number(connection, number.org_id, e164=OURS, carrier=CarrierName.SIP)
