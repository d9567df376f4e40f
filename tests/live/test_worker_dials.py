"""A call that we dial by SIP: the agent is there while the phone rings, and speaks when somebody has picked it up."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from app.console.demonstration.caller import Voice
from app.console.demonstration.stage import may_hold
from app.db import Database
from app.ids import E164, NumberId, OrgId, TeamVersionId, new_id
from telephony.calls import Call, CallStatus, End, EndReason, EndResult, load_call
from telephony.lines.trunks import sync_trunks
from telephony.media.g711 import decode_mulaw
from telephony.outbound import DialRequest, Lines, build_lines, hang_up, place_call, prepare_call
from telephony.simulator.phone.rtp import RtpSocket
from tests.conftest import free_port
from tests.live.harness import Stack, wait_for

pytestmark = pytest.mark.live

CALLEE = Path(__file__).parent / "slow_callee.xml"
THEIRS = E164("+12025550155")


@asynccontextmanager
async def a_slow_callee() -> AsyncGenerator[tuple[int, RtpSocket]]:
    """Yields the callee's SIP port and its ear."""
    ear, port = RtpSocket(), free_port()
    await ear.open()
    process = await asyncio.create_subprocess_exec(
        *("sipp", "-sf", str(CALLEE), "-i", "127.0.0.1", "-p", str(port), "-m", "1", "-nostdin", "-timeout", "60s"),
        *("-key", "media_socket", str(ear.port)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield port, ear
        assert await asyncio.wait_for(process.wait(), 15) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        ear.close()


@asynccontextmanager
async def an_outbound_trunk(lines: Lines, org_id: OrgId, port: int) -> AsyncGenerator[None]:
    trunk_id = new_id()
    async with lines.db.system() as connection:
        await connection.execute(
            "insert into trunks (id, org_id, name, direction, address) values ($1, $2, 'test', 'outbound', $3)",
            trunk_id,
            org_id,
            f"127.0.0.1:{port}",
        )
    await sync_trunks(lines.switchboard, lines.db, lines.settings)
    try:
        yield
    finally:
        async with lines.db.system() as connection:
            await connection.execute("delete from trunks where id = $1", trunk_id)
        await sync_trunks(lines.switchboard, lines.db, lines.settings)


async def dial(lines: Lines, request: DialRequest) -> Call:
    async with lines.db.system() as connection:
        call = await prepare_call(connection, request, now=datetime.now(UTC))
    await place_call(lines, call, ring_timeout_seconds=20)
    return call


async def find_dental_team(db: Database, stack: Stack) -> tuple[OrgId, TeamVersionId, NumberId]:
    async with db.system() as connection:
        row = await connection.fetchrow(
            "select n.org_id, n.id as number_id, v.id as version_id from numbers n"
            " join teams t on t.org_id = n.org_id and t.slug = 'harbor-dental'"
            " join team_versions v on v.team_id = t.id and v.status = 'published' where n.e164 = $1",
            stack.demo["sip_number"],
        )
    assert row is not None
    return OrgId(row["org_id"]), TeamVersionId(row["version_id"]), NumberId(row["number_id"])


async def test_the_greeting_waits_for_the_answer_and_is_then_heard_whole(stack: Stack) -> None:
    settings = stack.settings()
    db = await Database.connect(settings.database_url, max_size=3)
    lines, voice = await build_lines(settings, db), Voice()
    try:
        org_id, version_id, number_id = await find_dental_team(db, stack)
        async with a_slow_callee() as (port, ear), an_outbound_trunk(lines, org_id, port):
            call = await dial(lines, DialRequest(org_id, THEIRS, version_id, number_id))

            async def heard() -> str | None:
                pcm = np.concatenate([decode_mulaw(packet.payload) for packet in ear.heard] or [np.zeros(8, np.int16)])
                said = await voice.transcribe(pcm)
                return said if may_hold("how can I help", said) else None

            greeting = await wait_for(heard, timeout_seconds=30, what="greeting")
            assert may_hold("Thank you for calling Harbor Dental", greeting), greeting
            now = await load_call(db, call.id)
            assert now.status is CallStatus.IN_PROGRESS
            assert now.answered_at is not None
            assert now.ringing_at is not None
            assert (now.answered_at - now.ringing_at).total_seconds() > 2
            await hang_up(lines, now, End(EndResult.COMPLETED, EndReason.API_ENDED))
        async with db.system() as connection:
            first = await connection.fetchrow(
                "select started_at from turns where call_id = $1 order by started_at limit 1", call.id
            )
        assert first is None or first["started_at"] > now.answered_at
    finally:
        voice.close()
        await lines.close()
        await db.close()
