"""The outcomes of a campaign over REST: progress, live events, results, webhook endpoints."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from app.auth.principal import Role
from app.db import Database
from app.ids import CampaignId, OrgId, new_id
from campaigns.outcomes.events import AttemptEvent, CampaignEventKind, record_attempt_events
from tests.db.api_world import Api, assert_problem
from tests.db.event_reader import Event, listening, served
from tests.db.outcome_world import add_attempt, add_campaign, add_contacts

pytestmark = pytest.mark.db

SETTLED = CampaignEventKind.ATTEMPT_SETTLED


async def new_campaign(db: Database, org: OrgId, contacts: int = 3) -> CampaignId:
    async with db.system() as connection:
        campaign = await add_campaign(connection, org)
        ids = await add_contacts(connection, org, campaign, contacts)
        await add_attempt(connection, org, campaign, ids[0], "confirmed", hint={"details": {"slot": "9:30"}})
    return campaign


async def tell(db: Database, org: OrgId, campaign: CampaignId, n: int) -> None:
    async with db.system() as connection:
        await record_attempt_events(connection, [AttemptEvent(org, campaign, SETTLED, data={"n": n})])


async def next_of(events: AsyncIterator[Event], kind: str) -> Event:
    async with asyncio.timeout(10):
        async for event in events:
            if event.kind == kind:
                return event
    raise AssertionError(f"the stream ended before {kind}")


def events_of(campaign: CampaignId) -> str:
    return f"/api/v1/campaigns/{campaign}/events"


async def test_progress_is_told_to_members_and_to_nobody_else(api: Api) -> None:
    campaign = await new_campaign(api.db, api.org_id)
    path = f"/api/v1/campaigns/{campaign}/progress"
    answer = await api.client.get(path, headers=await api.key(Role.VIEWER))
    body = answer.json()
    assert body["contacts"] == {"waiting": 2, "in_flight": 0, "finished": 1, "blocked": 0}
    assert body["funnel"] == {"contacts": 3, "called": 1, "talked_to": 1}
    other = await api.other_organization()
    refused = await api.client.get(path, headers=await api.key(Role.OWNER, org_id=other))
    assert_problem(refused, 404, "campaign_not_found")


async def test_a_stream_tells_progress_first_and_each_event_once_and_goes_on_after_the_last_id(api: Api) -> None:
    campaign = await new_campaign(api.db, api.org_id)
    other = await new_campaign(api.db, api.org_id)
    headers, path = await api.key(Role.VIEWER), events_of(campaign)
    async with served(api) as client:
        async with listening(client, headers, path=path) as events:
            assert (await next_of(events, "progress")).data["contacts"]["waiting"] == 2
            await tell(api.db, api.org_id, other, 0)
            await tell(api.db, api.org_id, campaign, 1)
            first = await next_of(events, SETTLED)
            assert first.data["data"] == {"n": 1}
        await tell(api.db, api.org_id, campaign, 2)
        await tell(api.db, api.org_id, campaign, 3)
        async with listening(client, headers, path=path, after=first.id) as events:
            assert [(await next_of(events, SETTLED)).n for _ in range(2)] == [2, 3]


async def test_what_commits_late_is_still_ahead_of_the_reader(api: Api) -> None:
    campaign = await new_campaign(api.db, api.org_id)
    headers = await api.key(Role.VIEWER)
    async with (
        served(api) as client,
        listening(client, headers, path=events_of(campaign)) as events,
        api.db.system() as slow,
    ):
        await record_attempt_events(slow, [AttemptEvent(api.org_id, campaign, SETTLED, data={"n": 1})])
        await tell(api.db, api.org_id, campaign, 2)
        await asyncio.sleep(1.5)  # long enough for the reader to look, and to skip if it did
        await slow.execute("commit")
        assert [(await next_of(events, SETTLED)).n for _ in range(2)] == [1, 2]
        await slow.execute("begin")


async def test_progress_comes_again_when_it_changed_and_only_then(api: Api) -> None:
    campaign = await new_campaign(api.db, api.org_id)
    headers = await api.key(Role.VIEWER)
    async with served(api) as client, listening(client, headers, path=events_of(campaign)) as events:
        await next_of(events, "progress")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(events), 2.5)
    async with served(api) as client, listening(client, headers, path=events_of(campaign)) as events:
        await next_of(events, "progress")
        async with api.db.system() as connection:
            await connection.execute(
                "update contacts set status = 'in-flight' where campaign_id = $1 and status = 'waiting'", campaign
            )
        assert (await next_of(events, "progress")).data["contacts"]["in_flight"] == 2


async def test_a_stream_of_a_strange_campaign_does_not_open_and_ends_with_its_key(api: Api) -> None:
    campaign = await new_campaign(api.db, api.org_id)
    headers = await api.key(Role.VIEWER)
    assert_problem(await api.client.get(events_of(CampaignId(new_id())), headers=headers), 404, "campaign_not_found")
    broken = await api.client.get(events_of(campaign), headers=headers | {"Last-Event-ID": "yesterday"})
    assert_problem(broken, 422, "invalid_input")
    async with served(api) as client, listening(client, headers, path=events_of(campaign)) as events:
        await next_of(events, "progress")
        async with api.db.system() as connection:
            await connection.execute("update api_keys set revoked_at = now()")
        assert (await next_of(events, "stream.ended")).data["reason"] == "unauthorized"


@pytest.mark.parametrize("rows", ["attempts", "contacts"])
async def test_results_come_as_csv_and_json(api: Api, rows: str) -> None:
    campaign = await new_campaign(api.db, api.org_id)
    path, headers = f"/api/v1/campaigns/{campaign}/results", await api.key(Role.VIEWER)
    table = await api.client.get(path, params={"rows": rows}, headers=headers)
    assert table.headers["content-type"].startswith("text/csv")
    assert f"-{rows}.csv" in table.headers["content-disposition"]
    found = list(csv.DictReader(io.StringIO(table.text)))
    assert len(found) == (1 if rows == "attempts" else 3)
    assert found[0]["details.slot"] == "9:30"
    listed = await api.client.get(path, params={"rows": rows, "format": "json"}, headers=headers)
    assert listed.json()[0]["details"] == {"slot": "9:30"}
    assert_problem(await api.client.get(path, params={"format": "pdf"}, headers=headers), 422, "invalid_input")


async def test_webhook_endpoints_are_made_listed_changed_tested_and_removed_by_admins(api: Api) -> None:
    path, headers = "/api/v1/webhook-endpoints", await api.key(Role.ADMIN)
    refused = await api.client.post(path, headers=headers, json={"url": "http://127.0.0.1:9/"})
    assert_problem(refused, 422, "address_forbidden")
    wish = {"url": "https://hooks.example/t", "events": ["attempt.settled"]}
    made = await api.client.post(path, headers=headers, json=wish)
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    [listed] = (await api.client.get(path, headers=headers)).json()
    assert "secret" not in listed
    one = f"{path}/{listed['id']}"
    changed = await api.client.patch(one, headers=headers, json={"enabled": False, "events": []})
    assert (changed.json()["enabled"], changed.json()["events"]) == (False, [])
    assert (await api.client.patch(one, headers=headers, json={"enabled": True})).json()["enabled"] is True
    rotated = (await api.client.post(f"{one}/rotate-secret", headers=headers)).json()
    assert rotated["secret"] not in (made.json()["secret"], None)
    assert rotated["old_secret_until"] > rotated["created_at"]
    assert (await api.client.post(f"{one}/test", headers=headers)).status_code == 202
    [delivery] = (await api.client.get(f"{one}/deliveries", headers=headers)).json()["data"]
    assert (delivery["kind"], delivery["status"]) == ("webhook.test", "pending")
    again = await api.client.post(f"{one}/deliveries/{delivery['id']}/retry", headers=headers)
    assert again.status_code == 202
    strange = await api.client.post(f"{one}/deliveries/{uuid4()}/retry", headers=headers)
    assert_problem(strange, 404, "webhook_delivery_not_found")
    assert (await api.client.delete(one, headers=headers)).status_code == 200
    assert_problem(await api.client.get(f"{one}/deliveries", headers=headers), 404, "webhook_endpoint_not_found")
    supervisor = await api.key(Role.SUPERVISOR)
    assert_problem(await api.client.get(path, headers=supervisor), 403, "forbidden")
    assert_problem(await api.client.post(f"{one}/rotate-secret", headers=supervisor), 403, "forbidden")
