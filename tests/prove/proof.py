"""What a proof is: a claim about the product, run at full size, and a control: the same with a fault planted in it.

A file of this folder that proves something has `PROOFS: list[Proof]`, and is found by the frame (`find_proofs`). A
pytest test runs the same proof small: `Sizes({"PROVE_CONTACTS": "400"})`.
"""

import asyncio
import importlib
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

FOLDER = Path(__file__).parent
LIMIT_SECONDS = 1800.0
"""The longest that one proof, or one control, may take unless PROVE_LIMIT_SECONDS says otherwise."""


@dataclass(frozen=True)
class Figures:
    """What came of a run. `rows`: what the table prints of it, in order, as text with its unit."""

    held: bool
    rows: Mapping[str, str]


class BadSize(ValueError):
    """A size that is no whole number above zero, or that no proof of this run asked for."""


@dataclass(frozen=True)
class Sizes:
    """How large a run is to be: `get("CONTACTS", 50_000)` is the variable PROVE_CONTACTS, else 50,000."""

    variables: Mapping[str, str] = field(default_factory=dict[str, str])

    def get(self, name: str, default: int) -> int:
        """Raises BadSize."""
        given = self.variables.get(f"PROVE_{name}", "")
        if not given:
            return default
        text = given.replace("_", "").replace(",", "")
        if not text.isdecimal() or int(text) == 0:
            raise BadSize(f"PROVE_{name}={given}: a whole number above zero")
        return int(text)


class Proof(Protocol):
    """`run` holds, or the product is broken; `control` is the same with a planted fault, and must not hold."""

    @property
    def name(self) -> str:
        """What ONLY= calls it: lower-case words joined by hyphens."""
        ...

    @property
    def title(self) -> str:
        """The claim, as a sentence."""
        ...

    async def run(self, size: Sizes) -> Figures: ...

    async def control(self, size: Sizes) -> Figures: ...


@dataclass(frozen=True)
class Finding:
    """One proof and its control, run. `crash`: the traceback of whichever broke off; then nothing is proved."""

    proof: Proof
    figures: Figures | None
    control: Figures | None
    seconds: float
    control_seconds: float
    crash: str = ""

    @property
    def proved(self) -> bool:
        """It held, and its control did not."""
        if self.figures is None or self.control is None:
            return False
        return self.figures.held and not self.control.held


def find_proofs(folder: Path = FOLDER) -> list[Proof]:
    """Every proof of the folder and its rooms, by file name and order in it. Raises ValueError for two of one name."""
    found: list[Proof] = []
    for file in sorted(folder.rglob("*.py"), key=lambda file: (file.stem, file)):
        if not file.stem.startswith("_"):
            module = ".".join(("tests.prove", *file.relative_to(folder).with_suffix("").parts))
            found += getattr(importlib.import_module(module), "PROOFS", [])
    names = [proof.name for proof in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two proofs are called {', '.join(sorted(twice))}")
    return found


def choose(proofs: list[Proof], only: str) -> list[Proof]:
    """Those that `only` names, separated by commas; all without it. Raises ValueError naming what there is."""
    wanted = {word.strip() for word in only.split(",") if word.strip()}
    known = {proof.name for proof in proofs}
    if unknown := wanted - known:
        raise ValueError(f"no proof is called {', '.join(sorted(unknown))}; there are: {', '.join(sorted(known))}")
    return [proof for proof in proofs if not wanted or proof.name in wanted]


def tell_nobody(_seconds: float, _figures: Figures | None) -> None:
    """The table says it."""


async def examine(proof: Proof, size: Sizes, *, tell: Callable[[float, Figures | None], None] = tell_nobody) -> Finding:
    """Run the proof, then its control; neither is let go on for ever. `tell` is given what the proof found before the
    control begins."""
    figures, seconds, crash = await _timed(proof.run, size)
    tell(seconds, figures)
    control, control_seconds, control_crash = await _timed(proof.control, size)
    return Finding(proof, figures, control, seconds, control_seconds, crash or control_crash)


async def _timed(run: Callable[[Sizes], Awaitable[Figures]], size: Sizes) -> tuple[Figures | None, float, str]:
    began = time.monotonic()
    try:
        async with asyncio.timeout(size.get("LIMIT_SECONDS", int(LIMIT_SECONDS))):
            figures = await run(size)
    except Exception:  # the outermost loop of this process: one that breaks off must not hide the others
        return None, time.monotonic() - began, traceback.format_exc()
    return figures, time.monotonic() - began, ""
