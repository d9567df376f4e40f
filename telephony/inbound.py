"""An inbound call: which of our numbers was dialed, who answers there, and the row that makes it a call."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from app.db import Connection, Database
from app.errors import NotFound
from app.ids import E164, CallId, new_id
from telephony import store
from telephony.calls import Call, CallStatus, Channel, Direction, EventKind, read_call, record_event
from telephony.carriers.base import CarrierName
from telephony.lines.numbers import InvalidNumber, parse_dialed
from telephony.lines.routes import find_route


class UnknownNumber(NotFound):
    """The number dialed is not ours, or nothing answers there: refuse the call."""

    code = "unknown_number"
    title = "Unknown number"


@dataclass(frozen=True)
class Arrival:
    """A call that a carrier brings. `carrier_call_id` is the carrier's own (for SIP: LiveKit's sip.callID);
    `room_name` is None where we make the room. `dialed` and `caller` are as the carrier wrote them."""

    carrier: CarrierName
    carrier_call_id: str
    room_name: str | None
    dialed: str
    caller: str


def read_sip_arrival(room_name: str, attributes: Mapping[str, str]) -> Arrival | None:
    """What the attributes of a SIP leg say about an inbound call; None for a leg that we dialed ourselves."""
    if "sip.ruleID" not in attributes:
        return None
    return Arrival(
        carrier=CarrierName.SIP,
        carrier_call_id=attributes.get("sip.callID", ""),
        room_name=room_name,
        dialed=attributes.get("sip.trunkPhoneNumber", ""),
        caller=attributes.get("sip.phoneNumber", ""),
    )


async def answer_inbound(db: Database, arrival: Arrival) -> Call:
    """Open the call (status ringing) that `arrival` brings; the same arrival again returns the same call.

    Raises UnknownNumber where no number, route or published team stands behind the number dialed.
    """
    dialed = read_dialed(arrival.dialed)
    async with db.system() as connection:
        known = await find_arrived(connection, arrival)
        if known is not None:
            return known
        route = await find_route(connection, dialed)
        if route is None or route.team_version_id is None:
            raise UnknownNumber("Nothing answers at the number dialed.")
        opened = await open_inbound(connection, arrival, dialed, route.org_id, route.number_id, route.team_version_id)
        # Nothing inserted: another process opened it between our look and our insert.
        call = opened or await find_arrived(connection, arrival)
        if call is None:
            raise UnknownNumber("The room or carrier id of this call belongs to another call.")
        return call


def read_dialed(dialed: str) -> E164:
    """The number dialed in E.164. Raises UnknownNumber for what can be no number of ours."""
    try:
        return parse_dialed(dialed)
    except InvalidNumber as error:
        raise UnknownNumber("What was dialed is not a phone number.") from error


async def find_arrived(connection: Connection, arrival: Arrival) -> Call | None:
    row = await store.select_call_by_carrier_id(connection, arrival.carrier, arrival.carrier_call_id)
    return read_call(row) if row else None


async def open_inbound(
    connection: Connection, arrival: Arrival, dialed: E164, org_id: UUID, number_id: UUID, team_version_id: UUID
) -> Call | None:
    call_id = CallId(new_id())
    row = await store.insert_call(
        connection,
        call_id=call_id,
        org_id=org_id,
        channel=Channel.PHONE,
        direction=Direction.INBOUND,
        status=CallStatus.RINGING,
        room_name=arrival.room_name or f"call-{call_id}",
        carrier=arrival.carrier,
        carrier_call_id=arrival.carrier_call_id,
        from_number=arrival.caller or None,
        to_number=dialed,
        number_id=number_id,
        team_version_id=team_version_id,
        attempt_id=None,
        variables={},
    )
    if row is None:
        return None
    data = {"direction": Direction.INBOUND, "channel": Channel.PHONE, "from": arrival.caller, "to": dialed}
    await record_event(connection, org_id, call_id, EventKind.CALL_OPENED, data)
    return read_call(row)
