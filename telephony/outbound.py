"""An outbound call: the intent as a row, then exactly one request to the carrier.

No carrier recognizes a dial request that it had before. So the intent is committed first, the one request goes out
after it and is never repeated, and ids travel inside it, so that whatever the carrier says later finds the row even
when its answer is lost.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.db import Connection, Database
from app.errors import Conflict, NotFound, Unavailable
from app.ids import E164, AttemptId, CallId, NumberId, OrgId, TeamVersionId, new_id
from app.logs import get_logger
from app.settings import Settings
from app.tasks import Tasks
from telephony import outbound_store, store
from telephony.calls import (
    AtFault,
    Call,
    CallStatus,
    Channel,
    Direction,
    End,
    EndReason,
    EndResult,
    EventKind,
    end_call,
    end_call_in,
    load_call,
    read_call,
    record_event,
)
from telephony.carriers.base import Carrier, CarrierName, DialRefused
from telephony.carriers.outgoing import outgoing_call
from telephony.carriers.twilio import TwilioCarrier
from telephony.legs import LegKind
from telephony.lines import store as lines_store
from telephony.switchboard import Switchboard, SwitchboardError
from telephony.toll_gate.destinations import TollGateRefused
from telephony.toll_gate.gate import Gate, open_gate
from telephony.watch.sip_progress import follow_dial

log = get_logger(__name__)

LISTED = End(EndResult.CANCELED, EndReason.TOLL_GATE)
RING_TIMEOUT_SECONDS = 30
HANG_UP_SECONDS = 5.0
"""How long one part of a hang-up may hold up the next."""
BRIDGE_SECONDS = 20.0
"""By then a media bridge has played out and hung up, and an apology has been spoken."""


class OnDoNotCallList(TollGateRefused):
    """The callee asked not to be called."""

    code = "on_do_not_call_list"
    title = "On the do-not-call list"


class AlreadyDialed(Conflict):
    """The one request of this call went out before, or the call is over."""

    code = "already_dialed"


class AttemptHasCall(Conflict):
    """The attempt has its call already: it is never given a second one."""

    code = "attempt_has_call"


class CarrierNotConfigured(NotFound):
    """Nothing is set up here for the carrier, or the outbound trunk, of the number dialed from."""

    code = "carrier_not_configured"


class HangUpFailed(Unavailable):
    """A part of the call was not ended in time."""

    code = "hang_up_failed"


@dataclass(frozen=True)
class DialRequest:
    """Whom to call, from which number of ours, and which team speaks. `variables`: what the agent may know.
    `call_id`: of the call to be; the toll gate counts and charges it before its row is there."""

    org_id: OrgId
    to: E164
    team_version_id: TeamVersionId
    from_number_id: NumberId
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    attempt_id: AttemptId | None = None
    ring_timeout_seconds: int = RING_TIMEOUT_SECONDS
    call_id: CallId = field(default_factory=lambda: CallId(new_id()))


@dataclass(frozen=True)
class Lines:
    """What calls are made with. Owns the switchboard, the carriers and the tasks that follow a call: close it."""

    db: Database
    switchboard: Switchboard
    carriers: Mapping[CarrierName, Carrier]
    settings: Settings
    tasks: Tasks = field(default_factory=lambda: Tasks("a task that followed a call failed"))

    def keep(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Let `work` go on after the caller returned, at most until these lines close."""
        self.tasks.keep(work, name=name)

    async def close(self) -> None:
        """Stop the tasks, then give back every socket."""
        await self.tasks.close()
        for carrier in self.carriers.values():
            await carrier.close()
        await self.switchboard.close()


async def build_lines(settings: Settings, db: Database) -> Lines:
    """The lines that the settings ask for; nothing is sent yet."""
    carriers: dict[CarrierName, Carrier] = {}
    if settings.twilio_account_sid:
        carriers[CarrierName.TWILIO] = TwilioCarrier(settings)
    return Lines(db, await Switchboard.connect(settings), carriers, settings)


async def prepare_call(connection: Connection, request: DialRequest, *, now: datetime) -> Call:
    """Write the intent to call, in the caller's transaction; nothing is dialed before that commits.

    Raises TollGateRefused, OnDoNotCallList, DialLimitReached, NumberNotFound (not a number of ours) or AttemptHasCall.
    """
    gate = await open_gate(connection, request.org_id, request.from_number_id)
    await check_callee(connection, gate, request.to)
    return await write_intent(connection, gate, request, now=now)


async def check_callee(connection: Connection, gate: Gate, to: E164) -> None:
    """Raises TollGateRefused or OnDoNotCallList."""
    gate.check(to)
    if await outbound_store.is_do_not_call(connection, gate.org_id, to):
        raise OnDoNotCallList("This number is on the organization's do-not-call list.")


async def write_intent(connection: Connection, gate: Gate, request: DialRequest, *, now: datetime) -> Call:
    """Count the dial and write its call, for a callee who was checked. Raises DialLimitReached or AttemptHasCall."""
    [refusal] = await gate.reserve(connection, [request.to], call_ids=[request.call_id])
    if refusal is not None:
        raise refusal
    call_id, number = request.call_id, gate.number
    row = await store.insert_call(
        connection,
        call_id=call_id,
        org_id=request.org_id,
        channel=Channel.PHONE,
        direction=Direction.OUTBOUND,
        status=CallStatus.QUEUED,
        room_name=f"call-{call_id}",
        carrier=number.carrier,
        carrier_call_id=None,
        from_number=number.e164,
        to_number=request.to,
        number_id=number.id,
        team_version_id=request.team_version_id,
        attempt_id=request.attempt_id,
        variables=request.variables,
        created_at=now,
    )
    if row is None:
        raise AttemptHasCall("This attempt has its call already.")
    data = {"direction": Direction.OUTBOUND, "channel": Channel.PHONE, "from": number.e164, "to": request.to}
    await record_event(connection, request.org_id, call_id, EventKind.CALL_OPENED, data)
    return read_call(row)


