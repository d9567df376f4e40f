"""From a claim to the one request: intent, slot, mark, request, record.

A request goes out at its slot or not at all. Late ones would fall into another dial's second, and a dialer that was
frozen would dial what others gave up: what misses its slot takes a new one.
"""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import groupby

from app.db import Database, DatabaseUnavailable
from app.ids import CampaignId
from app.logs import get_logger
from campaigns.dialing import attempt_store
from campaigns.dialing.attempts import Claim, Departure, Point
from campaigns.dialing.dialer_state import Dialer
from campaigns.dialing.gatekeeping import ask_vetoes
from campaigns.dialing.intents import NOT_RUNNING, commit_intents, give_back
from campaigns.dialing.lanes.taking import take_slots
from campaigns.dialing.recording import NotSent, Outcome, Placed, Refused, Unclear
from telephony.carriers.base import DialRefused, DialUncertain
from telephony.outbound_batch import follow_call, request_call

log = get_logger(__name__)

GATHER_SECONDS = 0.2
GROUP_SECONDS = 0.1
MARK_AHEAD_SECONDS = 0.1
"""Dials are marked as sent shortly before they are: who finds the mark after our death must ask the carrier."""
FRESH_SECONDS = 0.3
"""The do-not-call lists are read with the mark, and again before the request where the mark is older than this."""

Marked = tuple[list[Departure], float]
"""Departures of about one slot, and when they were marked, on the event loop's clock."""


async def take_out(dialer: Dialer, claims: list[Claim]) -> None:
    """Claims of one campaign become intents as slots come near; what does not in time is given back."""
    waiting = claims
    try:
        while waiting:
            latest = asyncio.get_running_loop().time() + dialer.times.request
            if dialer.stopping.is_set() or latest > waiting[0].deadline:
                why = "the dialer stops" if dialer.stopping.is_set() else "no dial slot came in time"
                await give_back(dialer.db, waiting, why=why)
                return
            for _ in waiting:
                dialer.failpoint(Point.BEFORE_INTENT)
            vetoes = await ask_vetoes(dialer.db, dialer.vetoes, waiting)
            intents = await commit_intents(
                dialer.db, waiting, lead_seconds=dialer.lead, patience=dialer.patience, vetoes=vetoes
            )
            going = {one.claim.attempt_id for one in intents.departures}
            later = {claim.attempt_id for claim in intents.later}
            dialer.let_go(claim for claim in waiting if claim.attempt_id not in going | later)
            waiting = intents.later
            if intents.departures:
                dialer.tasks.keep(depart(dialer, intents.departures), name="depart")
            if waiting:
                await dialer.pause(intents.wait_seconds)
    finally:
        dialer.let_go(waiting)


async def depart(dialer: Dialer, departures: Sequence[Departure]) -> None:
    """Mark committed intents shortly before their slots, a group at a time, and send them off."""
    for _ in departures:
        dialer.failpoint(Point.INTENT_COMMITTED)
    ready: asyncio.Queue[Marked | None] = asyncio.Queue()
    dialer.tasks.keep(send_off(dialer, ready), name="send off")
    for group in group_by_slot(departures):
        # Half of the lead is for the way to the intent, the other for the way to the mark.
        ahead = max(MARK_AHEAD_SECONDS, dialer.lead / 2)
        await dialer.clock.sleep_until(group[0].slot, ahead_seconds=ahead)
        try:
            marked = await mark(dialer.db, group)
        except DatabaseUnavailable as error:
            # Whether the mark was written or not: nothing was sent, and nothing will be.
            give_up(dialer, group, why=error.detail)
            continue
        dialer.let_go(one.claim for one in group if one.claim.attempt_id not in marked)
        going = [one.at(one.slot, one.patience) for one in group if one.claim.attempt_id in marked]
        for _ in going:
            dialer.failpoint(Point.MARKED)
        if going:
            ready.put_nowait((going, asyncio.get_running_loop().time()))
    ready.put_nowait(None)


def group_by_slot(departures: Sequence[Departure]) -> Iterator[list[Departure]]:
    """Groups of GROUP_SECONDS each, in the order of their slots."""
    ordered = sorted(departures, key=lambda one: one.slot)
    for _, group in groupby(ordered, key=lambda one: int(one.slot.timestamp() / GROUP_SECONDS)):
        yield list(group)


async def mark(db: Database, departures: Sequence[Departure]) -> set[object]:
    """Write that these go out at their slots; the attempts of which that is true, and that are still ours."""
    async with db.system() as connection:
        await attempt_store.bound_idle(connection)
        marked = await attempt_store.mark_sent(
            connection,
            ids=[one.claim.attempt_id for one in departures],
            fences=[one.claim.fence for one in departures],
            slots=[one.slot for one in departures],
            earlier=[None] * len(departures),
        )
    return set(marked)


async def send_off(dialer: Dialer, ready: "asyncio.Queue[Marked | None]") -> None:
    """Each request starts at its slot, and never nearer to the one before it than their slots are; they run side by
    side. None is the last."""
    loop = asyncio.get_running_loop()
    before: Departure | None = None
    sent_at = 0.0
    while marked := await ready.get():
        for one in await drop_listed(dialer, *marked):
            at = dialer.clock.local(one.slot)
            if before is not None:
                at = max(at, sent_at + (one.slot - before.slot).total_seconds())
            await asyncio.sleep(max(0.0, at - loop.time()))
            before, sent_at = one, loop.time()
            dialer.tasks.keep(place(dialer, one), name=f"place {one.claim.attempt_id}")


