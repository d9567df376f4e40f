"""The hand that starts dialers which are to die, or to freeze: through one process that forks them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ForkServer = subprocess.Popen[str]


@contextmanager
def fork_dialers() -> Iterator[ForkServer]:
    """campaign_driver.py, waiting for orders; it ends with the block."""
    driver = ROOT / "tests" / "db" / "campaign_driver.py"
    with subprocess.Popen(
        [sys.executable, str(driver)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.stdin
        process.stdin.close()


@dataclass
class Doomed:
    """Dialers on one database and one ledger. `alive`: the process ids not waited for yet."""

    server: ForkServer
    url: str
    ledger: Path
    alive: set[int] = field(default_factory=set[int])

    def start(self, action: str, point: str, nth: int, **options: Any) -> int:
        """Its process id. See campaign_driver.py."""
        pid = self._order("start", self.url, str(self.ledger), action, point, nth, options)
        self.alive.add(pid)
        return pid

    def wait(self, pid: int) -> int:
        """How it ended: its exit status, or minus the signal."""
        self.alive.remove(pid)
        return self._order("wait", pid)

    def kill_all(self) -> None:
        for pid in list(self.alive):
            os.kill(pid, signal.SIGKILL)
            self.wait(pid)

    def _order(self, *order: object) -> int:
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())


def state(pid: int) -> str:
    """What the kernel says of the process: "T" stopped, "Z" dead and not waited for."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
