"""After the conversation: end the call first, because somebody may still hold a telephone, then put things away."""

import asyncio

from agents.course.ending import Cause
from agents.record.recording import Recording
from agents.record.transcript import Transcript
from agents.speech.registry import Providers
from app.db import Database, DatabaseUnavailable
from app.errors import TrunklineError
from app.logs import get_logger
from app.settings import Settings
from telephony.calls import Call, End, EndReason, end_call, load_call
from telephony.carriers.base import CarrierName
from telephony.outbound import Lines, build_lines, hang_up
from telephony.switchboard import Switchboard
from telephony.watch.rescue import end_of_leg

log = get_logger(__name__)

LAST_WORDS_SECONDS = 0.4
"""What was played here is still on its way to the telephone: jitter buffers on both sides of LiveKit SIP."""
SPOKEN_ENDS = frozenset(
    {EndReason.AGENT_ENDED, EndReason.SILENCE, EndReason.MAX_DURATION, EndReason.LOST, EndReason.NO_OPERATOR}
)


async def end_by(db: Database, settings: Settings, call: Call, cause: Cause) -> None:
    """Write down the end that `cause` means, and hang up if the person is still on the line."""
    if isinstance(cause, End):
        await say_last_words(cause)
        await close_line(db, settings, call, cause)
    elif cause is not None and cause.kind is not None:
        # As the call stands now: whether it was answered decides what the leaving of a leg means. The room is left to
        # the api: LiveKit opens a room again, with an agent in it, where two delete it at the same moment.
        try:
            now = await load_call(db, call.id)
            await end_call(db, call.id, end_of_leg(now, cause, cause.kind))
        except DatabaseUnavailable as error:
            # Nobody holds a telephone any more: the api ends the row when it hears that this leg left.
            log.warning("a call's end was not stored", call_id=str(call.id), error=error.detail)


async def say_last_words(end: End) -> None:
    if end.reason in SPOKEN_ENDS:
        await asyncio.sleep(LAST_WORDS_SECONDS)


async def close_line(db: Database, settings: Settings, call: Call, end: End) -> None:
    """End the row, the room and the carrier's side, each tried whatever became of the others.

    With the call as it was opened, not asked for again: Postgres may be away while somebody holds a telephone.
    """
    lines = await open_lines(db, settings, call)
    try:
        await hang_up(lines, call, end)
    except TrunklineError as error:
        # What is left over, a row without its end or a room without its agent, telephony/watch/rescue.py finds.
        log.warning("a call was not hung up everywhere", call_id=str(call.id), error=error.detail)
    finally:
        await lines.close()


async def open_lines(db: Database, settings: Settings, call: Call) -> Lines:
    """What it takes to hang up this call. A carrier's client reads every root certificate first: 25 ms in which no
    other call of this process speaks, so only a carrier's call pays for one."""
    if call.carrier in (None, CarrierName.SIP):
        return Lines(db, await Switchboard.connect(settings), {}, settings)
    return await build_lines(settings, db)


async def put_away(providers: Providers, transcript: Transcript, recording: Recording) -> None:
    """After the session, which stores the speech in progress as it closes: what stored it. Where there never was a
    session, the providers made for it too."""
    try:
        await providers.close()
    finally:
        await asyncio.gather(transcript.close(), recording.finish())


async def tell_end(db: Database, call: Call, transcript: Transcript) -> None:
    """One line in the log, once everything is put away: the end as the row has it, whoever was first to write it."""
    told = log.bind(call_id=str(call.id), turns=transcript.turns)
    try:
        now = await load_call(db, call.id)
    except DatabaseUnavailable as error:
        told.warning("call left, and its end not known", error=error.detail)
        return
    if now.end is None:
        told.info("call left: it goes on without this worker, or its end is still to be told")
        return
    began = now.answered_at or now.ended_at
    seconds = (now.ended_at - began).total_seconds() if now.ended_at and began else 0.0
    result, reason, at_fault = now.end.result.value, now.end.reason.value, now.end.at_fault.value
    told.info("call ended", result=result, reason=reason, at_fault=at_fault, seconds=round(seconds, 1))
