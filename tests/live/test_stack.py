"""`trunkline up`, `status`, `down` on a home of their own: killed parts, a killed supervisor, busy ports."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from app.stack.database.postgres import folder_outside
from app.stack.processes.names import NAMES
from tests.live.harness import REPOSITORY, free_port_block

pytestmark = pytest.mark.live


@dataclass
class OwnStack:
    """A stack that these tests may hurt."""

    home: Path
    environment: dict[str, str]

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "app.cli", *arguments],
            cwd=REPOSITORY,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=560,
        )

    def status(self) -> dict[str, Any]:
        return json.loads(self.run("status", "--json").stdout)

    def pids(self) -> dict[str, int]:
        return {name: part["pid"] for name, part in self.status()["parts"].items() if part["pid"]}

    def supervisor(self) -> int:
        return json.loads((self.home / "pids" / "state.json").read_text())["supervisor"]["pid"]

    @property
    def port_base(self) -> int:
        return int(self.environment["TRUNKLINE_PORT_BASE"])


def make_stack(folder: Path) -> OwnStack:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRUNKLINE_")}
    environment |= {"TRUNKLINE_HOME": str(folder / "home"), "TRUNKLINE_PORT_BASE": str(free_port_block())}
    return OwnStack(folder / "home", environment)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnStack]:
    own = make_stack(tmp_path_factory.mktemp("own"))
    try:
        started = own.run("up", "--detach")
        assert started.returncode == 0, started.stdout + started.stderr
        yield own
    finally:
        own.run("down", "--purge", "--yes")


@pytest.fixture
def other(tmp_path: Path) -> Iterator[OwnStack]:
    """A stack that does not come up."""
    other = make_stack(tmp_path)
    yield other
    other.run("down", "--purge", "--yes")


def eventually(condition: Callable[[], bool], what: str, seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            pytest.fail(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.1)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def family(pids: list[int]) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            found += [process, *process.children(recursive=True)]
    return found


def test_every_part_is_up_and_nothing_is_readable_by_others(own: OwnStack) -> None:
    status = own.status()
    assert status["running"]
    assert status["phase"] == "ready"
    assert {name: part["state"] for name, part in status["parts"].items()} == dict.fromkeys(NAMES, "ready")
    assert own.home.stat().st_mode & 0o777 == 0o700
    for name in ("stack.env", "demo.json", "livekit/livekit.yaml", "livekit/sip.yaml", "redis/redis.conf"):
        assert (own.home / name).stat().st_mode & 0o777 == 0o600, name


def test_everything_listens_on_loopback_alone(own: OwnStack) -> None:
    addresses = {
        connection.laddr.ip
        for process in family(list(own.pids().values()))
        for connection in process.net_connections(kind="inet")
        if connection.status in (psutil.CONN_LISTEN, psutil.CONN_NONE) and connection.laddr and not connection.raddr
    }
    assert addresses == {"127.0.0.1"}


def test_the_key_of_the_example_opens_the_api(own: OwnStack) -> None:
    demo = json.loads(own.run("demo-info").stdout)
    answer = httpx.get(
        f"{demo['api_url']}/api/v1/numbers", headers={"Authorization": f"Bearer {demo['api_key']}"}, trust_env=False
    )
    answer.raise_for_status()
    assert {number["e164"] for number in answer.json()["data"]} == {demo["sip_number"], demo["carrier_number"]}
    assert all(number["team_id"] for number in answer.json()["data"])


def test_a_second_up_says_that_it_runs_and_changes_nothing(own: OwnStack) -> None:
    before = own.pids()
    second = own.run("up", "--detach")
    assert second.returncode == 0
    assert "runs already" in second.stdout
    assert f"127.0.0.1:{own.port_base}" in second.stdout
    assert own.pids() == before


def test_a_killed_worker_is_started_again_within_a_second(own: OwnStack) -> None:
    before = own.pids()["worker"]
    os.kill(before, signal.SIGKILL)
    killed_at = time.time()

    def born() -> float:
        pid = own.pids().get("worker", before)
        return 0.0 if pid == before else psutil.Process(pid).create_time()

    eventually(lambda: born() > 0, "a new worker", 10)
    assert born() - killed_at < 1.5
    eventually(lambda: own.status()["parts"]["worker"]["state"] == "ready", "the worker is ready", 60)
    worker = own.status()["parts"]["worker"]
    assert (worker["restarts"], worker["last_exit"]) == (1, "killed by SIGKILL")


def test_any_killed_part_comes_back(own: OwnStack) -> None:
    before = own.status()["parts"]
    names = ("postgres", "redis", "livekit", "sip", "api", "dialer", "simulator")
    for name in names:
        os.kill(before[name]["pid"], signal.SIGKILL)

    def all_back() -> bool:
        now = own.status()["parts"]
        return all(now[name]["state"] == "ready" and now[name]["restarts"] > before[name]["restarts"] for name in names)

    eventually(all_back, "all killed parts are ready again", 90)
    answer = httpx.get(f"http://127.0.0.1:{own.port_base}/healthz", trust_env=False)
    assert answer.status_code == 200


def test_a_killed_supervisor_is_recovered_by_the_next_up(own: OwnStack) -> None:
    secrets, demo = (own.home / "stack.env").read_text(), (own.home / "demo.json").read_text()
    left = family(list(own.pids().values()))
    os.kill(own.supervisor(), signal.SIGKILL)
    eventually(lambda: own.status()["phase"] == "killed", "status tells", 10)
    assert own.run("status").returncode == 3
    assert own.status()["leftovers"] == len(NAMES)
    again = own.run("up", "--detach")
    assert again.returncode == 0, again.stdout + again.stderr
    assert [process for process in left if not is_gone(process.pid) and process.is_running()] == []
    assert own.status()["phase"] == "ready"
    assert (own.home / "stack.env").read_text() == secrets
    assert (own.home / "demo.json").read_text() == demo


def test_logs_are_shown(own: OwnStack) -> None:
    shown = own.run("logs", "postgres", "-n", "50")
    assert "ready to accept connections" in shown.stdout
    assert own.run("logs", "nobody").returncode == 2


def test_down_leaves_no_process_behind(own: OwnStack) -> None:
    everyone = family([*own.pids().values(), own.supervisor()])
    assert len(everyone) > len(NAMES)
    done = own.run("down")
    assert (done.returncode, done.stdout.strip()) == (0, "Stopped.")
    assert [process for process in everyone if process.is_running() and not is_gone(process.pid)] == []
    status = own.run("status", "--json")
    assert status.returncode == 3
    assert json.loads(status.stdout)["phase"] == "stopped"
    assert own.run("down").stdout.strip() == "Not running."


def test_purge_asks_and_then_leaves_nothing_that_it_made(own: OwnStack) -> None:
    outside = folder_outside(own.home)
    theirs = own.home / "notes.txt"
    theirs.write_text("not ours")
    assert own.run("down", "--purge").returncode == 1
    assert (own.home / "stack.env").exists()
    assert own.run("down", "--purge", "--yes").returncode == 0
    assert list(own.home.iterdir()) == [theirs]
    assert not outside.exists()
    theirs.unlink()
    assert own.run("down", "--purge", "--yes").returncode == 0
    assert not own.home.exists()


def test_a_busy_port_is_one_line_with_its_holder_and_nothing_is_left(other: OwnStack) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", other.port_base + 4))
        holder.listen()
        refused = other.run("up", "--detach")
    assert refused.returncode == 1
    assert f"livekit needs port tcp {other.port_base + 4}" in refused.stderr
    assert f"(pid {os.getpid()})" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert other.pids() == {}


def test_a_database_that_does_not_answer_is_one_line_and_nothing_is_left(other: OwnStack) -> None:
    refused = other.run("up", "--detach", DATABASE_URL=f"postgresql://user:word@127.0.0.1:{other.port_base + 300}/db")
    assert refused.returncode == 1
    assert "postgres did not start" in refused.stderr
    assert "DATABASE_URL" in refused.stderr
    assert "word" not in refused.stderr
    assert other.pids() == {}
    assert other.run("status").returncode == 3
