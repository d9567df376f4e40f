"""`trunkline lanes` against the real api."""

import json
import re

import pytest

from app.auth.principal import Role
from app.console.campaigns.options import BadOption
from app.console.client import ApiRefused
from app.console.lanes import NoSuchLane, lanes
from app.ids import new_id
from app.settings import Settings
from tests.db.test_callee_commands import Desk, desk

pytestmark = pytest.mark.db

__all__ = ["desk"]  # the fixture


async def add_trunk(desk: Desk, name: str) -> str:
    """Without LiveKit, which a trunk is made known to."""
    trunk_id = new_id()
    async with desk.api.db.system() as connection:
        await connection.execute(
            "insert into trunks (id, org_id, name, direction, address) values ($1, $2, $3, 'outbound', 'sip.example')",
            trunk_id,
            desk.api.org_id,
            name,
        )
    return f"trunk:{trunk_id}"


async def set_lane(desk: Desk, *words: str) -> dict[str, object]:
    done = await desk.type(lanes, "set", *words, "--json")
    assert done.exit_code == 0, done.output
    limits: dict[str, object] = json.loads(done.stdout)
    return limits


async def test_limits_are_set_one_lane_at_a_time_by_the_name_that_people_use(desk: Desk) -> None:
    trunk = await add_trunk(desk, "Carrier out")
    await set_lane(desk, "(+1) 202-555-0101", "--max-concurrent", "10")
    await set_lane(desk, "Carrier out", "--calls-per-second", "1.5")
    await set_lane(desk, "carrier:twilio", "--calls-per-second", "1", "--max-concurrent", "40")
    await set_lane(desk, "organization", "--max-concurrent", "60", "--inbound-share", "0.2")
    limits = json.loads((await desk.type(lanes, "list", "--json")).stdout)
    [number] = [lane["key"] for lane in limits["lanes"] if lane["key"].startswith("number:")]
    assert limits["lanes"] == [
        {"key": "carrier:twilio", "calls_per_second": 1.0, "max_concurrent": 40},
        {"key": number, "calls_per_second": None, "max_concurrent": 10},
        {"key": trunk, "calls_per_second": 1.5, "max_concurrent": None},
    ]
    assert (limits["max_concurrent_calls"], limits["inbound_share"]) == (60, 0.2)
    shown = (await desk.type(lanes, "list")).stdout
    assert re.search(rf"^{number} +\+12025550101 +no limit +10 *$", shown, re.MULTILINE)
    assert re.search(rf"^{trunk} +Carrier out +1.5 +no limit *$", shown, re.MULTILINE)
    assert re.search(r"^organization +60 *$", shown, re.MULTILINE)
    assert "Kept free for callers: 20%" in shown


async def test_what_is_not_said_stays_and_none_takes_a_limit_away(desk: Desk) -> None:
    await set_lane(desk, "carrier:twilio", "--calls-per-second", "1", "--max-concurrent", "40")
    await set_lane(desk, "organization", "--max-concurrent", "60", "--inbound-share", "0.2")
    limits = await set_lane(desk, "carrier:twilio", "--calls-per-second", "none")
    assert limits["lanes"] == [{"key": "carrier:twilio", "calls_per_second": None, "max_concurrent": 40}]
    limits = await set_lane(desk, "organization", "--max-concurrent", "none")
    assert (limits["max_concurrent_calls"], limits["inbound_share"]) == (None, 0.2)
    assert limits["lanes"]
    limits = await set_lane(desk, "carrier:twilio", "--max-concurrent", "none")
    assert limits["lanes"] == []


async def test_limits_of_a_trunk_that_is_gone_are_in_nobody_s_way(desk: Desk) -> None:
    trunk = await add_trunk(desk, "Carrier out")
    await set_lane(desk, trunk, "--max-concurrent", "5")
    async with desk.api.db.system() as connection:
        await connection.execute("delete from trunks")
    limits = await set_lane(desk, "organization", "--max-concurrent", "60")
    assert (limits["max_concurrent_calls"], limits["lanes"]) == (60, [])


async def test_a_lane_that_is_not_there_is_refused_and_those_that_are_there_named(desk: Desk) -> None:
    with pytest.raises(NoSuchLane, match=r"no lane \+12025550199.*organization, carrier:twilio.*\+12025550101"):
        await set_lane(desk, "+12025550199", "--max-concurrent", "10")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("organization",), "Say what to set"),
        (("organization", "--calls-per-second", "1"), "has no --calls-per-second"),
        (("carrier:twilio", "--inbound-share", "0.2"), "Only the organization has an --inbound-share"),
        (("organization", "--max-concurrent", "many"), "neither a whole number nor none"),
        (("carrier:twilio", "--calls-per-second", "nan"), "neither a number nor none"),
    ],
)
async def test_what_cannot_be_set_is_told(desk: Desk, words: tuple[str, ...], why: str) -> None:
    with pytest.raises(BadOption, match=why):
        await set_lane(desk, *words)


async def test_what_the_api_refuses_is_told_with_its_fault(desk: Desk) -> None:
    with pytest.raises(ApiRefused, match="inbound_share"):
        await set_lane(desk, "organization", "--inbound-share", "1")


async def test_only_an_admin_sets_them(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    key = (await desk.api.key(Role.SUPERVISOR))["Authorization"].removeprefix("Bearer ")
    settings = desk.settings.model_copy(update={"api_key": type(desk.settings.api_key)(key)})
    monkeypatch.setattr(Settings, "load", lambda: settings)
    assert "organization" in (await desk.type(lanes, "list")).stdout
    with pytest.raises(ApiRefused):
        await set_lane(desk, "organization", "--max-concurrent", "60")
