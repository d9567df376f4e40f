"""The do-not-call list over REST."""

import pytest

from app.auth.principal import Role
from app.ids import new_id
from campaigns.gates.suppression import signing_secret
from tests.db.api_world import Api, assert_problem
from tests.db.gate_world import add_campaign

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


async def test_a_file_of_numbers_becomes_the_list_and_its_bad_rows_are_told(api: Api) -> None:
    headers = await api.key(Role.SUPERVISOR)
    files = {"file": ("may.csv", b"phone,reason\n+12025550145,asked\n12,x\n+12025550145,again\n+12025550146,\n")}
    answer = await api.client.post(f"{LIST}/imports", headers=headers, files=files)
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert (report["rows"], report["added"], report["known"], report["rejected"]) == (4, 2, 1, 1)
    assert [(fault["line"], fault["value"]) for fault in report["faults"]] == [(3, "12")]
    listed = (await api.client.get(LIST, headers=headers)).json()["data"]
    assert {(entry["phone"], entry["reason"], entry["source"]) for entry in listed} == {
        ("+12025550145", "asked", "import"),
        ("+12025550146", "may.csv", "import"),
    }


async def test_a_list_that_cannot_be_read_is_refused_with_the_reason(api: Api) -> None:
    headers = await api.key(Role.SUPERVISOR)
    refused = await api.client.post(f"{LIST}/imports", headers=headers, files={"file": ("a.csv", b"email\na@b.cd\n")})
    assert_problem(refused, 422, "no_phone_column")
    assert_problem(
        await api.client.post(f"{LIST}/imports", headers=headers, data={"reason": "x"}), 422, "invalid_input"
    )
    files = {"file": ("a.csv", b"phone\n+12025550145\n")}
    nowhere = {"campaign_id": str(new_id())}
    answer = await api.client.post(f"{LIST}/imports", headers=headers, files=files, data=nowhere)
    assert_problem(answer, 404, "campaign_not_found")


async def test_a_campaign_has_a_list_of_its_own(api: Api) -> None:
    headers = await api.key(Role.ADMIN)
    campaign = str(await add_campaign(api.db, api.org_id))
    made = await api.client.post(LIST, headers=headers, json={"phone": "+12025550145", "campaign_id": campaign})
    assert made.json()["campaign_id"] == campaign
    assert (await api.client.get(LIST, headers=headers)).json()["data"] == []
    own = await api.client.get(LIST, headers=headers, params={"campaign_id": campaign})
    assert own.json()["data"] == [made.json()]
    assert_problem(await api.client.delete(f"{LIST}/+12025550145", headers=headers), 404, "not_on_do_not_call_list")
    removed = await api.client.delete(f"{LIST}/+12025550145", headers=headers, params={"campaign_id": campaign})
    assert removed.status_code == 200


async def test_the_secret_of_vetoes_is_for_admins(api: Api) -> None:
    path = f"{LIST}/signing-secret"
    assert_problem(await api.client.get(path, headers=await api.key(Role.SUPERVISOR)), 403, "forbidden")
    secret = (await api.client.get(path, headers=await api.key(Role.ADMIN))).json()["secret"]
    assert secret == signing_secret(api.state.settings.secret_key, api.org_id)
