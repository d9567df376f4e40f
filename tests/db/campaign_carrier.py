"""A carrier of our own words for campaign tests: every dial is a line in a file, synced to disk before anything else
happens. That file is the truth about who was dialed; it outlives whoever dialed."""

import asyncio
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.db import Database
from app.settings import Settings
from telephony.carriers.base import Carrier, CarrierCall, CarrierName, CarrierUnavailable, DialRefused, OutgoingCall
from telephony.outbound import Lines


@dataclass(frozen=True)
class Dialed:
    sid: str
    to: str
    from_: str
    call_id: str
    attempt_id: str
    at: datetime


@dataclass
class Ledger:
    """The carrier's file, read on from where it was read to: a look costs what is new, however long the run."""

    path: Path
    dials: list[Dialed] = field(default_factory=list[Dialed])
    position: int = 0

    def read_on(self) -> list[Dialed]:
        """What was dialed since, by whatever process, in order."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self.position)
            whole = file.read().rpartition(b"\n")
        self.position += len(whole[0]) + len(whole[1])
        fresh = [dialed for line in whole[0].splitlines() if (dialed := self.read_line(line)) is not None]
        self.dials += fresh
        return fresh

    def read_line(self, line: bytes) -> Dialed | None:
        """None where it tells of something else."""
        told = json.loads(line)
        return Dialed(**{**told, "at": datetime.fromisoformat(told["at"])})


def read_ledger(path: Path) -> list[Dialed]:
    """Every dial so far, by whatever process, in order."""
    return Ledger(path).read_on()


def nothing() -> None: ...


@dataclass
class LedgerCarrier:
    """`before_dial` runs before a dial is written down, `after_dial` after it and before the answer; either may raise,
    or kill the process. `statuses`: the raw status by number, "queued" unless told. `refusals`: what it says instead of
    dialing, by number. `synced`: False where only the process may die, not the machine."""

    path: Path
    before_dial: Callable[[], None] = nothing
    after_dial: Callable[[], None] = nothing
    statuses: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, DialRefused] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    reachable: bool = True
    listed: int = 0
    synced: bool = True
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.path)

    @property
    def name(self) -> CarrierName:
        return CarrierName.TWILIO

    async def dial(self, call: OutgoingCall) -> str:
        self.before_dial()
        if refusal := self.refusals.get(call.to):
            self.refused.append(call.to)
            raise refusal
        sid = f"CA{call.call_id.hex}"
        line = {
            "sid": sid,
            "to": call.to,
            "from_": call.from_,
            "call_id": str(call.call_id),
            "attempt_id": str(call.attempt_id),
            "at": datetime.now(UTC).isoformat(),
        }
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, (json.dumps(line) + "\n").encode())
        if self.synced:
            os.fsync(file)
        os.close(file)
        self.after_dial()
        await asyncio.sleep(0)
        return sid

    async def hang_up(self, carrier_call_id: str) -> None: ...

    async def find_calls(self, *, to: str, from_: str, since: datetime) -> Sequence[CarrierCall]:
        self.listed += 1
        if not self.reachable:
            raise CarrierUnavailable("The list cannot be read.")
        self.ledger.read_on()
        return [
            CarrierCall(one.sid, self.statuses.get(one.to, "queued"), one.to, one.from_, one.at)
            for one in reversed(self.ledger.dials)
            if (one.to, one.from_) == (to, from_) and one.at >= since
        ]

    async def close(self) -> None: ...


class NoRooms:
    """A LiveKit without rooms."""

    async def list_legs(self, room_name: str) -> list[Any]:
        return []

    async def close_room(self, room_name: str) -> None: ...

    async def close(self) -> None: ...


def lines_over(db: Database, carrier: Carrier, settings: Settings | None = None) -> Lines:
    settings = settings or Settings(public_base_url="http://127.0.0.1:27000")
    return Lines(db, NoRooms(), {CarrierName.TWILIO: carrier}, settings)  # type: ignore[arg-type]
