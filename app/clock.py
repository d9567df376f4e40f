"""The time, as an argument: code that decides by the time takes a `Clock`, tests hand it one that they move."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the present instant, aware, in UTC."""


def utc_now() -> datetime:
    return datetime.now(UTC)
