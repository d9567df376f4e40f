"""Nobody is left in silence: what to do when the agent, or the room, of an open call is gone.

An agent's loss shows in two ways. When its process ends in order, LiveKit says `participant_left` at once. When it is
killed, LiveKit waits some 20 s for it to come back, so the agent's own heartbeat (`legs.beat_agent`) is what counts.
Either way whoever closes the agent's leg row replaces it: once a loss, however many processes notice.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from app.errors import Unavailable
from app.logs import get_logger
from telephony import store
from telephony.calls import (
    AtFault,
    Call,
    CallStatus,
    End,
    EndReason,
    EndResult,
    end_call,
    find_call_by_room,
    read_call,
)
from telephony.carriers.base import CarrierName
from telephony.inbound import UnknownNumber, answer_inbound, read_sip_arrival
from telephony.legs import CALLER_KINDS, LegKind, RoomLeg, find_silent_agents, join_leg, leave_leg
from telephony.livekit_event import EventName, LiveKitEvent
from telephony.outbound import Lines, hang_up
from telephony.watch.replacement import REPLACEMENT_SECONDS, WORKER_LOST, has_agent, replace_agent
from telephony.watch.sip_progress import end_of_sip_leg
from telephony.watch.trunk_watch import mend_trunks

log = get_logger(__name__)

SILENT_AFTER_SECONDS = 6.0
"""An agent without a heartbeat for so long is lost. Three beats: a busy machine delays one, hardly three."""
WATCH_SECONDS = 1.0
SWEEP_EVERY = 15
"""Every so many rounds of the watch, look for calls whose end nobody told us."""
QUIET_SECONDS = 60.0
UNANSWERED_SECONDS = 600.0

LOST = End(EndResult.INDETERMINATE, EndReason.LOST, AtFault.US)


async def on_room_event(lines: Lines, event: LiveKitEvent) -> None:
    """Apply one LiveKit webhook. Webhooks come late, twice and in any order: every step is safe to repeat."""
    call = await find_call_by_room(lines.db, event.room_name)
    if call is None:
        if event.name is EventName.PARTICIPANT_LEFT and event.leg:
            await record_unanswered(lines, event.room_name, event.leg)
        return
    if event.name is EventName.ROOM_FINISHED:
        await end_call(lines.db, call.id, LOST)
    elif event.leg is None or event.leg.kind is None:
        return
    elif event.name is EventName.PARTICIPANT_JOINED:
        # Events overtake each other, and these never come back under the same name.
        once = event.leg.kind in (LegKind.SIP, LegKind.STREAM, LegKind.AGENT)
        await join_leg(lines.db, call, kind=event.leg.kind, identity=event.leg.identity, unless_left=once)
    elif event.name in (EventName.PARTICIPANT_LEFT, EventName.CONNECTION_ABORTED):
        await on_leg_left(lines, call, event.leg, event.leg.kind)


async def on_leg_left(lines: Lines, call: Call, leg: RoomLeg, kind: LegKind) -> None:
    """The person's leaving ends the call; an agent's leaving ends it or calls for another."""
    if call.end is not None:
        if kind is LegKind.AGENT:
            # The agent ended the call and may have died before it closed the room.
            await lines.switchboard.close_room(call.room_name)
        return
    # A leg that joined before its call had a row (inbound SIP) is recorded now.
    await join_leg(lines.db, call, kind=kind, identity=leg.identity, unless_left=True)
    left = await leave_leg(lines.db, call, identity=leg.identity)
    if kind in CALLER_KINDS:
        await hang_up(lines, call, end_of_leg(call, leg, kind))
    elif kind is LegKind.AGENT and left:
        replace_agent(lines, call, leg.identity)


def end_of_leg(call: Call, leg: RoomLeg, kind: LegKind) -> End:
    """How the call ends when the person's leg is gone and nobody said anything better before."""
    if kind is LegKind.STREAM and leg.disconnect_reason != "CLIENT_INITIATED":
        # The bridge of a carrier's media stream runs in our own api process.
        return End(EndResult.INDETERMINATE, EndReason.MEDIA_LOST, AtFault.US)
    return end_of_sip_leg(call, leg)


