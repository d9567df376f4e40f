"""How many numbers a campaign dials for the people who take its calls, from rows."""

from collections.abc import Iterator
from typing import Any, cast
from uuid import UUID

import pytest

from app.db import Database
from app.ids import OrgId, new_id
from campaigns.campaigns import Campaign
from campaigns.dialing import claim_store
from campaigns.dialing.attempts import Times
from campaigns.dialing.claiming import claim_due
from campaigns.dialing.people import store
from campaigns.dialing.people.floors import NOBODY_THERE, read_floors
from campaigns.rules.pace.predictive import Floor
from telephony.floor.answered import abandon_call, connect_operator, reserve_operator
from tests.db.campaign_world import add_team, running_campaign
from tests.db.floor_world import finish_call, floor_of, put_call, put_operator
from tests.db.test_claim_plan import Explaining, walk

pytestmark = pytest.mark.db


async def people_campaign(db: Database, org: OrgId, *, mode: str, contacts: int = 60, first: int = 110) -> Campaign:
    """A running campaign of that mode."""
    campaign = await running_campaign(db, org, contacts, first=first)
    async with db.system() as connection:
        await connection.execute("update campaigns set mode = $2 where id = $1", campaign.id, mode)
    return campaign


async def claim(db: Database, org: OrgId) -> dict[UUID, int]:
    """How many each campaign claims in one round."""
    batches = await claim_due(db, org, dialer="one", times=Times())
    return {batch[0].terms.campaign_id: len(batch) for batch in batches}


async def floor(db: Database, org: OrgId, campaign: Campaign) -> Floor:
    async with db.system() as connection:
        rows = await claim_store.select_rooms(connection, org)
        return (await read_floors(connection, org, rows))[campaign.id]


async def put_month(db: Database, campaign: Campaign, *, answered: int, abandoned: int, days_ago: int = 1) -> None:
    async with db.system() as connection:
        await connection.execute(
            """insert into floor_days (org_id, campaign_id, day, answered, abandoned)
               values ($1, $2, (now() at time zone 'utc')::date - $3::int, $4, $5)""",
            campaign.org_id,
            campaign.id,
            days_ago,
            answered,
            abandoned,
        )


async def test_without_operators_nothing_is_dialed(db: Database, org: OrgId) -> None:
    await add_team(db, org)
    await people_campaign(db, org, mode="progressive", contacts=5)
    assert await claim(db, org) == {}


async def test_a_progressive_campaign_dials_exactly_as_many_as_are_idle(db: Database, org: OrgId) -> None:
    await add_team(db, org)
    campaign = await people_campaign(db, org, mode="progressive", contacts=10)
    for name in ("Ada", "Ben", "Cem"):
        await put_operator(db, org, name)
    assert await claim(db, org) == {campaign.id: 3}
    # Those three are on their way; nobody is left for a fourth.
    assert await claim(db, org) == {}
    await put_operator(db, org, "Dia")
    assert await claim(db, org) == {campaign.id: 1}


async def test_a_predictive_campaign_dials_ahead_where_its_month_can_bear_it(db: Database, org: OrgId) -> None:
    await add_team(db, org)
    campaign = await people_campaign(db, org, mode="predictive")
    for number in range(6):
        await put_operator(db, org, f"Operator {number}")
    await put_month(db, campaign, answered=50_000, abandoned=200)
    async with db.system() as connection:
        # Every fourth was answered by a person, so far.
        await connection.execute(
            """insert into campaign_counts (org_id, campaign_id, what, status, disposition, dialed, count)
               values ($1, $2, 'attempts', 'settled', 'no-answer', true, 150000),
                      ($1, $2, 'attempts', 'settled', 'reached', true, 50000)""",
            org,
            campaign.id,
        )
    assert (await claim(db, org))[campaign.id] > 6


async def test_a_predictive_campaign_without_credit_dials_one_for_each_idle_operator(db: Database, org: OrgId) -> None:
    await add_team(db, org)
    campaign = await people_campaign(db, org, mode="predictive")
    for name in ("Ada", "Ben"):
        await put_operator(db, org, name)
    await put_month(db, campaign, answered=1000, abandoned=40)
    # What is older than 30 days bears nothing any more.
    await put_month(db, campaign, answered=90_000, abandoned=0, days_ago=30)
    assert await claim(db, org) == {campaign.id: 2}


async def test_two_campaigns_do_not_dial_for_the_same_operator(db: Database, org: OrgId) -> None:
    await add_team(db, org)
    one = await people_campaign(db, org, mode="progressive", contacts=10)
    other = await people_campaign(db, org, mode="progressive", contacts=10, first=130)
    await put_operator(db, org, "Ada")
    await put_operator(db, org, "Ben")
    await put_operator(db, org, "Cem", campaigns=[one.id])
    claimed = await claim(db, org)
    assert sum(claimed.values()) == 3
    assert claimed[other.id] in (1, 2)
    assert await claim(db, org) == {}


