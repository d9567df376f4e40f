"""Operators over REST: being there, hearing of a call, the key to its room."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest

from app.auth.principal import Role
from app.console import operators as commands
from app.ids import OrgId
from campaigns.campaigns import Campaign
from telephony.floor.answered import connect_operator, finish_floor_call, reserve_operator
from tests.db.api_world import Api, assert_problem, make_token
from tests.db.campaign_world import column, running_campaign
from tests.db.floor_world import finish_call, floor_of, put_call

pytestmark = pytest.mark.db

OPERATORS = "/api/v1/operators"


async def campaign_of(api: Api) -> Campaign:
    """A running campaign whose calls people take."""
    campaign = await running_campaign(api.db, api.org_id, 1)
    async with api.db.system() as connection:
        await connection.execute("update campaigns set mode = 'progressive' where id = $1", campaign.id)
    return campaign


async def added(api: Api, headers: dict[str, str], name: str = "Ben", **more: Any) -> dict[str, Any]:
    made = await api.client.post(OPERATORS, headers=headers, json={"name": name, **more})
    assert made.status_code == 201, made.text
    operator: dict[str, Any] = made.json()
    return operator


async def test_an_operator_comes_hears_of_a_call_joins_it_and_writes_it_up(api: Api) -> None:
    key, campaign = await api.key(Role.OPERATOR), await campaign_of(api)
    ben = await added(api, key)
    path = f"{OPERATORS}/{ben['id']}"
    assert (ben["state"], ben["call"]) == ("offline", None)
    assert_problem(await api.client.post(f"{path}/join", headers=key), 409, "no_call")
    there = (await api.client.patch(path, headers=key, json={"state": "available"})).json()
    assert there["state"] == "available"

    call = await put_call(api.db, campaign)
    beat = api.client.post(f"{path}/beat", headers=key, params={"known": "available", "wait_seconds": 5})
    waiting = asyncio.create_task(beat)
    await asyncio.sleep(0)
    assert await reserve_operator(api.db, call, floor_of(campaign)) is not None
    told = (await waiting).json()
    assert (told["state"], told["call"]["id"], told["call"]["phone"]) == ("reserved", str(call.id), call.to_number)
    assert_problem(await api.client.patch(path, headers=key, json={"state": "offline"}), 409, "operator_busy")

    given = (await api.client.post(f"{path}/join", headers=key)).json()
    claims = jwt.decode(given["token"], options={"verify_signature": False})
    assert (given["identity"], claims["sub"]) == (f"operator_{ben['id']}",) * 2
    assert (claims["video"]["room"], claims["attributes"]) == (call.room_name, {"trunkline.leg": "operator"})

    assert await connect_operator(api.db, call, UUID(told["id"]))
    await finish_call(api.db, call)
    await finish_floor_call(api.db, call.id)
    writing = (await api.client.get(path, headers=key)).json()
    assert (writing["state"], writing["call"]["id"]) == ("wrap_up", str(call.id))
    done = (await api.client.patch(path, headers=key, json={"state": "available"})).json()
    assert (done["state"], done["call"]) == ("available", None)


async def test_an_operator_takes_the_calls_of_the_campaigns_chosen_and_only_of_ones_that_exist(api: Api) -> None:
    key, campaign = await api.key(Role.OPERATOR), await campaign_of(api)
    ben = await added(api, key, campaigns=[str(campaign.id)])
    assert ben["campaigns"] == [str(campaign.id)]
    unknown = {"campaigns": ["00000000-0000-7000-8000-000000000000"]}
    path = f"{OPERATORS}/{ben['id']}"
    assert_problem(await api.client.patch(path, headers=key, json=unknown), 422, "unknown_campaigns")
    changed = await api.client.patch(path, headers=key, json={"campaigns": None, "wrap_up_seconds": 0})
    assert (changed.json()["campaigns"], changed.json()["wrap_up_seconds"]) == (None, 0)
    assert_problem(await api.client.post(OPERATORS, headers=key, json={"name": "Ben"}), 409, "operator_exists")


async def test_a_member_is_one_operator_and_acts_for_no_other(api: Api) -> None:
    ada, ben = [
        {"Authorization": f"Bearer {make_token(await api.user((api.org_id, Role.OPERATOR)))}"} for _ in range(2)
    ]
    of_ada = await added(api, ada, "Ada")
    path = f"{OPERATORS}/{of_ada['id']}"
    assert of_ada["user_id"]
    assert_problem(await api.client.post(OPERATORS, headers=ada, json={"name": "Again"}), 409, "operator_exists")
    assert_problem(await api.client.patch(path, headers=ben, json={"state": "available"}), 403, "forbidden")
    operator_key, supervisor_key = await api.key(Role.OPERATOR), await api.key(Role.SUPERVISOR)
    assert_problem(await api.client.post(f"{path}/beat", headers=operator_key), 403, "forbidden")
    assert (await api.client.patch(path, headers=supervisor_key, json={"state": "available"})).status_code == 200
    assert (await api.client.post(f"{path}/beat", headers=ada)).json()["state"] == "available"


async def test_a_sign_of_life_counts_only_from_who_may_give_it(api: Api) -> None:
    ada = {"Authorization": f"Bearer {make_token(await api.user((api.org_id, Role.OPERATOR)))}"}
    path = f"{OPERATORS}/{(await added(api, ada, 'Ada'))['id']}/beat"
    alive = "select beat_at > '-infinity' from operators"
    assert_problem(await api.client.post(path, headers=await api.key(Role.OPERATOR)), 403, "forbidden")
    strange = await api.key(Role.OWNER, org_id=await api.other_organization())
    assert_problem(await api.client.post(path, headers=strange), 404, "operator_not_found")
    assert await column(api.db, alive) == [False]
    assert (await api.client.post(path, headers=ada)).json()["name"] == "Ada"
    assert await column(api.db, alive) == [True]


async def test_viewers_see_operators_and_are_none_and_others_see_nothing(api: Api) -> None:
    viewer = await api.key(Role.VIEWER)
    ben = await added(api, await api.key(Role.OPERATOR))
    assert [one["id"] for one in (await api.client.get(OPERATORS, headers=viewer)).json()] == [ben["id"]]
    assert_problem(await api.client.post(OPERATORS, headers=viewer, json={"name": "Cem"}), 403, "forbidden")
    other: OrgId = await api.other_organization()
    strange = await api.key(Role.OWNER, org_id=other)
    assert (await api.client.get(OPERATORS, headers=strange)).json() == []
    path = f"{OPERATORS}/{ben['id']}"
    assert_problem(await api.client.post(f"{path}/join", headers=strange), 404, "operator_not_found")
    stranger = {"name": "Cem", "user_id": "00000000-0000-7000-8000-000000000000"}
    assert_problem(
        await api.client.post(OPERATORS, headers=await api.key(Role.ADMIN), json=stranger), 422, "not_a_member"
    )


async def test_the_command_line_beats_hears_of_a_call_and_has_the_key_to_its_room(api: Api) -> None:
    key, campaign = await api.key(Role.OPERATOR), await campaign_of(api)
    await added(api, key)
    transport = httpx.ASGITransport(api.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api/api/v1", headers=key) as client:
        ben = await commands.change(client, "Ben", "available")
        call = await put_call(api.db, campaign)
        assert await reserve_operator(api.db, call, floor_of(campaign)) == UUID(ben["id"])
        changes = commands.follow(client, ben)
        told = await asyncio.wait_for(anext(changes), 30)
        await changes.aclose()
        assert (told["state"], told["call"]["id"]) == ("reserved", str(call.id))
        assert (await commands.fetch_key(client, ben["id"]))["call_id"] == str(call.id)
        with pytest.raises(commands.NoSuchOperator):
            await commands.find(client, "Nobody")
