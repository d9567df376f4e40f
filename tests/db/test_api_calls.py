"""Calls over REST: read page by page, ended."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.auth.principal import Role
from app.ids import new_id
from tests.db.api_world import Api, assert_problem

pytestmark = pytest.mark.db

CALLS = "/api/v1/calls"
NEW_CALL = {"to": "+12025550142", "team": "reception", "variables": {"name": "Ada"}}


async def all_pages(api: Api, path: str, headers: dict[str, str], **query: Any) -> list[dict[str, Any]]:
    """Every row of a list, cursor by cursor."""
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await api.client.get(path, headers=headers, params=query | cursor)).json()
        rows += page["data"]
        if page["next_cursor"] is None:
            return rows
        assert page["data"]
        cursor = {"cursor": page["next_cursor"]}


async def test_pages_hold_every_call_once_newest_first_even_those_of_one_instant(api: Api) -> None:
    start = datetime(2026, 11, 20, 17, tzinfo=UTC)
    made = [await api.add_call(created_at=(start + timedelta(seconds=n // 3)).isoformat()) for n in range(20)]
    headers = await api.key(Role.VIEWER)
    for limit in (1, 7, 20, 200):
        listed = [call["id"] for call in await all_pages(api, CALLS, headers, limit=limit)]
        assert listed == [str(call_id) for call_id in reversed(made)]


async def test_a_page_read_while_calls_come_in_repeats_and_skips_nothing(api: Api) -> None:
    headers = await api.key(Role.VIEWER)
    made = [str(await api.add_call()) for _ in range(4)]
    first = (await api.client.get(CALLS, headers=headers, params={"limit": 2})).json()
    await api.add_call()
    query = {"limit": 2, "cursor": first["next_cursor"]}
    second = (await api.client.get(CALLS, headers=headers, params=query)).json()
    assert [call["id"] for call in first["data"] + second["data"]] == made[::-1]


async def test_calls_are_filtered_by_status_and_direction(api: Api) -> None:
    headers = await api.key(Role.VIEWER)
    ended = {"ended_at": datetime.now(UTC).isoformat(), "end_reason": "lost", "end_at_fault": "us"}
    ringing = await api.add_call()
    queued = await api.add_call(status="queued", direction="outbound")
    failed = await api.add_call(status="failed", direction="outbound", end_result="failed", **ended)

    async def ids(query: str) -> set[str]:
        response = await api.client.get(f"{CALLS}?{query}", headers=headers)
        return {call["id"] for call in response.json()["data"]}

    assert await ids("status=ringing") == {str(ringing)}
    assert await ids("status=ringing&status=failed") == {str(ringing), str(failed)}
    assert await ids("direction=outbound") == {str(queued), str(failed)}
    assert await ids("direction=inbound&status=failed") == set()


async def test_another_organizations_call_is_not_there_whatever_is_asked_of_it(api: Api) -> None:
    call_id = await api.add_call(await api.other_organization())
    headers = await api.key()
    assert (await api.client.get(CALLS, headers=headers)).json()["data"] == []
    for path in ("", "/turns", "/events", "/recording"):
        response = await api.client.get(f"{CALLS}/{call_id}{path}", headers=headers)
        assert_problem(response, 404, "call_not_found")
    assert_problem(await api.client.post(f"{CALLS}/{call_id}/end", headers=headers), 404, "call_not_found")
    async with api.db.system() as connection:
        assert await connection.fetchval("select status from calls where id = $1", call_id) == "ringing"


async def test_a_call_tells_how_it_went(api: Api) -> None:
    answered = datetime(2026, 11, 20, 17, 39, 6, tzinfo=UTC)
    call_id = await api.add_call(
        status="completed",
        answered_at=answered.isoformat(),
        ended_at=(answered + timedelta(seconds=66)).isoformat(),
        end_result="completed",
        end_reason="agent_ended",
        end_at_fault="nobody",
        hint={"disposition": "confirmed", "details": {"day": "Tuesday"}},
    )
    call = (await api.client.get(f"{CALLS}/{call_id}", headers=await api.key(Role.VIEWER))).json()
    assert call["duration_seconds"] == 66
    assert call["answered_at"] == "2026-11-20T17:39:06Z"
    assert call["disposition"] == "confirmed"
    assert call["details"] == {"day": "Tuesday"}
    assert call["end"] == {"result": "completed", "reason": "agent_ended", "at_fault": "nobody"}


async def test_turns_and_events_come_in_order_page_by_page(api: Api) -> None:
    call_id = await api.add_call()
    start = datetime(2026, 11, 20, 17, 39, tzinfo=UTC)
    async with api.db.system() as connection:
        for n in range(5):
            await connection.execute(
                "insert into turns (id, org_id, call_id, role, agent, text, tool, latency_ms, started_at)"
                " values ($1, $2, $3, 'agent', 'reception', $4, $5, $6, $7)",
                new_id(),
                api.org_id,
                call_id,
                f"turn {n}",
                {"name": "look_up"} if n == 3 else None,
                {"reply": 840, "model": 120.5},
                start + timedelta(seconds=n),
            )
            await connection.execute(
                "insert into call_events (org_id, call_id, kind, data) values ($1, $2, 'turn.added', $3)",
                api.org_id,
                call_id,
                {"n": n},
            )
    headers = await api.key(Role.VIEWER)
    turns = await all_pages(api, f"{CALLS}/{call_id}/turns", headers, limit=2)
    assert [turn["text"] for turn in turns] == [f"turn {n}" for n in range(5)]
    assert turns[3]["tool"] == {"name": "look_up"}
    assert turns[0]["latency_ms"] == {"reply": 840, "model": 120.5}
    events = await all_pages(api, f"{CALLS}/{call_id}/events", headers, limit=2)
    assert [event["data"]["n"] for event in events] == list(range(5))


async def add_recording(api: Api, path: str, *, finished: bool = True) -> UUID:
    call_id = await api.add_call()
    async with api.db.system() as connection:
        await connection.execute(
            "insert into recordings (id, org_id, call_id, path, format, channels, sample_rate, started_at, finished_at)"
            " values ($1, $2, $3, $4, 'wav', 2, 8000, now(), case when $5 then now() end)",
            new_id(),
            api.org_id,
            call_id,
            path,
            finished,
        )
    return call_id


async def test_a_recording_is_a_file_of_which_parts_can_be_asked(api: Api) -> None:
    folder = api.state.settings.recordings_dir
    (folder / "day").mkdir(parents=True)
    (folder / "day" / "a.wav").write_bytes(bytes(range(256)) * 40)
    call_id = await add_recording(api, "day/a.wav")
    headers = await api.key(Role.SUPERVISOR)
    whole = await api.client.get(f"{CALLS}/{call_id}/recording", headers=headers)
    assert whole.content == bytes(range(256)) * 40
    assert whole.headers["content-type"] == "audio/wav"
    part = await api.client.get(f"{CALLS}/{call_id}/recording", headers=headers | {"Range": "bytes=256-265"})
    assert part.status_code == 206
    assert part.content == bytes(range(10))
    assert part.headers["content-range"] == "bytes 256-265/10240"


async def test_a_recording_is_for_supervisors(api: Api) -> None:
    call_id = await add_recording(api, "a.wav")
    response = await api.client.get(f"{CALLS}/{call_id}/recording", headers=await api.key(Role.OPERATOR))
    assert "supervisor" in assert_problem(response, 403, "forbidden")["detail"]


async def test_a_recording_that_is_not_there_or_not_ready_is_a_problem_of_its_own(api: Api, tmp_path: Path) -> None:
    headers = await api.key()
    (tmp_path / "outside.wav").write_bytes(b"not yours")
    for call_id, status, code in (
        (await api.add_call(), 404, "recording_not_found"),
        (await add_recording(api, "gone.wav"), 404, "recording_not_found"),
        (await add_recording(api, "../outside.wav"), 404, "recording_not_found"),
        (await add_recording(api, "a.wav", finished=False), 409, "recording_not_ready"),
    ):
        response = await api.client.get(f"{CALLS}/{call_id}/recording", headers=headers)
        assert_problem(response, status, code)


@pytest.mark.parametrize(
    ("status", "result", "wire"), [("queued", "canceled", "canceled"), ("in-progress", "completed", "completed")]
)
async def test_ending_a_call_closes_the_row_even_while_livekit_is_away(
    api: Api, status: str, result: str, wire: str
) -> None:
    call_id = await api.add_call(status=status, carrier="twilio", carrier_call_id=f"CA{uuid4().hex}")
    headers = await api.key(Role.OPERATOR)
    response = await api.client.post(f"{CALLS}/{call_id}/end", headers=headers)
    assert response.status_code == 503
    assert len(api.carrier.hung_up) == 1
    call = (await api.client.get(f"{CALLS}/{call_id}", headers=headers)).json()
    assert call["status"] == wire
    assert call["end"] == {"result": result, "reason": "api_ended", "at_fault": "nobody"}


async def test_a_call_that_is_over_stays_as_it_ended(api: Api) -> None:
    call_id = await api.add_call(
        status="busy",
        ended_at=datetime.now(UTC).isoformat(),
        end_result="busy",
        end_reason="busy",
        end_at_fault="callee",
    )
    response = await api.client.post(f"{CALLS}/{call_id}/end", headers=await api.key())
    assert response.status_code == 200
    assert response.json()["end"] == {"result": "busy", "reason": "busy", "at_fault": "callee"}
