"""What LiveKit tells by webhook, in our words."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from telephony.legs import RoomLeg


class EventName(StrEnum):
    """The LiveKit webhooks that we act upon; others are read as `OTHER`."""

    PARTICIPANT_JOINED = "participant_joined"
    PARTICIPANT_LEFT = "participant_left"
    CONNECTION_ABORTED = "participant_connection_aborted"
    ROOM_FINISHED = "room_finished"
    OTHER = "other"


@dataclass(frozen=True)
class LiveKitEvent:
    """One webhook of LiveKit."""

    id: str
    name: EventName
    room_name: str
    leg: RoomLeg | None
    created_at: datetime
