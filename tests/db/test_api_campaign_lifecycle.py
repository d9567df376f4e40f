"""A campaign's life over REST: settings, preflight, canary, redial, schedules, single calls."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.auth.principal import Role
from app.ids import new_id
from tests.db.api_world import CALLER_ID, Api, assert_problem

pytestmark = pytest.mark.db

CAMPAIGNS, SCHEDULES, CALLS = "/api/v1/campaigns", "/api/v1/schedules", "/api/v1/scheduled-calls"
FILE = b"phone,name,time_zone\n+12025550110,Ada,America/New_York\n+12025550111,Bo,Europe/Berlin\n+12025550112,Cy,\n"
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()


async def make(api: Api, headers: dict[str, str], **fields: Any) -> dict[str, Any]:
    """A draft of three contacts."""
    data = {"name": "Recall", "team": "reception"} | fields
    answer = await api.client.post(CAMPAIGNS, headers=headers, data=data, files={"file": ("contacts.csv", FILE)})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_draft_is_made_of_json_with_every_setting_and_made_once(api: Api) -> None:
    headers = await api.key(Role.SUPERVISOR) | {"Idempotency-Key": "one"}
    plan = {
        "name": "Recall",
        "team": "reception",
        "from_number": CALLER_ID,
        "mode": "ai",
        "priority": 3,
        "share": 2.5,
        "deadline_at": TOMORROW,
        "region": "US",
        "ends_when_done": False,
        "retry": {"max_attempts": 4, "outcomes": {"busy": {"delays_seconds": [60, 300], "next_number": True}}},
        "canary": {"contacts": 20},
        "caps": {},
    }
    made = await api.client.post(CAMPAIGNS, headers=headers, json=plan)
    assert made.status_code == 201, made.text
    campaign = made.json()
    assert (campaign["priority"], campaign["share"], campaign["max_attempts"]) == (3, 2.5, 4)
    assert campaign["retry"]["outcomes"]["busy"]["delays_seconds"] == [60, 300]
    assert campaign["settings"]["canary"] == {"contacts": 20}
    assert (await api.client.post(CAMPAIGNS, headers=headers, json=plan)).json()["id"] == campaign["id"]
    other = await api.client.post(CAMPAIGNS, headers=headers, json=plan | {"name": "Other"})
    assert_problem(other, 409, "idempotency_key_reused")


async def test_a_form_with_its_file_makes_one_campaign_and_a_file_that_cannot_be_used_uses_up_no_key(api: Api) -> None:
    headers = await api.key(Role.SUPERVISOR) | {"Idempotency-Key": "form"}
    data = {"name": "Recall", "team": "reception"}
    unusable = await api.client.post(CAMPAIGNS, headers=headers, data=data, files={"file": ("c.csv", b"name\nAda\n")})
    assert unusable.status_code == 422
    made = await make(api, headers)
    assert await make(api, headers) == made
    assert made["import"]["accepted"] == 3
    other = await api.client.post(CAMPAIGNS, headers=headers, data=data, files={"file": ("c.csv", FILE[:-1] + b"x\n")})
    assert_problem(other, 409, "idempotency_key_reused")
    assert len((await api.client.get(CAMPAIGNS, headers=headers)).json()["data"]) == 1


async def test_every_fault_of_the_settings_has_its_path(api: Api) -> None:
    plan = {"name": "Recall", "team": "reception", "retry": {"max_attempts": 0}, "breaker": {"surprise": 1}}
    document = assert_problem(
        await api.client.post(CAMPAIGNS, headers=await api.key(), json=plan), 422, "invalid_campaign_settings"
    )
    assert {fault["path"] for fault in document["errors"]} >= {"body.retry.max_attempts"}


async def test_a_form_takes_settings_as_json_text(api: Api) -> None:
    headers = await api.key()
    made = await make(api, headers, canary='{"contacts": 7}', priority="2")
    assert (made["settings"]["canary"], made["priority"]) == ({"contacts": 7}, 2)
    data = {"name": "Recall", "team": "reception", "canary": "{"}
    answer = await api.client.post(CAMPAIGNS, headers=headers, data=data, files={"file": ("c.csv", FILE)})
    assert assert_problem(answer, 422, "invalid_input")["errors"][0]["path"] == "body.canary"


async def test_it_is_changed_while_it_does_not_dial_and_only_what_is_sent(api: Api) -> None:
    headers = await api.key()
    made = await make(api, headers, max_concurrent="9")
    path = f"{CAMPAIGNS}/{made['id']}"
    edited = await api.client.patch(path, headers=headers, json={"calls_per_second": 3, "canary": {"contacts": 5}})
    assert edited.status_code == 200, edited.text
    assert (edited.json()["calls_per_second"], edited.json()["max_concurrent"]) == (3.0, 9)
    assert edited.json()["settings"]["canary"] == {"contacts": 5}
    started = await api.client.post(f"{path}/start", headers=headers)
    assert (started.json()["status"], started.json()["canary_status"]) == ("running", "dialing")
    refused = await api.client.patch(path, headers=headers, json={"name": "x"})
    assert_problem(refused, 409, "campaign_state")
    canary = (await api.client.get(f"{path}/canary", headers=headers)).json()
    assert (canary["status"], canary["dialed"], canary["verdict"]) == ("dialing", 0, "wait")
    passed = await api.client.post(f"{path}/canary/pass", headers=headers)
    assert passed.json()["canary_status"] == "passed"
    ended = await api.client.post(f"{path}/finish", headers=headers)
    assert (ended.json()["status"], ended.json()["finish_reason"]) == ("finished", "stopped")


async def test_preflight_tells_who_is_called_where_who_is_not_and_when_it_is_through(api: Api) -> None:
    headers = await api.key()
    entry = {"phone": "+12025550112", "reason": "asked"}
    assert (await api.client.post("/api/v1/do-not-call", headers=headers, json=entry)).status_code == 201
    made = await make(api, headers, calling='{"defaults": false}')
    late = {"phone": "+12025550111", "reason": "asked later"}
    await api.client.post("/api/v1/do-not-call", headers=headers, json=late)
    answer = await api.client.get(f"{CAMPAIGNS}/{made['id']}/preflight", headers=headers)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["ready"] is True
    assert found["contacts"] == {"waiting": 2, "in_flight": 0, "finished": 0, "blocked": 1}
    assert {row["zone"]: row["contacts"] for row in found["zones"]} == {"America/New_York": 1, "Europe/Berlin": 1}
    assert [(row["gate"], row["contacts"]) for row in found["blocked"]] == [("do-not-call", 1)]
    assert [(row["gate"], row["contacts"], row["for_good"]) for row in found["refused"]] == [("do-not-call", 1, True)]
    checks = {check["name"]: check["level"] for check in found["checks"]}
    assert checks["team"] == checks["number"] == "ok"
    assert checks["dialer"] == checks["contacts"] == "warning"
    assert found["forecast"]["dials"] >= 2
    assert found["forecast"]["finish_at"] is not None


async def test_preflight_of_what_cannot_run_is_not_ready(api: Api) -> None:
    headers = await api.key()
    empty = (await api.client.post(CAMPAIGNS, headers=headers, json={"name": "R", "team": "reception"})).json()
    async with api.db.system() as connection:
        await connection.execute("update team_versions set status = 'archived'")
    found = (await api.client.get(f"{CAMPAIGNS}/{empty['id']}/preflight", headers=headers)).json()
    assert found["ready"] is False
    assert {check["name"] for check in found["checks"] if check["level"] == "error"} == {"team", "contacts"}


async def test_preflight_of_a_peoples_campaign_counts_the_operators_who_take_its_calls(api: Api) -> None:
    headers = await api.key()
    plan = {"name": "R", "team": "reception", "mode": "progressive"}
    ours, others = [(await api.client.post(CAMPAIGNS, headers=headers, json=plan)).json()["id"] for _ in range(2)]
    people = [("Ada", None, "available"), ("Bo", [ours], "offline"), ("Cy", [others], "available")]
    async with api.db.system() as connection:
        for name, campaigns, state in people:
            await connection.execute(
                "insert into operators (id, org_id, name, campaigns, state) values ($1, $2, $3, $4, $5)",
                new_id(),
                api.org_id,
                name,
                campaigns,
                state,
            )
    found = (await api.client.get(f"{CAMPAIGNS}/{ours}/preflight", headers=headers)).json()
    told = {check["name"]: check["detail"] for check in found["checks"]}
    assert told["mode"] == "progressive: 1 of its 2 operators are there"


async def test_those_it_did_not_reach_become_a_new_campaign(api: Api) -> None:
    headers = await api.key()
    made = await make(api, headers)
    path = f"{CAMPAIGNS}/{made['id']}/redial"
    assert_problem(await api.client.post(path, headers=headers, json={}), 409, "campaign_state")
    async with api.db.system() as connection:
        await connection.execute("update contacts set status = 'finished', disposition = 'busy' where name <> 'Cy'")
    redial = await api.client.post(path, headers=headers, json={"name": "Again", "outcomes": ["busy"]})
    assert redial.status_code == 201, redial.text
    assert redial.json()["contacts"] == 2
    assert redial.json()["campaign"]["parent_id"] == made["id"]
    assert redial.json()["campaign"]["name"] == "Again"


async def test_a_schedule_is_made_changed_and_forgotten(api: Api) -> None:
    headers = await api.key(Role.SUPERVISOR)
    made = await make(api, headers)
    plan = {"name": "Mondays", "campaign_id": made["id"], "cron": "0 9 * * 1", "time_zone": "america/new york"}
    answer = await api.client.post(SCHEDULES, headers=headers, json=plan)
    assert answer.status_code == 201, answer.text
    schedule = answer.json()
    assert schedule["time_zone"] == "America/New_York"
    assert datetime.fromisoformat(schedule["next_at"]).weekday() == 0
    path = f"{SCHEDULES}/{schedule['id']}"
    off = await api.client.patch(path, headers=headers, json={"enabled": False})
    assert (off.json()["enabled"], off.json()["cron"]) == (False, "0 9 * * 1")
    assert (await api.client.get(SCHEDULES, headers=headers)).json()["data"] == [off.json()]
    assert (await api.client.get(f"{path}/runs", headers=headers)).json() == {"data": []}
    wrong = await api.client.patch(path, headers=headers, json={"cron": "0 9 31 2 *"})
    assert_problem(wrong, 422, "invalid_cron")
    assert (await api.client.delete(path, headers=headers)).status_code == 204
    assert_problem(await api.client.get(path, headers=headers), 404, "schedule_not_found")


async def test_a_single_call_is_scheduled_once_and_taken_back(api: Api) -> None:
    headers = await api.key(Role.SUPERVISOR) | {"Idempotency-Key": "call"}
    plan = {"to": "202 555 0142", "team": "reception", "at": TOMORROW, "name": "Ada", "variables": {"day": "Tuesday"}}
    answer = await api.client.post(CALLS, headers=headers, json=plan)
    assert answer.status_code == 201, answer.text
    call = answer.json()
    assert (call["to"], call["status"], call["contact_status"]) == ("+12025550142", "scheduled", "waiting")
    assert (await api.client.post(CALLS, headers=headers, json=plan)).json()["id"] == call["id"]
    assert (await api.client.get(CAMPAIGNS, headers=headers)).json()["data"] == []
    assert (await api.client.get(CALLS, headers=headers)).json()["data"] == [call]
    taken = await api.client.delete(f"{CALLS}/{call['id']}", headers=headers)
    assert taken.json()["status"] == "finished"
    zone = await api.client.post(CALLS, headers=await api.key(), json=plan | {"time_zone": "Mars/Olympus"})
    assert_problem(zone, 422, "unknown_time_zone")


async def test_another_organization_sees_none_of_it_and_a_viewer_changes_nothing(api: Api) -> None:
    headers, viewer = await api.key(), await api.key(Role.VIEWER)
    made = await make(api, headers)
    plan = {"name": "Mondays", "campaign_id": made["id"], "cron": "@daily", "time_zone": "UTC"}
    schedule = (await api.client.post(SCHEDULES, headers=headers, json=plan)).json()
    other = await api.key(org_id=await api.other_organization())
    for path in (f"{CAMPAIGNS}/{made['id']}/preflight", f"{SCHEDULES}/{schedule['id']}", f"{CALLS}/{made['id']}"):
        assert (await api.client.get(path, headers=other)).status_code == 404
    assert (await api.client.post(SCHEDULES, headers=other, json=plan)).status_code == 404
    assert (await api.client.get(f"{CAMPAIGNS}/{made['id']}/preflight", headers=viewer)).status_code == 200
    for method, path in (("PATCH", f"{CAMPAIGNS}/{made['id']}"), ("DELETE", f"{SCHEDULES}/{schedule['id']}")):
        assert (await api.client.request(method, path, headers=viewer, json={})).status_code == 403
