"""Which trunks LiveKit should have, and how few requests make it so."""

from itertools import count
from typing import Any, cast

import pytest
from pydantic import SecretStr

from app.ids import new_id
from app.settings import Settings
from app.vault import SealBroken, seal, unseal
from telephony.lines.sip_messages import (
    DispatchRule,
    InboundTrunk,
    OutboundTrunk,
    read_inbound,
    read_outbound,
    read_rule,
    write_inbound,
    write_outbound,
    write_rule,
)
from telephony.lines.trunks import InvalidAddress, plan_inbound, plan_rule, read_addresses, sync_inbound, sync_rule

SETTINGS = Settings(sip_allowed_addresses=["127.0.0.1"])
HERE = frozenset({"127.0.0.1/32"})


def number(e164: str, trunk_id: object = None, addresses: list[str] | None = None) -> Any:
    return {"e164": e164, "trunk_id": trunk_id, "allowed_addresses": addresses}


class FakeTrunks:
    """LiveKit's inbound trunks and rules, with its refusal of a number in two trunks."""

    def __init__(self) -> None:
        self.trunks: dict[str, InboundTrunk] = {}
        self.rules: dict[str, DispatchRule] = {}
        self.changes: list[str] = []
        self._ids = count(1)

    async def list_inbound_trunks(self) -> list[InboundTrunk]:
        return list(self.trunks.values())

    async def put_inbound_trunk(self, trunk: InboundTrunk) -> str:
        self.changes.append(f"put {trunk.name}")
        livekit_id = trunk.id or f"ST_{next(self._ids)}"
        for other in self.trunks.values():
            both_default = not other.numbers and not trunk.numbers
            assert other.id == livekit_id or not (other.numbers & trunk.numbers or both_default), "conflict"
        self.trunks[livekit_id] = InboundTrunk(
            trunk.name, trunk.numbers, trunk.allowed_addresses, trunk.ringing_timeout_seconds, livekit_id
        )
        return livekit_id

    async def delete_trunk(self, livekit_trunk_id: str) -> None:
        self.changes.append(f"delete {self.trunks.pop(livekit_trunk_id).name}")

    async def list_dispatch_rules(self) -> list[DispatchRule]:
        return list(self.rules.values())

    async def put_dispatch_rule(self, rule: DispatchRule) -> None:
        self.changes.append("put rule")
        self.rules[rule.name] = rule

    async def delete_dispatch_rule(self, rule_id: str) -> None:
        self.changes.append("delete rule")
        self.rules.clear()

    async def sync(self, numbers: list[Any], settings: Settings = SETTINGS) -> list[str]:
        self.changes.clear()
        board = cast(Any, self)
        ids = await sync_inbound(board, plan_inbound(numbers, settings), settings.agent_name)
        await sync_rule(board, plan_rule(settings, ids))
        return list(self.changes)


def test_numbers_without_a_trunk_share_one_and_a_catch_all_takes_the_rest() -> None:
    wanted = plan_inbound([number("+12025550100"), number("+12025550102")], SETTINGS)
    assert [(trunk.name, trunk.numbers, trunk.allowed_addresses) for trunk in wanted] == [
        ("trunkline: numbers", {"+12025550100", "+12025550102"}, HERE),
        ("trunkline: catch-all", set(), HERE),
    ]
    assert {trunk.ringing_timeout_seconds for trunk in wanted} == {4.0}


def test_a_trunk_row_has_its_own_addresses_and_the_catch_all_has_all() -> None:
    trunk_id = new_id()
    wanted = plan_inbound([number("+12025550100", trunk_id, ["192.0.2.7", "198.51.100.0/24"])], SETTINGS)
    theirs = {"192.0.2.7/32", "198.51.100.0/24"}
    assert [(trunk.name, trunk.allowed_addresses) for trunk in wanted] == [
        (f"trunkline: {trunk_id}", theirs),
        ("trunkline: catch-all", theirs | HERE),
    ]


def test_where_no_address_is_allowed_no_trunk_is_wanted() -> None:
    assert plan_inbound([number("+12025550100")], Settings(sip_allowed_addresses=[])) == []


