"""A carrier stream from its first message to what becomes of the call: admit, enter the room, carry, finish."""

import asyncio
import contextlib

from app.errors import TrunklineError, Unavailable
from app.logs import get_logger
from telephony.calls import (
    AtFault,
    Call,
    CallNotFound,
    Direction,
    DispatchMetadata,
    End,
    EndReason,
    EndResult,
    EventKind,
    end_call,
    load_call,
    mark_answered,
    record_event,
)
from telephony.carriers.base import CarrierName, CarrierUnavailable
from telephony.legs import STREAM_IDENTITY, LegKind, join_leg, leave_leg
from telephony.media.bridge import Bridge, StreamEnd
from telephony.media.room_leg import RoomLeg, RoomUnreachable
from telephony.media.stream import BadMessage, Socket, SocketClosed, StreamProtocol, StreamStart
from telephony.media.stream_token import verify_stream_token
from telephony.outbound import Lines
from telephony.switchboard import SwitchboardError

START_SECONDS = 10.0
MOST_MESSAGES_BEFORE_START = 5

# RFC 6455, section 7.4.1.
CLOSE_NORMAL = 1000
CLOSE_INVALID_DATA = 1007
CLOSE_POLICY = 1008
CLOSE_OUR_FAULT = 1011

MEDIA_LOST = End(EndResult.FAILED, EndReason.MEDIA_LOST, AtFault.US)
CARRIER_LOST = End(EndResult.INDETERMINATE, EndReason.MEDIA_LOST, AtFault.CARRIER)
NO_WORKER = End(EndResult.FAILED, EndReason.NO_WORKER, AtFault.US)

log = get_logger(__name__)


class StreamRefused(TrunklineError):
    """A stream that may not be carried: no start, no valid token, no open call, or a second one for its call."""

    status = 403
    code = "stream_refused"
    title = "Stream refused"


async def carry_stream(socket: Socket, protocol: StreamProtocol, lines: Lines, carrier: CarrierName) -> None:
    """Everything that happens on one media websocket. Closes it; raises nothing that a stranger can cause."""
    try:
        start = await read_start(socket, protocol)
        call = await admit_stream(lines, carrier, start)
    except SocketClosed:
        return
    except Unavailable as error:
        log.warning("a stream came at a bad time", error=error.code)
        await socket.close(CLOSE_OUR_FAULT, "unavailable")
        return
    except TrunklineError as error:
        log.info("a stream was refused", error=error.code)
        await socket.close(CLOSE_POLICY, error.code)
        return
    await carry_call(socket, protocol, lines, call)


async def read_start(socket: Socket, protocol: StreamProtocol) -> StreamStart:
    """The message that says who this is. Raises StreamRefused, SocketClosed."""
    try:
        async with asyncio.timeout(START_SECONDS):
            for _ in range(MOST_MESSAGES_BEFORE_START):
                with contextlib.suppress(BadMessage):
                    message = protocol.read(await socket.receive())
                    if isinstance(message, StreamStart):
                        return message
    except TimeoutError as error:
        raise StreamRefused("The stream did not start in time.") from error
    raise StreamRefused("The stream did not start.")


async def admit_stream(lines: Lines, carrier: CarrierName, start: StreamStart) -> Call:
    """Let in the stream of an open call of ours, once. Raises StreamRefused, InvalidStreamToken, CallNotFound."""
    grant = verify_stream_token(lines.settings, start.token, carrier_call_id=start.carrier_call_id)
    call = await load_call(lines.db, grant.call_id)
    if call.carrier is not carrier or call.carrier_call_id != start.carrier_call_id:
        raise StreamRefused("The stream is of another call.")
    if not await join_leg(lines.db, call, kind=LegKind.STREAM, identity=STREAM_IDENTITY):
        raise StreamRefused("The call is over, or has its stream already.")
    await mark_answered(lines.db, call.id)
    return call


