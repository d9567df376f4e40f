"""Every event that was committed reaches its endpoint, signed, however the endpoint fails and whichever sender is
killed; no other event ever does."""

import asyncio
import contextlib
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from app.ids import CampaignId
from campaigns.outcomes.events import AttemptEvent, CampaignEventKind, record_attempt_events
from campaigns.outcomes.webhooks.endpoints import Wish, create_endpoint
from tests.db.outcome_world import add_campaign
from tests.prove.proof import Figures, Proof, Sizes
from tests.prove.world import Ground, proving_ground

KEY = "the installation's key of this proof"
SENDERS = 2
BATCH = 20
KILL_EVERY_SECONDS = 0.7
LEAST_KILLS = 2
LONGEST_SECONDS = 600.0
RETRY_AFTER_SECONDS = 1.5
"""Longer than the endpoint ever takes to answer."""


@dataclass
class Endpoint:
    """Takes what it is sent, or fails: refuses, hangs up, answers late or not at all. Keeps what it took."""

    dice: random.Random
    secret: str = ""
    port: int = 0
    taken: Counter[int] = field(default_factory=Counter[int])
    failed: int = 0
    forged: int = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
            body = await reader.readexactly(int(headers["content-length"]))
            writer.write(await self._judge(headers, body.decode()))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            self.failed += 1
        finally:
            writer.close()

    async def _judge(self, headers: dict[str, str], body: str) -> bytes:
        trouble = self.dice.random()
        if trouble < 0.3:
            self.failed += 1
            status = b"503 Busy" if trouble < 0.15 else b"500 Broken"
            return b"" if trouble < 0.05 else b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n"
        if trouble > 0.97:
            await asyncio.sleep(1.0)
        try:
            message = Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError:
            self.forged += 1
        else:
            self.taken[int(message["data"]["event"]["n"])] += 1
        return b"HTTP/1.1 204 Thanks\r\n\r\n"


@asynccontextmanager
async def open_endpoint(seed: int) -> AsyncGenerator[Endpoint]:
    endpoint = Endpoint(random.Random(seed))
    server = await asyncio.start_server(endpoint.answer, "127.0.0.1", 0)
    endpoint.port = server.sockets[0].getsockname()[1]
    try:
        yield endpoint
    finally:
        server.close()


@dataclass
class Trial:
    """One run. `committed`: numbers of the events that were; `undone`: of those that were rolled back."""

    ground: Ground
    endpoint: Endpoint
    campaign: CampaignId
    dice: random.Random
    planted: bool
    committed: set[int] = field(default_factory=set[int])
    undone: set[int] = field(default_factory=set[int])
    senders: list[asyncio.subprocess.Process] = field(default_factory=list[asyncio.subprocess.Process])
    kills: int = 0

    async def tell(self, events: int) -> None:
        """Batches of events, a tenth of them rolled back. Planted: now and then one goes past the outbox."""
        for first in range(0, events, BATCH):
            numbers = range(first, min(first + BATCH, events))
            rows = [
                AttemptEvent(self.ground.org, self.campaign, CampaignEventKind.ATTEMPT_SETTLED, data={"n": n})
                for n in numbers
            ]
            async with self.ground.db.system() as connection:
                undone = connection.transaction()
                await undone.start()
                if self.planted and self.dice.random() < 0.2:
                    await connection.execute("set local session_replication_role = replica")
                await record_attempt_events(connection, rows)
                if self.dice.random() < 0.1:
                    await undone.rollback()
                    self.undone.update(numbers)
                else:
                    await undone.commit()
                    self.committed.update(numbers)
            await asyncio.sleep(0.01)

    async def harass(self) -> None:
        """Senders are killed one after the other, and another is started for each."""
        try:
            await asyncio.gather(*(self._start() for _ in range(SENDERS)))
            while True:
                # The next one comes up while the others still send: starting it is what takes longest.
                await asyncio.gather(self._start(), asyncio.sleep(KILL_EVERY_SECONDS))
                await kill(self.senders[0])
                del self.senders[0]
                self.kills += 1
        finally:
            for sender in self.senders:
                await kill(sender)

    async def _start(self) -> None:
        sender = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.prove.webhooks.sender", self.ground.url, KEY, stdout=asyncio.subprocess.PIPE
        )
        self.senders.append(sender)
        assert sender.stdout is not None
        await asyncio.wait_for(sender.stdout.readline(), 60)

    async def wait(self) -> None:
        """Until nothing is pending and some senders died. Waits of minutes and days are waits of a moment here."""
        deadline = time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < deadline:
            async with self.ground.db.system() as connection:
                pending = await connection.fetchval("select count(*) from webhook_deliveries where status = 'pending'")
                await connection.execute(
                    "update webhook_deliveries set next_at = now() where status = 'pending' and tries > 0"
                    " and coalesce(last_try_at, now()) < now() - make_interval(secs => $1)",
                    RETRY_AFTER_SECONDS,
                )
            if pending == 0 and self.kills >= LEAST_KILLS:
                return
            await asyncio.sleep(0.3)


