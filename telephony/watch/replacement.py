"""Another agent for an open call that lost its own, or the end of the call: whatever fails meanwhile is tried again.

Nobody else notices a loss twice (`rescue` closes the lost agent's leg row first), so what was begun here must not end
by an error: it goes on, in a task of its own, until there is an agent or the caller's patience is over.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from app.errors import Unavailable
from app.logs import get_logger
from telephony import store
from telephony.calls import (
    AtFault,
    Call,
    DispatchMetadata,
    End,
    EndReason,
    EndResult,
    EventKind,
    load_call,
    record_event,
)
from telephony.legs import CALLER_KINDS, LegKind, RoomLeg
from telephony.outbound import Lines, hang_up

log = get_logger(__name__)

MOST_RESCUES = 2
REPLACEMENT_SECONDS = 8.0
"""How long the caller may wait for the replacement of a lost agent, from when we know of the loss."""
LONGEST_SILENCE_SECONDS = 12.5
"""And from the lost one's last sign of life; hanging up comes after it, and 15 s is the promise."""
POLL_SECONDS = 0.5
HANG_UP_SECONDS = 60.0
"""How long a hang-up is tried again that failed."""

WORKER_LOST = End(EndResult.FAILED, EndReason.WORKER_LOST, AtFault.US)


def replace_agent(lines: Lines, call: Call, lost: str, *, silent_seconds: float = 0.0) -> None:
    """Send another agent for the `lost` one, if the person is still there; hang up if none comes, or if that was tried
    often enough. All of it happens after this returns.

    Call it only after closing the lost agent's leg row, which makes it happen once a loss.
    """
    patience = min(REPLACEMENT_SECONDS, LONGEST_SILENCE_SECONDS - silent_seconds)
    lines.keep(replace_or_hang_up(lines, call, lost, seconds=patience), name=f"rescue {call.id}")


async def replace_or_hang_up(lines: Lines, call: Call, lost: str, *, seconds: float) -> None:
    """Get another agent into the room within so many seconds, or hang up rather than leave the caller in silence."""
    replacement = Replacement(lines, call, lost)
    if not await insist(replacement.advance, call, seconds=seconds):
        await insist(partial(hang_up_at_last, lines, call), call, seconds=HANG_UP_SECONDS)


async def insist(step: Callable[[], Awaitable[bool]], call: Call, *, seconds: float) -> bool:
    """Take the step again and again, until it says that it is done (True) or the time is up (False). What it cannot
    reach may be there again in a moment."""
    clock = asyncio.get_running_loop().time
    give_up_at = clock() + seconds
    while clock() < give_up_at:
        try:
            if await step():
                return True
        except Unavailable as error:
            log.warning("rescuing a call is held up", call_id=str(call.id), error=error.code, why=error.detail)
        await asyncio.sleep(POLL_SECONDS)
    return False


class Replacement:
    """How far the replacement of one lost agent has come."""

    def __init__(self, lines: Lines, call: Call, lost: str) -> None:
        self._lines = lines
        self._call = call
        self._lost = lost
        self._claimed = False
        self._dispatch_id = ""

    async def advance(self) -> bool:
        """One step nearer; True once there is nothing left to do. Raises Unavailable: try again."""
        lines, call = self._lines, self._call
        if not self._claimed:
            legs = await lines.switchboard.list_legs(call.room_name)
            if not any(leg.kind in CALLER_KINDS for leg in legs) or has_agent(legs, self._lost):
                return True
            if not await claim_rescue(lines, call, self._lost):
                await give_up(lines, call)
                return True
            self._claimed = True
            log.warning("an agent was lost, sending another", call_id=str(call.id), lost=self._lost)
        if (await load_call(lines.db, call.id)).end is not None:
            return True
        return await self._bring()

    async def _bring(self) -> bool:
        """Ask for an agent; True once it is there."""
        lines, room = self._lines, self._call.room_name
        if not self._dispatch_id:
            # What LiveKit still keeps of the lost one must not count as an agent, nor come back beside the new one.
            await lines.switchboard.remove_leg(room, self._lost)
        if has_agent(await lines.switchboard.list_legs(room), self._lost):
            return True
        self._dispatch_id = await dispatch_again(lines, self._call, self._dispatch_id)
        return False


async def claim_rescue(lines: Lines, call: Call, lost: str) -> bool:
    """Whether this loss is ours to mend: one more rescue is counted, and there were not too many."""
    async with lines.db.system() as connection:
        row = await store.claim_rescue(connection, call.id, rescues_seen=call.rescues, most=MOST_RESCUES)
        if row is not None:
            data = {"lost": lost, "rescues": row["rescues"]}
            await record_event(connection, call.org_id, call.id, EventKind.CALL_RESCUED, data)
    return row is not None


async def give_up(lines: Lines, call: Call) -> None:
    """Hang up on a call that lost its agents too often, unless another process just rescued it."""
    now = await load_call(lines.db, call.id)
    if now.end is None and now.rescues >= MOST_RESCUES and now.rescues == call.rescues:
        await insist(partial(hang_up_at_last, lines, now), now, seconds=HANG_UP_SECONDS)


async def hang_up_at_last(lines: Lines, call: Call) -> bool:
    """A step of `insist`."""
    await hang_up(lines, call, WORKER_LOST)
    return True


async def dispatch_again(lines: Lines, call: Call, dispatch_id: str) -> str:
    """Ask for an agent, until a worker took the job: the killed one may be on its way up again."""
    if dispatch_id:
        if await lines.switchboard.was_taken(call.room_name, dispatch_id):
            return dispatch_id
        await lines.switchboard.cancel_dispatch(call.room_name, dispatch_id)
    return await lines.switchboard.dispatch_agent(call.room_name, DispatchMetadata(call_id=call.id, rescue=True))


def has_agent(legs: list[RoomLeg], lost: str = "") -> bool:
    return any(leg.kind is LegKind.AGENT and leg.active and leg.identity != lost for leg in legs)
