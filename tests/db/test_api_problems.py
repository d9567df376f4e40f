"""What every answer has in common: its id, its errors, its limits; and how the process says how it is."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from app.auth.principal import Role
from tests.db.api_world import Api, Wire, api_settings, assert_problem, open_api, until

pytestmark = pytest.mark.db

CALLS = "/api/v1/calls"


async def test_every_answer_has_a_request_id_and_a_good_one_is_kept(api: Api) -> None:
    fresh = (await api.client.get("/healthz")).headers["x-request-id"]
    assert len(fresh) == 36
    kept = await api.client.get("/healthz", headers={"X-Request-ID": "trace-0123.ABC_x"})
    assert kept.headers["x-request-id"] == "trace-0123.ABC_x"
    for bad in ("short", "with space in it", 'quote"quote"quote', "x" * 129):
        answer = await api.client.get("/healthz", headers={"X-Request-ID": bad})
        assert answer.headers["x-request-id"] != bad


async def test_an_unknown_address_and_a_wrong_method_are_problems(api: Api) -> None:
    assert_problem(await api.client.get("/nothing/here"), 404, "not_found")
    response = await api.client.put(CALLS)
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"]


async def test_every_fault_of_a_body_is_listed_with_its_path(api: Api) -> None:
    response = await api.client.post(CALLS, headers=await api.key(), json={"to": "", "variables": [], "surprise": 1})
    document = assert_problem(response, 422, "invalid_input")
    assert {fault["path"] for fault in document["errors"]} == {
        "body.to",
        "body.team",
        "body.variables",
        "body.surprise",
    }
    assert all(fault["message"] for fault in document["errors"])


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=0", "query.limit"),
        ("limit=201", "query.limit"),
        ("limit=many", "query.limit"),
        ("cursor=nonsense", "query.cursor"),
        ("cursor=%00", "query.cursor"),
        ("status=talking", "query.status.0"),
        ("direction=sideways", "query.direction"),
    ],
)
async def test_a_bad_query_is_a_problem_that_names_the_parameter(api: Api, query: str, path: str) -> None:
    response = await api.client.get(f"{CALLS}?{query}", headers=await api.key())
    document = assert_problem(response, 422, "invalid_input")
    assert [fault["path"] for fault in document["errors"]] == [path]


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b'"text"', b"[]"])
async def test_a_body_that_is_not_the_json_asked_for_is_a_problem(api: Api, content: bytes) -> None:
    headers = await api.key() | {"Content-Type": "application/json"}
    response = await api.client.post(CALLS, headers=headers, content=content)
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_value_that_the_database_cannot_store_is_a_problem(api: Api) -> None:
    body = {"to": "+12025550142", "team": "recep\u0000tion"}
    assert_problem(await api.client.post(CALLS, headers=await api.key(), json=body), 422, "invalid_input")
    body = {"to": "+12025550142", "team": "reception", "variables": {"name": "A\u0000da"}}
    assert_problem(await api.client.post(CALLS, headers=await api.key(), json=body), 422, "invalid_input")
    assert api.carrier.dialed == []


async def test_an_unknown_id_is_404_and_a_malformed_one_422(api: Api) -> None:
    headers = await api.key()
    assert_problem(await api.client.get(f"{CALLS}/{uuid4()}", headers=headers), 404, "call_not_found")
    assert_problem(await api.client.get(f"{CALLS}/not-an-id", headers=headers), 422, "invalid_input")


async def test_json_over_one_megabyte_is_refused_whether_it_says_its_length_or_not(api: Api) -> None:
    body = json.dumps({"to": "+12025550142", "team": "reception", "variables": {"x": "y" * 1_100_000}}).encode()

    async def without_length() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    headers = await api.key() | {"Content-Type": "application/json"}
    for content in (body, without_length()):
        response = await api.client.post(CALLS, headers=headers, content=content)
        assert_problem(response, 413, "content_too_large")


async def test_what_nobody_foresaw_is_500_with_nothing_of_our_insides(api: Api) -> None:
    @api.app.get("/boom")
    async def boom() -> None:
        raise RuntimeError("a secret of ours")

    with capture_logs() as logs:
        response = await api.client.get("/boom")
    assert_problem(response, 500, "internal")
    assert "secret" not in response.text
    assert "RuntimeError" not in response.text
    assert any(line["event"] == "request_failed" and line["log_level"] == "error" for line in logs)


async def test_a_request_leaves_one_log_line_without_query_number_or_key(api: Api) -> None:
    headers = await api.key()
    call_id = await api.add_call()
    with capture_logs() as logs:
        await api.client.get(f"{CALLS}/{call_id}?phone=%2B12025550142", headers=headers)
    lines = [line for line in logs if line["event"] == "request"]
    assert [line["route"] for line in lines] == ["/api/v1/calls/{call_id}"]
    assert "12025550142" not in str(logs)
    assert "tl_" not in str(logs)


async def test_row_level_security_has_the_last_word_and_its_no_is_403(api: Api) -> None:
    """The code lets an admin revoke any key; the database knows that this one is an owner's."""
    owners = (await api.client.get("/api/v1/api_keys", headers=await api.key(Role.OWNER))).json()["data"][0]
    response = await api.client.delete(f"/api/v1/api_keys/{owners['id']}", headers=await api.key(Role.ADMIN))
    assert_problem(response, 403, "forbidden")


async def test_the_process_is_alive_and_says_which_part_does_not_answer(api: Api) -> None:
    assert (await api.client.get("/healthz")).json() == {"status": "ok"}
    response = await api.client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {
        "status": "not-ready",
        "parts": {"postgres": "ok", "livekit": "does not answer"},
    }


async def test_metrics_tell_durations_by_route_and_calls_that_are_open(api: Api) -> None:
    await api.add_call()
    await api.client.get(CALLS, headers=await api.key())
    await api.client.get("/scan/for/holes")
    text = (await api.client.get("/metrics")).text
    assert "trunkline_open_calls 1.0" in text
    assert "trunkline_event_streams 0.0" in text
    assert 'trunkline_http_request_duration_seconds_count{method="GET",route="/api/v1/calls",status="200"} 1.0' in text
    assert 'route="-",status="404"' in text
    assert "/scan" not in text


async def test_the_documentation_is_served(api: Api) -> None:
    assert (await api.client.get("/docs")).status_code == 200
    assert (await api.client.get("/openapi.json")).json()["info"]["title"] == "Trunkline"


async def test_while_the_database_is_away_requests_get_503_and_when_it_is_back_they_work(
    database_url: str, tmp_path: Path
) -> None:
    wire = Wire(database_url)
    await wire.mend()
    async with open_api(api_settings(wire.url, tmp_path)) as api:
        headers = await api.key()
        await asyncio.wait_for(api.state.live.listening.wait(), 5)
        await wire.cut()
        for _ in range(3):
            response = await api.client.get(CALLS, headers=headers)
            assert response.status_code == 503
            assert response.headers["content-type"] == "application/problem+json"
            assert response.headers["retry-after"]
        assert (await api.client.get("/readyz")).json()["parts"]["postgres"] == "does not answer"
        assert (await api.client.get("/healthz")).status_code == 200
        await wire.mend()

        async def works() -> bool:
            return (await api.client.get(CALLS, headers=headers)).status_code == 200

        await until(works)
        await asyncio.wait_for(api.state.live.listening.wait(), 10)
    await wire.cut()
