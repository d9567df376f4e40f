"""What the live tests share: a running stack as a value, and waiting for a condition."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from app.settings import Settings

Result = TypeVar("Result")

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Stack:
    """A running stack: what demo.json says, and the environment that makes `trunkline …` talk to it."""

    home: Path
    environment: dict[str, str]
    demo: dict[str, Any]

    def run(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run `trunkline ARGUMENTS` against this stack."""
        return subprocess.run(
            [sys.executable, "-m", "app.cli", *arguments],
            cwd=REPOSITORY,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def status(self) -> dict[str, Any]:
        return json.loads(self.run("status", "--json").stdout)

    def settings(self) -> Settings:
        """This stack's settings, as one of its processes reads them."""
        before = dict(os.environ)
        os.environ.clear()
        os.environ.update(self.environment)
        try:
            return Settings.load()
        finally:
            os.environ.clear()
            os.environ.update(before)


def free_port_block(size: int = 310) -> int:
    """The first port of a block in which nothing listens now."""
    for base in range(31000, 60000, size):
        try:
            for offset in (*range(9), 100):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    with socket.socket(socket.AF_INET, kind) as probe:
                        probe.bind(("127.0.0.1", base + offset))
        except OSError:
            continue
        return base
    raise RuntimeError("no free block of ports")


async def wait_for(
    check: Callable[[], Awaitable[Result | None]], *, timeout_seconds: float = 15, what: str = "the condition"
) -> Result:
    """Await `check()` until it returns something true, and return that; fail after the timeout."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + timeout_seconds
    while loop.time() < give_up:
        if result := await check():
            return result
        await asyncio.sleep(0.1)
    raise AssertionError(f"{what} did not come true within {timeout_seconds} s")


async def quickest_round(measure: Callable[[int], Awaitable[float]], *, within: float, rounds: int = 3) -> float:
    """The least median of up to `rounds` rounds of three measurements in seconds; done at the first one `within`.

    What else the machine does can only lengthen a wait: a slow engine is late in every round, a busy machine in some.
    `measure` is given how many came before it.
    """
    medians: list[float] = []
    for number in range(rounds):
        times = [await measure(number * 3 + one) for one in range(3)]
        medians.append(sorted(times)[1])
        if medians[-1] <= within:
            break
    return min(medians)
