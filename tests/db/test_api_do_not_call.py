"""The do-not-call list over REST."""

import pytest

from app.auth.principal import Role
from tests.db.api_world import Api, assert_problem

pytestmark = pytest.mark.db

LIST = "/api/v1/do-not-call"


async def test_a_number_is_listed_in_e164_with_its_reason_and_once(api: Api) -> None:
    headers = await api.key(Role.OPERATOR)
    made = await api.client.post(LIST, headers=headers, json={"phone": "(202) 555-0145", "reason": "by letter"})
    assert made.status_code == 201, made.text
    again = await api.client.post(LIST, headers=headers, json={"phone": "+12025550145", "reason": "by phone"})
    assert again.json() == made.json()
    assert made.json()["phone"] == "+12025550145"
    listed = await api.client.get(LIST, headers=await api.key(Role.VIEWER))
    assert listed.json() == {"data": [made.json()], "next_cursor": None}


async def test_the_list_is_paged_newest_first(api: Api) -> None:
    headers = await api.key(Role.OPERATOR)
    for last in range(3):
        await api.client.post(LIST, headers=headers, json={"phone": f"+1202555014{last}"})
    first = (await api.client.get(LIST, headers=headers, params={"limit": 2})).json()
    rest = (await api.client.get(LIST, headers=headers, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    phones = [entry["phone"] for entry in first["data"] + rest["data"]]
    assert phones == ["+12025550142", "+12025550141", "+12025550140"]


async def test_an_admin_takes_a_number_off_and_an_operator_does_not(api: Api) -> None:
    operator, admin = await api.key(Role.OPERATOR), await api.key(Role.ADMIN)
    await api.client.post(LIST, headers=operator, json={"phone": "+12025550145"})
    for who in (operator, await api.key(Role.SUPERVISOR)):
        assert_problem(await api.client.delete(f"{LIST}/+12025550145", headers=who), 403, "forbidden")
    assert (await api.client.delete(f"{LIST}/+12025550145", headers=admin)).status_code == 200
    assert_problem(await api.client.delete(f"{LIST}/+12025550145", headers=admin), 404, "not_on_do_not_call_list")


async def test_what_is_no_number_is_refused_with_the_reason(api: Api) -> None:
    response = await api.client.post(LIST, headers=await api.key(Role.OPERATOR), json={"phone": "555-01"})
    assert_problem(response, 422, "invalid_number")
