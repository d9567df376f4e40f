"""The world outside in our own words: a carrier that does what the test says, a switchboard without LiveKit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from telephony.calls import Call, DispatchMetadata
from telephony.carriers.base import CarrierCall, CarrierName, OutgoingCall
from telephony.legs import LegKind, RoomLeg
from telephony.switchboard import SwitchboardError


@dataclass
class FakeCarrier:
    """Answers a dial with a fresh id, or with the error it was given; remembers every request."""

    name: CarrierName = CarrierName.TWILIO
    dialing_fails_with: Exception | None = None
    dialed: list[OutgoingCall] = field(default_factory=list)
    hung_up: list[str] = field(default_factory=list)

    async def dial(self, call: OutgoingCall) -> str:
        self.dialed.append(call)
        if self.dialing_fails_with is not None:
            raise self.dialing_fails_with
        return f"CA{len(self.dialed)}"

    async def hang_up(self, carrier_call_id: str) -> None:
        self.hung_up.append(carrier_call_id)

    async def find_calls(self, *, to: str, from_: str, since: datetime) -> Sequence[CarrierCall]:
        return []

    async def close(self) -> None: ...


@dataclass
class FakeSwitchboard:
    """Rooms as a dictionary of legs; dispatching an agent puts one there, unless no worker is free."""

    rooms: dict[str, list[RoomLeg]] = field(default_factory=dict)
    dispatched: list[tuple[str, DispatchMetadata]] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    worker_free: bool = True
    dialing_fails_with: Exception | None = None
    dialed: list[str] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    """How many of the next requests about a room fail, by the room's name; "" for every room."""

    def _fail(self, room_name: str) -> None:
        for name in (room_name, ""):
            if self.failures.get(name, 0):
                self.failures[name] -= 1
                raise SwitchboardError("LiveKit is away.", livekit_code="unavailable")

    async def list_legs(self, room_name: str) -> list[RoomLeg]:
        self._fail(room_name)
        return list(self.rooms.get(room_name, []))

    async def list_rooms(self, names: list[str]) -> set[str]:
        return set(names) & set(self.rooms)

    async def remove_leg(self, room_name: str, identity: str) -> None:
        self.rooms[room_name] = [leg for leg in self.rooms.get(room_name, []) if leg.identity != identity]

    async def dispatch_agent(self, room_name: str, metadata: DispatchMetadata) -> str:
        self.dispatched.append((room_name, metadata))
        if self.worker_free:
            identity = f"agent-replacement-{len(self.dispatched)}"
            self.rooms.setdefault(room_name, []).append(room_leg(LegKind.AGENT, identity))
        return f"AD_{len(self.dispatched)}"

    async def was_taken(self, room_name: str, dispatch_id: str) -> bool:
        return self.worker_free

    async def cancel_dispatch(self, room_name: str, dispatch_id: str) -> None: ...

    async def close_room(self, room_name: str) -> None:
        self._fail(room_name)
        self.closed.append(room_name)
        self.rooms.pop(room_name, None)

    async def dial_sip(self, call: Call, livekit_trunk_id: str, *, ring_timeout_seconds: int) -> str:
        self.dialed.append(livekit_trunk_id)
        if self.dialing_fails_with is not None:
            raise self.dialing_fails_with
        return f"SCL_{call.id}"

    async def close(self) -> None: ...


def room_leg(kind: LegKind, identity: str, *, reason: str = "UNKNOWN_REASON", **attributes: str) -> RoomLeg:
    return RoomLeg(identity, kind, attributes, reason, active=True)
