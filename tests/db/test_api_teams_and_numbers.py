"""Teams, numbers and API keys over REST."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.accounts.api_keys import create_api_key
from app.auth.principal import ROLE_SCOPES, Role, Scope
from tests.db.api_world import CALLER_ID, Api, assert_problem

pytestmark = pytest.mark.db

TEAMS, NUMBERS, KEYS = "/api/v1/teams", "/api/v1/numbers", "/api/v1/api_keys"
TEAM_FILE = (Path(__file__).parents[2] / "examples" / "harbor-dental" / "team.yaml").read_text()


async def test_a_team_file_is_pushed_as_yaml_or_json_and_each_push_is_a_version(api: Api) -> None:
    headers = await api.key(Role.ADMIN)
    yaml = headers | {"Content-Type": "text/yaml"}
    first = await api.client.post(TEAMS, headers=yaml, content=TEAM_FILE)
    assert first.status_code == 201, first.text
    assert (first.json()["version"], first.json()["status"]) == (1, "published")
    second = await api.client.post(TEAMS, headers=headers, json={"source": TEAM_FILE})
    assert second.json()["version"] == 2
    draft = await api.client.post(f"{TEAMS}?publish=false", headers=yaml, content=TEAM_FILE)
    assert (draft.json()["version"], draft.json()["status"]) == (3, "draft")
    teams = {team["slug"]: team for team in (await api.client.get(TEAMS, headers=headers)).json()["data"]}
    pushed = teams[first.json()["slug"]]
    assert (pushed["published_version"], pushed["latest_version"]) == (2, 3)


async def test_every_fault_of_a_team_file_is_named_with_its_path_and_nothing_is_stored(api: Api) -> None:
    headers = await api.key(Role.ADMIN)
    source = "name: X\nslug: x y\nentry: nobody\nagents:\n  - name: a\n    instructions: hi\n    tools: [fly]\n"
    response = await api.client.post(TEAMS, headers=headers | {"Content-Type": "text/yaml"}, content=source)
    document = assert_problem(response, 422, "invalid_team")
    paths = {fault["path"] for fault in document["errors"]}
    assert len(paths) >= 2, document
    slugs = [team["slug"] for team in (await api.client.get(TEAMS, headers=headers)).json()["data"]]
    assert slugs == ["reception"]


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("text/yaml", b""),
        ("text/yaml", b"\xff\xfe\x00"),
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b'{"sauce": "x"}'),
        ("text/yaml", b"&a [*a, *a"),
    ],
)
async def test_a_body_that_is_no_team_file_is_a_problem(api: Api, content_type: str, content: bytes) -> None:
    headers = await api.key(Role.ADMIN) | {"Content-Type": content_type}
    response = await api.client.post(TEAMS, headers=headers, content=content)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["errors"]


async def test_a_number_is_added_with_the_team_that_answers_it(api: Api) -> None:
    headers = await api.key(Role.ADMIN)
    body = {"e164": "(202) 555-0150", "carrier": "twilio", "team": "reception", "name": "Main"}
    made = await api.client.post(NUMBERS, headers=headers, json=body)
    assert made.status_code == 201, made.text
    assert made.json()["e164"] == "+12025550150"
    team_id = (await api.client.get(TEAMS, headers=headers)).json()["data"][0]["id"]
    assert made.json()["team_id"] == team_id
    listed = (await api.client.get(NUMBERS, headers=await api.key(Role.VIEWER))).json()["data"]
    assert {number["e164"] for number in listed} == {CALLER_ID, "+12025550150"}


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"e164": CALLER_ID}, 409, "number_taken"),
        ({"e164": "12345"}, 422, "invalid_number"),
        ({"team": "nobody"}, 422, "team_not_found"),
        ({"carrier": "pigeon"}, 422, "invalid_input"),
    ],
)
async def test_a_number_that_cannot_be_added_leaves_nothing(
    api: Api, change: dict[str, str], status: int, code: str
) -> None:
    headers = await api.key(Role.ADMIN)
    body = {"e164": "+12025550150", "carrier": "twilio", "team": "reception"} | change
    assert_problem(await api.client.post(NUMBERS, headers=headers, json=body), status, code)
    assert len((await api.client.get(NUMBERS, headers=headers)).json()["data"]) == 1


async def test_a_number_of_another_organization_is_taken_and_not_shown(api: Api) -> None:
    headers = await api.key(Role.ADMIN, org_id=await api.other_organization())
    assert (await api.client.get(NUMBERS, headers=headers)).json()["data"] == []
    response = await api.client.post(NUMBERS, headers=headers, json={"e164": CALLER_ID, "carrier": "twilio"})
    assert CALLER_ID not in str(assert_problem(response, 409, "number_taken"))


async def make_key(api: Api, headers: dict[str, str], **change: Any) -> Any:
    body = {"name": "CRM", "role": "viewer", "scopes": ["calls:read"]} | change
    return await api.client.post(KEYS, headers=headers, json=body)


async def test_a_key_is_made_shown_once_works_is_revoked_and_works_no_more(api: Api) -> None:
    headers = await api.key(Role.ADMIN)
    made = await make_key(api, headers)
    assert made.status_code == 201
    key = made.json().pop("key")
    mine = {"X-API-Key": key}
    assert (await api.client.get("/api/v1/calls", headers=mine)).status_code == 200
    listed = (await api.client.get(KEYS, headers=headers)).json()
    assert key not in str(listed)
    assert [entry["name"] for entry in listed["data"]] == ["CRM", "test"]
    assert listed["data"][0]["prefix"] == key[:9]
    revoked = await api.client.delete(f"{KEYS}/{made.json()['id']}", headers=headers)
    again = await api.client.delete(f"{KEYS}/{made.json()['id']}", headers=headers)
    assert revoked.json()["revoked_at"] == again.json()["revoked_at"] is not None
    assert_problem(await api.client.get("/api/v1/calls", headers=mine), 401, "unauthorized")


@pytest.mark.parametrize(
    ("maker", "change", "status", "code"),
    [
        (Role.ADMIN, {"role": "owner"}, 403, "key_gives_too_much"),
        (Role.ADMIN, {"scopes": ["calls:write"]}, 422, "invalid_input"),
        (Role.ADMIN, {"scopes": []}, 422, "invalid_input"),
        (Role.ADMIN, {"scopes": ["everything"]}, 422, "invalid_input"),
        (Role.ADMIN, {"expires_at": "2020-01-01T00:00:00Z"}, 422, "invalid_input"),
        (Role.ADMIN, {"expires_at": "2030-01-01T00:00:00"}, 422, "invalid_input"),
        (Role.SUPERVISOR, {}, 403, "forbidden"),
    ],
)
async def test_nobody_gives_out_more_than_they_have(
    api: Api, maker: Role, change: dict[str, Any], status: int, code: str
) -> None:
    assert_problem(await make_key(api, await api.key(maker), **change), status, code)


async def test_a_key_cannot_make_one_of_a_scope_it_lacks_or_that_outlives_it(api: Api) -> None:
    narrow = await api.key(Role.ADMIN, scopes=[Scope.ADMIN])
    assert_problem(await make_key(api, narrow), 403, "key_gives_too_much")
    until = datetime.now(UTC) + timedelta(hours=1)
    _, text = await create_api_key(
        api.db, api.org_id, name="k", role=Role.ADMIN, scopes=ROLE_SCOPES[Role.ADMIN], expires_at=until
    )
    brief = {"X-API-Key": text}
    assert_problem(await make_key(api, brief), 403, "key_gives_too_much")
    later = (until + timedelta(seconds=1)).isoformat()
    assert_problem(await make_key(api, brief, expires_at=later), 403, "key_gives_too_much")
    assert (await make_key(api, brief, expires_at=until.isoformat())).status_code == 201


async def test_another_organizations_key_cannot_be_seen_or_revoked(api: Api) -> None:
    key_id = (await make_key(api, await api.key())).json()["id"]
    other = await api.key(org_id=await api.other_organization())
    assert len((await api.client.get(KEYS, headers=other)).json()["data"]) == 1
    for which in (key_id, uuid4()):
        assert_problem(await api.client.delete(f"{KEYS}/{which}", headers=other), 404, "api_key_not_found")


async def test_keys_come_in_pages(api: Api) -> None:
    headers = await api.key()
    for n in range(4):
        await make_key(api, headers, name=f"key {n}")
    first = (await api.client.get(KEYS, headers=headers, params={"limit": 3})).json()
    query = {"limit": 3, "cursor": first["next_cursor"]}
    second = (await api.client.get(KEYS, headers=headers, params=query)).json()
    names = [key["name"] for key in first["data"] + second["data"]]
    assert names == ["key 3", "key 2", "key 1", "key 0", "test"]
    assert second["next_cursor"] is None
