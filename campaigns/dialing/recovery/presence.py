"""That this dialer lives, told twice a second; and, by the way, what the database's clock shows."""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime

from app.db import Connection, Database, DatabaseUnavailable
from app.logs import get_logger
from campaigns.dialing.recovery import store

log = get_logger(__name__)

BEAT_SECONDS = 0.5
SAMPLES = 60


class DatabaseClock:
    """The database's clock on the event loop's: slots are instants of the one, sleeping is done by the other.

    Each sample is wrong by at most half its round trip; the one with the shortest of the last SAMPLES counts, so that a
    slow answer does not move our dials against another dialer's.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)

    def add(self, *, before: float, instant: datetime, after: float) -> None:
        """The database said `instant` between these two times of the loop."""
        self._samples.append((after - before, instant.timestamp() - (before + after) / 2))

    def local(self, instant: datetime) -> float:
        """When it is `instant` there, on the event loop's clock."""
        return instant.timestamp() - min(self._samples)[1]

    async def sleep_until(self, instant: datetime, *, ahead_seconds: float = 0.0) -> float:
        """Sleep until so long before `instant`; the seconds that it is late by then, possibly below zero."""
        loop = asyncio.get_running_loop()
        until = self.local(instant) - ahead_seconds
        if (rest := until - loop.time()) > 0:
            await asyncio.sleep(rest)
        return loop.time() - until


async def beat(db: Database, name: str, clock: DatabaseClock, *, lead_seconds: float = 0.0) -> None:
    """Say that dialer `name` lives, and how long before their time it takes slots; look at the database's clock.
    Raises DatabaseUnavailable."""
    async with db.system() as connection:
        await store.set_beat(connection, name, lead_seconds=lead_seconds)
        await look_at_clock(connection, clock)


async def look_at_clock(connection: Connection, clock: DatabaseClock) -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    instant = await store.select_now(connection)
    clock.add(before=before, instant=instant, after=loop.time())


async def keep_beating(db: Database, name: str, clock: DatabaseClock, lead: Callable[[], float]) -> None:
    """Beat until cancelled. A beat that fails is tried again soon: the others wait for the next one only so long."""
    while True:
        try:
            await beat(db, name, clock, lead_seconds=lead())
            await asyncio.sleep(BEAT_SECONDS)
        except DatabaseUnavailable as error:
            log.warning("a beat of this dialer was not heard", dialer=name, why=error.detail)
            await asyncio.sleep(BEAT_SECONDS / 4)


async def withdraw(db: Database, name: str) -> None:
    """This dialer is gone: what it left in hand need not wait for its silence. Raises DatabaseUnavailable."""
    async with db.system() as connection:
        await store.delete_dialer(connection, name)
