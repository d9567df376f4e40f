"""What LiveKit forgot of our trunks comes back; nothing is touched where nothing is missing."""

from pathlib import Path
from typing import Any, cast

import pytest

from app.db import Database
from app.ids import E164, OrgId
from app.settings import Settings
from telephony.lines.sip_messages import OutboundTrunk
from telephony.outbound import Lines
from telephony.switchboard import SwitchboardError
from telephony.watch import trunk_watch
from telephony.watch.trunk_watch import mend_trunks
from tests.db.world import make_number
from tests.unit.test_telephony_trunks import FakeTrunks


class Trunks(FakeTrunks):
    away = False

    async def list_inbound_trunks(self) -> Any:
        if self.away:
            raise SwitchboardError("LiveKit is away.", livekit_code="unavailable")
        return await super().list_inbound_trunks()

    async def list_outbound_trunks(self) -> list[OutboundTrunk]:
        return []


@pytest.fixture
async def lines(db: Database, org: OrgId, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lines:
    monkeypatch.setattr(trunk_watch, "SECOND_LOOK_SECONDS", 0.01)
    await make_number(db, org, E164("+12025550100"))
    return Lines(db, cast(Any, Trunks()), {}, Settings(home=tmp_path, sip_allowed_addresses=["127.0.0.1"]))


async def test_lost_trunks_come_back_and_then_nothing_is_sent(lines: Lines) -> None:
    board = cast(Trunks, lines.switchboard)
    await mend_trunks(lines)
    assert sorted(board.changes) == ["put rule", "put trunkline: catch-all", "put trunkline: numbers"]
    board.changes.clear()
    await mend_trunks(lines)
    assert board.changes == []
    board.trunks.clear()
    board.rules.clear()
    await mend_trunks(lines)
    assert {trunk.numbers for trunk in board.trunks.values()} == {frozenset({"+12025550100"}), frozenset()}
    assert len(board.rules) == 1


async def test_a_livekit_that_is_away_is_no_reason_to_fail(lines: Lines) -> None:
    board = cast(Trunks, lines.switchboard)
    board.away = True
    await mend_trunks(lines)
    assert board.changes == []
