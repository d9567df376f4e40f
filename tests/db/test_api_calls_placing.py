"""`POST /api/v1/calls`: dialed once, whatever happens."""

import asyncio
from typing import Any

import pytest

from app.auth.principal import Role
from app.ids import new_id
from telephony.carriers.base import DialRefused, DialUncertain
from tests.db.api_world import CALLER_ID, Api, add_team_and_number, assert_problem

pytestmark = pytest.mark.db

CALLS = "/api/v1/calls"
NEW_CALL = {"to": "+12025550142", "team": "reception", "variables": {"name": "Ada"}}


async def test_placing_a_call_dials_once_and_tells_its_row(api: Api) -> None:
    response = await api.client.post(CALLS, headers=await api.key(Role.OPERATOR), json=NEW_CALL)
    assert response.status_code == 201
    call = response.json()
    assert call["status"] == "queued"
    assert call["direction"] == "outbound"
    assert call["from_number"] == CALLER_ID
    assert call["to_number"] == "+12025550142"
    assert call["carrier_call_id"].startswith("CA")
    assert call["variables"] == {"name": "Ada"}
    assert [(dial.to, dial.from_, str(dial.call_id)) for dial in api.carrier.dialed] == [
        ("+12025550142", CALLER_ID, call["id"])
    ]


async def test_a_local_number_is_read_in_the_organizations_country(api: Api) -> None:
    body = NEW_CALL | {"to": "(202) 555-0142", "from_number": "202 555 0101"}
    response = await api.client.post(CALLS, headers=await api.key(), json=body)
    assert response.json()["to_number"] == "+12025550142"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"to": "not a number"}, 422, "invalid_number"),
        ({"team": "nobody"}, 422, "team_not_published"),
        ({"from_number": "+12025550199"}, 422, "no_caller_id"),
        ({"to": CALLER_ID}, 403, "toll_gate_refused"),
        ({"to": "+12025550188"}, 403, "on_do_not_call_list"),
    ],
)
async def test_a_call_that_cannot_be_placed_leaves_no_row_and_no_dial(
    api: Api, change: dict[str, Any], status: int, code: str
) -> None:
    async with api.db.system() as connection:
        await connection.execute(
            "insert into do_not_call (id, org_id, phone) values ($1, $2, '+12025550188')", new_id(), api.org_id
        )
    headers = await api.key() | {"Idempotency-Key": "one"}
    assert_problem(await api.client.post(CALLS, headers=headers, json=NEW_CALL | change), status, code)
    assert api.carrier.dialed == []
    assert await count(api, "calls") == 0
    # The key is free again: the request, mended, may use it.
    assert (await api.client.post(CALLS, headers=headers, json=NEW_CALL)).status_code == 201


async def test_an_organization_without_a_number_or_with_only_a_draft_cannot_call(api: Api) -> None:
    headers = await api.key()
    async with api.db.system() as connection:
        await connection.execute("update team_versions set status = 'draft', published_at = null")
    assert_problem(await api.client.post(CALLS, headers=headers, json=NEW_CALL), 422, "team_not_published")
    async with api.db.system() as connection:
        await connection.execute("update team_versions set status = 'published', published_at = now()")
        await connection.execute("delete from numbers")
    assert_problem(await api.client.post(CALLS, headers=headers, json=NEW_CALL), 422, "no_caller_id")


async def count(api: Api, table: str) -> int:
    async with api.db.system() as connection:
        return int(await connection.fetchval(f"select count(*) from {table}"))


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (DialRefused("Not a valid number.", carrier_code=21211), 422),
        (DialRefused("The queue is full.", carrier_code=20429, retryable=True), 502),
        (DialRefused("The carrier is not set up here."), 502),
    ],
)
async def test_what_the_carrier_refuses_is_a_problem_and_the_row_has_ended(
    api: Api, refusal: DialRefused, status: int
) -> None:
    api.carrier.outcome = refusal
    headers = await api.key() | {"Idempotency-Key": "one"}
    document = assert_problem(await api.client.post(CALLS, headers=headers, json=NEW_CALL), status, "dial_refused")
    call = (await api.client.get(f"{CALLS}/{document['call_id']}", headers=headers)).json()
    assert call["status"] == "failed"
    assert call["end"]["reason"] == "carrier_error"
    again = await api.client.post(CALLS, headers=headers, json=NEW_CALL)
    assert again.status_code == status
    assert again.json() == document
    assert len(api.carrier.dialed) == 1


async def test_a_dial_of_unknown_outcome_is_202_and_never_dialed_again(api: Api) -> None:
    api.carrier.outcome = DialUncertain("No answer from the carrier.")
    headers = await api.key() | {"Idempotency-Key": "one"}
    first = await api.client.post(CALLS, headers=headers, json=NEW_CALL)
    assert first.status_code == 202
    assert first.json()["status"] == "queued"
    assert first.json()["end"] is None
    again = await api.client.post(CALLS, headers=headers, json=NEW_CALL)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert len(api.carrier.dialed) == 1


async def test_the_same_key_and_body_get_the_same_answer_and_one_dial(api: Api) -> None:
    headers = await api.key() | {"Idempotency-Key": "one"}
    first = await api.client.post(CALLS, headers=headers, json=NEW_CALL)
    again = await api.client.post(CALLS, headers=headers, json=dict(reversed(NEW_CALL.items())))
    assert (again.status_code, again.json()) == (201, first.json())
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(api.carrier.dialed) == 1


async def test_the_same_key_with_another_body_is_refused(api: Api) -> None:
    headers = await api.key() | {"Idempotency-Key": "one"}
    await api.client.post(CALLS, headers=headers, json=NEW_CALL)
    response = await api.client.post(CALLS, headers=headers, json=NEW_CALL | {"to": "+12025550143"})
    assert_problem(response, 409, "idempotency_key_reused")
    assert len(api.carrier.dialed) == 1


async def test_another_organization_may_use_the_same_key(api: Api) -> None:
    other = await api.other_organization()
    await add_team_and_number(api.db, other, "+12025550102")
    for headers in (await api.key(), await api.key(org_id=other)):
        response = await api.client.post(CALLS, headers=headers | {"Idempotency-Key": "one"}, json=NEW_CALL)
        assert response.status_code == 201
    assert len(api.carrier.dialed) == 2


async def test_ten_at_once_with_one_key_dial_once(api: Api) -> None:
    headers = await api.key() | {"Idempotency-Key": "one"}
    answers = await asyncio.gather(*(api.client.post(CALLS, headers=headers, json=NEW_CALL) for _ in range(10)))
    assert len(api.carrier.dialed) == 1
    assert await count(api, "calls") == 1
    assert {answer.status_code for answer in answers} <= {201, 202}
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_a_request_whose_process_died_after_the_intent_is_not_dialed_by_the_next_one(api: Api) -> None:
    class Killed(BaseException):
        """Nobody catches it, as nobody catches kill -9."""

    headers = await api.key() | {"Idempotency-Key": "one"}
    api.carrier.outcome = Killed()  # type: ignore[assignment]
    with pytest.raises(Killed):
        await api.client.post(CALLS, headers=headers, json=NEW_CALL)
    api.carrier.outcome = None
    again = await api.client.post(CALLS, headers=headers, json=NEW_CALL)
    assert again.status_code == 202
    assert again.json()["to_number"] == "+12025550142"
    assert len(api.carrier.dialed) == 1


async def test_a_key_is_forgotten_after_a_day(api: Api) -> None:
    headers = await api.key() | {"Idempotency-Key": "one"}
    await api.client.post(CALLS, headers=headers, json=NEW_CALL)
    async with api.db.system() as connection:
        await connection.execute("update idempotency_keys set created_at = now() - interval '25 hours'")
    response = await api.client.post(CALLS, headers=headers, json=NEW_CALL | {"to": "+12025550143"})
    assert response.status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_has_1_to_255_characters(api: Api, key: str) -> None:
    headers = await api.key() | {"Idempotency-Key": key}
    document = assert_problem(await api.client.post(CALLS, headers=headers, json=NEW_CALL), 422, "invalid_input")
    assert document["errors"][0]["path"].lower() == "header.idempotency-key"
