"""The clock of one elected leader among the dialers: APScheduler strikes, the truth stands in tables.

Missed strikes of the clock itself do not matter: each strike does whatever is due by then.
"""

import asyncio
from collections.abc import Awaitable, Callable

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from app.clock import utc_now
from app.db import Database, DatabaseUnavailable
from app.logs import get_logger
from app.tasks import pause
from campaigns.gates.again import ask_again
from campaigns.lifecycle.copies.copying import finish_copies
from campaigns.lifecycle.watch import judge_breakers, judge_canaries, keep_times
from campaigns.schedules.leader import PATIENCE_SECONDS, Leadership, lead
from campaigns.schedules.striking import strike_due

log = get_logger(__name__)

NAME = "campaign clock"
Strike = Callable[[], Awaitable[object]]


async def watch_campaigns(db: Database, session_url: str, stopping: asyncio.Event) -> None:
    """Until told to stop: wait to lead, then let the clock strike. `session_url`: Postgres without a transaction
    pooler."""
    while not stopping.is_set():
        async with lead(session_url, NAME, stopping) as leadership:
            if leadership is not None:
                log.info("this dialer has the clock")
                await strike_while_leading(db, leadership, stopping)


async def strike_while_leading(db: Database, leadership: Leadership, stopping: asyncio.Event) -> None:
    scheduler = AsyncIOScheduler(timezone="UTC")
    strikes: list[tuple[str, int, Strike]] = [
        ("times of campaigns", 1, lambda: keep_times(db)),
        ("canaries", 1, lambda: judge_canaries(db)),
        ("breakers", 5, lambda: judge_breakers(db)),
        ("schedules", 1, lambda: strike_due(db, now=utc_now())),
        ("copies", 1, lambda: finish_copies(db)),
        ("gates", 1, lambda: ask_again(db)),
    ]
    for name, seconds, strike in strikes:
        trigger = IntervalTrigger(seconds=seconds, timezone="UTC")
        scheduler.add_job(
            _guarded, trigger, args=(name, strike), name=name, coalesce=True, max_instances=1, misfire_grace_time=None
        )
    scheduler.start()
    try:
        while not stopping.is_set() and await leadership.holds():
            await pause(stopping, PATIENCE_SECONDS)
    finally:
        scheduler.shutdown(wait=False)


async def _guarded(name: str, strike: Strike) -> None:
    try:
        await strike()
    except DatabaseUnavailable as error:
        log.warning("the clock struck in vain", what=name, why=error.detail)
    # The outermost loop of this work: one campaign that cannot be judged must not stop the clock for the others.
    except Exception:
        log.exception("the clock struck in vain", what=name)
