"""What a process loads when it starts: seconds of imports that it does not need would be seconds of every start."""

import subprocess
import sys

import pytest

LIVEKIT_AGENTS, PANDAS, FASTAPI, HTTPX = "livekit.agents", "pandas", "fastapi", "httpx"


@pytest.mark.parametrize(
    ("loaded", "needless"),
    [
        ("app.cli", [LIVEKIT_AGENTS, PANDAS, FASTAPI, HTTPX]),
        ("app.stack.status, app.stack.down, app.stack.detach", [LIVEKIT_AGENTS, PANDAS, FASTAPI, HTTPX]),
        ("app.stack.up, app.console.campaigns.commands, app.console.teams", [LIVEKIT_AGENTS, PANDAS, FASTAPI]),
        ("campaigns.dialing.dialer", [LIVEKIT_AGENTS, PANDAS, FASTAPI]),
        ("telephony.simulator.main", [LIVEKIT_AGENTS, PANDAS]),
        ("app.main", [LIVEKIT_AGENTS, PANDAS]),
        ("agents.worker", [PANDAS, FASTAPI]),
    ],
)
def test_a_process_loads_only_what_it_needs(loaded: str, needless: list[str]) -> None:
    program = f"import sys, {loaded}; print(*(name for name in {needless} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == []
