"""Campaigns over REST."""

import csv
import io
import tempfile
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.api.wire import requests
from app.auth.principal import Role
from tests.db.api_world import CALLER_ID, Api, assert_problem

pytestmark = pytest.mark.db

CAMPAIGNS = "/api/v1/campaigns"
FILE = b"phone,name,day\n+12025550110,Ada,Monday\n202 555 0111,Bo,Tuesday\n12,Cy,\n+12025550110,Ada,Monday\n"


async def create(api: Api, headers: dict[str, str], *, file: bytes = FILE, **fields: Any) -> httpx.Response:
    data = {"name": "Recall", "team": "reception"} | fields
    return await api.client.post(CAMPAIGNS, headers=headers, data=data, files={"file": ("contacts.csv", file)})


async def test_a_file_becomes_a_campaign_whose_bad_rows_are_reported_with_line_and_reason(api: Api) -> None:
    headers = await api.key(Role.SUPERVISOR)
    response = await create(api, headers, max_attempts="2", retry_delay_seconds="60", calls_per_second="2.5")
    assert response.status_code == 201, response.text
    campaign = response.json()
    assert campaign["status"] == "draft"
    assert campaign["from_number"] == CALLER_ID
    assert campaign["max_attempts"] == 2
    assert campaign["calls_per_second"] == 2.5
    report = campaign["import"]
    assert (report["rows"], report["accepted"], report["rejected"], report["duplicates"]) == (4, 2, 1, 1)
    assert [(fault["line"], fault["column"], fault["value"]) for fault in report["errors"]] == [
        (4, "phone", "12"),
        (5, "phone", "+12025550110"),
    ]
    assert all(fault["reason"] for fault in report["errors"])
    stored = (await api.client.get(f"{CAMPAIGNS}/{campaign['id']}", headers=headers)).json()
    assert stored == campaign
    listed = (await api.client.get(CAMPAIGNS, headers=headers)).json()
    contacts = {"waiting": 2, "in_flight": 0, "finished": 0, "blocked": 0}
    assert listed == {"data": [campaign | {"contacts": contacts}], "next_cursor": None}


async def test_the_list_is_narrowed_by_status_and_name_and_a_word_that_is_no_status_is_refused(api: Api) -> None:
    headers = await api.key(Role.SUPERVISOR)
    one = (await create(api, headers, name="Recall of May")).json()["id"]
    await create(api, headers, name="100 % Surveys")
    await api.client.post(f"{CAMPAIGNS}/{one}/start", headers=headers)

    async def names(**query: Any) -> list[str]:
        answer = await api.client.get(CAMPAIGNS, headers=headers, params=query)
        return [row["name"] for row in answer.json()["data"]]

    assert await names(status="running") == ["Recall of May"]
    assert await names(status="draft", name="recall") == []
    assert await names(name="% s") == ["100 % Surveys"]
    first = (await api.client.get(CAMPAIGNS, headers=headers, params={"limit": 1})).json()
    assert await names(limit=1, cursor=first["next_cursor"]) == ["Recall of May"]
    assert_problem(await api.client.get(CAMPAIGNS, headers=headers, params={"status": "nope"}), 422, "invalid_input")


async def test_a_draft_is_deleted_with_its_contacts_and_nothing_that_ever_ran_is(api: Api) -> None:
    headers, supervisor = await api.key(Role.ADMIN), await api.key(Role.SUPERVISOR)
    draft, ran = [(await create(api, headers)).json()["id"] for _ in range(2)]
    await api.client.post(f"{CAMPAIGNS}/{ran}/start", headers=headers)
    stranger = await api.key(org_id=await api.other_organization())
    assert_problem(await api.client.delete(f"{CAMPAIGNS}/{draft}", headers=supervisor), 403, "forbidden")
    assert_problem(await api.client.delete(f"{CAMPAIGNS}/{draft}", headers=stranger), 404, "campaign_not_found")
    assert_problem(await api.client.delete(f"{CAMPAIGNS}/{ran}", headers=headers), 409, "campaign_state")
    assert (await api.client.delete(f"{CAMPAIGNS}/{draft}", headers=headers)).status_code == 204
    assert_problem(await api.client.delete(f"{CAMPAIGNS}/{draft}", headers=headers), 404, "campaign_not_found")
    async with api.db.system() as connection:
        left = await connection.fetch("select distinct campaign_id::text as id from contacts")
    assert [row["id"] for row in left] == [ran]


async def test_a_draft_of_which_a_campaign_was_made_or_into_which_an_import_runs_is_kept(api: Api) -> None:
    headers = await api.key(Role.ADMIN)
    draft = (await create(api, headers)).json()["id"]
    async with api.db.system() as connection:
        await connection.execute("update campaigns set parent_id = id where id = $1", UUID(draft))
    assert_problem(await api.client.delete(f"{CAMPAIGNS}/{draft}", headers=headers), 409, "campaign_state")
    async with api.db.system() as connection:
        await connection.execute("update campaigns set parent_id = null where id = $1", UUID(draft))
        await connection.execute("update imports set status = 'running' where campaign_id = $1", UUID(draft))
    assert_problem(await api.client.delete(f"{CAMPAIGNS}/{draft}", headers=headers), 409, "campaign_state")


