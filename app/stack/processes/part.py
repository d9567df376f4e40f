"""What the supervisor needs to know of a part of the stack."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.errors import Unavailable
from app.stack.processes.checks import Check
from app.stack.processes.ports import PortClaim
from app.stack.processes.process import Command


class PartOff(Unavailable):
    """This part cannot run on this machine; the rest goes on without it. `detail` says what is missing."""

    code = "part_off"


@dataclass(frozen=True)
class Part:
    """One part: `prepare` makes what it needs on disk and says how to run it; None where it runs elsewhere.

    `check` returns once the part answers. `needs` names the parts that must be ready before it is started.
    A part with `off` set is only shown, with the reason. `alive` answers for as long as the part is well, whatever the
    others are: one that no longer does hangs, and is ended and started again. Where it is None, only an exit counts.
    """

    name: str
    endpoint: str
    check: Check
    prepare: Callable[[], Awaitable[Command]] | None = None
    needs: tuple[str, ...] = ()
    ports: tuple[PortClaim, ...] = ()
    ready_within_seconds: float = 30.0
    alive: Check | None = None
    note: str = ""
    off: bool = False