async def kill(process: asyncio.subprocess.Process) -> None:
    """And wait until it, and the pipe to it, is gone."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    await process.communicate()


@dataclass(frozen=True)
class Webhooks:
    """The claim of this file."""

    name: str = "webhooks"
    title: str = "every committed event reaches its endpoint, signed, and no other, whichever sender dies"

    async def run(self, size: Sizes) -> Figures:
        return await self._try(size.get("EVENTS", 5_000), size.get("SEED", 4), planted=False)

    async def control(self, size: Sizes) -> Figures:
        """Some events are written past the outbox."""
        return await self._try(size.get("CONTROL_EVENTS", 1_000), size.get("SEED", 4), planted=True)

    async def _try(self, events: int, seed: int, *, planted: bool) -> Figures:
        began = time.monotonic()
        async with proving_ground() as ground, open_endpoint(seed) as endpoint:
            made, endpoint.secret = await create_endpoint(
                ground.db,
                ground.org,
                Wish(url=f"http://127.0.0.1:{endpoint.port}/", events=[CampaignEventKind.ATTEMPT_SETTLED]),
                secret_key=SecretStr(KEY),
                allow_loopback=True,
            )
            async with ground.db.system() as connection:
                campaign = await add_campaign(connection, ground.org)
            trial = Trial(ground, endpoint, campaign, random.Random(seed), planted)
            harassing = asyncio.create_task(trial.harass())
            try:
                await trial.tell(events)
                await trial.wait()
            finally:
                harassing.cancel()
                await asyncio.gather(harassing, return_exceptions=True)
            given_up = await count_given_up(ground, made.id)
        return judge(trial, given_up, time.monotonic() - began)


async def count_given_up(ground: Ground, endpoint_id: UUID) -> int:
    async with ground.db.system() as connection:
        return await connection.fetchval(
            "select count(*) from webhook_deliveries where endpoint_id = $1 and status <> 'delivered'", endpoint_id
        )


def judge(trial: Trial, given_up: int, seconds: float) -> Figures:
    """What the endpoint took against what was committed. With the fault it must be that some are lost."""
    taken = set(trial.endpoint.taken)
    lost, invented = trial.committed - taken, taken - trial.committed
    again = sum(count - 1 for count in trial.endpoint.taken.values())
    held = not lost and not invented and not trial.endpoint.forged and not given_up and trial.kills >= LEAST_KILLS
    return Figures(
        not lost if trial.planted else held,
        {
            "events committed, rolled back": f"{len(trial.committed):,}, {len(trial.undone):,}",
            "senders killed with SIGKILL": f"{trial.kills}",
            "requests that the endpoint failed": f"{trial.endpoint.failed:,}",
            "events lost": f"{len(lost):,}",
            "events invented, forged": f"{len(invented):,}, {trial.endpoint.forged:,}",
            "taken more than once (same webhook-id)": f"{again:,}",
            "time": f"{seconds:.0f} s",
        },
    )


PROOFS: list[Proof] = [Webhooks()]
