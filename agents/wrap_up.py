"""After the conversation: end the call first, because somebody may still hold a telephone, then put things away."""

import asyncio

from agents.ending import Cause
from agents.recording import Recording
from agents.session import RunningSession
from agents.transcript import Transcript
from app.db import Database
from app.errors import TrunklineError
from app.logs import get_logger
from app.settings import Settings
from telephony.calls import Call, End, EndReason, load_call
from telephony.legs import RoomLeg
from telephony.outbound import build_lines, hang_up
from telephony.rescue import end_of_leg

log = get_logger(__name__)

LAST_WORDS_SECONDS = 0.4
"""What was played here is still on its way to the telephone: jitter buffers on both sides of LiveKit SIP."""
SPOKEN_ENDS = frozenset({EndReason.AGENT_ENDED, EndReason.SILENCE, EndReason.MAX_DURATION, EndReason.LOST})


async def end_by(db: Database, settings: Settings, call: Call, cause: Cause) -> None:
    """Hang up with the end that `cause` means; nothing where others closed the room."""
    if cause is None:
        return
    now = await load_call(db, call.id)
    end = read_end(now, cause)
    if end.reason in SPOKEN_ENDS:
        await asyncio.sleep(LAST_WORDS_SECONDS)
    lines = await build_lines(settings, db)
    try:
        await hang_up(lines, now, end)
    except TrunklineError as error:
        # The row has its end; the api closes rooms of ended calls once the agent has left.
        log.warning("the call's room was not closed", call_id=str(call.id), error=error.detail)
    finally:
        await lines.close()


async def put_away(running: RunningSession, transcript: Transcript, recording: Recording) -> None:
    """Close the session, which stores the speech in progress, and then what stored it."""
    try:
        await running.close()
    finally:
        await asyncio.gather(transcript.close(), recording.finish())


def read_end(call: Call, cause: End | RoomLeg) -> End:
    """`call` as it stands now: whether it was answered decides what a leg's leaving means."""
    if isinstance(cause, End):
        return cause
    if cause.kind is None:
        raise ValueError("only a person's leg ends a call")
    return end_of_leg(call, cause, cause.kind)
