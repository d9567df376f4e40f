"""The rules of the toll gate over REST."""

import json
from typing import Any

import httpx
import pytest

from app.auth.principal import Role
from app.console.client import ApiRefused
from app.console.dialing_rules import NotRules, check_number, fetch_rules, put_rules
from tests.db.api_world import CALLER_ID, Api, assert_problem
from tests.db.outcome_world import add_campaign

pytestmark = pytest.mark.db

RULES = "/api/v1/dialing-rules"
RATES = [{"prefix": "+1", "per_1000_minutes_minor": 1500}]


async def place(api: Api, to: str, *, key: str) -> Any:
    headers = await api.key(Role.OPERATOR)
    body = {"to": to, "team": "reception", "from_number": CALLER_ID}
    return await api.client.post("/api/v1/calls", headers=headers | {"Idempotency-Key": key}, json=body)


async def test_without_rules_the_own_country_is_allowed_and_nothing_limited(api: Api) -> None:
    rules = (await api.client.get(RULES, headers=await api.key(Role.VIEWER))).json()
    assert (rules["country"], rules["allowed_countries"], rules["spend"], rules["set_at"]) == ("US", [], None, None)
    assert rules["calls"] == {"per_minute": None, "per_hour": None, "per_day": None}


async def test_rules_hold_from_the_next_dial_on(api: Api) -> None:
    assert_problem(await place(api, "+442079460000", key="1"), 403, "toll_gate_refused")
    set_ = await api.client.put(RULES, headers=await api.key(Role.ADMIN), json={"allowed_countries": ["GB"]})
    assert set_.status_code == 200, set_.text
    assert set_.json()["set_by"].startswith("api_key ")
    assert (await place(api, "+442079460000", key="2")).status_code in (200, 201, 202)
    assert [call.to for call in api.carrier.dialed] == ["+442079460000"]


async def test_whom_the_old_rules_put_off_is_asked_again(api: Api) -> None:
    async with api.db.system() as connection:
        for status in ("draft", "running", "finished"):
            await add_campaign(connection, api.org_id, status=status, name=status)
    await api.client.put(RULES, headers=await api.key(Role.ADMIN), json={"calls": {"per_day": 1}})
    async with api.db.system() as connection:
        names = await connection.fetch("select name from campaigns where gates_changed_at is not null")
    assert [row["name"] for row in names] == ["running"]


async def test_one_call_too_many_is_told_when_to_try_again(api: Api) -> None:
    await api.client.put(RULES, headers=await api.key(Role.ADMIN), json={"calls": {"per_minute": 1}})
    await place(api, "+12025550123", key="1")
    refused = await place(api, "+12025550124", key="2")
    problem = assert_problem(refused, 429, "dial_limit_reached")
    assert 1 <= int(refused.headers["retry-after"]) <= 62
    assert "5550124" not in problem["detail"]
    assert len(api.carrier.dialed) == 1


async def test_what_was_spent_is_shown_in_minor_units(api: Api) -> None:
    spend = {"currency": "USD", "per_day_minor": 1000, "reserve_minutes": 1, "rates": RATES}
    await api.client.put(RULES, headers=await api.key(Role.ADMIN), json={"spend": spend})
    await place(api, "+12025550123", key="1")
    rules = (await api.client.get(RULES, headers=await api.key(Role.VIEWER))).json()
    assert rules["spent"] == {"currency": "USD", "today_minor": 2, "month_minor": 2}


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.SUPERVISOR])
async def test_only_an_admin_sets_them(api: Api, role: Role) -> None:
    assert_problem(await api.client.put(RULES, headers=await api.key(role), json={}), 403, "forbidden")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"allowed_countries": ["Canada"]}, "allowed_countries"),
        ({"refused_prefixes": ["907"]}, "refused_prefixes"),
        ({"calls": {"per_minute": -1}}, "calls.per_minute"),
        ({"call": {}}, "call"),
    ],
)
async def test_a_fault_is_told_by_its_place(api: Api, body: dict[str, Any], path: str) -> None:
    refused = await api.client.put(RULES, headers=await api.key(Role.ADMIN), json=body)
    problem = assert_problem(refused, 422, "invalid_input")
    assert any(path in fault["path"] for fault in problem["errors"])


@pytest.mark.parametrize(
    ("to", "allowed", "country", "why"),
    [
        ("(202) 555-0123", True, "US", None),
        ("+18765550100", False, "JM", "JM"),
        ("+19005550100", False, "US", "premium"),
        ("+870773111632", False, None, "satellites"),
    ],
)
async def test_a_number_can_be_asked_about(
    api: Api, to: str, allowed: bool, country: str | None, why: str | None
) -> None:
    found = await api.client.get(f"{RULES}/check", headers=await api.key(Role.VIEWER), params={"to": to})
    assert found.status_code == 200, found.text
    assert (found.json()["allowed"], found.json()["country"]) == (allowed, country)
    assert found.json()["reason"] is why if why is None else why in found.json()["reason"]


async def test_the_command_line_shows_sets_and_checks(api: Api) -> None:
    transport, headers = httpx.ASGITransport(api.app), await api.key(Role.ADMIN)
    async with httpx.AsyncClient(transport=transport, base_url="http://api/api/v1", headers=headers) as client:
        shown = json.loads(await fetch_rules(client))
        assert not (await check_number(client, "+442079460000"))["allowed"]
        await put_rules(client, json.dumps(shown | {"allowed_countries": ["GB"]}))
        assert (await check_number(client, "+442079460000"))["allowed"]
        assert json.loads(await fetch_rules(client))["allowed_countries"] == ["GB"]
        with pytest.raises(NotRules, match="not JSON"):
            await put_rules(client, "allowed_countries: [GB]")
        with pytest.raises(NotRules, match="one JSON object"):
            await put_rules(client, "[]")
        with pytest.raises(ApiRefused, match="allowed_countries"):
            await put_rules(client, '{"allowed_countries": ["Narnia"]}')
