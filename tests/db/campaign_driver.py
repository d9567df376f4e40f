"""Dialers as processes of their own that die, or freeze, at a named point: for test_campaign_kills.py.

Reads orders from stdin, a JSON list a line, and forks a dialer for each, so that the imports are paid once:
    ["start", DATABASE_URL, LEDGER, ACTION, POINT, NTH] → its process id on stdout
    ["wait", PID] → how it ended: its exit status, or minus the signal
ACTION: "kill" (SIGKILL) or "freeze" (SIGSTOP), done by the dialer to itself when it passes POINT for the NTH time.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from app.db import Database
from app.logs import configure_logs
from campaigns.dialing.attempts import Point
from campaigns.dialing.dialer import Dialer, dial
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


async def main(url: str, ledger: str, action: str, point: str, nth: int) -> None:
    at = fuse(signal.SIGKILL if action == "kill" else signal.SIGSTOP, point, nth)
    carrier = LedgerCarrier(Path(ledger), before_dial=lambda: at(BEFORE_REQUEST), after_dial=lambda: at(AFTER_REQUEST))

    def failpoint(reached: Point) -> None:
        at(reached.value)

    db = await Database.connect(url)
    dialer = Dialer(name="doomed", lines=lines_over(db, carrier), times=QUICK, failpoint=failpoint)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, dialer.stopping.set)
    await dial(dialer)
    await db.close()


def serve() -> None:
    for order in sys.stdin:
        match json.loads(order):
            case ["start", url, ledger, action, point, nth]:
                pid = os.fork()
                if pid == 0:
                    configure_logs(json_lines=True)
                    asyncio.run(main(url, ledger, action, point, nth))
                    os._exit(0)
                print(pid, flush=True)
            case ["wait", pid]:
                print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
