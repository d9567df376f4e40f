"""Real SIP calls through real LiveKit: what is answered, refused, dropped, rescued and ended."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest

from app.db import Database
from app.ids import E164, OrgId
from app.settings import Settings
from telephony import store
from telephony.calls import Call, CallStatus, EndReason, EndResult, load_call, read_call
from telephony.legs import LegKind
from telephony.lines.trunks import sync_trunks
from telephony.outbound import Lines, build_lines
from telephony.simulator.phone.sip_phone import SipCall, place_sip_call
from telephony.switchboard import ForgedWebhook
from telephony.watch import replacement, trunk_watch
from telephony.watch.rescue import watch_calls
from telephony.watch.trunk_watch import trunks_match
from tests.db.world import make_number
from tests.live.harness import wait_for
from tests.live.livekit_parts import Receiver, event_kinds, receiving_webhooks, running_livekit, running_worker

pytestmark = pytest.mark.live

OURS = E164("+12025550100")
UNKNOWN = "+12025550199"


@pytest.fixture(scope="module")
async def livekit(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Settings]:
    async with running_livekit(tmp_path_factory.mktemp("livekit")) as settings:
        yield settings


@pytest.fixture
async def lines(livekit: Settings, db: Database, org: OrgId) -> AsyncIterator[Lines]:
    """Lines of an organization with one SIP number, which LiveKit knows."""
    await make_number(db, org, OURS)
    lines = await build_lines(livekit, db)
    await sync_trunks(lines.switchboard, db, livekit)
    yield lines
    await lines.close()


@pytest.fixture
async def webhooks(lines: Lines) -> AsyncGenerator[Receiver]:
    async with receiving_webhooks(lines) as receiver:
        yield receiver


async def find_call(db: Database) -> Call | None:
    async with db.system() as connection:
        row = await connection.fetchrow("select * from calls")
    return read_call(row) if row else None


async def find_ended(db: Database) -> Call | None:
    call = await find_call(db)
    return call if call and call.end else None


async def test_a_call_to_our_number_is_answered_and_ends_when_the_caller_hangs_up(
    lines: Lines, webhooks: Receiver, database_url: str, tmp_path: Path
) -> None:
    async with running_worker(lines.settings, database_url, tmp_path / "worker.log"):
        # Carriers write the number with +, bare, or with 00.
        async with place_sip_call("127.0.0.1", lines.settings.ports.sip, "12025550100") as phone:
            answered_at = await phone.wait_answered(5)
            assert phone.invited_at is not None
            assert answered_at - phone.invited_at < 5
            call = await wait_for(lambda: find_call(lines.db), what="the call's row")
            call = await load_call(lines.db, call.id)
            assert call.to_number == OURS
            assert call.status is CallStatus.IN_PROGRESS
            await phone.hang_up()
        # LiveKit loses some goodbyes of LiveKit SIP, and then waits for its connection (docs/decisions/0008).
        ended = await wait_for(lambda: find_ended(lines.db), timeout_seconds=30, what="the end of the call")
        assert ended.end is not None
        assert ended.end.result is EndResult.COMPLETED
        assert ended.end.reason in (EndReason.CALLER_HUNG_UP, EndReason.MEDIA_LOST)
        await wait_for(lambda: no_room(lines, call), what="the room's end")
        async with lines.db.system() as connection:
            legs = await store.select_legs(connection, call.id)
        assert {leg["kind"] for leg in legs} == {LegKind.SIP, LegKind.AGENT}
        assert all(leg["left_at"] for leg in legs)


async def no_room(lines: Lines, call: Call) -> bool:
    return not await lines.switchboard.list_rooms([call.room_name])


async def test_an_unknown_number_from_an_allowed_address_is_refused_with_a_sip_error(
    lines: Lines, webhooks: Receiver, database_url: str, tmp_path: Path
) -> None:
    async with (
        running_worker(lines.settings, database_url, tmp_path / "worker.log"),
        place_sip_call("127.0.0.1", lines.settings.ports.sip, UNKNOWN) as phone,
    ):
        await phone.wait_over(5)
        assert phone.refused_with is not None
        assert phone.refused_with >= 400
    assert await find_call(lines.db) is None


async def test_an_address_that_is_not_allowed_gets_no_answer_at_all(
    lines: Lines, webhooks: Receiver, database_url: str, tmp_path: Path
) -> None:
    async with (
        running_worker(lines.settings, database_url, tmp_path / "worker.log"),
        place_sip_call("127.0.0.1", lines.settings.ports.sip, OURS, source="127.0.0.2") as phone,
    ):
        with pytest.raises(TimeoutError):
            await phone.wait_over(6)
        assert phone.answered_at is None
        assert phone.refused_with is None
    assert webhooks.heard == []
    assert await find_call(lines.db) is None


async def test_without_a_worker_the_caller_is_refused_within_5_seconds_and_a_row_says_why(
    lines: Lines, webhooks: Receiver
) -> None:
    async with place_sip_call("127.0.0.1", lines.settings.ports.sip, OURS) as phone:
        started_at = asyncio.get_running_loop().time()
        await phone.wait_over(8)
        assert asyncio.get_running_loop().time() - started_at <= 5
        assert phone.refused_with == 486
    call = await wait_for(lambda: find_ended(lines.db), what="the row of the refused call")
    assert call.end is not None
    assert (call.end.result, call.end.reason) == (EndResult.FAILED, EndReason.NO_WORKER)


async def test_a_killed_worker_is_replaced_within_15_seconds(
    lines: Lines, webhooks: Receiver, database_url: str, tmp_path: Path
) -> None:
    lines.keep(watch_calls(lines), name="watch")
    async with (
        running_worker(lines.settings, database_url, tmp_path / "first.log") as first,
        place_sip_call("127.0.0.1", lines.settings.ports.sip, OURS) as phone,
    ):
        call, lost = await established(lines, phone)
        async with running_worker(lines.settings, database_url, tmp_path / "second.log"):
            killed_at = asyncio.get_running_loop().time()
            first.kill()
            await wait_for(lambda: another_agent(lines, call, lost), timeout_seconds=15, what="another agent")
            print(f"replaced after {asyncio.get_running_loop().time() - killed_at:.1f} s")
            assert (await load_call(lines.db, call.id)).end is None
            assert (await event_kinds(lines.db, call.id)).count("call.rescued") == 1
            await phone.hang_up()
            # LiveKit SIP's goodbye can get lost while it is still taking the new agent's track; then LiveKit notices
            # the caller's absence by itself, after some 20 s.
            ended = await wait_for(lambda: find_ended(lines.db), timeout_seconds=30, what="the end of the call")
            assert ended.rescues == 1


async def test_a_worker_that_comes_up_again_after_the_loss_takes_the_call_over(
    lines: Lines, webhooks: Receiver, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How long a Python process takes to start is not what this test is about.
    monkeypatch.setattr(replacement, "REPLACEMENT_SECONDS", 60.0)
    monkeypatch.setattr(replacement, "LONGEST_SILENCE_SECONDS", 60.0)
    lines.keep(watch_calls(lines), name="watch")
    async with (
        running_worker(lines.settings, database_url, tmp_path / "first.log") as first,
        place_sip_call("127.0.0.1", lines.settings.ports.sip, OURS) as phone,
    ):
        call, lost = await established(lines, phone)
        first.kill()
        await wait_for(lambda: rescue_begun(lines, call), what="the rescue")
        async with running_worker(lines.settings, database_url, tmp_path / "second.log"):
            await wait_for(lambda: another_agent(lines, call, lost), what="another agent")
            assert len(await agents(lines, call)) == 1
            await phone.hang_up()


async def established(lines: Lines, phone: SipCall) -> tuple[Call, str]:
    """The call that goes on, and its agent."""
    await phone.wait_answered(5)
    call = await wait_for(lambda: find_call(lines.db), what="the call's row")
    [agent] = await wait_for(lambda: agents(lines, call), what="the agent")
    return call, agent


async def rescue_begun(lines: Lines, call: Call) -> bool:
    return (await load_call(lines.db, call.id)).rescues > 0


async def another_agent(lines: Lines, call: Call, lost: str) -> bool:
    return any(identity != lost for identity in await agents(lines, call))


async def agents(lines: Lines, call: Call) -> list[str]:
    legs = await lines.switchboard.list_legs(call.room_name)
    return [leg.identity for leg in legs if leg.kind is LegKind.AGENT and leg.active]


async def test_a_killed_worker_without_a_replacement_ends_the_call_within_15_seconds(
    lines: Lines, webhooks: Receiver, database_url: str, tmp_path: Path
) -> None:
    lines.keep(watch_calls(lines), name="watch")
    async with (
        running_worker(lines.settings, database_url, tmp_path / "worker.log") as worker,
        place_sip_call("127.0.0.1", lines.settings.ports.sip, OURS) as phone,
    ):
        await established(lines, phone)
        killed_at = asyncio.get_running_loop().time()
        worker.kill()
        await phone.wait_over(15)
        print(f"hung up after {asyncio.get_running_loop().time() - killed_at:.1f} s")
    ended = await wait_for(lambda: find_ended(lines.db), what="the end of the call")
    assert ended.end is not None
    assert (ended.end.result, ended.end.reason) == (EndResult.FAILED, EndReason.WORKER_LOST)


async def test_trunks_follow_the_rows_and_a_second_sync_changes_nothing(lines: Lines) -> None:
    before = {trunk.name: trunk for trunk in await lines.switchboard.list_inbound_trunks()}
    ids = {trunk.id for trunk in before.values()}
    assert {name: trunk.numbers for name, trunk in before.items()} == {
        "trunkline: numbers": {OURS},
        "trunkline: catch-all": set(),
    }
    await sync_trunks(lines.switchboard, lines.db, lines.settings)
    assert {trunk.id for trunk in await lines.switchboard.list_inbound_trunks()} == ids
    async with lines.db.system() as connection:
        await connection.execute("update numbers set carrier = 'twilio'")
    await sync_trunks(lines.switchboard, lines.db, lines.settings)
    assert [trunk.name for trunk in await lines.switchboard.list_inbound_trunks()] == ["trunkline: catch-all"]
    [rule] = await lines.switchboard.list_dispatch_rules()
    assert rule.room_prefix == "call-"


async def test_trunks_that_livekit_lost_come_back_by_themselves(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trunk_watch, "SECOND_LOOK_SECONDS", 0.1)
    board = lines.switchboard
    assert await trunks_match(board, lines.db, lines.settings)
    for trunk in await board.list_inbound_trunks():
        await board.delete_trunk(trunk.id)
    for rule in await board.list_dispatch_rules():
        await board.delete_dispatch_rule(rule.id)
    assert not await trunks_match(board, lines.db, lines.settings)
    lines.keep(watch_calls(lines), name="watch")

    async def mended() -> bool:
        return await trunks_match(board, lines.db, lines.settings)

    await wait_for(mended, what="the trunks")
    async with place_sip_call("127.0.0.1", lines.settings.ports.sip, UNKNOWN) as phone:
        await phone.wait_over(8)
        assert phone.refused_with == 486, "LiveKit SIP knows the caller's trunk again, and that there is no worker"


async def test_a_webhook_with_a_changed_body_is_a_forgery(lines: Lines) -> None:
    with pytest.raises(ForgedWebhook):
        lines.switchboard.read_webhook(b'{"event": "room_finished"}', "not a token")
