"""What the api refuses at once, with the path of each fault, instead of storing it or breaking on it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.auth.principal import Role
from tests.db.api_world import CALLER_ID, Api, assert_problem

pytestmark = pytest.mark.db

CAMPAIGNS, SCHEDULES, CALLS = "/api/v1/campaigns", "/api/v1/schedules", "/api/v1/scheduled-calls"
PLAN = {"name": "Recall", "team": "reception"}
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()
BEYOND = "9999-12-31T23:59:59-12:00"
"""An instant that does not fit into UTC."""


async def make(api: Api, headers: dict[str, str]) -> str:
    made = await api.client.post(CAMPAIGNS, headers=headers, json=PLAN)
    assert made.status_code == 201, made.text
    return made.json()["id"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"calls_per_second": 0.0001},
        {"share": 0.0004},
        {"deadline_at": BEYOND},
        {"starts_at": BEYOND},
        {"deadline_at": "2020-01-01T00:00:00Z"},
        {"region": "ZZ"},
        {"name": "  "},
        {"name": None},
    ],
)
async def test_a_value_that_cannot_be_meant_is_a_fault_when_a_campaign_is_made_and_when_it_is_changed(
    api: Api, wrong: dict[str, Any]
) -> None:
    headers = await api.key()
    [name] = wrong
    campaign = await make(api, headers)
    for answer in (
        await api.client.post(CAMPAIGNS, headers=headers, json=PLAN | wrong),
        await api.client.patch(f"{CAMPAIGNS}/{campaign}", headers=headers, json=wrong),
    ):
        assert answer.status_code == 422, answer.text
        assert [fault["path"] for fault in answer.json()["errors"]] == [f"body.{name}"]


async def test_a_country_may_be_written_in_small_letters_and_a_name_loses_its_edges(api: Api) -> None:
    headers = await api.key()
    edit = {"region": "gb", "name": " Recall, again "}
    edited = await api.client.patch(f"{CAMPAIGNS}/{await make(api, headers)}", headers=headers, json=edit)
    assert (edited.json()["region"], edited.json()["name"]) == ("GB", "Recall, again")


async def test_a_schedule_that_could_never_do_anything_is_not_made(api: Api) -> None:
    headers = await api.key(Role.SUPERVISOR)
    plan = {"name": "Daily", "campaign_id": await make(api, headers), "cron": "@daily", "time_zone": "UTC"}
    far = await api.client.post(SCHEDULES, headers=headers, json=plan | {"ends_at": BEYOND})
    assert [fault["path"] for fault in far.json()["errors"]] == ["body.ends_at"]
    assert (await api.client.post(SCHEDULES, headers=headers, json=plan | {"name": " "})).status_code == 422
    copying = (await api.client.post(SCHEDULES, headers=headers, json=plan)).json()
    await api.client.post(f"{CAMPAIGNS}/{plan['campaign_id']}/finish", headers=headers)
    for action in ("start", "pause"):
        asked = plan | {"action": action}
        assert_problem(await api.client.post(SCHEDULES, headers=headers, json=asked), 409, "campaign_state")
        path = f"{SCHEDULES}/{copying['id']}"
        changed = await api.client.patch(path, headers=headers, json={"action": action})
        assert_problem(changed, 409, "campaign_state")
    assert (await api.client.post(SCHEDULES, headers=headers, json=plan)).status_code == 201


@pytest.mark.parametrize(
    ("wrong", "code", "says"),
    [
        ({"at": "2020-01-01T00:00:00Z"}, "call_in_the_past", "has passed"),
        ({"at": BEYOND}, "invalid_input", "between the years"),
        ({"to": "+12025550144"}, "call_forbidden", "do-not-call"),
        ({"to": "+442079460144"}, "call_forbidden", "toll-gate"),
        ({"to": CALLER_ID}, "call_forbidden", "toll-gate"),
        ({"consent": {"need": "required"}}, "call_forbidden", "consent"),
        ({"calling": {"hours": {"sun": "02:00-02:30"}}}, "call_forbidden", "calling-hours"),
    ],
)
async def test_a_single_call_that_would_never_be_made_is_refused_at_once_and_leaves_nothing(
    api: Api, wrong: dict[str, Any], code: str, says: str
) -> None:
    headers = await api.key()
    await api.client.post("/api/v1/do-not-call", headers=headers, json={"phone": "+12025550144"})
    plan = {"to": "+12025550142", "team": "reception", "at": TOMORROW}
    answer = await api.client.post(CALLS, headers=headers, json=plan | wrong)
    assert_problem(answer, 422, code)
    assert says in answer.text
    assert (await api.client.get(CALLS, headers=headers)).json()["data"] == []
    assert (await api.client.post(CALLS, headers=headers, json=plan)).status_code == 201


async def test_a_single_call_for_now_is_not_late_and_a_repeated_request_is_answered_after_its_time(api: Api) -> None:
    headers = await api.key() | {"Idempotency-Key": "now"}
    at = (datetime.now(UTC) - timedelta(seconds=10)).isoformat()
    plan = {"to": "+12025550142", "team": "reception", "at": at}
    made = await api.client.post(CALLS, headers=headers, json=plan)
    assert made.status_code == 201, made.text
    async with api.db.system() as connection:
        await connection.execute("update campaigns set starts_at = now() - interval '1 day'")
    assert (await api.client.post(CALLS, headers=headers, json=plan)).json()["id"] == made.json()["id"]


async def test_a_preview_for_a_team_that_is_not_there_says_so(api: Api) -> None:
    file = {"file": ("contacts.csv", b"phone\n+12025550110\n")}
    path, headers = "/api/v1/import-previews", await api.key()
    wrong = await api.client.post(path, headers=headers, data={"team": "nope"}, files=file)
    assert_problem(wrong, 422, "team_not_published")
    assert (await api.client.post(path, headers=headers, data={"team": "reception"}, files=file)).status_code == 200


async def test_an_endpoint_that_is_turned_off_gets_no_test(api: Api) -> None:
    headers = await api.key()
    made = await api.client.post(
        "/api/v1/webhook-endpoints", headers=headers, json={"url": "https://crm.example.com/hooks"}
    )
    assert made.status_code == 201, made.text
    path = f"/api/v1/webhook-endpoints/{made.json()['id']}"
    assert (await api.client.patch(path, headers=headers, json={"enabled": False})).status_code == 200
    assert_problem(await api.client.post(f"{path}/test", headers=headers), 409, "webhook_endpoint_off")