async def drop_listed(dialer: Dialer, group: list[Departure], marked_at: float) -> list[Departure]:
    """Those whose numbers are on no list still, shortly before their slot."""
    await dialer.clock.sleep_until(group[0].slot, ahead_seconds=MARK_AHEAD_SECONDS)
    if asyncio.get_running_loop().time() - marked_at < FRESH_SECONDS:
        return group
    try:
        async with dialer.db.system() as connection:
            listed = await attempt_store.select_listed(connection, [one.claim.attempt_id for one in group])
    except DatabaseUnavailable as error:
        give_up(dialer, group, why=error.detail)
        return []
    give_up(dialer, [one for one in group if one.claim.attempt_id in listed], why="its number came onto a list")
    return [one for one in group if one.claim.attempt_id not in listed]


def is_late(dialer: Dialer, departure: Departure) -> bool:
    """Whether its slot has passed by now: on this machine, which may have been frozen a moment ago."""
    return asyncio.get_running_loop().time() - dialer.clock.local(departure.slot) > departure.patience


def miss(dialer: Dialer, departure: Departure) -> None:
    """It was surely not sent: it takes a new slot, together with others that miss theirs in this moment."""
    dialer.missed.append(departure)
    if len(dialer.missed) == 1:
        dialer.tasks.keep(take_missed_again(dialer), name="take slots again")


async def take_missed_again(dialer: Dialer) -> None:
    await asyncio.sleep(GATHER_SECONDS)
    missed, dialer.missed = dialer.missed, []
    dialer.slow_down(len(missed))
    by_campaign: dict[CampaignId, list[Departure]] = {}
    for one in missed:
        by_campaign.setdefault(one.claim.terms.campaign_id, []).append(one)
    await asyncio.gather(*(take_again(dialer, of_one) for of_one in by_campaign.values()))


async def take_again(dialer: Dialer, missed: Sequence[Departure]) -> None:
    """New slots for dials that missed theirs and were surely not sent."""
    waiting = list(missed)
    while waiting:
        latest = asyncio.get_running_loop().time() + dialer.times.request
        if dialer.stopping.is_set() or latest > waiting[0].claim.deadline:
            give_up(dialer, waiting, why="its dial slot was missed")
            return
        try:
            moved, waiting, wait_seconds = await move_slots(dialer, waiting)
        except DatabaseUnavailable as error:
            give_up(dialer, waiting, why=error.detail)
            return
        if moved:
            ready: asyncio.Queue[Marked | None] = asyncio.Queue()
            for group in group_by_slot(moved):
                ready.put_nowait((group, asyncio.get_running_loop().time()))
            ready.put_nowait(None)
            dialer.tasks.keep(send_off(dialer, ready), name="send off again")
        if waiting:
            await dialer.pause(wait_seconds)


async def move_slots(dialer: Dialer, missed: Sequence[Departure]) -> tuple[list[Departure], list[Departure], float]:
    """Those that have a new slot, marked; those that must wait; and how many seconds."""
    async with dialer.db.system() as connection:
        await attempt_store.bound_idle(connection)
        slots = await take_slots(
            connection, missed[0].claim.terms, len(missed), lead_seconds=dialer.lead, patience=dialer.patience
        )
        if slots is None:
            give_up(dialer, missed, why=NOT_RUNNING)
            return [], [], 0.0
        going = list(zip(missed, slots.instants, strict=False))
        marked = await attempt_store.mark_sent(
            connection,
            ids=[one.claim.attempt_id for one, _ in going],
            fences=[one.claim.fence for one, _ in going],
            slots=[slot for _, slot in going],
            earlier=[one.slot for one, _ in going],
        )
    dialer.let_go(one.claim for one, _ in going if one.claim.attempt_id not in marked)
    moved = [one.at(slot, slots.patience) for one, slot in going if one.claim.attempt_id in marked]
    return moved, list(missed[len(going) :]), slots.wait_seconds


def give_up(dialer: Dialer, departures: Sequence[Departure], *, why: str) -> None:
    """These were not sent and never will be: their contacts go back as soon as that can be written."""
    for one in departures:
        dialer.tasks.keep(record(dialer, Outcome(one, NotSent(why))), name=f"give up {one.claim.attempt_id}")


async def record(dialer: Dialer, outcome: Outcome) -> None:
    try:
        await dialer.recorder.record(outcome)
    finally:
        dialer.let_go([outcome.claim])


async def place(dialer: Dialer, departure: Departure) -> None:
    """Ask the carrier, once, and record what it said. Past its slot nothing is begun."""
    claim = departure.claim
    if asyncio.get_running_loop().time() >= claim.deadline:
        give_up(dialer, [departure], why="its lease was over before its slot")
        return
    if is_late(dialer, departure):
        miss(dialer, departure)
        return
    dialer.speed_up()
    outcome = await request(dialer, departure)
    dialer.failpoint(Point.ANSWERED_BY_CARRIER)
    await record(dialer, outcome)
    if isinstance(outcome.answer, Placed):
        follow_call(dialer.lines, departure.call, ring_timeout_seconds=claim.terms.ring_timeout_seconds)
    dialer.failpoint(Point.RECORDED)


async def request(dialer: Dialer, departure: Departure) -> Outcome:
    claim = departure.claim
    ring = claim.terms.ring_timeout_seconds
    try:
        async with asyncio.timeout_at(claim.deadline):
            return Outcome(
                departure, Placed(await request_call(dialer.lines, departure.call, ring_timeout_seconds=ring))
            )
    except DialRefused as error:
        log.warning("the carrier refused a dial", attempt_id=str(claim.attempt_id), why=error.detail)
        refused = Refused(error.detail, error.retryable, error.carrier_code, error.throttled, error.number_fault)
        return Outcome(departure, refused)
    except (DialUncertain, TimeoutError) as error:
        log.warning("a dial is uncertain", attempt_id=str(claim.attempt_id), why=str(error))
        return Outcome(departure, Unclear())
