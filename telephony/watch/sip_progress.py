"""How a SIP leg gets on: ringing, answered, gone, and what its leaving means for the call.

LiveKit SIP writes the state of the phone into the leg's attribute "sip.callStatus" (dialing, ringing, active, hangup)
and, on leaving, a disconnect reason into the webhook. It does not pass on the SIP code: a busy callee and one who
declines look the same (USER_REJECTED), and so do "no answer" and "no such number" (USER_UNAVAILABLE).
"""

import asyncio

from app.db import Database
from app.logs import get_logger
from telephony.calls import (
    AtFault,
    Call,
    CallStatus,
    Direction,
    End,
    EndReason,
    EndResult,
    load_call,
    mark_answered,
    mark_ringing,
    note_carrier_status,
)
from telephony.legs import LegKind, RoomLeg
from telephony.switchboard import Switchboard, SwitchboardError

log = get_logger(__name__)

STATUS_ATTRIBUTE = "sip.callStatus"
POLL_SECONDS = 0.5
CLOSED_BY_US = frozenset({"PARTICIPANT_REMOVED", "ROOM_DELETED", "ROOM_CLOSED"})


async def note_sip_status(db: Database, call: Call, status: str) -> None:
    """Carry the phone's state, as the leg's attribute has it, into the row of an outbound call; late or repeated news
    changes nothing. Whoever sees the attribute first may call it: the agent in the room, or `follow_dial`."""
    if call.direction is not Direction.OUTBOUND:
        return
    if status == "ringing":
        await mark_ringing(db, call.id)
    elif status == "active":
        await mark_answered(db, call.id)


async def follow_dial(db: Database, switchboard: Switchboard, call: Call, *, ring_timeout_seconds: float) -> None:
    """Watch an outbound SIP leg until it is answered or gone. LiveKit has no webhook for a changed attribute, and the
    agent that would see it may be the part that is missing."""
    status = ""
    for _ in range(round((ring_timeout_seconds + 15) / POLL_SECONDS)):
        await asyncio.sleep(POLL_SECONDS)
        try:
            legs = await switchboard.list_legs(call.room_name)
        except SwitchboardError as error:
            log.warning("cannot follow a dialed call", call_id=str(call.id), livekit_code=error.livekit_code)
            continue
        seen = next((leg.attributes.get(STATUS_ATTRIBUTE, "") for leg in legs if leg.kind is LegKind.SIP), "")
        if seen != status:
            status = seen
            await note_sip_status(db, call, status)
            await note_carrier_status(db, call.id, carrier_status=status or "gone")
        if (await load_call(db, call.id)).status not in (CallStatus.QUEUED, CallStatus.RINGING):
            return


def end_of_sip_leg(call: Call, leg: RoomLeg) -> End:
    """What it means for the call that its SIP leg left."""
    reason = leg.disconnect_reason
    if call.answered_at is not None or leg.attributes.get(STATUS_ATTRIBUTE) in ("automation", "active"):
        return _end_of_conversation(call, reason)
    if call.direction is Direction.INBOUND:
        # LiveKit SIP leaves with the same reason when it gives up waiting for an agent; the attribute tells.
        if leg.attributes.get(STATUS_ATTRIBUTE) == "hangup":
            return End(EndResult.CANCELED, EndReason.CALLER_HUNG_UP)
        return End(EndResult.FAILED, EndReason.NO_WORKER, AtFault.US)
    return _end_of_dial(reason)


def _end_of_conversation(call: Call, reason: str) -> End:
    if reason in CLOSED_BY_US:
        return End(EndResult.COMPLETED, EndReason.API_ENDED)
    if reason == "CLIENT_INITIATED" and call.direction is Direction.INBOUND:
        return End(EndResult.COMPLETED, EndReason.CALLER_HUNG_UP)
    if reason == "CLIENT_INITIATED":
        return End(EndResult.COMPLETED, EndReason.CALLEE_HUNG_UP)
    their_side = AtFault.CALLER if call.direction is Direction.INBOUND else AtFault.CALLEE
    return End(EndResult.COMPLETED, EndReason.MEDIA_LOST, their_side)


def _end_of_dial(reason: str) -> End:
    if reason == "USER_REJECTED":
        return End(EndResult.BUSY, EndReason.BUSY, AtFault.CALLEE)
    if reason == "USER_UNAVAILABLE":
        return End(EndResult.NO_ANSWER, EndReason.NO_ANSWER, AtFault.CALLEE)
    if reason in CLOSED_BY_US:
        return End(EndResult.CANCELED, EndReason.API_ENDED)
    return End(EndResult.FAILED, EndReason.CARRIER_ERROR, AtFault.CARRIER)
