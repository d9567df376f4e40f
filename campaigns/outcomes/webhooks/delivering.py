"""Deliveries on their way: from the outbox to the endpoint, signed by Standard Webhooks, again and again with longer
waits, until they are taken or given up.

At least once: who sends and dies leaves the delivery due again after its lease, with the same `webhook-id`. Endpoints
do not wait for each other: at most EACH of one endpoint are on their way, whoever is slow.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from pydantic import SecretStr
from standardwebhooks import Webhook

from app.clock import utc_now
from app.db import Database, DatabaseUnavailable, Row
from app.http.outward import AddressForbidden, Answer, NoAnswer, Outward
from app.logs import get_logger
from app.tasks import Tasks, pause
from app.vault import SealBroken, unseal
from campaigns.outcomes.webhooks import endpoint_store, store
from campaigns.outcomes.webhooks.messages import write_body

log = get_logger(__name__)

WAITS_SECONDS = (5, 60, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""Before each further try: three days in all, as Standard Webhooks advises."""
JITTER = 0.2
REQUEST_SECONDS = 15.0
LEASE_SECONDS = 60.0
AT_ONCE = 50
EACH = 10
BUSY_SECONDS = 0.05
IDLE_SECONDS = 1.0
"""Before it is asked again what is due, after a round that found something and after one that did not."""
FAREWELL_SECONDS = 4.0
LONGEST_RETRY_AFTER_SECONDS = 86400.0


@dataclass
class Deliverer:
    """One sender of webhooks, and the tasks that it owns. `jitter`: a number from 0 to 1, drawn for each wait."""

    db: Database
    outward: Outward
    secret_key: SecretStr
    jitter: Callable[[], float] = lambda: 0.5
    tasks: Tasks = field(default_factory=lambda: Tasks("a webhook failed on our side; its lease brings it back"))
    on_their_way: Counter[UUID] = field(default_factory=Counter[UUID])


async def deliver_webhooks(deliverer: Deliverer, stopping: asyncio.Event) -> None:
    """Send what is due until told to stop; what is on its way then has a few seconds."""
    try:
        while not stopping.is_set():
            try:
                started = await start_due(deliverer)
            except DatabaseUnavailable as error:
                log.warning("webhooks wait for the database", why=error.detail)
                started = 0
            # The outermost loop: whatever it was, the next round comes.
            except Exception:
                log.exception("a round of webhooks failed; trying again")
                started = 0
            await pause(stopping, BUSY_SECONDS if started else IDLE_SECONDS)
    finally:
        await deliverer.tasks.drain(within_seconds=FAREWELL_SECONDS)


async def start_due(deliverer: Deliverer) -> int:
    """Begin to send what is due, as far as there is room; how many."""
    room = AT_ONCE - len(deliverer.tasks)
    if room <= 0:
        return 0
    busy = [endpoint for endpoint, count in deliverer.on_their_way.items() if count >= EACH]
    async with deliverer.db.system() as connection:
        rows = await store.take_due(connection, limit=room, each=EACH, busy=busy, lease_seconds=LEASE_SECONDS)
    for row in rows:
        deliverer.on_their_way[row["endpoint_id"]] += 1
        deliverer.tasks.keep(_send_one(deliverer, row), name=f"webhook {row['id']}")
    return len(rows)


async def _send_one(deliverer: Deliverer, row: Row) -> None:
    try:
        await send(deliverer, row)
    finally:
        deliverer.on_their_way[row["endpoint_id"]] -= 1
        if deliverer.on_their_way[row["endpoint_id"]] <= 0:
            del deliverer.on_their_way[row["endpoint_id"]]


async def send(deliverer: Deliverer, row: Row) -> None:
    """One try of one delivery, which must be ours (`take_due`), and what it came to."""
    body = row["body"]
    if body is None:
        async with deliverer.db.system() as connection:
            body = await write_body(connection, row)
            await store.keep_body(connection, row["id"], body)
    try:
        sealed = [one for one in (row["secret_sealed"], row["old_secret_sealed"]) if one is not None]
        secrets = [unseal(deliverer.secret_key, one) for one in sealed]
        headers = sign(str(row["id"]), body, secrets, now=utc_now())
        answer = await deliverer.outward.post(
            row["url"], content=body.encode(), headers=headers, timeout_seconds=REQUEST_SECONDS
        )
    except (NoAnswer, AddressForbidden, SealBroken) as error:
        await _record_failure(deliverer, row, error=error.detail, answer=None)
        return
    if answer.is_success:
        async with deliverer.db.system() as connection:
            await store.set_delivered(
                connection, row["id"], tries=row["tries"], status=answer.status, milliseconds=answer.milliseconds
            )
        return
    await _record_failure(deliverer, row, error=f"answered {answer.status}", answer=answer)


def sign(message_id: str, body: str, secrets: Sequence[str], *, now: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks: a signature for each secret, and who receives it checks whether one of them is
    made with the secret that they know."""
    signatures = (Webhook(secret).sign(msg_id=message_id, timestamp=now, data=body) for secret in secrets)
    return {
        "content-type": "application/json",
        "user-agent": "trunkline-webhooks/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


async def _record_failure(deliverer: Deliverer, row: Row, *, error: str, answer: Answer | None) -> None:
    gone = answer is not None and answer.status == 410
    wait = None if gone else wait_seconds(row["tries"], answer, jitter=deliverer.jitter())
    async with deliverer.db.system() as connection:
        await store.set_undelivered(
            connection,
            row["id"],
            tries=row["tries"],
            error=error,
            status=answer.status if answer else None,
            milliseconds=answer.milliseconds if answer else None,
            wait_seconds=wait,
        )
        if gone:
            await endpoint_store.disable_endpoint(connection, row["endpoint_id"], reason="it answered 410 Gone")
    log.warning("a webhook was not taken", delivery_id=str(row["id"]), tries=row["tries"], why=error)


def wait_seconds(tries: int, answer: Answer | None, *, jitter: float) -> float | None:
    """Before the next try after `tries` of them, spread by JITTER; None: given up. Who answers Retry-After is obeyed
    where that is longer."""
    if tries > len(WAITS_SECONDS):
        return None
    wait = WAITS_SECONDS[tries - 1] * (1 + JITTER * (2 * jitter - 1))
    asked = answer.headers.get("retry-after", "") if answer else ""
    if asked.isascii() and asked.isdigit() and len(asked) < 9:
        wait = max(wait, min(float(asked), LONGEST_RETRY_AFTER_SECONDS))
    return wait
