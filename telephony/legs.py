"""The ways into a call: who is in its room, since when, and whether an agent still lives."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from livekit.protocol.models import DisconnectReason, ParticipantInfo

from app.db import Database
from app.ids import CallId
from app.logs import get_logger
from telephony import store
from telephony.calls import Call, EventKind, read_call, record_event

log = get_logger(__name__)

BEAT_SECONDS = 1.5
"""How often an agent's job says that it lives (`beat_agent`)."""


class LegKind(StrEnum):
    SIP = "sip"
    STREAM = "stream"
    WEB = "web"
    AGENT = "agent"
    OPERATOR = "operator"
    SUPERVISOR = "supervisor"


CALLER_KINDS = frozenset({LegKind.SIP, LegKind.STREAM, LegKind.WEB})
"""The kinds of leg by which the person is in the call for whom it exists."""

STREAM_IDENTITY = "caller"


@dataclass(frozen=True)
class RoomLeg:
    """Who is in a room. `kind` is None for what is nobody's leg (egress, ingress). `disconnect_reason`: LiveKit's own
    word, "UNKNOWN_REASON" while connected or where it knows none. `active`: connected with media, not merely on
    the way in."""

    identity: str
    kind: LegKind | None
    attributes: Mapping[str, str]
    disconnect_reason: str
    active: bool


def read_leg(participant: ParticipantInfo) -> RoomLeg:
    """LiveKit's participant as a leg of a call."""
    attributes = dict(participant.attributes)
    return RoomLeg(
        identity=participant.identity,
        kind=leg_kind(ParticipantInfo.Kind.Name(participant.kind), participant.identity, attributes),
        attributes=attributes,
        disconnect_reason=DisconnectReason.Name(participant.disconnect_reason),
        active=participant.state == ParticipantInfo.State.ACTIVE,
    )


def leg_kind(livekit_kind: str, identity: str, attributes: Mapping[str, str]) -> LegKind | None:
    """What kind of leg a LiveKit participant is; None for one that is nobody's (egress, ingress).

    Our tokens say it in the attribute "trunkline.leg"; LiveKit says it for SIP and agents.
    """
    if livekit_kind == "SIP":
        return LegKind.SIP
    if livekit_kind == "AGENT":
        return LegKind.AGENT
    if livekit_kind != "STANDARD":
        return None
    said = attributes.get("trunkline.leg", "")
    if said in set(LegKind):
        return LegKind(said)
    return LegKind.STREAM if identity == STREAM_IDENTITY else LegKind.WEB


async def join_leg(db: Database, call: Call, *, kind: LegKind, identity: str, unless_left: bool = False) -> bool:
    """Record that this leg is in the call; False if it is there already or the call is over.

    `unless_left`: also not if it was there before, for news that may be old.
    """
    async with db.system() as connection:
        if unless_left and await store.has_leg(connection, call.id, identity):
            return False
        row = await store.insert_leg(connection, org_id=call.org_id, call_id=call.id, kind=kind, identity=identity)
        if row is None:
            return False
        data = {"kind": kind, "identity": identity}
        await record_event(connection, call.org_id, call.id, EventKind.LEG_JOINED, data)
    return True


async def leave_leg(db: Database, call: Call, *, identity: str) -> bool:
    """Record that this leg left; False if it had, or was never there. Of several who notice, one gets True."""
    async with db.system() as connection:
        row = await store.set_leg_left(connection, call.id, identity)
        if row is None:
            return False
        data = {"kind": row["kind"], "identity": identity}
        await record_event(connection, call.org_id, call.id, EventKind.LEG_LEFT, data)
    return True


async def beat_agent(db: Database, call_id: CallId | UUID, *, identity: str) -> bool:
    """The heartbeat of an agent's job, every BEAT_SECONDS while it holds the call; the first one records the leg.

    False once the call is over or the agent was given up (another took its place): leave the room. `rescue` replaces
    an agent whose heart stops, because LiveKit's own `participant_left` comes some 20 s after a process is killed.
    """
    async with db.system() as connection:
        if await store.beat_leg(connection, call_id, identity):
            return True
        row = await store.select_call(connection, call_id)
        given_up = await store.was_given_up(connection, call_id, identity)
    if row is not None and not row["ended_at"] and not given_up:
        # LiveKit's webhook may have recorded the leg since we looked; then it is there to be beaten.
        await join_leg(db, read_call(row), kind=LegKind.AGENT, identity=identity, unless_left=True)
        async with db.system() as connection:
            if await store.beat_leg(connection, call_id, identity):
                return True
    over = row is None or row["ended_at"] is not None
    log.info("an agent's heart stops", call_id=str(call_id), agent=identity, call_over=over, given_up=given_up)
    return False


@dataclass(frozen=True)
class SilentAgent:
    """An agent of an open call that gave its last sign of life so many seconds ago."""

    call: Call
    identity: str
    seconds: float


async def find_silent_agents(db: Database, *, silent_for: timedelta) -> list[SilentAgent]:
    """The agents of open calls whose last beat, or arrival where none followed, is so long ago."""
    async with db.system() as connection:
        rows = await store.select_silent_agents(connection, silent_for)
    return [SilentAgent(read_call(row), row["identity"], float(row["silent_seconds"])) for row in rows]
