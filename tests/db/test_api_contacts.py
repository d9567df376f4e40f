"""Contacts over REST, and why they are called or not."""

from datetime import UTC, datetime, timedelta

import pytest

from app.api.wire.pages import write_text_cursor
from app.auth.principal import Role
from app.ids import CampaignId, new_id
from campaigns.contacts import remove_contact
from campaigns.outcomes.progress import read_progress
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


async def test_a_number_s_contacts_are_filtered_before_they_are_counted_and_come_in_pages(api: Api) -> None:
    made: list[str] = []
    campaigns = [await add_campaign(api.db, api.org_id) for _ in range(5)]
    for n, campaign in enumerate(campaigns):
        status = "blocked" if n == 1 else "waiting"
        one = await add_contact(
            api.db, api.org_id, campaign, created_at=datetime(2026, 11, 1 + n, tzinfo=UTC), status=status
        )
        made.append(str(one.contact_id))
    headers = await api.key(Role.VIEWER)

    async def ask(**asked: str | int) -> tuple[list[str], str | None]:
        answer = await api.client.get(CONTACTS, headers=headers, params={"phone": "+12025550110", "limit": 1} | asked)
        body = answer.json()
        return [contact["id"] for contact in body["data"]], body["next_cursor"]

    assert await ask(campaign_id=str(campaigns[0])) == ([made[0]], None)
    assert await ask(status="blocked") == ([made[1]], None)
    assert await ask(campaign_id=str(campaigns[0]), status="blocked") == ([], None)
    found, cursor = await ask(limit=2)
    while cursor is not None:
        page, cursor = await ask(limit=2, cursor=cursor)
        found += page
    assert found == made[::-1]
    # The other list's cursor is none of this one.
    crooked = {"phone": "+12025550110", "cursor": write_text_cursor("+12025550110")}
    assert_problem(await api.client.get(CONTACTS, headers=headers, params=crooked), 422, "invalid_input")


async def test_a_further_number_is_found_before_it_was_ever_dialed_and_only_by_its_own(api: Api) -> None:
    phones = ["+12025550110", "+12025550111", "+12025550112"]
    one = await add_contact(api.db, api.org_id, await add_campaign(api.db, api.org_id), phones=phones)
    await add_contact(api.db, api.org_id, one.campaign_id, "+12025550119")
    stranger = await api.key(Role.OWNER, org_id=await api.other_organization())
    for phone in phones:
        found = await api.client.get(CONTACTS, headers=await api.key(Role.VIEWER), params={"phone": phone})
        assert [contact["id"] for contact in found.json()["data"]] == [str(one.contact_id)], phone
        hidden = await api.client.get(CONTACTS, headers=stranger, params={"phone": phone})
        assert hidden.json()["data"] == []


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
            "every gate is open; due later",
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


async def test_a_contact_that_waits_is_changed_and_only_what_is_sent(api: Api) -> None:
    campaign = await add_campaign(api.db, api.org_id, calling=ALWAYS)
    one = await add_contact(api.db, api.org_id, campaign, name="Ada", variables={"day": "Monday", "note": "x"})
    headers, path = await api.key(Role.SUPERVISOR), f"{CONTACTS}/{one.contact_id}"
    later = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    sent = {"time_zone": "america/chicago", "callback_at": later.isoformat(), "variables": {"day": "May", "note": None}}
    edited = (await api.client.patch(path, headers=headers, json=sent)).json()
    assert (edited["name"], edited["time_zone"], edited["variables"]) == ("Ada", "America/Chicago", {"day": "May"})
    assert datetime.fromisoformat(edited["callback_at"]) == datetime.fromisoformat(edited["due_at"]) == later
    again = (await api.client.patch(path, headers=headers, json={"callback_at": None, "name": "Bo"})).json()
    assert (again["name"], again["callback_at"], again["variables"]) == ("Bo", None, {"day": "May"})
    assert datetime.fromisoformat(again["due_at"]) < later
    assert (await api.client.get(path, headers=headers)).json() == again


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"time_zone": "EST"}, "unknown_time_zone"),
        ({"callback_at": "2020-01-01T00:00:00Z"}, "callback_past"),
        ({"callback_at": "9999-12-31T23:59:59-12:00"}, "invalid_input"),
        ({"phone": "+12025550111"}, "invalid_input"),
    ],
)
async def test_what_a_contact_cannot_be_is_refused(api: Api, sent: dict[str, str], code: str) -> None:
    one = await add_contact(api.db, api.org_id, await add_campaign(api.db, api.org_id))
    answer = await api.client.patch(f"{CONTACTS}/{one.contact_id}", headers=await api.key(), json=sent)
    assert_problem(answer, 422, code)


