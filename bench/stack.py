"""A stack for one benchmark run, apart from the one that you work with: its own folder and ports, gone at the end."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

HOME = Path(".trunkline-bench")
PORT_BASE = 28500


@dataclass(frozen=True)
class Cost:
    """Of a process and its children: CPU seconds since they began, memory (proportional set size) in bytes."""

    cpu_seconds: float
    memory_bytes: int


@dataclass(frozen=True)
class BenchStack:
    demo: dict[str, Any]
    pids: dict[str, int]

    def cost(self, part: str) -> Cost:
        process = psutil.Process(self.pids[part])
        cpu, memory = 0.0, 0
        for one in (process, *process.children(recursive=True)):
            times = one.cpu_times()
            cpu += times.user + times.system
            memory += one.memory_full_info().pss
        return Cost(cpu, memory)


def _trunkline(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"TRUNKLINE_HOME": str(HOME), "TRUNKLINE_PORT_BASE": str(PORT_BASE)}
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments], env=environment, capture_output=True, text=True, timeout=560
    )


@contextmanager
def running_stack() -> Iterator[BenchStack]:
    """Start it, yield it, end it. Raises SystemExit with what `trunkline up` said when it does not start."""
    started = _trunkline("up", "--detach")
    try:
        if started.returncode != 0:
            raise SystemExit(started.stdout + started.stderr)
        status = json.loads(_trunkline("status", "--json").stdout)
        pids = {name: part["pid"] for name, part in status["parts"].items() if part["pid"]}
        yield BenchStack(json.loads((HOME / "demo.json").read_text()), pids)
    finally:
        _trunkline("down", "--purge", "--yes")
