"""What a campaign needs around it: a published team, a number to call from, contacts."""

import asyncio
import io
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from app.db import Database
from app.ids import E164, CallId, OrgId, new_id
from campaigns.campaigns import Campaign, Plan
from campaigns.creating import create_campaign_from_file
from campaigns.dialing.attempts import Times
from campaigns.dialing.dialer import Dialer, dial
from campaigns.lifecycle.control import start_campaign
from campaigns.rules.retries import RetryRule
from telephony.carriers.base import CarrierName
from telephony.watch.carrier_events import CarrierNews, take_news
from tests.db.campaign_carrier import LedgerCarrier, lines_over, read_ledger

CALLER_ID = E164("+12025550101")


async def add_team(db: Database, org: OrgId, *, caller_id: str = CALLER_ID) -> None:
    """A published team `reception`, and a number at the Twilio-shaped carrier."""
    team_id = new_id()
    async with db.system() as connection:
        await connection.execute(
            "insert into teams (id, org_id, slug, name) values ($1, $2, 'reception', 'Reception')", team_id, org
        )
        await connection.execute(
            """insert into team_versions (id, org_id, team_id, version, status, definition, source, published_at)
               values ($1, $2, $3, 1, 'published', '{}', '', now())""",
            new_id(),
            org,
            team_id,
        )
        await connection.execute(
            "insert into numbers (id, org_id, e164, carrier) values ($1, $2, $3, 'twilio')", new_id(), org, caller_id
        )


async def running_campaign(
    db: Database,
    org: OrgId,
    contacts: int,
    *,
    first: int = 110,
    calls_per_second: float = 500.0,
    max_concurrent: int = 50,
    retry: RetryRule | None = None,
) -> Campaign:
    """A started campaign with contacts +12025550<first> and up, dialed once each unless `retry` says otherwise."""
    plan = Plan(
        name="Recall",
        team="reception",
        calls_per_second=calls_per_second,
        max_concurrent=max_concurrent,
        retry=retry or RetryRule(max_attempts=1),
        ring_timeout_seconds=15,
    )
    text = "phone,name\n" + "".join(f"+12025550{first + n},Contact {n}\n" for n in range(contacts))
    campaign, _ = await create_campaign_from_file(db, org, plan, io.BytesIO(text.encode()))
    async with db.system() as connection:
        # Tests run at night, too.
        await connection.execute("update campaigns set calling = $2 where id = $1", campaign.id, {"defaults": False})
    return await start_campaign(db, org, campaign.id)


async def column(db: Database, query: str, *arguments: UUID | str) -> list[object]:
    """The first column of every row."""
    async with db.system() as connection:
        return [row[0] for row in await connection.fetch(query, *arguments)]


QUICK = Times(lease=4.0, presence=2.0, request=0.4, grace=0.4, look_again=0.4, last_words=0.1)


@asynccontextmanager
async def dialing(
    db: Database, carrier: LedgerCarrier, *, name: str = "one", times: Times = QUICK
) -> AsyncIterator[Dialer]:
    """A dialer that runs meanwhile and is stopped, cleanly, at the end."""
    dialer = Dialer(name=name, lines=lines_over(db, carrier), times=times)
    task = asyncio.create_task(dial(dialer))
    try:
        yield dialer
    finally:
        dialer.stopping.set()
        await asyncio.wait_for(task, 10)


async def until(what: Callable[[], Awaitable[object]], *, seconds: float = 20) -> None:
    """Wait for it to become true, looking often."""
    async with asyncio.timeout(seconds):
        while not await what():  # noqa: ASYNC110 - what is waited for stands in Postgres or in a file
            await asyncio.sleep(0.02)


@dataclass
class Webhooks:
    """What the carrier tells of its calls: each dial in the ledger ends, once, with the status of its number."""

    db: Database
    carrier: LedgerCarrier
    status: str = "completed"
    told: set[str] = field(default_factory=set)

    async def deliver(self) -> None:
        for one in read_ledger(self.carrier.path):
            if one.sid not in self.told:
                news = CarrierNews(CarrierName.TWILIO, one.sid, self.carrier.statuses.get(one.to, self.status))
                await take_news(self.db, CallId(UUID(one.call_id)), news)
                self.told.add(one.sid)


async def finish(db: Database, campaign: Campaign, webhooks: Webhooks | None = None, *, hurry: bool = False) -> None:
    """Wait until the campaign is finished, with the carrier telling of its calls meanwhile; `hurry`: contacts that are
    due later are due now."""

    async def finished() -> bool:
        if webhooks:
            await webhooks.deliver()
        async with db.system() as connection:
            if hurry:
                await connection.execute(
                    "update contacts set due_at = now() where status = 'waiting' and due_at > now()"
                )
            return await connection.fetchval("select status from campaigns where id = $1", campaign.id) == "finished"

    await until(finished, seconds=30)


def numbers(carrier: LedgerCarrier) -> Counter[str]:
    return Counter(one.to for one in read_ledger(carrier.path))


async def contact(db: Database, campaign: Campaign) -> dict[str, object]:
    """The only contact of the campaign."""
    async with db.system() as connection:
        return dict(await connection.fetchrow("select * from contacts where campaign_id = $1", campaign.id))


async def attempt_is(db: Database, campaign: Campaign, status: str) -> None:
    async def so() -> bool:
        return status in await column(db, "select status from attempts where campaign_id = $1", campaign.id)

    await until(so)