async def test_a_contact_that_is_taken_out_is_blocked_with_the_reason_and_never_called(api: Api) -> None:
    one = await add_contact(api.db, api.org_id, await add_campaign(api.db, api.org_id, calling=ALWAYS), attempts_made=1)
    headers, path = await api.key(Role.SUPERVISOR), f"{CONTACTS}/{one.contact_id}"
    removed = (await api.client.delete(path, headers=headers, params={"reason": "asked by mail"})).json()
    told = {name: removed[name] for name in ("status", "disposition", "blocked_by", "blocked_reason", "attempts_made")}
    assert told == {
        "status": "blocked",
        "disposition": "blocked",
        "blocked_by": "hand",
        "blocked_reason": "asked by mail",
        "attempts_made": 1,
    }
    why = (await api.client.get(f"{path}/why", headers=headers)).json()
    assert (why["summary"], why["next_at"]) == ("blocked for good by hand: asked by mail", None)
    assert_problem(await api.client.delete(path, headers=headers), 409, "contact_state")
    async with api.db.system() as connection:
        progress = await read_progress(connection, api.org_id, one.campaign_id)
        events = await connection.fetch(
            "select contact_id, attempt_id, data from campaign_events where kind = 'contact.blocked'"
        )
    assert (progress.contacts["waiting"], progress.contacts["blocked"]) == (0, 1)
    told = {"phone": one.phone, "gate": "hand", "detail": "asked by mail"}
    assert [(event["contact_id"], event["attempt_id"], event["data"]) for event in events] == [
        (one.contact_id, None, told)
    ]


async def test_what_a_gate_blocks_and_what_is_taken_back_is_not_told_as_taken_out_by_hand(api: Api) -> None:
    one = await add_contact(api.db, api.org_id, await add_campaign(api.db, api.org_id))
    async with api.db.system() as connection:
        step = connection.transaction()
        await step.start()
        await remove_contact(connection, api.org_id, one.contact_id, reason="a slip")
        assert await connection.fetchval("select count(*) from campaign_events") == 1
        await step.rollback()
        await connection.execute("update contacts set status = 'blocked', blocked_by = 'consent'")
        assert await connection.fetchval("select count(*) from campaign_events") == 0


@pytest.mark.parametrize("status", ["in-flight", "finished", "blocked"])
async def test_a_contact_that_does_not_wait_is_not_changed(api: Api, status: str) -> None:
    one = await add_contact(api.db, api.org_id, await add_campaign(api.db, api.org_id), status=status)
    headers, path = await api.key(), f"{CONTACTS}/{one.contact_id}"
    assert_problem(await api.client.patch(path, headers=headers, json={"name": "Bo"}), 409, "contact_state")
    assert_problem(await api.client.delete(path, headers=headers), 409, "contact_state")


async def test_contacts_of_others_and_by_viewers_are_not_changed(api: Api) -> None:
    one = await add_contact(api.db, api.org_id, await add_campaign(api.db, api.org_id))
    path, stranger = f"{CONTACTS}/{one.contact_id}", await api.key(org_id=await api.other_organization())
    assert_problem(await api.client.patch(path, headers=stranger, json={"name": "x"}), 404, "contact_not_found")
    assert_problem(await api.client.delete(path, headers=stranger), 404, "contact_not_found")
    assert_problem(await api.client.delete(path, headers=await api.key(Role.VIEWER)), 403, "forbidden")
