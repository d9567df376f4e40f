"""LiveKit's SIP messages and the few of their fields that we set, as plain data that can be compared.

Two of ours are equal when LiveKit would treat calls the same; ids do not count.
"""

from dataclasses import dataclass, field

from google.protobuf.duration_pb2 import Duration
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import RoomConfiguration
from livekit.protocol.sip import (
    SIPDispatchRule,
    SIPDispatchRuleCallee,
    SIPDispatchRuleInfo,
    SIPInboundTrunkInfo,
    SIPOutboundTrunkInfo,
)


@dataclass(frozen=True)
class InboundTrunk:
    """Which calls LiveKit SIP takes. No `numbers`: every number that no other trunk names (the catch-all).
    `allowed_addresses` are CIDR blocks, never empty (LiveKit reads an empty list as "everyone")."""

    name: str
    numbers: frozenset[str]
    allowed_addresses: frozenset[str]
    ringing_timeout_seconds: float
    id: str = field(default="", compare=False)


@dataclass(frozen=True)
class OutboundTrunk:
    """Through whom LiveKit SIP dials: `address` is host[:port]; `numbers` the caller IDs."""

    name: str
    address: str
    numbers: frozenset[str]
    username: str = ""
    password: str = field(default="", repr=False)
    id: str = field(default="", compare=False)


@dataclass(frozen=True)
class DispatchRule:
    """Every call of these trunks gets a room of its own with an agent in it. It is named after the number dialed
    (`room_prefix`, the number, something random): the caller's would stand in every log of LiveKit's."""

    name: str
    trunk_ids: frozenset[str]
    room_prefix: str
    agent_name: str
    agent_metadata: str
    id: str = field(default="", compare=False)


def read_inbound(info: SIPInboundTrunkInfo) -> InboundTrunk:
    return InboundTrunk(
        name=info.name,
        numbers=frozenset(info.numbers),
        allowed_addresses=frozenset(info.allowed_addresses),
        ringing_timeout_seconds=info.ringing_timeout.ToNanoseconds() / 1e9,
        id=info.sip_trunk_id,
    )


def write_inbound(trunk: InboundTrunk) -> SIPInboundTrunkInfo:
    ringing = Duration()
    ringing.FromMilliseconds(round(trunk.ringing_timeout_seconds * 1000))
    return SIPInboundTrunkInfo(
        name=trunk.name,
        numbers=sorted(trunk.numbers),
        allowed_addresses=sorted(trunk.allowed_addresses),
        ringing_timeout=ringing,
    )


def read_outbound(info: SIPOutboundTrunkInfo) -> OutboundTrunk:
    return OutboundTrunk(
        name=info.name,
        address=info.address,
        numbers=frozenset(info.numbers),
        username=info.auth_username,
        password=info.auth_password,
        id=info.sip_trunk_id,
    )


def write_outbound(trunk: OutboundTrunk) -> SIPOutboundTrunkInfo:
    return SIPOutboundTrunkInfo(
        name=trunk.name,
        address=trunk.address,
        numbers=sorted(trunk.numbers),
        auth_username=trunk.username,
        auth_password=trunk.password,
    )


def read_rule(info: SIPDispatchRuleInfo) -> DispatchRule:
    agents = info.room_config.agents
    return DispatchRule(
        name=info.name,
        trunk_ids=frozenset(info.trunk_ids),
        room_prefix=info.rule.dispatch_rule_callee.room_prefix,
        agent_name=agents[0].agent_name if agents else "",
        agent_metadata=agents[0].metadata if agents else "",
        id=info.sip_dispatch_rule_id,
    )


def write_rule(rule: DispatchRule) -> SIPDispatchRuleInfo:
    agent = RoomAgentDispatch(agent_name=rule.agent_name, metadata=rule.agent_metadata)
    return SIPDispatchRuleInfo(
        name=rule.name,
        trunk_ids=sorted(rule.trunk_ids),
        rule=SIPDispatchRule(dispatch_rule_callee=SIPDispatchRuleCallee(room_prefix=rule.room_prefix, randomize=True)),
        room_config=RoomConfiguration(agents=[agent]),
    )
