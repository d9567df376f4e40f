"""Dialers as processes of their own that die, or freeze, at a named point: for test_campaign_kills.py.

Reads orders from stdin, a JSON list a line, and forks a dialer for each, so that the imports are paid once:
    ["start", DATABASE_URL, LEDGER, ACTION, POINT, NTH, OPTIONS] → its process id on stdout
    ["wait", PID] → how it ended: its exit status, or minus the signal
ACTION: "kill" (SIGKILL) or "freeze" (SIGSTOP), done by the dialer to itself when it passes POINT for the NTH time; with
a POINT that does not exist nothing happens. OPTIONS: `times` (fields of Times), `synced` (of the ledger), `fault`,
`environment` (settings of a carrier to dial by HTTP, in place of the ledger).
The dialer is called "doomed-PID" in the rows.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

from app.db import Connection, Database, DatabaseUnavailable
from app.logs import configure_logs
from app.settings import Settings
from campaigns.dialing import attempt_store, recording
from campaigns.dialing.attempts import Point, Times
from campaigns.dialing.dialer import Dialer, dial
from campaigns.dialing.recording import NotSent, Outcome
from campaigns.dialing.recovery import reconcile
from telephony.carriers.base import OutgoingCall
from telephony.carriers.twilio import TwilioCarrier
from tests.db.campaign_carrier import LedgerCarrier, lines_over
from tests.db.campaign_world import QUICK

BEFORE_REQUEST = "before request"
AFTER_REQUEST = "after request"


def fuse(signal_number: int, wanted: str, nth: int) -> Callable[[str], None]:
    """What signals this very process when `wanted` is passed for the nth time; SIGSTOP returns when it wakes."""
    passed = 0

    def at(point: str) -> None:
        nonlocal passed
        if point == wanted:
            passed += 1
            if passed == nth:
                os.kill(os.getpid(), signal_number)

    return at


class FusedTwilio(TwilioCarrier):
    """The carrier over HTTP, with the points before and after a request."""

    def __init__(self, settings: Settings, at: Callable[[str], None]) -> None:
        super().__init__(settings)
        self._at = at

    async def dial(self, call: OutgoingCall) -> str:
        self._at(BEFORE_REQUEST)
        sid = await super().dial(call)
        self._at(AFTER_REQUEST)
        return sid


def forget() -> None:
    """Fault: what is uncertain is dialed again without a look at the carrier's list."""

    async def unknown(*_arguments: Any) -> reconcile.Known:
        return reconcile.Known.NO

    reconcile.is_known = unknown
    reconcile.seconds_to_believe = lambda *_arguments, **_named: -1.0


def hoard() -> None:
    """Fault: what the carrier does not have keeps its slot until the carrier is believed."""
    reconcile.is_in_the_past = lambda *_arguments, **_named: False


def ignore_fences() -> None:
    """Fault: a dialer writes what it thinks, whoever has the attempt by now."""

    async def set_placed(connection: Connection, *, ids: Sequence[UUID], **_named: Any) -> set[UUID]:
        await connection.execute("update attempts set status = 'placed' where id = any($1::uuid[])", list(ids))
        return set(ids)

    attempt_store.set_placed = set_placed


def be_hasty() -> None:
    """Fault: what could not be written down at once is taken for not sent."""
    write, lost = recording.record_outcomes, set[UUID]()

    async def record(db: Database, outcomes: Sequence[Outcome], times: Times) -> None:
        read = [replace(one, answer=NotSent("?")) if one.claim.attempt_id in lost else one for one in outcomes]
        try:
            await write(db, read, times)
        except DatabaseUnavailable:
            lost.update(one.claim.attempt_id for one in outcomes)
            raise

    recording.record_outcomes = record


FAULTS = {"forgetful": forget, "hoarding": hoard, "fenceless": ignore_fences, "hasty": be_hasty}


async def main(url: str, ledger: str, action: str, point: str, nth: int, options: dict[str, Any]) -> None:
    if fault := options.get("fault"):
        FAULTS[fault]()
    at = fuse(signal.SIGKILL if action == "kill" else signal.SIGSTOP, point, nth)

    def failpoint(reached: Point) -> None:
        at(reached.value)

    name = f"doomed-{os.getpid()}"
    times = replace(QUICK, **options.get("times", {}))
    db = await Database.connect(url, application=name)
    if environment := options.get("environment"):
        os.environ.update(environment)
        settings = Settings.load()
        lines = lines_over(db, FusedTwilio(settings, at), settings)
    else:
        lines = lines_over(
            db,
            LedgerCarrier(
                Path(ledger),
                before_dial=lambda: at(BEFORE_REQUEST),
                after_dial=lambda: at(AFTER_REQUEST),
                synced=options.get("synced", True),
            ),
        )
    dialer = Dialer(name=name, lines=lines, times=times, failpoint=failpoint)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, dialer.stopping.set)
    await dial(dialer)
    await db.close()


def serve() -> None:
    for order in sys.stdin:
        match json.loads(order):
            case ["start", url, ledger, action, point, nth, options]:
                pid = os.fork()
                if pid == 0:
                    configure_logs(json_lines=True)
                    asyncio.run(main(url, ledger, action, point, nth, options))
                    os._exit(0)
                print(pid, flush=True)
            case ["wait", pid]:
                print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
