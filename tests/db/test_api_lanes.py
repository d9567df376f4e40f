"""The limits of the lines over REST."""

import pytest

from app.auth.principal import Role
from tests.db.api_world import Api, assert_problem

pytestmark = pytest.mark.db

LANES = "/api/v1/lanes"


async def test_without_limits_the_lanes_are_named_and_free(api: Api) -> None:
    lanes = (await api.client.get(LANES, headers=await api.key(Role.VIEWER))).json()
    assert (lanes["max_concurrent_calls"], lanes["inbound_share"], lanes["lanes"]) == (None, 0.0, [])
    assert any(key.startswith("number:") for key in lanes["keys"])


async def test_limits_are_set_all_at_once(api: Api) -> None:
    admin = await api.key(Role.ADMIN)
    [carrier] = [key for key in (await api.client.get(LANES, headers=admin)).json()["keys"] if "carrier:" in key]
    lane = {"key": carrier, "calls_per_second": 1.5, "max_concurrent": 7}
    body = {"max_concurrent_calls": 20, "inbound_share": 0.25, "lanes": [lane]}
    set_ = await api.client.put(LANES, headers=admin, json=body)
    assert set_.status_code == 200, set_.text
    told = (await api.client.get(LANES, headers=await api.key(Role.VIEWER))).json()
    assert {name: told[name] for name in body} == body
    await api.client.put(LANES, headers=admin, json={})
    told = (await api.client.get(LANES, headers=admin)).json()
    assert (told["max_concurrent_calls"], told["lanes"]) == (None, [])


async def test_a_lane_that_is_not_there_is_refused_and_nothing_changes(api: Api) -> None:
    admin = await api.key(Role.ADMIN)
    body = {"max_concurrent_calls": 3, "lanes": [{"key": "carrier:plivo", "calls_per_second": 1}]}
    assert_problem(await api.client.put(LANES, headers=admin, json=body), 422, "no_such_lane")
    assert (await api.client.get(LANES, headers=admin)).json()["max_concurrent_calls"] is None


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.SUPERVISOR])
async def test_only_an_admin_sets_them(api: Api, role: Role) -> None:
    assert_problem(await api.client.put(LANES, headers=await api.key(role), json={}), 403, "forbidden")