async def test_an_operator_who_vanished_or_takes_other_campaigns_is_dialed_for_by_nobody(
    db: Database, org: OrgId
) -> None:
    await add_team(db, org)
    await people_campaign(db, org, mode="progressive", contacts=5)
    other = await people_campaign(db, org, mode="progressive", contacts=1, first=130)
    vanished = await put_operator(db, org, "Ada")
    await put_operator(db, org, "Ben", campaigns=[other.id])
    async with db.system() as connection:
        await connection.execute("update operators set beat_at = now() - interval '1 minute' where id = $1", vanished)
    assert await claim(db, org) == {other.id: 1}


async def test_the_floor_counts_what_rings_who_waits_who_talks_and_what_came_of_it(db: Database, org: OrgId) -> None:
    await add_team(db, org)
    campaign = await people_campaign(db, org, mode="predictive", contacts=1)
    ada, _ = await put_operator(db, org, "Ada"), await put_operator(db, org, "Ben")
    talking, left, over = [await put_call(db, campaign, phone=f"+1202555014{number}") for number in range(3)]
    await put_call(db, campaign, phone="+12025550148")
    await put_call(db, campaign, phone="+12025550149", answered=False)
    assert await reserve_operator(db, talking, floor_of(campaign)) == ada
    assert await connect_operator(db, talking, ada)
    await abandon_call(db, left, floor_of(campaign))
    await finish_call(db, over)
    counted = await floor(db, org, campaign)
    assert (counted.idle, counted.busy, counted.waiting, counted.ringing) == (1, 1, 1, 1)
    assert (counted.month.answered, counted.month.abandoned) == (2, 1)
    assert (counted.recent.answered, counted.recent.abandoned) == (2, 1)
    assert sum(cohort.dialed for cohort in counted.cohorts) == 5
    assert sum(cohort.answered for cohort in counted.cohorts) == 2
    assert sum(cohort.ringing for cohort in counted.cohorts) == 1


async def test_where_agents_take_all_calls_no_floor_is_asked_for(db: Database, org: OrgId) -> None:
    await add_team(db, org)
    await running_campaign(db, org, 2)
    async with db.system() as connection:
        rows = await claim_store.select_rooms(connection, org)
        asked = Explaining(connection)
        assert await read_floors(cast(Any, asked), org, rows) == {}
    assert asked.plans == []


@pytest.fixture
async def large(db: Database, org: OrgId) -> UUID:
    """A campaign with many settled attempts and answers, and statistics that know it."""
    await add_team(db, org)
    campaign_id = new_id()
    async with db.system() as connection:
        await connection.execute(
            """insert into campaigns (id, org_id, name, team_id, from_number_id, status, mode)
               select $1, $2, 'Large', t.id, n.id, 'running', 'predictive' from teams t, numbers n""",
            campaign_id,
            org,
        )
        await connection.execute(
            """
            with made as (
              insert into contacts (id, org_id, campaign_id, phone, status)
              select gen_random_uuid(), $1, $2, '+1555' || lpad(n::text, 7, '0'), 'finished'
              from generate_series(1, 20000) n returning id
            ), called as (
              insert into calls (id, org_id, channel, direction, status, room_name, attempt_id)
              select gen_random_uuid(), $1, 'phone', 'outbound', 'queued', id::text, id from made
              returning id, attempt_id
            )
            insert into attempts (id, org_id, campaign_id, contact_id, ordinal, status, dialer, fence, lease_until,
                                  claimed_at, dialed_at, call_id)
            select attempt_id, $1, $2, attempt_id, 1, 'settled', 'd', 1, now(),
                   now() - interval '1 day' * random() * 30, now() - interval '1 day', id from called
            """,
            org,
            campaign_id,
        )
        await connection.execute(
            """
            insert into floor_calls (call_id, org_id, campaign_id, outcome, answered_at, ended_at)
            select gen_random_uuid(), $1, $2, 'connected', now() - make_interval(secs => n * 60), now()
            from generate_series(1, 20000) n
            """,
            org,
            campaign_id,
        )
    async with db.system() as connection:
        await connection.execute("analyze")
    return campaign_id


def scans(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for node in walk(plan):
        if "Relation Name" in node:
            yield node["Relation Name"], node["Node Type"]


async def test_the_floor_is_read_by_index_however_much_was_dialed(db: Database, org: OrgId, large: UUID) -> None:
    async with db.system() as connection:
        asked = Explaining(connection)
        await store.select_floors(cast(Any, asked), org, [large], nobody_there=sorted(NOBODY_THERE))
    found = [scan for plan in asked.plans for scan in scans(plan)]
    of_many = {kind for relation, kind in found if relation in ("attempts", "floor_calls", "calls")}
    assert "Seq Scan" not in of_many, found
    assert {relation for relation, _ in found} >= {"attempts", "floor_calls", "floor_days", "operators"}
