"""Operators: the people who take calls. Who is there, whose call is whose, and their way into the room."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg

from app.auth.principal import Forbidden, Principal, Role
from app.db import Connection, Row
from app.errors import Conflict, InvalidInput, NotFound
from telephony.floor import operator_store as store
from telephony.legs import LegKind
from telephony.switchboard import Switchboard

KEY_LIFETIME = timedelta(minutes=2)
"""To come in; whoever is in stays."""


class OperatorNotFound(NotFound):
    """No operator with this id."""

    code = "operator_not_found"


class OperatorExists(Conflict):
    """The organization has an operator of this name, or the user is one already."""

    code = "operator_exists"


class OperatorBusy(Conflict):
    """A call is theirs at this moment: it ends first."""

    code = "operator_busy"


class NoCall(Conflict):
    """No call is theirs at this moment."""

    code = "no_call"


class NotAMember(InvalidInput):
    """An operator is a member of the organization, or nobody in particular."""

    code = "not_a_member"


class UnknownCampaigns(InvalidInput):
    """An operator takes the calls of campaigns that the organization has."""

    code = "unknown_campaigns"


class OperatorState(StrEnum):
    OFFLINE = "offline"
    AVAILABLE = "available"
    RESERVED = "reserved"
    """A call is theirs: join it at once."""
    ON_CALL = "on_call"
    WRAP_UP = "wrap_up"
    """The call is over and they write it up; after `wrap_up_seconds` they are available by themselves."""


@dataclass(frozen=True)
class HeldCall:
    """The call that is an operator's, or was until now. `phone`: whom it was to."""

    call_id: UUID
    room_name: str
    campaign_id: UUID | None
    attempt_id: UUID | None
    phone: str | None
    variables: dict[str, Any]


@dataclass(frozen=True)
class Operator:
    """`campaigns`: whose calls they take; None: every campaign's. `missed`: calls that they did not join."""

    id: UUID
    org_id: UUID
    name: str
    user_id: UUID | None
    state: OperatorState
    since: datetime
    campaigns: tuple[UUID, ...] | None
    wrap_up_seconds: int
    missed: int
    call: HeldCall | None


def read_operator(row: Row) -> Operator:
    call = row["room_name"] and HeldCall(
        row["call_id"],
        row["room_name"],
        row["campaign_id"],
        row["attempt_id"],
        row["to_number"],
        row["variables"],
    )
    return Operator(
        id=row["id"],
        org_id=row["org_id"],
        name=row["name"],
        user_id=row["user_id"],
        state=OperatorState(row["state"]),
        since=row["since"],
        campaigns=tuple(row["campaigns"]) if row["campaigns"] is not None else None,
        wrap_up_seconds=row["wrap_up_seconds"],
        missed=row["missed"],
        call=call or None,
    )


def operator_identity(operator_id: UUID) -> str:
    """Their name in a room."""
    return f"operator_{operator_id}"


async def list_operators(connection: Connection, org_id: UUID) -> list[Operator]:
    return [read_operator(row) for row in await store.select_operators(connection, org_id)]


async def load_operator(connection: Connection, org_id: UUID, operator_id: UUID) -> Operator:
    """Raises OperatorNotFound."""
    return _demand(await store.select_operator(connection, org_id, operator_id))


async def beat(connection: Connection, org_id: UUID, operator_id: UUID) -> Operator:
    """They gave a sign of life → what they do. Whether who says so may is seen by that: roll back if not. Raises
    OperatorNotFound."""
    return _demand(await store.beat(connection, org_id, operator_id))


def _demand(row: Row | None) -> Operator:
    if row is None:
        raise OperatorNotFound("There is no such operator.")
    return read_operator(row)


def demand_self(principal: Principal, operator: Operator) -> None:
    """A member acts as the operator that they are, and from supervisor up for others; a key for any that it may write.
    Raises Forbidden."""
    if principal.user_id is not None and principal.user_id != operator.user_id:
        principal.demand_role(Role.SUPERVISOR)
    elif principal.user_id is None and operator.user_id is not None and principal.role is Role.OPERATOR:
        raise Forbidden("This operator is a member: only they, or a supervisor, act for them.")


async def add_operator(
    connection: Connection,
    org_id: UUID,
    *,
    name: str,
    user_id: UUID | None = None,
    campaigns: Sequence[UUID] | None = None,
    wrap_up_seconds: int = 15,
) -> Operator:
    """Offline, until they say that they are there. Raises OperatorExists, NotAMember,
    UnknownCampaigns."""
    await _check_campaigns(connection, org_id, campaigns)
    try:
        operator_id = await store.insert_operator(
            connection, org_id, name=name, user_id=user_id, campaigns=campaigns, wrap_up_seconds=wrap_up_seconds
        )
    except asyncpg.ForeignKeyViolationError as error:
        raise NotAMember("This user is no member of the organization.") from error
    if operator_id is None:
        raise OperatorExists("There is an operator of this name, or you are one already.")
    return await load_operator(connection, org_id, operator_id)


async def _check_campaigns(connection: Connection, org_id: UUID, campaigns: Sequence[UUID] | None) -> None:
    wanted = set(campaigns or ())
    if wanted and await store.count_campaigns(connection, org_id, list(wanted)) < len(wanted):
        raise UnknownCampaigns("There is no such campaign among yours.")


async def set_campaigns(connection: Connection, operator: Operator, campaigns: Sequence[UUID] | None) -> None:
    """Whose calls they take from now on. Raises UnknownCampaigns."""
    await _check_campaigns(connection, operator.org_id, campaigns)
    await store.set_campaigns(connection, operator.id, campaigns)


async def set_state(connection: Connection, operator: Operator, state: OperatorState) -> None:
    """Available (which ends writing up) or offline. Raises OperatorBusy; no other state is anyone's to choose."""
    change = store.set_available if state is OperatorState.AVAILABLE else store.set_offline
    if not await change(connection, operator.id):
        raise OperatorBusy("A call is theirs at this moment: it ends first.")


def make_key(switchboard: Switchboard, operator: Operator) -> str:
    """The key to the room of the call that is theirs, as LiveKit's clients take it. Raises NoCall."""
    if operator.call is None or operator.state not in (OperatorState.RESERVED, OperatorState.ON_CALL):
        raise NoCall("No call is this operator's at this moment.")
    return switchboard.mint_token(
        operator_identity(operator.id), operator.call.room_name, kind=LegKind.OPERATOR, lifetime=KEY_LIFETIME
    )