async def record_unanswered(lines: Lines, room_name: str, leg: RoomLeg) -> None:
    """A SIP caller left before any agent opened the call: leave a row that says so."""
    arrival = read_sip_arrival(room_name, leg.attributes) if leg.kind is LegKind.SIP else None
    if arrival is None:
        return
    try:
        call = await answer_inbound(lines.db, arrival)
    except UnknownNumber:
        log.info("a call to an unknown number was refused", pii={"room": room_name})
        return
    await end_call(lines.db, call.id, end_of_sip_leg(call, leg))


async def watch_calls(lines: Lines) -> None:
    """Run for as long as the process does (the api owns it): replace agents whose heart stopped, and now and then end
    the calls whose end nobody told us, and mend LiveKit's trunks. Any number of processes may watch."""
    # Beside the watch, here and below: no heart waits for it.
    lines.keep(mend_trunks(lines), name="trunks")
    for round_ in itertools.count(1):
        try:
            await rescue_silent(lines)
            if round_ % SWEEP_EVERY == 0:
                lines.keep(mend_trunks(lines), name="trunks")
                await hang_up_abandoned(lines)
                await end_lost(lines)
        # The outermost loop: whatever is wrong now (Postgres restarts, LiveKit is away) may be right in a second.
        except Exception:
            log.exception("watching the calls failed")
            # No heart could be heard meanwhile: let them beat again before judging.
            await asyncio.sleep(SILENT_AFTER_SECONDS)
        await asyncio.sleep(WATCH_SECONDS)


async def rescue_silent(lines: Lines) -> None:
    """Replace every agent without a heartbeat."""
    for silent in await find_silent_agents(lines.db, silent_for=timedelta(seconds=SILENT_AFTER_SECONDS)):
        if await leave_leg(lines.db, silent.call, identity=silent.identity):
            replace_agent(lines, silent.call, silent.identity, silent_seconds=silent.seconds)


async def hang_up_abandoned(lines: Lines) -> None:
    """A call whose last agent left and was not replaced: whoever was to do it died over it."""
    async with lines.db.system() as connection:
        rows = await store.select_abandoned_calls(connection, timedelta(seconds=REPLACEMENT_SECONDS + 4))
    await for_each([read_call(row) for row in rows], partial(hang_up_unless_taken, lines))


async def hang_up_unless_taken(lines: Lines, call: Call) -> None:
    """Hang up, unless an agent is in the room that no row knows of."""
    agents = [leg for leg in await lines.switchboard.list_legs(call.room_name) if has_agent([leg])]
    if agents:
        await join_leg(lines.db, call, kind=LegKind.AGENT, identity=agents[0].identity)
    else:
        await hang_up(lines, call, WORKER_LOST)


async def end_lost(lines: Lines) -> None:
    """End the calls that have no room any more, or that nobody answered for ten minutes."""
    async with lines.db.system() as connection:
        rows = await store.select_quiet_calls(connection, timedelta(seconds=QUIET_SECONDS))
    calls = [read_call(row) for row in rows]
    if not calls:
        return
    rooms = await lines.switchboard.list_rooms([call.room_name for call in calls])
    async with lines.db.system() as connection:
        overdue_rows = await store.select_quiet_calls(connection, timedelta(seconds=UNANSWERED_SECONDS))
    overdue = {row["id"] for row in overdue_rows}

    async def end_if_lost(call: Call) -> None:
        had_room = call.answered_at is not None or call.carrier is CarrierName.SIP
        if call.room_name not in rooms and (had_room or call.id in overdue):
            await end_call(lines.db, call.id, LOST)
        elif call.status is not CallStatus.IN_PROGRESS and call.id in overdue:
            await hang_up(lines, call, LOST)

    await for_each(calls, end_if_lost)


async def for_each(calls: list[Call], work: Callable[[Call], Awaitable[None]]) -> None:
    """What goes wrong with one call does not keep the others waiting; the next sweep comes back to it."""
    for call in calls:
        try:
            await work(call)
        except Unavailable as error:
            log.warning("a call could not be swept", call_id=str(call.id), error=error.code, why=error.detail)
