"""What an operator writes up of a call is what its attempt comes to."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import pytest

from app.auth.principal import Role
from app.clock import utc_now
from app.console import operators as commands
from app.console.campaigns.options import BadOption
from app.db import Database, Row
from campaigns.campaigns import Campaign
from campaigns.dialing.attempts import Times
from campaigns.dialing.settling import settle_ended
from telephony.calls import Call
from telephony.floor.answered import connect_operator, finish_floor_call, keep_floor, reserve_operator
from tests.db.api_world import Api, assert_problem
from tests.db.campaign_world import running_campaign
from tests.db.floor_world import finish_call, floor_of, put_call

pytestmark = pytest.mark.db

AT_ONCE = Times(last_words=0.0)
LONG_AGO = "update operators set since = now() - make_interval(secs => wrap_up_seconds) - interval '6 seconds'"


async def talking(api: Api, key: dict[str, str], **more: Any) -> tuple[Campaign, Call, str]:
    """Ben talks on a call of a campaign of which people take the calls; also his path."""
    campaign = await running_campaign(api.db, api.org_id, 1)
    made = await api.client.post("/api/v1/operators", headers=key, json={"name": "Ben", **more})
    path = f"/api/v1/operators/{made.json()['id']}"
    await api.client.patch(path, headers=key, json={"state": "available"})
    async with api.db.system() as connection:
        await connection.execute("update campaigns set mode = 'progressive' where id = $1", campaign.id)
    call = await put_call(api.db, campaign)
    operator_id = await reserve_operator(api.db, call, floor_of(campaign))
    assert operator_id == UUID(made.json()["id"])
    assert await connect_operator(api.db, call, operator_id)
    return campaign, call, path


async def hang_up(db: Database, call: Call) -> None:
    await finish_call(db, call)
    await finish_floor_call(db, call.id)


async def result_of(db: Database, call: Call) -> Row:
    async with db.system() as connection:
        row = await connection.fetchrow(
            """select a.status, a.disposition, c.status as contact, c.callback_at, c.due_at, k.hint
               from calls k join attempts a on a.id = k.attempt_id join contacts c on c.id = a.contact_id
               where k.id = $1""",
            call.id,
        )
    assert row is not None
    return row


async def put(api: Api, key: dict[str, str], path: str, call: Call, outcome: str, **more: Any) -> Any:
    body = {"call_id": str(call.id), "outcome": outcome, **more}
    return await api.client.put(f"{path}/outcome", headers=key, json=body)


async def test_an_attempt_is_settled_by_what_its_operator_wrote_up_and_not_before(api: Api) -> None:
    key = await api.key(Role.OPERATOR)
    _, call, path = await talking(api, key)
    early = await put(api, key, path, call, "Demo booked", details={"seats": 12})
    assert early.json() == {"call_id": str(call.id), "outcome": "demo-booked", "details": {"seats": 12}}
    await finish_call(api.db, call)
    assert await settle_ended(api.db, AT_ONCE) == 0  # his worker has yet to say that he writes it up
    await finish_floor_call(api.db, call.id)
    assert await settle_ended(api.db, AT_ONCE) == 0
    late = await put(api, key, path, call, "not-interested", details={"why": "price"}, done=True)
    assert late.json()["details"] == {"seats": 12, "why": "price"}
    assert (await api.client.get(path, headers=key)).json()["state"] == "available"
    assert await settle_ended(api.db, AT_ONCE) == 1
    result = await result_of(api.db, call)
    assert (result["status"], result["disposition"]) == ("settled", "not-interested")


async def test_without_a_word_it_is_reached_as_soon_as_the_time_is_over(api: Api) -> None:
    key = await api.key(Role.OPERATOR)
    _, call, path = await talking(api, key, wrap_up_seconds=30)
    await hang_up(api.db, call)
    assert await settle_ended(api.db, AT_ONCE) == 0
    await api.client.patch(path, headers=key, json={"state": "available"})
    assert await settle_ended(api.db, AT_ONCE) == 1
    assert (await result_of(api.db, call))["disposition"] == "reached"


async def test_where_nobody_keeps_the_floor_calls_are_settled_all_the_same(api: Api) -> None:
    key = await api.key(Role.OPERATOR)
    _, call, path = await talking(api, key)
    await hang_up(api.db, call)
    async with api.db.system() as connection:
        await connection.execute(LONG_AGO)
    assert_problem(await put(api, key, path, call, "reached"), 409, "no_call")
    assert await settle_ended(api.db, AT_ONCE) == 1


async def test_where_the_worker_died_talking_calls_are_settled_all_the_same(api: Api) -> None:
    key = await api.key(Role.OPERATOR)
    _, call, _ = await talking(api, key)
    await finish_call(api.db, call)
    async with api.db.system() as connection:
        await connection.execute("update calls set ended_at = ended_at - interval '6 seconds'")
    assert await settle_ended(api.db, AT_ONCE) == 1


async def test_who_asked_never_to_be_called_again_is_on_the_list_at_once_and_stays_there(api: Api) -> None:
    key = await api.key(Role.OPERATOR)
    _, call, path = await talking(api, key)
    assert (await put(api, key, path, call, "Do not call")).json()["outcome"] == "do-not-call"
    listed = (await api.client.get("/api/v1/do-not-call", headers=key)).json()["data"]
    assert [(one["phone"], one["source"]) for one in listed] == [(call.to_number, "said-in-call")]
    assert (await put(api, key, path, call, "reached")).json()["outcome"] == "do-not-call"
    await hang_up(api.db, call)
    await api.client.patch(path, headers=key, json={"state": "offline"})
    assert await settle_ended(api.db, AT_ONCE) == 1
    result = await result_of(api.db, call)
    assert (result["disposition"], result["contact"]) == ("do-not-call", "finished")


async def test_a_callback_is_made_by_the_clocks_of_whoever_asked_for_it(api: Api) -> None:
    key = await api.key(Role.OPERATOR)
    _, call, path = await talking(api, key)
    async with api.db.system() as connection:
        await connection.execute("update contacts set time_zone = 'Asia/Kolkata' where phone = $1", call.to_number)
    refused = await put(api, key, path, call, "callback", callback="whenever")
    assert_problem(refused, 422, "invalid_outcome")
    noted = (await put(api, key, path, call, "callback", callback="tomorrow at three", done=True)).json()
    at = datetime.fromisoformat(noted["details"]["callback_at"])
    assert f"{at.astimezone(ZoneInfo('Asia/Kolkata')):%H:%M}" == "15:00"
    await hang_up(api.db, call)
    assert (await put(api, key, path, call, "callback", done=True)).status_code == 200
    assert await settle_ended(api.db, AT_ONCE) == 1
    result = await result_of(api.db, call)
    assert (result["contact"], result["callback_at"], result["due_at"]) == ("waiting", at, at)


async def test_an_instant_does_for_a_callback_if_it_is_ahead(api: Api) -> None:
    key = await api.key(Role.OPERATOR)
    _, call, path = await talking(api, key)
    now = utc_now()
    for bad in (now - timedelta(minutes=1), now + timedelta(days=91)):
        assert_problem(await put(api, key, path, call, "callback", callback=bad.isoformat()), 422, "invalid_outcome")
    good = (now + timedelta(days=2)).replace(microsecond=0)
    noted = (await put(api, key, path, call, "callback", callback=good.isoformat())).json()
    assert datetime.fromisoformat(noted["details"]["callback_at"]) == good
    async with api.db.system() as connection:
        # A number of no country: nobody knows by which clocks they live.
        await connection.execute("update attempts set phone = '+8835100001'")
    assert_problem(await put(api, key, path, call, "callback", callback="tomorrow at three"), 422, "invalid_outcome")
    assert (await put(api, key, path, call, "callback", callback=good.isoformat())).status_code == 200


@pytest.mark.parametrize("word", ["no-answer", "Abandoned", "blocked", "not_dialed", "busy", "--", "  "])
async def test_words_that_only_the_engine_knows_and_no_words_are_refused(api: Api, word: str) -> None:
    key = await api.key(Role.OPERATOR)
    _, call, path = await talking(api, key)
    assert_problem(await put(api, key, path, call, word), 422, "invalid_outcome")
    assert (await result_of(api.db, call))["hint"] == {}


async def test_a_call_is_written_up_by_whose_it_is(api: Api) -> None:
    key = await api.key(Role.OPERATOR)
    campaign, call, path = await talking(api, key)
    cleo = (await api.client.post("/api/v1/operators", headers=key, json={"name": "Cleo"})).json()
    assert_problem(await put(api, key, f"/api/v1/operators/{cleo['id']}", call, "reached"), 409, "no_call")
    assert_problem(
        await put(api, key, path, await put_call(api.db, campaign, phone="+12025550143"), "x"), 409, "no_call"
    )
    assert_problem(await put(api, await api.key(Role.VIEWER), path, call, "reached"), 403, "forbidden")
    strange = await api.key(Role.OWNER, org_id=await api.other_organization())
    assert_problem(await put(api, strange, path, call, "reached"), 404, "operator_not_found")
    await hang_up(api.db, call)
    await api.client.patch(path, headers=key, json={"state": "available"})
    assert_problem(await put(api, key, path, call, "reached"), 409, "no_call")
    await keep_floor(api.db)
    assert (await result_of(api.db, call))["hint"] == {}


async def test_the_command_writes_up_the_call_that_is_theirs(api: Api) -> None:
    key = await api.key(Role.OPERATOR)
    _, call, path = await talking(api, key)
    details = dict([commands.read_variable("Seats =12=ca")])
    body = {"outcome": "demo-booked", "details": details, "callback": None, "done": True}
    transport = httpx.ASGITransport(api.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api/api/v1", headers=key) as client:
        noted = await commands.note_outcome(client, "Ben", body)
        assert (noted["outcome"], noted["details"]) == ("demo-booked", {"seats": "12=ca"})
        await hang_up(api.db, call)
        await client.patch(path.removeprefix("/api/v1"), json={"state": "offline"})
        with pytest.raises(commands.NothingToWriteUp):
            await commands.note_outcome(client, "Ben", body)
    for bad in ("seats", "=12", " =1"):
        with pytest.raises(BadOption):
            commands.read_variable(bad)
