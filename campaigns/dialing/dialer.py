"""The dialer: settle what is over → claim what is due → place it → wait.

Any number of dialers share the work through Postgres; each may die or freeze at any point. What one started, another
finishes (`recover_expired`, `reconcile`); no number is dialed twice for one attempt.
"""

import asyncio
import os
import signal
import socket
from dataclasses import dataclass, field

from app.db import Database
from app.logs import get_logger
from app.settings import Settings
from app.tasks import Tasks
from campaigns import store
from campaigns.dialing import attempt_store, recovery_store
from campaigns.dialing.attempts import (
    Claim,
    Failpoint,
    NoDial,
    NotYet,
    Point,
    Times,
    claim_due,
    commit_intent,
    give_back,
    no_failpoint,
    record_placed,
    record_refused,
    record_uncertain,
)
from campaigns.dialing.reconcile import reconcile, recover_expired
from campaigns.dialing.settling import settle_ended
from telephony.calls import Call
from telephony.carriers.base import DialRefused, DialUncertain
from telephony.outbound import AlreadyDialed, Lines, build_lines, place_call

log = get_logger(__name__)

POLL_SECONDS = 0.25
LOOK_AT_ONCE = 20
LONGEST_BACK_OFF_SECONDS = 5.0
FAREWELL_SECONDS = 4.0
"""How long a dialer that was told to stop lets its requests finish; what is cut off is reconciled."""


@dataclass
class Dialer:
    """One dialer: its name in the rows, what it dials with, and the tasks that it owns. `stopping` is set once."""

    name: str
    lines: Lines
    times: Times = field(default_factory=Times)
    failpoint: Failpoint = no_failpoint
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: Tasks = field(default_factory=lambda: Tasks("an attempt failed on our side; it will be recovered"))
    """A task that failed changed nothing that its lease does not give back."""

    @property
    def db(self) -> Database:
        return self.lines.db


async def run_dialer(settings: Settings) -> None:
    """Dial the campaigns of every organization until SIGTERM or SIGINT. Raises DatabaseUnavailable on start."""
    request = 2 * settings.carrier_timeout_seconds
    times = Times(lease=1.5 * request, request=request, grace=settings.uncertain_grace_seconds)
    db = await Database.connect(settings.database_url, pooler=settings.database_pooler, application="trunkline dialer")
    try:
        lines = await build_lines(settings, db)
        dialer = Dialer(name=f"{socket.gethostname()}:{os.getpid()}", lines=lines, times=times)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, dialer.stopping.set)
        log.info("the dialer runs", dialer=dialer.name)
        try:
            await dial(dialer)
        finally:
            await lines.close()
    finally:
        await db.close()


async def dial(dialer: Dialer) -> None:
    """Tick until told to stop, then let what is under way finish."""
    failures = 0
    try:
        while not dialer.stopping.is_set():
            try:
                await tick(dialer)
                failures = 0
            except Exception:
                failures += 1
                log.exception("a tick failed; trying again", failures=failures)
            await _pause(dialer, min(POLL_SECONDS * 2**failures, LONGEST_BACK_OFF_SECONDS))
    finally:
        # What is cut off is reconciled later, by whoever runs.
        await dialer.tasks.drain(within_seconds=FAREWELL_SECONDS)


async def tick(dialer: Dialer) -> None:
    """One round. Placing and asking the carrier go on in tasks; this only starts them."""
    async with dialer.db.system() as connection:
        if not await attempt_store.is_any_work(connection):
            return
    await settle_ended(dialer.db, dialer.times, failpoint=dialer.failpoint)
    await recover_expired(dialer.db, dialer.times)
    await _start_reconciling(dialer)
    async with dialer.db.system() as connection:
        running = await store.select_running(connection)
    for campaign_id in running:
        claims = await claim_due(dialer.db, campaign_id, dialer=dialer.name, times=dialer.times)
        if claims:
            dialer.failpoint(Point.CLAIMED)
            dialer.tasks.keep(place_in_turn(dialer, claims), name="place in turn")
    async with dialer.db.system() as connection:
        for campaign_id in await store.finish_campaigns(connection):
            log.info("campaign finished", campaign_id=str(campaign_id))


async def _start_reconciling(dialer: Dialer) -> None:
    async with dialer.db.system() as connection:
        rows = await recovery_store.take_over_unclear(
            connection, dialer=dialer.name, lease_seconds=dialer.times.lease, limit=LOOK_AT_ONCE
        )
    for row in rows:
        dialer.tasks.keep(reconcile(dialer.lines, row, dialer.times), name="reconcile")


async def place_in_turn(dialer: Dialer, claims: list[Claim]) -> None:
    """One claim after the other waits for its dial slot and commits its intent; the requests then run side by side."""
    for claim in claims:
        call = await _reach_intent(dialer, claim)
        if call is not None:
            dialer.tasks.keep(place(dialer, claim, call), name=f"place {claim.attempt_id}")


async def place(dialer: Dialer, claim: Claim, call: Call) -> None:
    """The intent is committed: ask the carrier, once, and record what it said.
    Past the claim's deadline nothing more is begun."""
    dialer.failpoint(Point.INTENT_COMMITTED)
    if asyncio.get_running_loop().time() >= claim.deadline:
        log.warning("this dialer was frozen past a lease; it leaves the attempt", attempt_id=str(claim.attempt_id))
        return
    try:
        async with asyncio.timeout_at(claim.deadline):
            await place_call(dialer.lines, call, ring_timeout_seconds=claim.ring_timeout_seconds)
    except AlreadyDialed:
        return
    except DialRefused as error:
        log.warning("the carrier refused a dial", attempt_id=str(claim.attempt_id), why=error.detail)
        await record_refused(dialer.db, claim, retryable=error.retryable, detail=error.detail)
        return
    except (DialUncertain, TimeoutError) as error:
        log.warning("a dial is uncertain", attempt_id=str(claim.attempt_id), why=str(error))
        await record_uncertain(dialer.db, claim, times=dialer.times)
        return
    dialer.failpoint(Point.ANSWERED_BY_CARRIER)
    await record_placed(dialer.db, claim, times=dialer.times)
    dialer.failpoint(Point.RECORDED)


async def _reach_intent(dialer: Dialer, claim: Claim) -> Call | None:
    """The call to place, once it is our turn; None where the claim is not dialed, and was given back if still ours."""
    while True:
        if dialer.stopping.is_set():
            await give_back(dialer.db, claim, why="the dialer stops")
            return None
        if asyncio.get_running_loop().time() + dialer.times.request > claim.deadline:
            await give_back(dialer.db, claim, why="no dial slot came in time")
            return None
        dialer.failpoint(Point.BEFORE_INTENT)
        outcome = await commit_intent(dialer.db, claim)
        if isinstance(outcome, Call):
            return outcome
        if isinstance(outcome, NotYet):
            await _pause(dialer, outcome.seconds)
            continue
        if outcome is NoDial.NOT_RUNNING:
            await give_back(dialer.db, claim, why=outcome.value)
        return None


async def _pause(dialer: Dialer, seconds: float) -> None:
    """Sleep, or wake because the dialer stops."""
    try:
        async with asyncio.timeout(seconds):
            await dialer.stopping.wait()
    except TimeoutError:
        return
