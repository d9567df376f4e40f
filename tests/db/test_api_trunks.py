"""SIP trunks over REST; LiveKit itself is in tests/live."""

from typing import Any

import pytest

from app.api.lines import numbers, trunks
from app.auth.principal import Role
from app.vault import unseal
from tests.db.api_world import Api, assert_problem

pytestmark = pytest.mark.db

TRUNKS, NUMBERS = "/api/v1/trunks", "/api/v1/numbers"
OUT = {
    "name": "Out",
    "direction": "outbound",
    "address": "sip.example.com:5060",
    "username": "acme",
    "password": "correct horse",
}
IN = {"name": "In", "direction": "inbound", "allowed_addresses": ["192.0.2.7", "192.0.2.64/26"]}


@pytest.fixture(autouse=True)
def synced(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """How often LiveKit would have been told."""
    told: list[object] = []

    async def tell(*parts: object) -> None:
        told.append(parts)

    for module in (trunks, numbers):
        monkeypatch.setattr(module, "sync_trunks", tell)
    return told


async def test_a_trunk_is_kept_with_its_password_sealed_and_never_shown(api: Api, synced: list[object]) -> None:
    headers = await api.key(Role.ADMIN)
    made = await api.client.post(TRUNKS, headers=headers, json=OUT)
    assert made.status_code == 201, made.text
    listed = await api.client.get(TRUNKS, headers=await api.key(Role.VIEWER))
    assert listed.json()["data"] == [made.json()]
    assert "horse" not in made.text + listed.text
    assert len(synced) == 1
    async with api.db.system() as connection:
        sealed = await connection.fetchval("select password_sealed from trunks")
    assert b"horse" not in sealed
    assert unseal(api.state.settings.secret_key, sealed) == OUT["password"]


async def test_a_number_stands_on_a_trunk_that_stays_while_it_does(api: Api, synced: list[object]) -> None:
    headers = await api.key(Role.ADMIN)
    made = (await api.client.post(TRUNKS, headers=headers, json=IN)).json()
    assert made["allowed_addresses"] == ["192.0.2.64/26", "192.0.2.7/32"]
    body = {"e164": "+12025550150", "carrier": "sip", "trunk": "In"}
    number = await api.client.post(NUMBERS, headers=headers, json=body)
    assert number.json()["trunk_id"] == made["id"], number.text
    response = await api.client.delete(f"{TRUNKS}/{made['id']}", headers=headers)
    assert_problem(response, 409, "trunk_in_use")
    async with api.db.system() as connection:
        await connection.execute("delete from numbers where e164 = '+12025550150'")
    assert (await api.client.delete(f"{TRUNKS}/{made['id']}", headers=headers)).json() == made
    assert (await api.client.get(TRUNKS, headers=headers)).json()["data"] == []
    assert len(synced) == 3


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (OUT | {"address": None}, "body.address"),
        (OUT | {"address": "sip:sip.example.com"}, "body.address"),
        (OUT | {"password": None}, "body.password"),
        (OUT | {"allowed_addresses": ["192.0.2.7"]}, "body.allowed_addresses"),
        (IN | {"allowed_addresses": []}, "body.allowed_addresses"),
        (IN | {"allowed_addresses": ["everyone"]}, "body.allowed_addresses"),
        (IN | {"allowed_addresses": ["0.0.0.0/0"]}, "body.allowed_addresses"),
        (IN | {"password": "x"}, "body.password"),
    ],
)
async def test_a_trunk_that_could_not_work_is_refused(
    api: Api, synced: list[object], body: dict[str, Any], path: str
) -> None:
    response = await api.client.post(TRUNKS, headers=await api.key(Role.ADMIN), json=body)
    assert [fault["path"] for fault in assert_problem(response, 422, "invalid_trunk")["errors"]] == [path]
    assert synced == []


async def test_names_are_taken_once_in_an_organization_and_trunks_of_others_are_not_there(api: Api) -> None:
    headers = await api.key(Role.ADMIN)
    made = await api.client.post(TRUNKS, headers=headers, json=OUT)
    assert_problem(await api.client.post(TRUNKS, headers=headers, json=OUT), 409, "trunk_name_taken")
    others = await api.key(Role.ADMIN, org_id=await api.other_organization())
    assert (await api.client.get(TRUNKS, headers=others)).json()["data"] == []
    assert_problem(await api.client.delete(f"{TRUNKS}/{made.json()['id']}", headers=others), 404, "trunk_not_found")
    body = {"e164": "+12025550150", "carrier": "sip", "trunk": "Out"}
    assert_problem(await api.client.post(NUMBERS, headers=others, json=body), 422, "invalid_trunk")
    assert (await api.client.post(TRUNKS, headers=others, json=OUT)).status_code == 201


async def test_only_who_may_change_numbers_makes_a_trunk(api: Api) -> None:
    response = await api.client.post(TRUNKS, headers=await api.key(Role.SUPERVISOR), json=OUT)
    assert_problem(response, 403, "forbidden")