async def test_a_campaign_is_started_paused_and_watched(api: Api) -> None:
    headers = await api.key(Role.SUPERVISOR)
    campaign_id = (await create(api, headers)).json()["id"]
    pause = await api.client.post(f"{CAMPAIGNS}/{campaign_id}/pause", headers=headers)
    assert_problem(pause, 409, "campaign_state")
    for verb, status in (("start", "running"), ("start", "running"), ("pause", "paused"), ("start", "running")):
        response = await api.client.post(f"{CAMPAIGNS}/{campaign_id}/{verb}", headers=headers)
        assert response.json()["status"] == status
    progress = (await api.client.get(f"{CAMPAIGNS}/{campaign_id}/progress", headers=headers)).json()
    assert progress["status"] == "running"
    assert progress["contacts"] == {"waiting": 2, "in_flight": 0, "finished": 0, "blocked": 0}
    assert progress["attempts"]["dialed"] == 0
    results = await api.client.get(f"{CAMPAIGNS}/{campaign_id}/results", headers=headers)
    assert results.headers["content-type"].startswith("text/csv")
    assert "attachment" in results.headers["content-disposition"]
    assert next(csv.reader(io.StringIO(results.text)))[:4] == ["line", "phone", "name", "attempt"]


async def test_another_organizations_campaign_is_not_there(api: Api) -> None:
    campaign_id = (await create(api, await api.key())).json()["id"]
    other = await api.key(org_id=await api.other_organization())
    assert (await api.client.get(CAMPAIGNS, headers=other)).json()["data"] == []
    for method, path in (
        ("GET", ""),
        ("GET", "/progress"),
        ("GET", "/results"),
        ("POST", "/start"),
        ("POST", "/pause"),
    ):
        for which in (campaign_id, uuid4()):
            response = await api.client.request(method, f"{CAMPAIGNS}/{which}{path}", headers=other)
            assert_problem(response, 404, "campaign_not_found")


async def test_every_fault_of_the_form_is_listed_at_once(api: Api) -> None:
    fields = {"max_concurrent": "0", "calls_per_second": "fast", "name": "", "surprise": "x"}
    response = await api.client.post(CAMPAIGNS, headers=await api.key(), data=fields)
    document = assert_problem(response, 422, "invalid_input")
    assert {fault["path"] for fault in document["errors"]} == {
        f"body.{name}" for name in ("file", "name", "team", "max_concurrent", "calls_per_second", "surprise")
    }


@pytest.mark.parametrize(
    ("file", "fields", "status", "code"),
    [
        (b"", {}, 422, "empty_file"),
        (b"phone\n", {}, 422, "empty_file"),
        (b"name\nAda\n", {}, 422, "no_phone_column"),
        (b"\x1f\x8b\x08\x00", {}, 422, "unknown_format"),
        (FILE, {"team": "nobody"}, 422, "team_not_published"),
        (FILE, {"from_number": "+12025550199"}, 422, "no_caller_id"),
        (FILE, {"from_number": "twelve"}, 422, "invalid_number"),
    ],
)
async def test_what_cannot_be_used_leaves_no_campaign(
    api: Api, file: bytes, fields: dict[str, str], status: int, code: str
) -> None:
    headers = await api.key()
    assert_problem(await create(api, headers, file=file, **fields), status, code)
    assert (await api.client.get(CAMPAIGNS, headers=headers)).json()["data"] == []


@pytest.mark.parametrize("content_type", ["application/json", "text/csv", "multipart/form-data", ""])
async def test_a_body_that_is_no_form_is_a_problem(api: Api, content_type: str) -> None:
    headers = await api.key() | {"Content-Type": content_type}
    response = await api.client.post(CAMPAIGNS, headers=headers, content=FILE)
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_file_over_the_limit_is_413_and_who_may_not_send_one_is_refused_before_it_is_read(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "MOST_UPLOAD_BYTES", 300_000)
    sent = 0

    async def large() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\nphone\n'
        for _ in range(100):
            sent += 1
            yield b"+12025550110\n" * 1000
        yield b"\r\n--b--\r\n"

    for role, status, most in ((Role.SUPERVISOR, 413, 25), (Role.VIEWER, 403, 0)):
        sent = 0
        headers = await api.key(role) | {"Content-Type": "multipart/form-data; boundary=b"}
        response = await api.client.post(CAMPAIGNS, headers=headers, content=large())
        assert_problem(response, status, "content_too_large" if status == 413 else "forbidden")
        assert sent <= most


async def test_a_large_file_lies_on_disk_while_it_is_read(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    rolled: list[bool] = []
    original = tempfile.SpooledTemporaryFile.rollover
    monkeypatch.setattr(
        tempfile.SpooledTemporaryFile, "rollover", lambda self: (rolled.append(True), original(self))[1]
    )
    rows = b"".join(b"+1202555%04d,%s\n" % (n, b"x" * 15_000) for n in range(100, 200))
    response = await create(api, await api.key(), file=b"phone,note\n" + rows)
    # One of them is the organization's own number.
    assert response.json()["import"]["accepted"] == 99
    assert rolled
