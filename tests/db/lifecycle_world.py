"""What the tests of a campaign's life share: a team with a number, and attempts as a dialer leaves them."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from app.db import Connection, Database
from app.ids import CampaignId, OrgId, new_id
from campaigns.campaigns import Campaign, Plan, load_campaign
from campaigns.creating import create_campaign
from campaigns.lifecycle.control import finish_campaign
from campaigns.lifecycle.copies.copying import Begun, begin_copy
from campaigns.lifecycle.redial import plan_like


async def add_team(db: Database, org: OrgId, *, caller_id: str = "+12025550101") -> None:
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


async def end_contacts(connection: Connection, campaign_id: CampaignId, disposition: str, count: int) -> None:
    """So many waiting contacts are finished with this outcome."""
    await connection.execute(
        """
        update contacts set status = 'finished', disposition = $2, attempts_made = 1, finished_at = now()
        where id in (select id from contacts where campaign_id = $1 and status = 'waiting' order by line limit $3)
        """,
        campaign_id,
        disposition,
        count,
    )


async def add_ended_calls(db: Database, org: OrgId, campaign_id: CampaignId, contacts: list[UUID], **call: Any) -> None:
    """A settled attempt and its ended call for each contact; `call`: result, reason, at_fault, answered, disposition,
    seconds_ago."""
    at_fault, answered = call.get("at_fault", "nobody"), call.get("answered", False)
    ago = timedelta(seconds=call.get("seconds_ago", 1))
    async with db.system() as connection:
        for contact in contacts:
            call_id, attempt_id = new_id(), new_id()
            await connection.execute(
                """
                insert into calls (id, org_id, channel, direction, status, room_name, attempt_id, created_at, dialed_at,
                                   answered_at, ended_at, end_result, end_reason, end_at_fault)
                values ($1, $2, 'phone', 'outbound', 'completed', $3, $4, now() - $5::interval, now() - $5::interval,
                        case when $6 then now() - $5::interval end, now() - $5::interval, $7, $8, $9)
                """,
                call_id,
                org,
                f"call-{call_id}",
                attempt_id,
                ago,
                answered,
                call.get("result", "completed" if answered else "no-answer"),
                call.get("reason", "callee_hung_up" if answered else "no_answer"),
                at_fault,
            )
            await connection.execute(
                """
                insert into attempts (id, org_id, campaign_id, contact_id, ordinal, status, dialer, fence, lease_until,
                                      call_id, disposition, claimed_at, dialed_at, settled_at)
                values ($1, $2, $3, $4, 1, 'settled', 'd', 1, now(), $5, $6, now() - $7::interval,
                        now() - $7::interval, now() - $7::interval)
                """,
                attempt_id,
                org,
                campaign_id,
                contact,
                call_id,
                call.get("disposition", "reached" if answered else "no-answer"),
                ago,
            )


async def source_of(db: Database, org: OrgId, contacts: int) -> Campaign:
    """A finished campaign that called nobody."""
    await add_team(db, org)
    made = await create_campaign(db, org, Plan(name="Recall", team="reception"))
    async with db.system() as connection:
        await connection.execute(
            """
            insert into contacts (id, org_id, campaign_id, line, phone, phones, memory)
            select gen_random_uuid(), $1, $2, n, phone, array[phone, '+12025550199'], jsonb_build_object('n', n)
            from generate_series(1, $3::int) n cross join lateral (select '+1202' || (5550000 + n)) f (phone)
            """,
            org,
            made.id,
            contacts,
        )
    await finish_campaign(db, org, made.id)
    return await load_campaign(db, org, made.id)


async def begin(db: Database, source: Campaign, *, starts: bool = False) -> Begun:
    """For whoever comes first."""
    async with db.system() as connection:
        plan = plan_like(source, "Again")
        return await begin_copy(connection, source, plan, outcomes=[], starts=starts, lease_seconds=0)
