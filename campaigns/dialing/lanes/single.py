"""A dial that no campaign makes: it takes its slot on the lanes of its number as a campaign's dial does.

A line under every limit and a slot on every lane that has a pace are taken in the transaction that commits the intent.
From its end on the call is counted by its row, and its request goes out at the slot.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

import asyncpg

from app.db import Connection, Database, Row
from app.errors import TrunklineError, Unavailable
from app.ids import OrgId
from campaigns.dialing import attempt_store, claim_store
from campaigns.dialing.attempts import LATE_SECONDS
from campaigns.dialing.lanes import store
from campaigns.dialing.lanes.counting import lane_keys, read_lane, read_limits
from campaigns.dialing.lanes.slots import Track, lay_slots
from campaigns.dialing.recovery.presence import DatabaseClock, look_at_clock
from campaigns.rules.pacing import count_free_lines
from telephony.calls import AtFault, Call, End, EndReason, EndResult, end_call
from telephony.lines.numbers import Number
from telephony.outbound import Lines, claim_dial, send_claimed

LEAD_SECONDS = 0.2
"""Between taking a slot and the slot: the commit, the look at the clock and the mark must fit in."""
AHEAD_SECONDS = 0.1
"""So long before the slot the call is marked as dialed, and the do-not-call list is read again."""
LATEST_SECONDS = 1.5
"""Who asks for a call waits no longer for the pace; where the next slot is later, they are told when."""
LATEST_AGAIN_SECONDS = 5.0
"""Of a call that is written already and missed its slot."""
MISSES = 4
LOCK_MILLISECONDS = 1000
LINE_SECONDS = 5.0
"""When to ask again for a line that a call must end for: nobody knows."""
CLOCK_LOOKS = 3


class NoLineFree(TrunklineError):
    """The lines take no further dial now: nothing was written, and nothing is dialed."""

    status = 429
    code = "no_line_free"
    title = "No line free"

    def __init__(self, detail: str, *, wait_seconds: float) -> None:
        super().__init__(detail, retry_after_seconds=max(1, ceil(wait_seconds)))


class LinesBusy(NoLineFree):
    """Somebody else counts or paces the same lines at this very moment: worth another try at once."""


class NotSent(Unavailable):
    """The call did not get its slot: it was surely not dialed, and never will be."""

    code = "not_sent"


NOT_SENT = End(EndResult.CANCELED, EndReason.API_ENDED, AtFault.US)


@dataclass(frozen=True)
class Slot:
    """The one request goes out at `instant`, by the database's clock, or up to LATE_SECONDS later; else it takes a new
    slot on these lanes."""

    org_id: OrgId
    lanes: tuple[str, ...]
    instant: datetime


async def take_line(connection: Connection, org_id: OrgId, number: Number) -> Slot | None:
    """A line and a slot for one dial from `number`, ours when the transaction commits, which must write the call too.
    None: nothing paces it, it may go out at once. Raises NoLineFree.

    Before the toll gate's counts: dialers, too, hold lanes first. Where the organization has no limits nothing is held.
    """
    keys = lane_keys(number.id, number.carrier, number.trunk_id)
    lanes = [row for row in await store.select_lanes(connection, org_id) if row["key"] in keys]
    settings = await store.select_line_settings(connection, org_id)
    paced = tuple(row["key"] for row in lanes if row["calls_per_second"] is not None)
    counted = any(row["max_concurrent"] for row in lanes) or bool(settings and settings["max_concurrent_calls"])
    slot = None
    if paced or counted:
        await attempt_store.bound_idle(connection)
    if paced:
        slot = await take_slot(connection, org_id, paced, lead_seconds=LEAD_SECONDS, latest_seconds=LATEST_SECONDS)
    if counted:
        await demand_line(connection, org_id, lanes, settings)
    return slot


async def take_slot(
    connection: Connection, org_id: OrgId, lanes: Sequence[str], *, lead_seconds: float, latest_seconds: float
) -> Slot | None:
    """The next slot that all of these lanes have, between `lead_seconds` and `latest_seconds` from now; None where they
    have no pace any more. Raises NoLineFree."""
    await store.bound_waiting(connection, LOCK_MILLISECONDS)
    try:
        await store.hold_lanes(connection, org_id, lanes)
    except asyncpg.LockNotAvailableError as error:
        raise LinesBusy("Another dial takes its slot on these lines; try again in a moment.", wait_seconds=1) from error
    await store.bound_waiting(connection, 0)
    rows = await store.select_tracks(connection, org_id, None, lanes)
    if not rows:
        return None
    tracks = [Track.of_rate(row["key"], row["next_in_seconds"], row["calls_per_second"]) for row in rows]
    layout = lay_slots(tracks, 1, earliest=lead_seconds, latest=latest_seconds)
    if not layout.slots:
        last = max(tracks, key=lambda track: track.next_in_seconds)
        raise NoLineFree(
            f"The calls per second of {last.key} leave no room: its next slot is {last.next_in_seconds:.1f} s away.",
            wait_seconds=last.next_in_seconds,
        )
    now: datetime = rows[0]["now"]
    following = {key: now + timedelta(seconds=seconds) for key, seconds in layout.next_in_seconds.items()}
    await store.move_lanes(connection, org_id, following)
    return Slot(org_id, tuple(lanes), now + timedelta(seconds=layout.slots[0]))


async def demand_line(connection: Connection, org_id: OrgId, lanes: Sequence[Row], settings: Row | None) -> None:
    """Raises NoLineFree, and LinesBusy while a dialer counts the same lines: it never waits for us, nor we for it."""
    if not await claim_store.try_lock_claims(connection, org_id):
        raise LinesBusy("The lines are being counted for other dials; try again in a moment.", wait_seconds=1)
    attempts = await store.select_open_attempts(connection, org_id)
    others = await claim_store.select_other_calls(connection, org_id)
    if count_free_lines(read_limits(settings, attempts, others)) < 1:
        raise NoLineFree(
            "All lines of the organization that are not kept for callers are in use.", wait_seconds=LINE_SECONDS
        )
    for lane in (read_lane(row, attempts, others) for row in lanes):
        if lane.max_concurrent is not None and lane.open_calls >= lane.max_concurrent:
            raise NoLineFree(
                f"All lines of {lane.key} are in use (max_concurrent {lane.max_concurrent}).", wait_seconds=LINE_SECONDS
            )


async def place_at_slot(lines: Lines, call: Call, slot: Slot) -> None:
    """`place_call` at the slot. Raises NotSent, too: then the call has ended."""
    clock = await read_clock(lines.db)
    await clock.sleep_until(slot.instant, ahead_seconds=AHEAD_SECONDS)
    await claim_dial(lines.db, call)
    try:
        await meet_slot(lines.db, slot)
    except NotSent:
        await end_call(lines.db, call.id, NOT_SENT)
        raise
    await send_claimed(lines, call)


async def meet_slot(db: Database, slot: Slot) -> None:
    """Return at the slot, or at a new one where this machine came too late for it. Raises NotSent."""
    lead = LEAD_SECONDS
    for _ in range(MISSES):
        clock = await read_clock(db)
        if await clock.sleep_until(slot.instant) <= LATE_SECONDS:
            return
        lead *= 2
        again = await take_slot_again(db, slot, lead_seconds=lead)
        if again is None:
            return
        slot = again
    raise NotSent("This machine, or the database, is too slow for the pace of the lines; nothing was dialed.")


async def take_slot_again(db: Database, slot: Slot, *, lead_seconds: float) -> Slot | None:
    """None where nothing paces these lanes any more. Raises NotSent."""
    try:
        async with db.system() as connection:
            await attempt_store.bound_idle(connection)
            return await take_slot(
                connection,
                slot.org_id,
                slot.lanes,
                lead_seconds=lead_seconds,
                latest_seconds=LATEST_AGAIN_SECONDS,
            )
    except NoLineFree as error:
        raise NotSent(f"It missed its dial slot, and nothing was dialed. {error.detail}") from error


async def read_clock(db: Database) -> DatabaseClock:
    """The database's clock as it is now; by the fastest of a few looks."""
    clock = DatabaseClock()
    async with db.system() as connection:
        for _ in range(CLOCK_LOOKS):
            await look_at_clock(connection, clock)
    return clock