def test_a_single_address_becomes_a_block_that_no_from_header_can_equal() -> None:
    assert read_addresses(["192.0.2.7", "2001:db8::1", "198.51.100.9/24"]) == {
        "192.0.2.7/32",
        "2001:db8::1/128",
        "198.51.100.0/24",
    }


def test_the_allowed_addresses_are_written_with_commas_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_SIP_ALLOWED_ADDRESSES", "198.51.100.0/24, 192.0.2.7")
    assert Settings.load().sip_allowed_addresses == ["198.51.100.0/24", "192.0.2.7"]


@pytest.mark.parametrize("address", ["", "sip.example.com", "192.0.2.300", "192.0.2.0/33", "*"])
def test_what_is_no_address_is_refused_because_livekit_would_skip_it(address: str) -> None:
    with pytest.raises(InvalidAddress):
        read_addresses([address])


async def test_a_second_sync_changes_nothing() -> None:
    livekit = FakeTrunks()
    assert await livekit.sync([number("+12025550100")]) == [
        "put trunkline: numbers",
        "put trunkline: catch-all",
        "put rule",
    ]
    assert await livekit.sync([number("+12025550100")]) == []


async def test_a_number_moves_between_trunks_without_standing_in_two() -> None:
    livekit, one, two = FakeTrunks(), new_id(), new_id()
    a, b, c = "+12025550100", "+12025550102", "+12025550103"
    await livekit.sync([number(a, one, ["192.0.2.1"]), number(b, one, ["192.0.2.1"]), number(c, two, ["192.0.2.2"])])
    await livekit.sync([number(c, one, ["192.0.2.1"]), number(b, one, ["192.0.2.1"]), number(a, two, ["192.0.2.2"])])
    names = {trunk.name: trunk.numbers for trunk in livekit.trunks.values()}
    assert names == {f"trunkline: {one}": {b, c}, f"trunkline: {two}": {a}, "trunkline: catch-all": frozenset()}


async def test_a_trunk_that_loses_its_last_number_goes_and_never_becomes_a_catch_all() -> None:
    livekit = FakeTrunks()
    await livekit.sync([number("+12025550100")])
    assert await livekit.sync([number("+12025550102")]) == [
        "delete trunkline: numbers",
        "put trunkline: numbers",
        "put rule",
    ]
    assert await livekit.sync([]) == ["delete trunkline: numbers", "put rule"]


async def test_without_trunks_there_is_no_rule_because_one_without_trunks_takes_everything() -> None:
    livekit = FakeTrunks()
    await livekit.sync([number("+12025550100")])
    await livekit.sync([], Settings(sip_allowed_addresses=[]))
    assert (livekit.trunks, livekit.rules) == ({}, {})


async def test_trunks_of_others_in_the_same_livekit_stay() -> None:
    livekit = FakeTrunks()
    await livekit.put_inbound_trunk(InboundTrunk("theirs", frozenset({"+12025550177"}), frozenset(), 0))
    await livekit.sync([number("+12025550100")])
    await livekit.sync([])
    assert "theirs" in [trunk.name for trunk in livekit.trunks.values()]


def test_what_is_written_for_livekit_is_read_back_as_the_same() -> None:
    inbound = InboundTrunk("a: b", frozenset({"+12025550100"}), HERE, 4.5)
    outbound = OutboundTrunk("a: c", "sip.example.com:5070", frozenset({"*"}), "user", "password")
    rule = DispatchRule("a: inbound", frozenset({"ST_1"}), "call-", "trunkline", "{}")
    assert read_inbound(write_inbound(inbound)) == inbound
    assert read_outbound(write_outbound(outbound)) == outbound
    assert read_rule(write_rule(rule)) == rule


def test_a_sealed_secret_opens_with_its_key_only() -> None:
    sealed = seal(SecretStr("one key"), "carrier password")
    assert b"carrier" not in sealed
    assert unseal(SecretStr("one key"), sealed) == "carrier password"
    with pytest.raises(SealBroken):
        unseal(SecretStr("another key"), sealed)
