"""Many outbound calls at a time: the same promises as `telephony.outbound`, in few statements.

Who calls these has asked the toll gate for every number, in the same transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from app.db import Connection
from app.ids import CallId
from telephony import outbound_store
from telephony.calls import Call, read_call
from telephony.carriers.base import CarrierName, DialRefused
from telephony.lines.numbers import Number
from telephony.outbound import CarrierNotConfigured, DialRequest, Lines, send_dial
from telephony.watch.sip_progress import follow_dial


async def prepare_calls(
    connection: Connection, number: Number, requests: Sequence[DialRequest], *, now: datetime
) -> list[Call]:
    """Write the intents to call from `number`, in the caller's transaction; nothing is dialed before that commits.

    All for one organization and one team version; in any order. A request whose attempt has its call already is
    left out.
    """
    if not requests:
        return []
    rows = await outbound_store.insert_outbound_calls(
        connection,
        org_id=number.org_id,
        carrier=number.carrier,
        from_number=number.e164,
        number_id=number.id,
        team_version_id=requests[0].team_version_id,
        call_ids=[request.call_id for request in requests],
        to_numbers=[request.to for request in requests],
        attempt_ids=[request.attempt_id for request in requests],
        variables=[request.variables for request in requests],
        created_at=now,
    )
    return [read_call(row) for row in rows]


async def request_call(lines: Lines, call: Call, *, ring_timeout_seconds: int) -> str:
    """The one request, for a call that its row says is dialed; returns the carrier's id. Nothing is written.

    Raises DialRefused (surely not dialed) or DialUncertain (nobody knows).
    """
    try:
        return await send_dial(lines, call, ring_timeout_seconds)
    except CarrierNotConfigured as error:
        raise DialRefused(error.detail) from error


async def record_dialed(connection: Connection, carrier_call_ids: Mapping[CallId, str]) -> None:
    """Write down what the carrier calls each of them. asyncpg.UniqueViolationError: one of these ids is another
    call's."""
    if carrier_call_ids:
        await outbound_store.set_carrier_call_ids(connection, list(carrier_call_ids), list(carrier_call_ids.values()))


def follow_call(lines: Lines, call: Call, *, ring_timeout_seconds: int) -> None:
    """Let the lines watch a call that was dialed, where no carrier tells of its progress."""
    if call.carrier is CarrierName.SIP:
        watch = follow_dial(lines.db, lines.switchboard, call, ring_timeout_seconds=ring_timeout_seconds)
        lines.keep(watch, name=f"follow {call.id}")
