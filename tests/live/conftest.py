"""The whole stack as `trunkline up --detach` starts it, once for the live tests: real LiveKit, SIP and Postgres."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Generator, Iterator

import httpx
import pytest

from tests.live.harness import REPOSITORY, Stack, free_port_block

LINES_TOLD = {"up": 40, "worker": 300, "api": 40, "sip": 40}


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
        down = [sys.executable, "-m", "app.cli", "down"]
        subprocess.run(down, cwd=REPOSITORY, env=environment, timeout=60)
        if logs := os.environ.get("TRUNKLINE_KEEP_LOGS"):
            shutil.copytree(home / "logs", logs, dirs_exist_ok=True)
        subprocess.run([*down, "--purge", "--yes"], cwd=REPOSITORY, env=environment, timeout=60, check=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the stack's processes said last, and where the worker is, stands beside a failure: the logs are gone when
    somebody reads of it."""
    report = yield
    shared = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(shared, Stack):
        ask_where_the_worker_is(shared)
        for name, count in LINES_TOLD.items():
            log = shared.home / "logs" / f"{name}.log"
            if log.exists():
                lines = log.read_text(errors="replace").splitlines()[-count:]
                report.sections.append((f"the end of {name}.log", "\n".join(line[:400] for line in lines)))
    return report


def ask_where_the_worker_is(stack: Stack) -> None:
    """It writes the stacks of its threads to its log, hung or not."""
    worker = stack.status()["parts"]["worker"]
    if worker["state"] == "ready":
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker["pid"], signal.SIGUSR1)
            time.sleep(0.5)


@pytest.fixture
async def api(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """The REST API with the example organization's key."""
    headers = {"Authorization": f"Bearer {stack.demo['api_key']}"}
    async with httpx.AsyncClient(base_url=f"{stack.demo['api_url']}/api/v1", headers=headers, timeout=20) as client:
        yield client
