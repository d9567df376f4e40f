"""A call is a row: its states, how it ends, and what may change it.

Every change is one compare-and-set in one transaction together with its event, so that late, repeated and
unordered news (carrier webhooks, room events, a second worker) changes nothing twice: the first end wins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from app.db import Connection, Database, Row
from app.errors import NotFound
from app.ids import AttemptId, CallId, NumberId, OrgId, TeamVersionId
from telephony import store
from telephony.carriers.base import CarrierName


class CallNotFound(NotFound):
    """No call with this id."""

    code = "call_not_found"


class Channel(StrEnum):
    PHONE = "phone"
    WEB = "web"


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class CallStatus(StrEnum):
    """The lifecycle, in the words of the wire (Twilio's)."""

    QUEUED = "queued"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    FAILED = "failed"
    CANCELED = "canceled"


class EndResult(StrEnum):
    """What came of the call as such; `indeterminate`: it is over and nobody can say how."""

    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELED = "canceled"
    INDETERMINATE = "indeterminate"


class EndReason(StrEnum):
    """Why it ended, precise enough to act upon."""

    CALLER_HUNG_UP = "caller_hung_up"
    CALLEE_HUNG_UP = "callee_hung_up"
    AGENT_ENDED = "agent_ended"
    OPERATOR_ENDED = "operator_ended"
    API_ENDED = "api_ended"
    UNKNOWN_NUMBER = "unknown_number"
    NO_WORKER = "no_worker"
    NO_OPERATOR = "no_operator"
    WORKER_LOST = "worker_lost"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    INVALID_NUMBER = "invalid_number"
    CARRIER_ERROR = "carrier_error"
    TOLL_GATE = "toll_gate"
    MAX_DURATION = "max_duration"
    SILENCE = "silence"
    MACHINE = "machine"
    MEDIA_LOST = "media_lost"
    LOST = "lost"


class AtFault(StrEnum):
    """Whose side an end came from that nobody wanted; `nobody` for the ordinary ones."""

    NOBODY = "nobody"
    CALLER = "caller"
    CALLEE = "callee"
    CARRIER = "carrier"
    US = "us"


class AnsweredBy(StrEnum):
    """Who picked up a phone that we dialed; the evidence stands beside it in the row. Mirrored by a check."""

    PERSON = "person"
    MACHINE = "machine"


class EventKind(StrEnum):
    CALL_OPENED = "call.opened"
    CALL_RINGING = "call.ringing"
    CALL_ANSWERED = "call.answered"
    CALL_ENDED = "call.ended"
    CALL_RESCUED = "call.rescued"
    LEG_JOINED = "leg.joined"
    LEG_LEFT = "leg.left"
    TURN_ADDED = "turn.added"
    TOOL_CALLED = "tool.called"
    HANDOFF_MADE = "handoff.made"
    RECORDING_READY = "recording.ready"
    DTMF_RECEIVED = "dtmf.received"
    OPERATOR_RESERVED = "operator.reserved"
    OPERATOR_CONNECTED = "operator.connected"
    CALL_ABANDONED = "call.abandoned"
    CALL_ANSWERED_BY = "call.answered_by"
    CALL_EVALUATED = "call.evaluated"


@dataclass(frozen=True)
class End:
    result: EndResult
    reason: EndReason
    at_fault: AtFault = AtFault.NOBODY

    @property
    def status(self) -> CallStatus:
        """The status on the wire; `rejected` and `indeterminate` have no word of their own there."""
        if self.result in (EndResult.REJECTED, EndResult.INDETERMINATE):
            return CallStatus.FAILED
        return CallStatus(self.result.value)


@dataclass(frozen=True)
class Call:
    """One conversation in one room. `end` is None while it is open; times are aware UTC."""

    id: CallId
    org_id: OrgId
    channel: Channel
    direction: Direction
    status: CallStatus
    room_name: str
    carrier: CarrierName | None
    carrier_call_id: str | None
    carrier_status: str | None
    sip_code: int | None
    from_number: str | None
    to_number: str | None
    number_id: NumberId | None
    team_version_id: TeamVersionId | None
    attempt_id: AttemptId | None
    variables: Mapping[str, Any]
    hint: Mapping[str, Any]
    end: End | None
    rescues: int
    created_at: datetime
    dialed_at: datetime | None
    ringing_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    answered_by: AnsweredBy | None = None


class DispatchMetadata(BaseModel):
    """What an agent's job is told: JSON in LiveKit's dispatch. `call_id` is empty for an inbound SIP call, whose row
    the worker opens itself; `rescue` says that an agent was lost and the conversation goes on."""

    model_config = ConfigDict(frozen=True)

    call_id: UUID | None = None
    rescue: bool = False

    @classmethod
    def parse(cls, text: str) -> "DispatchMetadata":
        """Read what `model_dump_json` wrote; an empty text is an inbound SIP call."""
        return cls.model_validate_json(text) if text.strip() else cls()


def read_call(row: Row) -> Call:
    """A row of `calls` as a Call."""
    result = row["end_result"]
    end = None
    if result is not None:
        end = End(EndResult(result), EndReason(row["end_reason"]), AtFault(row["end_at_fault"]))
    return Call(
        id=row["id"],
        org_id=row["org_id"],
        channel=Channel(row["channel"]),
        direction=Direction(row["direction"]),
        status=CallStatus(row["status"]),
        room_name=row["room_name"],
        carrier=CarrierName(row["carrier"]) if row["carrier"] else None,
        carrier_call_id=row["carrier_call_id"],
        carrier_status=row["carrier_status"],
        sip_code=row["sip_code"],
        from_number=row["from_number"],
        to_number=row["to_number"],
        number_id=row["number_id"],
        team_version_id=row["team_version_id"],
        attempt_id=row["attempt_id"],
        variables=row["variables"],
        hint=row["hint"],
        end=end,
        rescues=row["rescues"],
        created_at=row["created_at"],
        dialed_at=row["dialed_at"],
        ringing_at=row["ringing_at"],
        answered_at=row["answered_at"],
        ended_at=row["ended_at"],
        answered_by=AnsweredBy(row["answered_by"]) if row["answered_by"] else None,
    )


async def load_call(db: Database, call_id: CallId | UUID) -> Call:
    """The call as it stands now. Raises CallNotFound."""
    async with db.system() as connection:
        row = await store.select_call(connection, call_id)
    if row is None:
        raise CallNotFound("There is no such call.")
    return read_call(row)


async def find_call_by_room(db: Database, room_name: str) -> Call | None:
    """The call whose room this is, or None: not every room of a LiveKit server is ours."""
    async with db.system() as connection:
        row = await store.select_call_by_room(connection, room_name)
    return read_call(row) if row else None


async def mark_ringing(db: Database, call_id: CallId | UUID) -> bool:
    """queued → ringing; False if the call was past that already."""
    async with db.system() as connection:
        row = await store.set_ringing(connection, call_id)
        if row is None:
            return False
        await record_event(connection, row["org_id"], row["id"], EventKind.CALL_RINGING, {})
    return True


async def mark_answered(db: Database, call_id: CallId | UUID) -> bool:
    """queued or ringing → in-progress; False if it was answered or over already."""
    async with db.system() as connection:
        row = await store.set_answered(connection, call_id)
        if row is None:
            return False
        await record_event(connection, row["org_id"], row["id"], EventKind.CALL_ANSWERED, {})
    return True


async def end_call(db: Database, call_id: CallId | UUID, end: End) -> bool:
    """Close the row and its legs. The first end wins: False, and nothing changed, if it had ended already."""
    async with db.system() as connection:
        return await end_call_in(connection, call_id, end)


async def end_call_in(connection: Connection, call_id: CallId | UUID, end: End) -> bool:
    """`end_call` inside the caller's transaction."""
    row = await store.set_ended(
        connection,
        call_id,
        status=end.status,
        result=end.result,
        reason=end.reason,
        at_fault=end.at_fault,
    )
    if row is None:
        return False
    await store.close_legs(connection, call_id)
    data = {"result": end.result, "reason": end.reason, "at_fault": end.at_fault, "status": end.status}
    await record_event(connection, row["org_id"], row["id"], EventKind.CALL_ENDED, data)
    return True


async def note_carrier_status(
    db: Database, call_id: CallId | UUID, *, carrier_status: str, sip_code: int | None = None
) -> None:
    """Keep the carrier's own word, and its SIP code if it gave one, beside our status."""
    async with db.system() as connection:
        await store.set_carrier_status(connection, call_id, carrier_status, sip_code)


async def record_event(
    connection: Connection, org_id: OrgId | UUID, call_id: CallId | UUID, kind: EventKind | str, data: Mapping[str, Any]
) -> None:
    """Add to the call's events, in the transaction of the change it tells of; subscribers hear it at commit."""
    await store.insert_event(connection, org_id, call_id, EventKind(kind), data)