async def place_call(lines: Lines, call: Call, *, ring_timeout_seconds: int = RING_TIMEOUT_SECONDS) -> None:
    """Send the one request to the carrier of the from-number. On success the call carries the carrier's id.

    Raises AlreadyDialed (nothing sent), OnDoNotCallList, DialRefused (surely not dialed; the call has ended) or
    DialUncertain (nobody knows; the call stays open for what the carrier says later).
    """
    await claim_dial(lines.db, call)
    await send_claimed(lines, call, ring_timeout_seconds=ring_timeout_seconds)


async def send_claimed(lines: Lines, call: Call, *, ring_timeout_seconds: int = RING_TIMEOUT_SECONDS) -> None:
    """The second half of `place_call`, for who claimed the dial."""
    try:
        carrier_call_id = await send_dial(lines, call, ring_timeout_seconds)
    except (DialRefused, CarrierNotConfigured) as error:
        await end_call(lines.db, call.id, End(EndResult.FAILED, EndReason.CARRIER_ERROR, AtFault.CARRIER))
        if isinstance(error, CarrierNotConfigured):
            raise DialRefused(error.detail) from error
        raise
    async with lines.db.system() as connection:
        await store.set_carrier_call_id(connection, call.id, carrier_call_id)
    if call.carrier is CarrierName.SIP:
        watch = follow_dial(lines.db, lines.switchboard, call, ring_timeout_seconds=ring_timeout_seconds)
        lines.keep(watch, name=f"follow {call.id}")


async def claim_dial(db: Database, call: Call) -> None:
    """Mark the call as dialed, once. Raises AlreadyDialed, or OnDoNotCallList where they asked for no more calls since
    the intent: then it has ended."""
    async with db.system() as connection:
        if await store.claim_dial(connection, call.id) is None:
            raise AlreadyDialed("This call was dialed before, or is over.")
        listed = await outbound_store.is_do_not_call(connection, call.org_id, call.to_number or "")
        if listed:
            await end_call_in(connection, call.id, LISTED)
    if listed:
        raise OnDoNotCallList("This number came onto the organization's do-not-call list just now.")


async def send_dial(lines: Lines, call: Call, ring_timeout_seconds: int) -> str:
    """The request itself; returns the carrier's id of the call."""
    if call.carrier is CarrierName.SIP:
        trunk_id = await find_livekit_trunk(lines.db, call)
        return await lines.switchboard.dial_sip(call, trunk_id, ring_timeout_seconds=ring_timeout_seconds)
    carrier = lines.carriers.get(call.carrier) if call.carrier else None
    if carrier is None:
        raise CarrierNotConfigured(f"The carrier {call.carrier} is not set up here.")
    return await carrier.dial(outgoing_call(call, lines.settings, ring_timeout_seconds))


async def find_livekit_trunk(db: Database, call: Call) -> str:
    """LiveKit's id of the outbound trunk for the call's number. Raises CarrierNotConfigured."""
    async with db.system() as connection:
        row = call.number_id and await lines_store.select_trunk_for_number(connection, call.org_id, call.number_id)
    if not row or not row["livekit_trunk_id"]:
        raise CarrierNotConfigured("The number has no outbound SIP trunk that LiveKit knows.")
    return row["livekit_trunk_id"]


async def hang_up(lines: Lines, call: Call, end: End) -> None:
    """End the row first, then everything that still sounds: the room, and the carrier's side of it.

    All three are always tried, and `call` is enough for the last two: Postgres may be away. Raises what the first one
    that failed raised: somebody may still be connected.
    """
    failures: list[Exception] = []
    async with trying(failures):
        await end_call(lines.db, call.id, end)
    carrier = lines.carriers.get(call.carrier) if call.carrier else None
    bridged = carrier is not None and await has_bridge(lines.switchboard, call)
    room_failures: list[Exception] = []
    async with trying(room_failures):
        await lines.switchboard.close_room(call.room_name)
    failures += room_failures
    if carrier is not None:
        async with trying(failures):
            carrier_call_id = call.carrier_call_id or (await load_call(lines.db, call.id)).carrier_call_id
            if carrier_call_id and bridged and not room_failures:
                lines.keep(hang_up_later(carrier, carrier_call_id), name=f"hang up {call.id}")
            elif carrier_call_id:
                await carrier.hang_up(carrier_call_id)
    if failures:
        raise failures[0]


@asynccontextmanager
async def trying(failures: list[Exception]) -> AsyncGenerator[None]:
    """What fails in the block, or takes too long, is put on the list and keeps nothing else from being tried."""
    try:
        async with asyncio.timeout(HANG_UP_SECONDS):
            yield
    except TimeoutError:
        failures.append(HangUpFailed("A part of the call could not be ended in time."))
    # Not swallowed: `hang_up` raises it once nobody sits in silence because of it.
    except Exception as error:
        failures.append(error)


async def has_bridge(switchboard: Switchboard, call: Call) -> bool:
    """Whether a media bridge carries the call. It sees the room close, plays out the last words, and hangs up at the
    carrier or, where the fault is ours, leaves it to the carrier to apologize and hang up."""
    try:
        legs = await switchboard.list_legs(call.room_name)
    except SwitchboardError:
        return False
    return any(leg.kind is LegKind.STREAM and leg.active for leg in legs)


async def hang_up_later(carrier: Carrier, carrier_call_id: str) -> None:
    """In case the bridge did not: the carrier takes no offence at a call that is over."""
    await asyncio.sleep(BRIDGE_SECONDS)
    await carrier.hang_up(carrier_call_id)
