"""What was promised to a contact, and what is known of its numbers, comes along into a copy of its campaign."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.db import Database, Row
from app.ids import CampaignId, OrgId, new_id
from campaigns.campaigns import Campaign, CampaignState, Plan, load_campaign
from campaigns.creating import create_campaign
from campaigns.dialing.claiming import claim_due
from campaigns.lifecycle.control import finish_campaign, start_campaign
from campaigns.lifecycle.copies import store
from campaigns.lifecycle.copies.copying import begin_copy, finish_copies
from campaigns.lifecycle.redial import plan_like, redial_unreached
from tests.db.campaign_world import QUICK
from tests.db.lifecycle_world import add_team

pytestmark = pytest.mark.db

FIRST, SECOND, THIRD = "+12025550110", "+12025550120", "+12025550130"
AHEAD = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
PAST = AHEAD - timedelta(days=3)


async def source(db: Database, org: OrgId, *contacts: dict[str, Any]) -> Campaign:
    """A finished campaign with such contacts, of one number unless `phones` says otherwise."""
    await add_team(db, org)
    plan = Plan(name="Recall", team="reception", settings={"calling": {"defaults": False}})
    made = await create_campaign(db, org, plan)
    async with db.system() as connection:
        for columns in contacts:
            phones = columns.get("phones") or [FIRST]
            values = {"id": new_id(), "org_id": org, "campaign_id": made.id, "phone": phones[0]} | columns
            marks = ", ".join(f"${n + 1}" for n in range(len(values)))
            await connection.execute(f"insert into contacts ({', '.join(values)}) values ({marks})", *values.values())
    await finish_campaign(db, org, made.id)
    return await load_campaign(db, org, made.id)


async def contacts_of(db: Database, campaign_id: CampaignId) -> Sequence[Row]:
    async with db.system() as connection:
        return await connection.fetch("select * from contacts where campaign_id = $1 order by phone", campaign_id)


async def redialed(db: Database, org: OrgId, *contacts: dict[str, Any], outcomes: list[str] | None = None) -> list[Row]:
    """The contacts of the redial of such a campaign, which were counted rightly before."""
    made = await redial_unreached(db, org, (await source(db, org, *contacts)).id, outcomes=outcomes)
    return list(await contacts_of(db, made.campaign.id))


def wrong(*phones: str) -> dict[str, Any]:
    return {"wrong_numbers": sorted(phones)}


@pytest.mark.parametrize("status", ["waiting", "finished"])
async def test_a_callback_that_lies_ahead_is_kept_at_its_instant_and_on_its_number(
    db: Database, org: OrgId, status: str
) -> None:
    promised = {"status": status, "disposition": "callback", "phones": [FIRST, SECOND], "phone_index": 1}
    [one] = await redialed(db, org, promised | {"callback_at": AHEAD, "due_at": AHEAD + timedelta(hours=1)})
    assert (one["callback_at"], one["due_at"], one["phone_index"]) == (AHEAD, AHEAD, 1)
    assert (one["status"], one["disposition"], one["attempts_made"]) == ("waiting", None, 0)
    assert (await start_campaign(db, org, one["campaign_id"])).status == "running"
    assert await claim_due(db, org, dialer="one", times=QUICK) == []
    async with db.system() as connection:
        await connection.execute("update contacts set due_at = now() where due_at = callback_at")
    [[claim]] = await claim_due(db, org, dialer="one", times=QUICK)
    assert claim.to == SECOND


async def test_a_callback_without_an_instant_is_kept_until_its_delay_is_over(db: Database, org: OrgId) -> None:
    [one] = await redialed(db, org, {"status": "waiting", "disposition": "callback", "due_at": AHEAD})
    assert (one["callback_at"], one["due_at"]) == (None, AHEAD)


@pytest.mark.parametrize(
    "contact",
    [
        {"status": "waiting", "disposition": "callback", "callback_at": PAST, "due_at": PAST},
        {"status": "finished", "disposition": "callback", "due_at": PAST},
        {"status": "waiting", "disposition": "busy", "due_at": AHEAD},
    ],
    ids=["a callback that is overdue", "one that was never planned", "a retry"],
)
async def test_whom_nothing_was_promised_for_later_is_due_at_once(
    db: Database, org: OrgId, contact: dict[str, Any]
) -> None:
    [one] = await redialed(db, org, contact | {"phones": [FIRST, SECOND], "phone_index": 1})
    assert one["due_at"] <= datetime.now(UTC)
    assert (one["callback_at"], one["phone_index"]) == (None, 0)


@pytest.mark.parametrize(
    ("phones", "known_wrong", "index"),
    [
        ([FIRST, SECOND, THIRD], (), 0),
        ([FIRST, SECOND, THIRD], (FIRST,), 1),
        ([FIRST, SECOND, THIRD], (FIRST, SECOND), 2),
        ([FIRST, SECOND, THIRD], (SECOND,), 0),
        ([], (), 0),
    ],
)
async def test_a_copy_begins_with_the_first_number_that_is_not_known_to_be_wrong(
    db: Database, org: OrgId, phones: list[str], known_wrong: tuple[str, ...], index: int
) -> None:
    contact = {"status": "finished", "disposition": "no-answer", "phone": FIRST, "phone_index": 2}
    contact |= {"phones": phones, "memory": wrong(*known_wrong) if known_wrong else {}}
    [one] = await redialed(db, org, contact)
    assert one["phone_index"] == index


async def test_a_callback_promised_on_a_number_that_is_wrong_is_made_on_another(db: Database, org: OrgId) -> None:
    contact = {"status": "waiting", "phones": [FIRST, SECOND], "phone_index": 0, "memory": wrong(FIRST)}
    [one] = await redialed(db, org, contact | {"callback_at": AHEAD, "due_at": AHEAD})
    assert (one["due_at"], one["phone_index"]) == (AHEAD, 1)


LOST = {"status": "finished", "disposition": "wrong-number", "phones": [FIRST, SECOND], "memory": wrong(FIRST, SECOND)}
LOST_TOO = {"status": "finished", "disposition": "wrong-number", "phone": THIRD, "phones": [], "memory": wrong(THIRD)}
HALF = {"status": "finished", "disposition": "wrong-number", "phones": [SECOND, THIRD], "memory": wrong(THIRD)}


async def test_whose_numbers_are_all_wrong_is_neither_redialed_nor_counted(db: Database, org: OrgId) -> None:
    old = await source(db, org, LOST, LOST_TOO, HALF)
    async with db.system() as connection:
        named = await store.count_to_copy(connection, org, old.id, outcomes=["wrong-number"], with_waiting=True)
        others = await store.count_to_copy(connection, org, old.id, outcomes=["busy"], with_waiting=True)
    assert (named, others) == (1, 0)
    made = await redial_unreached(db, org, old.id, outcomes=["wrong-number"])
    assert made.contacts == 1
    assert [row["phone"] for row in await contacts_of(db, made.campaign.id)] == [SECOND]


async def test_a_redial_of_nobody_but_wrong_numbers_is_refused(db: Database, org: OrgId) -> None:
    old = await source(db, org, LOST)
    with pytest.raises(CampaignState, match="Nobody to dial again"):
        await redial_unreached(db, org, old.id, outcomes=["wrong-number"])


async def test_a_copy_of_everybody_leaves_out_wrong_numbers_who_is_blocked_and_who_asked_not_to_be_called(
    db: Database, org: OrgId
) -> None:
    blocked = {"status": "blocked", "phone": "+12025550140", "phones": []}
    asked = {"status": "finished", "disposition": "do-not-call", "phone": "+12025550141", "phones": []}
    reached = {"status": "finished", "disposition": "reached", "phone": "+12025550142", "phones": []}
    old = await source(db, org, LOST, HALF, blocked, asked, reached)
    async with db.system() as connection:
        begun = await begin_copy(connection, old, plan_like(old, "Again"), lease_seconds=0)
    assert begun.contacts == 2
    await finish_copies(db)
    assert [row["phone"] for row in await contacts_of(db, begun.campaign.id)] == [SECOND, "+12025550142"]


async def test_who_asked_not_to_be_called_is_not_even_redialed_by_name(db: Database, org: OrgId) -> None:
    old = await source(db, org, {"status": "finished", "disposition": "do-not-call"})
    with pytest.raises(CampaignState, match="none who may be called"):
        await redial_unreached(db, org, old.id, outcomes=["do-not-call"])
