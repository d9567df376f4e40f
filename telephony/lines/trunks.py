"""Make LiveKit SIP accept and dial what our rows say: inbound trunks, one dispatch rule, outbound trunks.

LiveKit SIP answers an INVITE that matches no trunk with nothing at all, so that scanners learn nothing. For the
addresses we allow, that would leave a caller who misdialed in silence: a catch-all trunk takes such a call, and the
agent refuses it. The catch-all also carries calls while a number's own trunk is being replaced.
"""

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_network

from app import vault
from app.db import Database, Row
from app.errors import InvalidInput
from app.settings import Settings
from telephony.calls import DispatchMetadata
from telephony.lines import store
from telephony.lines.sip_messages import DispatchRule, InboundTrunk, OutboundTrunk
from telephony.switchboard import Switchboard

ROOM_PREFIX = "call-"


class InvalidAddress(InvalidInput):
    """Not an IP address or CIDR block."""

    code = "invalid_address"


async def sync_trunks(switchboard: Switchboard, db: Database, settings: Settings) -> None:
    """Create, change and delete our trunks and our dispatch rule in LiveKit until they match the rows.

    Idempotent; what others keep in the same LiveKit (by name) is left alone. Raises SwitchboardError, InvalidAddress.
    """
    async with db.system() as connection:
        numbers = await store.select_sip_numbers(connection)
        outbound = await store.select_outbound_trunks(connection)
    trunk_ids = await sync_inbound(switchboard, plan_inbound(numbers, settings), settings.agent_name)
    await sync_rule(switchboard, plan_rule(settings, trunk_ids))
    await sync_outbound(switchboard, db, plan_outbound(outbound, settings), settings.agent_name)


def plan_inbound(numbers: Iterable[Row], settings: Settings) -> list[InboundTrunk]:
    """The inbound trunks for these rows of numbers: one for each trunk row, one for the numbers without, and the
    catch-all for every address that any of them allows. None at all where no address is allowed."""
    usual = read_addresses(settings.sip_allowed_addresses)
    owned: dict[str, set[str]] = {}
    addresses: dict[str, frozenset[str]] = {}
    for row in numbers:
        name = str(row["trunk_id"]) if row["trunk_id"] else "numbers"
        owned.setdefault(name, set()).add(row["e164"])
        addresses[name] = read_addresses(row["allowed_addresses"] or []) or usual
    wanted = [_inbound(settings, name, frozenset(owned[name]), addresses[name]) for name in owned if addresses[name]]
    everyone = usual.union(*addresses.values())
    if everyone:
        wanted.append(_inbound(settings, "catch-all", frozenset(), everyone))
    return wanted


def _inbound(settings: Settings, name: str, numbers: frozenset[str], addresses: frozenset[str]) -> InboundTrunk:
    return InboundTrunk(our_name(settings.agent_name, name), numbers, addresses, settings.sip_ringing_timeout_seconds)


def read_addresses(addresses: Iterable[str]) -> frozenset[str]:
    """CIDR blocks; a single address becomes a block of one, because LiveKit also compares the bare text with the From
    header's host, which a caller may write as it likes. Raises InvalidAddress: LiveKit would skip what it cannot
    read, and allow everyone once nothing is left."""
    try:
        return frozenset(str(ip_network(address.strip(), strict=False)) for address in addresses)
    except ValueError as error:
        raise InvalidAddress(f"Not an IP address or block: {error}.") from error


def plan_rule(settings: Settings, trunk_ids: frozenset[str]) -> DispatchRule:
    return DispatchRule(
        name=our_name(settings.agent_name, "inbound"),
        trunk_ids=trunk_ids,
        room_prefix=ROOM_PREFIX,
        agent_name=settings.agent_name,
        agent_metadata=DispatchMetadata().model_dump_json(),
    )


def plan_outbound(rows: Iterable[Row], settings: Settings) -> list[tuple[Row, OutboundTrunk]]:
    """Each row of trunks with the outbound trunk that it asks for."""
    return [(row, _outbound(row, settings)) for row in rows]


def _outbound(row: Row, settings: Settings) -> OutboundTrunk:
    sealed = row["password_sealed"]
    return OutboundTrunk(
        name=our_name(settings.agent_name, str(row["id"])),
        address=row["address"],
        # The caller ID goes with each dial; LiveKit wants at least one number here.
        numbers=frozenset({"*"}),
        username=row["username"] or "",
        password=vault.unseal(settings.secret_key, sealed) if sealed else "",
    )


def our_name(agent_name: str, name: str) -> str:
    """Names tell our trunks and rules from others' in the same LiveKit."""
    return f"{agent_name}: {name}"


async def sync_inbound(switchboard: Switchboard, wanted: list[InboundTrunk], agent_name: str) -> frozenset[str]:
    """Returns the ids of our trunks. First everything that must go, then everything that must come: a number can move
    from one trunk to another, and LiveKit refuses one that stands in two."""
    names = {trunk.name: trunk for trunk in wanted}
    there = [trunk for trunk in await switchboard.list_inbound_trunks() if is_ours(trunk.name, agent_name)]
    kept: dict[str, InboundTrunk] = {}
    for trunk in there:
        successor = names.get(trunk.name)
        staying = trunk.numbers & successor.numbers if successor else frozenset[str]()
        # A trunk that loses its last number would turn into a second catch-all.
        if successor is None or trunk.name in kept or bool(staying) != bool(trunk.numbers):
            await switchboard.delete_trunk(trunk.id)
        elif staying != trunk.numbers:
            kept[trunk.name] = replace(trunk, numbers=staying)
            await switchboard.put_inbound_trunk(kept[trunk.name])
        else:
            kept[trunk.name] = trunk
    ids: set[str] = set()
    for trunk in wanted:
        known = kept.get(trunk.name)
        if known is not None and known == trunk:
            ids.add(known.id)
        else:
            ids.add(await switchboard.put_inbound_trunk(replace(trunk, id=known.id if known else "")))
    return frozenset(ids)


async def sync_rule(switchboard: Switchboard, wanted: DispatchRule) -> None:
    """The rule names our trunks: one that names none also takes the calls that match no trunk, from anywhere."""
    there = [rule for rule in await switchboard.list_dispatch_rules() if rule.name == wanted.name]
    if not wanted.trunk_ids:
        for rule in there:
            await switchboard.delete_dispatch_rule(rule.id)
    elif not there:
        await switchboard.put_dispatch_rule(wanted)
    elif there[0] != wanted:
        await switchboard.put_dispatch_rule(replace(wanted, id=there[0].id))


async def sync_outbound(
    switchboard: Switchboard, db: Database, wanted: list[tuple[Row, OutboundTrunk]], agent_name: str
) -> None:
    """Rows learn LiveKit's id of their trunk; a trunk of ours without a row goes."""
    there = {trunk.name: trunk for trunk in await switchboard.list_outbound_trunks()}
    for row, trunk in wanted:
        known = there.pop(trunk.name, None)
        livekit_id = known.id if known else ""
        if known != trunk:
            livekit_id = await switchboard.put_outbound_trunk(replace(trunk, id=livekit_id))
        if livekit_id != row["livekit_trunk_id"]:
            async with db.system() as connection:
                await store.set_livekit_trunk_id(connection, row["id"], livekit_id)
    for trunk in there.values():
        if is_ours(trunk.name, agent_name):
            await switchboard.delete_trunk(trunk.id)


def is_ours(name: str, agent_name: str) -> bool:
    return name.startswith(our_name(agent_name, ""))
