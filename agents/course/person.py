"""The person of a call as LiveKit shows them: their leg in the room, whether they answered, that they left."""

import asyncio

from livekit import rtc
from livekit.protocol.models import DisconnectReason, ParticipantInfo

from telephony.calls import Call, Direction
from telephony.legs import CALLER_KINDS, LegKind, RoomLeg, leg_kind
from telephony.watch.sip_progress import STATUS_ATTRIBUTE


def read_participant(participant: rtc.RemoteParticipant) -> RoomLeg:
    """The SDK's participant as a leg of a call."""
    attributes = dict(participant.attributes)
    return RoomLeg(
        identity=participant.identity,
        kind=leg_kind(ParticipantInfo.Kind.Name(participant.kind), participant.identity, attributes),
        attributes=attributes,
        disconnect_reason=DisconnectReason.Name(participant.disconnect_reason or 0),
        active=participant.disconnect_reason is None,
    )


async def find_person(room: rtc.Room, *, within_seconds: float) -> RoomLeg | None:
    """The person's leg as soon as it is in the room; None if it does not come in time."""
    found: asyncio.Future[RoomLeg] = asyncio.get_running_loop().create_future()

    def on_joined(participant: rtc.RemoteParticipant) -> None:
        leg = read_participant(participant)
        if leg.kind in CALLER_KINDS and not found.done():
            found.set_result(leg)

    room.on("participant_connected", on_joined)
    try:
        for participant in room.remote_participants.values():
            on_joined(participant)
        return await asyncio.wait_for(found, within_seconds)
    except TimeoutError:
        return None
    finally:
        room.off("participant_connected", on_joined)


def has_answered(call: Call, leg: RoomLeg) -> bool:
    """Whether the person can hear us. Only a SIP leg that we dial is in the room before its phone is picked up."""
    if call.direction is Direction.OUTBOUND and leg.kind is LegKind.SIP:
        return leg.attributes.get(STATUS_ATTRIBUTE) == "active"
    return True
