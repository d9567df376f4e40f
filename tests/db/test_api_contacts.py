"""Contacts over REST, and why they are called or not."""

from datetime import UTC, datetime, timedelta

import pytest

from app.auth.principal import Role
from app.ids import CampaignId, new_id
from tests.db.api_world import Api, assert_problem
from tests.db.gate_world import add_campaign, add_contact, add_dial

pytestmark = pytest.mark.db

CONTACTS = "/api/v1/contacts"
ALWAYS = {"defaults": False}


async def three(api: Api) -> CampaignId:
    campaign = await add_campaign(api.db, api.org_id, calling=ALWAYS)
    for n in (2, 0, 1):
        await add_contact(api.db, api.org_id, campaign, f"+1202555011{n}", status="blocked" if n == 1 else "waiting")
    return campaign


async def test_contacts_of_a_campaign_are_paged_in_the_order_of_their_numbers(api: Api) -> None:
    campaign, headers = await three(api), await api.key(Role.VIEWER)
    asked = {"campaign_id": str(campaign), "limit": 2}
    first = (await api.client.get(CONTACTS, headers=headers, params=asked)).json()
    rest = (await api.client.get(CONTACTS, headers=headers, params=asked | {"cursor": first["next_cursor"]})).json()
    phones = [contact["next_phone"] for contact in first["data"] + rest["data"]]
    assert phones == ["+12025550110", "+12025550111", "+12025550112"]
    assert rest["next_cursor"] is None
    blocked = await api.client.get(CONTACTS, headers=headers, params=asked | {"status": "blocked"})
    assert [contact["next_phone"] for contact in blocked.json()["data"]] == ["+12025550111"]


async def test_a_number_is_found_in_every_campaign_also_where_it_is_not_the_first(api: Api) -> None:
    one = await add_contact(api.db, api.org_id, await add_campaign(api.db, api.org_id))
    other = await add_contact(api.db, api.org_id, await add_campaign(api.db, api.org_id), "+12025550199")
    second = type(other)(other.contact_id, other.org_id, other.campaign_id, one.phone)
    async with api.db.system() as connection:
        await add_dial(connection, second, datetime.now(UTC))
    found = await api.client.get(CONTACTS, headers=await api.key(), params={"phone": "(202) 555-0110"})
    assert {contact["id"] for contact in found.json()["data"]} == {str(one.contact_id), str(other.contact_id)}


async def test_without_a_campaign_or_a_number_nothing_is_listed(api: Api) -> None:
    assert_problem(await api.client.get(CONTACTS, headers=await api.key()), 422, "nothing_asked")
    crooked = {"campaign_id": str(new_id()), "cursor": "***"}
    assert_problem(await api.client.get(CONTACTS, headers=await api.key(), params=crooked), 422, "invalid_input")


async def test_why_names_every_gate_in_order_for_a_viewer(api: Api) -> None:
    one = await add_contact(api.db, api.org_id, await add_campaign(api.db, api.org_id, calling=ALWAYS))
    answer = await api.client.get(f"{CONTACTS}/{one.contact_id}/why", headers=await api.key(Role.VIEWER))
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert [verdict["gate"] for verdict in told["verdicts"]] == [
        "campaign",
        "window",
        "consent",
        "do-not-call",
        "suppression",
        "toll-gate",
        "calling-hours",
        "caps",
    ]
    assert all(verdict["passed"] for verdict in told["verdicts"])
    assert told["summary"] == "called as soon as a line is free"
    assert told["contact"]["id"] == str(one.contact_id)


async def test_why_tells_the_next_possible_time(api: Api) -> None:
    later = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    campaign = await add_campaign(api.db, api.org_id, starts_at=later, calling=ALWAYS)
    one = await add_contact(api.db, api.org_id, campaign)
    told = (await api.client.get(f"{CONTACTS}/{one.contact_id}/why", headers=await api.key())).json()
    assert datetime.fromisoformat(told["next_at"]) == later
    assert told["summary"].startswith("not called, window: ")


async def test_a_listed_number_is_never_called_and_why_says_so(api: Api) -> None:
    one = await add_contact(api.db, api.org_id, await add_campaign(api.db, api.org_id, calling=ALWAYS))
    await api.client.post("/api/v1/do-not-call", headers=await api.key(), json={"phone": one.phone, "reason": "asked"})
    told = (await api.client.get(f"{CONTACTS}/{one.contact_id}/why", headers=await api.key())).json()
    assert told["next_at"] is None
    assert told["summary"] == "not called, do-not-call: on the organization's do-not-call list: asked"


async def test_the_toll_gate_is_one_of_the_reasons(api: Api) -> None:
    one = await add_contact(api.db, api.org_id, await add_campaign(api.db, api.org_id, calling=ALWAYS), "+442079460018")
    told = (await api.client.get(f"{CONTACTS}/{one.contact_id}/why", headers=await api.key())).json()
    assert told["summary"].startswith("not called, toll-gate: Calls to GB are not allowed")


@pytest.mark.parametrize(
    ("columns", "summary"),
    [
        ({"status": "finished", "disposition": "reached", "attempts_made": 2}, "finished as reached after 2 calls"),
        ({"status": "finished", "disposition": "busy", "attempts_made": 1}, "finished as busy after 1 call"),
        (
            {"status": "blocked", "blocked_by": "consent", "blocked_reason": "the consent ended"},
            "blocked for good by consent: the consent ended",
        ),
        ({"status": "in-flight"}, "is being called now"),
        (
            {"due_at": datetime(2099, 1, 1, tzinfo=UTC)},
            "every gate is open; due later, as its last call left it",
        ),
    ],
)
async def test_what_is_over_or_under_way_is_told_first(api: Api, columns: dict[str, object], summary: str) -> None:
    campaign = await add_campaign(api.db, api.org_id, calling=ALWAYS)
    one = await add_contact(api.db, api.org_id, campaign, **columns)
    told = (await api.client.get(f"{CONTACTS}/{one.contact_id}/why", headers=await api.key())).json()
    assert told["summary"] == summary


async def test_contacts_of_others_are_not_there(api: Api) -> None:
    one = await add_contact(api.db, api.org_id, await add_campaign(api.db, api.org_id))
    stranger = await api.key(Role.OWNER, org_id=await api.other_organization())
    for path in ("", "/why"):
        answer = await api.client.get(f"{CONTACTS}/{one.contact_id}{path}", headers=stranger)
        assert_problem(answer, 404, "contact_not_found")
    listed = await api.client.get(CONTACTS, headers=stranger, params={"campaign_id": str(one.campaign_id)})
    assert listed.json()["data"] == []
