"""The dialer: settle what is over → claim what is due → place it → wait.

Any number of dialers share the work through Postgres; each may die or freeze at any point. What one started, another
finishes (`recover_expired`, `reconcile`); no number is dialed twice for one attempt.
"""

import asyncio
import os
import random
import secrets
import signal
import socket
from contextlib import AsyncExitStack

from app.db import Database, DatabaseUnavailable
from app.http.outward import Outward
from app.logs import get_logger
from app.settings import Settings
from campaigns import store
from campaigns.dialing import attempt_store, claim_store
from campaigns.dialing.attempts import Point, Times
from campaigns.dialing.claiming import claim_due
from campaigns.dialing.departures import take_out
from campaigns.dialing.dialer_state import Dialer as Dialer
from campaigns.dialing.recovery import store as recovery_store
from campaigns.dialing.recovery.presence import beat, keep_beating, withdraw
from campaigns.dialing.recovery.reconcile import reconcile, recover_expired
from campaigns.dialing.settling import settle_ended
from campaigns.gates.suppression import SuppressionClient
from campaigns.outcomes.progress import keep_counts
from campaigns.outcomes.webhooks.delivering import Deliverer, deliver_webhooks
from campaigns.schedules.clock import watch_campaigns
from telephony.outbound import build_lines

log = get_logger(__name__)

POLL_SECONDS = 0.25
LOOK_AT_ONCE = 20
LONGEST_BACK_OFF_SECONDS = 1.0
SHORTEST_PAUSE_SECONDS = 0.05
FAREWELL_SECONDS = 4.0
"""How long a dialer that was told to stop lets its requests finish; what is cut off is reconciled."""


async def run_dialer(settings: Settings) -> None:
    """Dial the campaigns of every organization until SIGTERM or SIGINT. Raises DatabaseUnavailable on start."""
    request = 2 * settings.carrier_timeout_seconds
    times = Times(lease=1.5 * request, request=request, grace=settings.uncertain_grace_seconds)
    async with AsyncExitStack() as stack:
        db = await Database.connect(
            settings.database_url, pooler=settings.database_pooler, application="trunkline dialer"
        )
        stack.push_async_callback(db.close)
        lines = await build_lines(settings, db)
        stack.push_async_callback(lines.close)
        outward = Outward(allow_loopback=settings.webhooks_to_loopback)
        stack.push_async_callback(outward.close)
        vetoes = SuppressionClient(outward, settings.secret_key)
        dialer = Dialer(name=name_dialer(), lines=lines, times=times, vetoes=vetoes)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, dialer.stopping.set)
        # Connections of their own: a crowd of slow webhooks must not keep a dial waiting for one.
        news = await Database.connect(
            settings.database_url, pooler=settings.database_pooler, application="trunkline dialer news", max_size=3
        )
        stack.push_async_callback(news.close)
        dialer.tasks.keep(keep_counts(news, dialer.stopping), name="counts")
        deliverer = Deliverer(news, outward, settings.secret_key, random.random)
        dialer.tasks.keep(deliver_webhooks(deliverer, dialer.stopping), name="webhooks")
        session_url = settings.database_session_url or settings.database_url
        dialer.tasks.keep(watch_campaigns(news, session_url, dialer.stopping), name="clock")
        log.info("the dialer runs", dialer=dialer.name)
        await dial(dialer)


def name_dialer() -> str:
    """Where it runs, and a part that no other start has: in a container every process has the same id."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


async def dial(dialer: Dialer) -> None:
    """Tick until told to stop, then let what is under way finish."""
    failures = 0
    await beat(dialer.db, dialer.name, dialer.clock)
    heart = asyncio.create_task(keep_beating(dialer.db, dialer.name, dialer.clock, lambda: dialer.lead), name="heart")
    try:
        while not dialer.stopping.is_set():
            try:
                began = asyncio.get_running_loop().time()
                await tick(dialer)
                took, failures = asyncio.get_running_loop().time() - began, 0
            except DatabaseUnavailable as error:
                took, failures = 0.0, failures + 1
                dialer.shake()
                log.warning("a tick waits for the database", failures=failures, why=error.detail)
            except Exception:
                took, failures = 0.0, failures + 1
                log.exception("a tick failed; trying again", failures=failures)
            await dialer.pause(
                max(SHORTEST_PAUSE_SECONDS, min(POLL_SECONDS * 2**failures, LONGEST_BACK_OFF_SECONDS) - took)
            )
    finally:
        # What is cut off is reconciled later, by whoever runs.
        await dialer.tasks.drain(within_seconds=FAREWELL_SECONDS)
        heart.cancel()
        await asyncio.gather(heart, return_exceptions=True)
        try:
            await withdraw(dialer.db, dialer.name)
        except DatabaseUnavailable:
            log.warning("this dialer could not say goodbye; its silence will", dialer=dialer.name)


async def tick(dialer: Dialer) -> None:
    """One round. Placing and asking the carrier go on in tasks; this only starts them."""
    async with dialer.db.system() as connection:
        if not await claim_store.is_any_work(connection):
            return
    await settle_ended(dialer.db, dialer.times, failpoint=dialer.failpoint)
    await recover_expired(dialer.db, dialer.times, dialer=dialer.name, in_hand=dialer.in_hand)
    await _start_reconciling(dialer)
    await _start_dialing(dialer)
    async with dialer.db.system() as connection:
        await attempt_store.bound_idle(connection)
        for campaign_id in await store.finish_campaigns(connection):
            log.info("campaign finished", campaign_id=str(campaign_id))


async def _start_reconciling(dialer: Dialer) -> None:
    async with dialer.db.system() as connection:
        await attempt_store.bound_idle(connection)
        rows = await recovery_store.take_over_unclear(
            connection,
            dialer=dialer.name,
            lease_seconds=dialer.times.lease,
            presence_seconds=dialer.times.presence,
            limit=LOOK_AT_ONCE,
        )
    for row in rows:
        dialer.tasks.keep(reconcile(dialer.lines, row, dialer.times), name="reconcile")


async def _start_dialing(dialer: Dialer) -> None:
    async with dialer.db.system() as connection:
        organizations = await claim_store.select_dialing_organizations(connection)
    now = asyncio.get_running_loop().time()
    most, dialer.claimed_at = dialer.most_claims(now - dialer.claimed_at), now
    for org_id in organizations:
        batches = await claim_due(
            dialer.db, org_id, dialer=dialer.name, times=dialer.times, lead_seconds=dialer.lead, most=most
        )
        for claims in batches:
            most = None if most is None else most - len(claims)
            dialer.take(claims)
            dialer.failpoint(Point.CLAIMED)
            dialer.tasks.keep(take_out(dialer, claims), name="take out")
