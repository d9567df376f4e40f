"""A dialer as `trunkline dialer` is one, with a fault planted in it if the first argument names one."""

import asyncio
import inspect
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from app.logs import configure_logs
from app.settings import Settings
from campaigns.dialing import attempt_store
from campaigns.dialing.dialer import run_dialer
from campaigns.gates import counting, gates
from campaigns.gates import store as gate_store
from campaigns.rules.calling.hours import Hours
from telephony.carriers.base import OutgoingCall
from telephony.carriers.twilio import TwilioCarrier

TWICE_EVERY = 50


def any_hour() -> None:
    """The clock of the callee is not looked at."""

    def open_always(*_arguments: Any) -> bool:
        return True

    Hours.is_open = open_always  # type: ignore[method-assign, assignment]


def no_lists() -> None:
    """Whoever asked not to be called is called."""

    mutate(gate_store, "select_listed", "where org_id = $1 and", "where false and org_id = $1 and")
    mutate(attempt_store, "mark_sent", "where d.org_id = a.org_id", "where false and d.org_id = a.org_id")
    mutate(attempt_store, "select_listed", "where a.id = any", "where false and a.id = any")


def no_caps() -> None:
    """Calls are not counted."""

    mutate(counting, "judge_caps", "if row is None:", "if row is None or row is not None:")
    # Who imported it by name before has the old one still.
    assert gates.judge_caps is not counting.judge_caps
    gates.judge_caps = counting.judge_caps


def dial_twice() -> None:
    """A client that sends some requests again when it could have waited."""
    dial, count = TwilioCarrier.dial, 0

    async def again(self: TwilioCarrier, call: OutgoingCall) -> str:
        nonlocal count
        count += 1
        if count % TWICE_EVERY == 0:
            await dial(self, call)
        return await dial(self, call)

    TwilioCarrier.dial = again  # type: ignore[method-assign]


def mutate(module: ModuleType, function: str, old: str, new: str) -> None:
    """Change the text of one function, which must have it exactly once: a plant that changes nothing proves nothing."""
    source = inspect.getsource(getattr(module, function))
    if source.count(old) != 1:
        raise ValueError(f"{module.__name__}.{function} does not have {old!r} exactly once")
    exec(source.replace(old, new), vars(module))


PLANTS: Mapping[str, Callable[[], None]] = {
    "hours": any_hour,
    "lists": no_lists,
    "caps": no_caps,
    "twice": dial_twice,
}


def main(fault: str) -> None:
    settings = Settings.load()
    configure_logs(level=settings.log_level)
    if fault:
        PLANTS[fault]()
    asyncio.run(run_dialer(settings))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
