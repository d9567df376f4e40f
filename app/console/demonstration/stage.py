"""What every act of the demo has: what it talks to, and what has happened so far."""

import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from app.clock import utc_now
from app.console.demonstration.caller import Voice
from app.settings import Settings

EXAMPLE = Path("examples/harbor-dental")


@dataclass
class Demo:
    """One run: what it talks to, and what it has seen so far. `checks`: (what, whether it happened, evidence)."""

    info: dict[str, Any]
    voice: Voice
    console: Console
    api: httpx.AsyncClient
    settings: Settings
    began: datetime = field(default_factory=utc_now)
    checks: list[tuple[str, bool, str]] = field(default_factory=list[tuple[str, bool, str]])

    @property
    def home(self) -> Path:
        return self.settings.home

    def check(self, what: str, happened: bool, evidence: str) -> None:
        self.checks.append((what, happened, evidence))
        self.console.print(f"  {'[green]✓[/]' if happened else '[red]✗[/]'} {what}: {evidence}")


def words(texts: list[str]) -> str:
    """Lower case, letters only: what a recognizer's spelling leaves comparable."""
    return " ".join("".join(c if c.isalpha() else " " for c in " ".join(texts).lower()).split())


def sounds_like(said: str, heard: str) -> bool:
    """Whether a tiny recognizer, over a telephone, may have made `heard` of what was `said`."""
    return SequenceMatcher(None, words([said]).split(), words([heard]).split()).ratio() >= 0.7


def may_hold(phrase: str, heard: str) -> bool:
    """Whether `phrase` stands in `heard` as a tiny recognizer may have spelled it: a letter off here and there."""
    spelled, told = words([phrase]), words([heard]).split()
    count = len(spelled.split())
    runs = (" ".join(told[at : at + count]) for at in range(max(1, len(told) - count + 1)))
    return any(SequenceMatcher(None, spelled, run, autojunk=False).ratio() >= 0.88 for run in runs)


def run_trunkline(*arguments: str, quiet: bool = False) -> int:
    """Run another command of ours as the user would."""
    output = subprocess.DEVNULL if quiet else None
    return subprocess.run([sys.executable, "-m", "app.cli", *arguments], stdout=output, stderr=output).returncode
