"""Dialing out by SIP: one INVITE with our ids, and what becomes of it reaches the row."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from app.db import Database
from app.ids import E164, AttemptId, OrgId, new_id
from app.settings import Settings
from telephony.calls import Call, CallStatus, End, EndReason, EndResult, load_call
from telephony.carriers.base import DialRefused
from telephony.lines.numbers import Number
from telephony.lines.trunks import sync_trunks
from telephony.outbound import DialRequest, Lines, build_lines, hang_up, place_call, prepare_call
from tests.conftest import free_port
from tests.db.world import make_number
from tests.live.harness import wait_for
from tests.live.livekit_parts import Receiver, receiving_webhooks, running_livekit, running_worker

pytestmark = pytest.mark.live

OURS, THEIRS = E164("+12025550100"), E164("+12025550123")
REFUSING = Path(__file__).with_name("refusing_callee.xml")


@pytest.fixture(scope="module")
async def livekit(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Settings]:
    async with running_livekit(tmp_path_factory.mktemp("livekit")) as settings:
        yield settings


@pytest.fixture
async def number(db: Database, org: OrgId) -> Number:
    return await make_number(db, org, OURS)


@pytest.fixture
async def lines(livekit: Settings, db: Database) -> AsyncIterator[Lines]:
    lines = await build_lines(livekit, db)
    yield lines
    await lines.close()


@pytest.fixture
async def webhooks(lines: Lines) -> AsyncGenerator[Receiver]:
    async with receiving_webhooks(lines) as receiver:
        yield receiver


@asynccontextmanager
async def a_callee(*scenario: str, trace: Path) -> AsyncGenerator[int]:
    """sipp as the phone that rings; yields its port."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *("sipp", *scenario, "-i", "127.0.0.1", "-p", str(port), "-m", "1", "-nostdin", "-timeout", "60s"),
        *("-trace_msg", "-message_file", str(trace)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=trace.parent,
    )
    try:
        await wait_for(lambda: is_listening(process, port), what="sipp's port")
        yield port
        # Everything of the scenario was exchanged, the BYE or ACK included.
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def is_listening(process: asyncio.subprocess.Process, port: int) -> bool:
    """On UDP: what is sent before is lost, and where the port is somebody else's sipp ends."""
    assert process.returncode is None, f"sipp ended with {process.returncode}"
    return any(one.laddr.port == port for one in psutil.Process(process.pid).net_connections(kind="udp4"))


async def dial(lines: Lines, number: Number, port: int, attempt_id: AttemptId, *, ring: int = 20) -> Call:
    """Route the number through a trunk to that port, and call."""
    async with lines.db.system() as connection:
        await connection.execute(
            "insert into trunks (id, org_id, name, direction, address) values ($1, $2, 'out', 'outbound', $3)",
            new_id(),
            number.org_id,
            f"127.0.0.1:{port}",
        )
        version_id = await connection.fetchval("select id from team_versions where org_id = $1", number.org_id)
    await sync_trunks(lines.switchboard, lines.db, lines.settings)
    request = DialRequest(number.org_id, THEIRS, version_id, number.id, attempt_id=attempt_id)
    async with lines.db.system() as connection:
        call = await prepare_call(connection, request, now=datetime.now(UTC))
    await place_call(lines, call, ring_timeout_seconds=ring)
    return await load_call(lines.db, call.id)


async def reach(lines: Lines, call: Call, *statuses: CallStatus) -> Call:
    async def there() -> Call | None:
        now = await load_call(lines.db, call.id)
        return now if now.status in statuses else None

    return await wait_for(there, what=f"the status {statuses}")


async def test_a_callee_who_answers_is_in_progress_until_we_hang_up(
    lines: Lines, number: Number, webhooks: Receiver, database_url: str, tmp_path: Path
) -> None:
    attempt_id, trace = AttemptId(new_id()), tmp_path / "callee.log"
    async with running_worker(lines.settings, database_url, tmp_path / "worker.log"):
        async with a_callee("-sn", "uas", trace=trace) as port:
            call = await dial(lines, number, port, attempt_id)
            assert call.carrier_call_id is not None
            assert call.carrier_call_id.startswith("SCL_")
            call = await reach(lines, call, CallStatus.IN_PROGRESS)
            assert call.answered_at is not None
            await hang_up(lines, call, End(EndResult.COMPLETED, EndReason.API_ENDED))
        sent = trace.read_text()
        assert sent.count("\nINVITE ") == 1
        assert f"X-Trunkline-Attempt: {attempt_id}" in sent
        assert f"<sip:{OURS}@" in sent
        assert f"INVITE sip:{THEIRS}@" in sent


@pytest.mark.parametrize(
    ("final", "result"),
    [
        ("486 Busy Here", EndResult.BUSY),
        ("480 Temporarily Unavailable", EndResult.NO_ANSWER),
        ("503 Service Unavailable", EndResult.FAILED),
    ],
)
async def test_a_callee_who_does_not_answer_ends_the_call_with_the_reason(
    lines: Lines, number: Number, webhooks: Receiver, tmp_path: Path, final: str, result: EndResult
) -> None:
    scenario = tmp_path / "callee.xml"
    scenario.write_text(REFUSING.read_text().replace("FINAL", final))
    async with a_callee("-sf", str(scenario), trace=tmp_path / "callee.log") as port:
        call = await dial(lines, number, port, AttemptId(new_id()))
        ended = await reach(lines, call, CallStatus.BUSY, CallStatus.NO_ANSWER, CallStatus.FAILED)
    assert ended.end is not None
    assert ended.end.result is result
    assert ended.answered_at is None


async def test_a_trunk_that_livekit_does_not_know_is_a_refused_dial(
    lines: Lines, number: Number, webhooks: Receiver
) -> None:
    with pytest.raises(DialRefused):
        await dial_unknown_trunk(lines, number)


async def dial_unknown_trunk(lines: Lines, number: Number) -> None:
    async with lines.db.system() as connection:
        version_id = await connection.fetchval("select id from team_versions where org_id = $1", number.org_id)
        await connection.execute(
            """
            insert into trunks (id, org_id, name, direction, address, livekit_trunk_id)
            values ($1, $2, 'out', 'outbound', '127.0.0.1:9', 'ST_unknown')
            """,
            new_id(),
            number.org_id,
        )
        request = DialRequest(number.org_id, THEIRS, version_id, number.id)
        call = await prepare_call(connection, request, now=datetime.now(UTC))
    await place_call(lines, call)