async def carry_call(socket: Socket, protocol: StreamProtocol, lines: Lines, call: Call) -> None:
    """Carry an admitted stream to its end. The caller's seat is given up last: once the row says how the call ended,
    nobody takes the empty seat for a hang-up."""

    async def record_key(digit: str) -> None:
        async with lines.db.system() as connection:
            await record_event(connection, call.org_id, call.id, EventKind.DTMF_RECEIVED, {"digit": digit})

    bridge = Bridge(socket, protocol, on_key=record_key)
    room = RoomLeg(on_audio=bridge.hear, on_interrupt=bridge.interrupt)
    try:
        end = await meet_and_talk(lines, call, room, bridge)
        log.info("a stream ended", call_id=str(call.id), end=end.value, bad_messages=bridge.bad_messages)
        await finish_stream(socket, lines, call, end)
    except BaseException:
        # Whatever it was (a fault of ours, or the process stops): the call is over and its row says so.
        await asyncio.shield(settle_row(lines, call, MEDIA_LOST))
        await socket.close(CLOSE_OUR_FAULT, "failed")
        raise
    finally:
        await room.leave()


async def meet_and_talk(lines: Lines, call: Call, room: RoomLeg, bridge: Bridge) -> StreamEnd:
    """Put the caller into the room, with an agent to meet there, and carry the media."""
    token = lines.switchboard.mint_token(
        STREAM_IDENTITY, call.room_name, kind=LegKind.STREAM, agent=DispatchMetadata(call_id=call.id)
    )
    try:
        await room.join(lines.settings.livekit_url, token)
    except RoomUnreachable:
        return StreamEnd.ROOM_LOST
    return await bridge.run(room)


async def finish_stream(socket: Socket, lines: Lines, call: Call, end: StreamEnd) -> None:
    """What becomes of the call. Closing the websocket makes the carrier speak its apology and hang up; so where
    nothing went wrong the call is ended at the carrier first."""
    match end:
        case StreamEnd.CALLER_LEFT:
            await settle_row(lines, call, hang_up_end(call))
            await socket.close(CLOSE_NORMAL, "")
        case StreamEnd.ROOM_CLOSED:
            apologize = await is_our_fault(lines, call)
            if not apologize:
                await hang_up_at_carrier(lines, call)
            await socket.close(CLOSE_OUR_FAULT if apologize else CLOSE_NORMAL, "")
            await settle_row(lines, call, MEDIA_LOST)
        case StreamEnd.NO_AGENT:
            await settle_row(lines, call, NO_WORKER)
            await socket.close(CLOSE_OUR_FAULT, "no agent")
        case StreamEnd.ROOM_LOST | StreamEnd.WE_STOP:
            await settle_row(lines, call, MEDIA_LOST)
            await socket.close(CLOSE_OUR_FAULT, "room lost")
        case StreamEnd.CARRIER_LOST | StreamEnd.BAD_STREAM:
            await settle_row(lines, call, CARRIER_LOST)
            await socket.close(CLOSE_INVALID_DATA, "bad stream")
    await close_room(lines, call)


def hang_up_end(call: Call) -> End:
    """The person at the far end hung up."""
    outbound = call.direction is Direction.OUTBOUND
    return End(EndResult.COMPLETED, EndReason.CALLEE_HUNG_UP if outbound else EndReason.CALLER_HUNG_UP)


async def is_our_fault(lines: Lines, call: Call) -> bool:
    """Whether the caller is owed an apology: the room closed without an end, or with one that blames us."""
    try:
        end = (await load_call(lines.db, call.id)).end
    except (Unavailable, CallNotFound):
        return True
    return end is None or end.at_fault is AtFault.US


async def hang_up_at_carrier(lines: Lines, call: Call) -> None:
    """End the call over the carrier's API; if that fails, closing the stream ends it with an apology instead."""
    carrier = lines.carriers.get(call.carrier) if call.carrier else None
    if carrier is None or call.carrier_call_id is None:
        return
    try:
        await carrier.hang_up(call.carrier_call_id)
    except CarrierUnavailable as error:
        log.warning("the carrier did not take our hang-up", call_id=str(call.id), error=error.detail)


async def settle_row(lines: Lines, call: Call, end: End) -> None:
    """The leg left and the call is over, unless somebody ended it before."""
    try:
        await leave_leg(lines.db, call, identity=STREAM_IDENTITY)
        await end_call(lines.db, call.id, end)
    except Unavailable as error:
        log.error("a call could not be ended in the database", call_id=str(call.id), error=error.code)


async def close_room(lines: Lines, call: Call) -> None:
    try:
        await lines.switchboard.close_room(call.room_name)
    except SwitchboardError as error:
        log.warning("a room could not be closed", call_id=str(call.id), error=error.livekit_code)
