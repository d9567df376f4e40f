"""The whole stack as `trunkline up --detach` starts it, once for the live tests: real LiveKit, SIP and Postgres."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import Settings

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


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("stack") / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRUNKLINE_")}
    environment |= {"TRUNKLINE_HOME": str(home), "TRUNKLINE_PORT_BASE": str(free_port_block())}
    started = subprocess.run(
        [sys.executable, "-m", "app.cli", "up", "--detach"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=560,
    )
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        yield Stack(home, environment, json.loads((home / "demo.json").read_text()))
    finally:
        subprocess.run([sys.executable, "-m", "app.cli", "down"], cwd=REPOSITORY, env=environment, timeout=60)
        if logs := os.environ.get("TRUNKLINE_KEEP_LOGS"):
            shutil.copytree(home / "logs", logs, dirs_exist_ok=True)


@pytest.fixture
async def api(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """The REST API with the example organization's key."""
    headers = {"Authorization": f"Bearer {stack.demo['api_key']}"}
    async with httpx.AsyncClient(base_url=f"{stack.demo['api_url']}/api/v1", headers=headers, timeout=20) as client:
        yield client


async def wait_for(check: Any, *, timeout_seconds: float = 15, what: str = "the condition") -> Any:
    """Await `check()` until it returns something true, and return that; fail after the timeout."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + timeout_seconds
    while loop.time() < give_up:
        if result := await check():
            return result
        await asyncio.sleep(0.1)
    raise AssertionError(f"{what} did not come true within {timeout_seconds} s")
