"""A dialer as `trunkline dialer` is one, with a fault planted in it if the first argument names one."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import Any

import campaigns.gates.gates as gates
from app.logs import configure_logs
from app.settings import Settings
from campaigns.dialing.dialer import run_dialer
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

    async def nobody_listed(*_arguments: Any, **_named: Any) -> Mapping[Any, Any]:
        return {}

    gates.store.select_listed = nobody_listed


def no_caps() -> None:
    """Calls are not counted."""

    def uncounted(*_arguments: Any, **_named: Any) -> gates.Verdict:
        return gates.NO_CAPS

    gates._judge_caps = uncounted  # type: ignore[attr-defined]


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
