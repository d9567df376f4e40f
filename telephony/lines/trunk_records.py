"""SIP trunks as an organization keeps them: added, listed, removed. What LiveKit makes of them: trunks.py."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import ip_network

import asyncpg
from pydantic import SecretStr

from app import vault
from app.db import Connection, Row
from app.errors import Conflict, InvalidInput, NotFound, Unavailable
from app.ids import OrgId, TrunkId, new_id
from telephony.lines import store
from telephony.lines.trunks import InvalidAddress, read_addresses

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?")
WIDEST_PREFIX = 8
"""Bits. Whoever allows more than a /8 has not named a carrier but everybody."""


class InvalidTrunk(InvalidInput):
    """A trunk that could not work; `extra["errors"]` names every fault."""

    code = "invalid_trunk"


class TrunkTaken(Conflict):
    """The organization has a trunk of that name."""

    code = "trunk_name_taken"


class TrunkInUse(Conflict):
    """Numbers stand on this trunk."""

    code = "trunk_in_use"


class TrunkNotFound(NotFound):
    """The organization has no such trunk."""

    code = "trunk_not_found"


class NoSecretKey(Unavailable):
    """There is no TRUNKLINE_SECRET_KEY to seal a password with."""

    code = "no_secret_key"


class TrunkDirection(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


@dataclass(frozen=True)
class TrunkOrder:
    """What is asked for. Inbound: `allowed_addresses` (IP or CIDR) may call. Outbound: we dial through `address`,
    host[:port], and log in where a `username` is given."""

    name: str
    direction: TrunkDirection
    address: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    allowed_addresses: Sequence[str] = ()


@dataclass(frozen=True)
class Trunk:
    """A trunk of an organization, without its password."""

    id: TrunkId
    name: str
    direction: TrunkDirection
    address: str | None
    username: str | None
    allowed_addresses: tuple[str, ...]
    created_at: datetime


async def add_trunk(connection: Connection, org_id: OrgId, order: TrunkOrder, *, secret_key: SecretStr) -> Trunk:
    """Raises InvalidTrunk, TrunkTaken, NoSecretKey."""
    if faults := check_order(order):
        errors = [{"path": f"body.{path}", "message": message} for path, message in faults.items()]
        raise InvalidTrunk("The trunk cannot be made like this.", errors=errors)
    if order.password and not secret_key.get_secret_value():
        raise NoSecretKey("A password cannot be kept: this installation has no TRUNKLINE_SECRET_KEY.")
    trunk_id = TrunkId(new_id())
    try:
        await store.insert_trunk(
            connection,
            trunk_id=trunk_id,
            org_id=org_id,
            name=order.name,
            direction=order.direction,
            allowed_addresses=sorted(read_addresses(order.allowed_addresses)),
            address=order.address,
            username=order.username,
            password_sealed=vault.seal(secret_key, order.password) if order.password else None,
        )
    except asyncpg.UniqueViolationError as error:
        raise TrunkTaken("There is a trunk of that name already.") from error
    return await load_trunk(connection, org_id, trunk_id)


def check_order(order: TrunkOrder) -> Mapping[str, str]:
    """A message for each field that is wrong. Pure."""
    faults: dict[str, str] = {}
    if order.direction is TrunkDirection.OUTBOUND:
        if not _HOST.fullmatch(order.address or ""):
            faults["address"] = "an outbound trunk dials through a host or host:port, without sip:"
        if bool(order.username) != bool(order.password):
            faults["password"] = "username and password belong together"  # noqa: S105  # says what is wrong
        if order.allowed_addresses:
            faults["allowed_addresses"] = "only an inbound trunk is called from addresses"
        return faults
    for name in ("address", "username", "password"):
        if getattr(order, name):
            faults[name] = "only an outbound trunk has one"
    if fault := _check_addresses(order.allowed_addresses):
        faults["allowed_addresses"] = fault
    return faults


def _check_addresses(addresses: Sequence[str]) -> str | None:
    try:
        blocks = read_addresses(addresses)
    except InvalidAddress as error:
        return error.detail
    if not blocks:
        return "an inbound trunk needs the addresses that may call"
    if any(ip_network(block).prefixlen < WIDEST_PREFIX for block in blocks):
        return f"too wide: name the carrier's addresses, a /{WIDEST_PREFIX} at most"
    return None


async def list_trunks(connection: Connection, org_id: OrgId) -> list[Trunk]:
    """By name."""
    return [_read(row) for row in await store.select_trunks(connection, org_id)]


async def load_trunk(connection: Connection, org_id: OrgId, trunk_id: TrunkId) -> Trunk:
    """Raises TrunkNotFound."""
    row = await store.select_trunk(connection, org_id, trunk_id=trunk_id)
    if row is None:
        raise TrunkNotFound("There is no such trunk.")
    return _read(row)


async def find_trunk(connection: Connection, org_id: OrgId, name: str) -> Trunk:
    """Raises TrunkNotFound."""
    row = await store.select_trunk(connection, org_id, name=name)
    if row is None:
        raise TrunkNotFound("There is no such trunk.")
    return _read(row)


async def remove_trunk(connection: Connection, org_id: OrgId, trunk_id: TrunkId) -> Trunk:
    """Raises TrunkNotFound, TrunkInUse."""
    trunk = await load_trunk(connection, org_id, trunk_id)
    try:
        await store.delete_trunk(connection, org_id, trunk_id)
    except asyncpg.ForeignKeyViolationError as error:
        raise TrunkInUse("Numbers stand on this trunk.") from error
    return trunk


def _read(row: Row) -> Trunk:
    return Trunk(
        id=row["id"],
        name=row["name"],
        direction=TrunkDirection(row["direction"]),
        address=row["address"],
        username=row["username"],
        allowed_addresses=tuple(row["allowed_addresses"]),
        created_at=row["created_at"],
    )
