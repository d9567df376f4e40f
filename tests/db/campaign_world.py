"""What a campaign needs around it: a published team, a number to call from, contacts."""

import io
from uuid import UUID

from app.db import Database
from app.ids import E164, OrgId, new_id
from campaigns.campaigns import Campaign, Plan, create_campaign_from_file, start_campaign
from campaigns.rules.retries import RetryRule

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
    return await start_campaign(db, org, campaign.id)


async def column(db: Database, query: str, *arguments: UUID | str) -> list[object]:
    """The first column of every row."""
    async with db.system() as connection:
        return [row[0] for row in await connection.fetch(query, *arguments)]
