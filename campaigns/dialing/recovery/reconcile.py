"""Attempts that are unclear: uncertain ones, and placed ones of which nobody told us the end.

Webhooks and the room settle nearly all of them before this is asked (`recover_expired`, `settle_ended`). Here the
carrier's own list decides: a call in it that no other attempt has is ours. One that is absent after the grace, with
every request long timed out, was never placed, so the contact is due again; without a list to ask (SIP) an absent
room proves nothing, and the attempt ends as indeterminate, which is not tried again by itself.

Its slot need not wait so long: a no frees the slot at once. Where the no was wrong there is a call more than the limit
until the carrier's yes, never a second dial (docs/decisions/0012).
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from app.clock import utc_now
from app.db import Database, Row
from campaigns.dialing import attempt_store
from campaigns.dialing.attempts import Times, first_look
from campaigns.dialing.recovery import store
from campaigns.dialing.recovery.releasing import Open, release_undialed
from telephony.calls import AtFault, Call, End, EndReason, EndResult, end_call, end_call_in, load_call
from telephony.carriers.base import Carrier, CarrierCall, CarrierUnavailable
from telephony.outbound import Lines, hang_up
from telephony.switchboard import SwitchboardError
from telephony.watch.carrier_events import CarrierNews, ForeignCarrierCall, take_news

CLOCK_SKEW = timedelta(seconds=30)
"""How far the carrier's clock may be behind ours. A call it lists too much belongs to another attempt, and is not
adopted twice."""

ON_ITS_WAY_SECONDS = 1.0
"""How long a request of a sound dialer is on its way before the carrier's list shows its call, most of the time."""
SOON_SECONDS = 0.5
"""When the carrier is asked again, where its answer did not free the slot."""


class Known(StrEnum):
    """Whether the carrier has a call. MAYBE: another call of ours between the same numbers has no carrier's id yet, so
    the list cannot tell which of the two it shows; adopting the wrong one would let the other be dialed again."""

    YES = "yes"
    NO = "no"
    MAYBE = "maybe"


class _Lost(Exception):
    """Someone else has the attempt: roll back."""


async def recover_expired(db: Database, times: Times, *, dialer: str, in_hand: Collection[UUID]) -> None:
    """What dialers that died or froze left behind: claims go back, dials become uncertain, and uncertain ones that
    the carrier has told us of since are placed after all. `in_hand`: what `dialer`, who asks, works on itself."""
    async with db.system() as connection:
        await attempt_store.bound_idle(connection)
        gone = await store.select_gone(connection, presence_seconds=times.presence, dialer=dialer, in_hand=in_hand)
        if claimed := [row["id"] for row in gone if row["status"] == "claimed"]:
            await store.release_gone_claims(connection, claimed)
        if dialing := [row["id"] for row in gone if row["status"] == "dialing"]:
            await store.park_gone_dials(connection, dialing)
        await store.resume_known_calls(connection, look_again_seconds=times.look_again)


async def reconcile(lines: Lines, unclear: Row, times: Times) -> None:
    """Find out what became of one attempt, which must be ours (`take_over_unclear`). Raises CarrierUnavailable or
    SwitchboardError: someone asks again, soon where it may hold a slot for nothing."""
    call = await load_call(lines.db, unclear["call_id"])
    if call.end is not None:
        return
    if call.dialed_at is None:
        detail = "its dialer was gone before the request went out"
        await close_undialed(lines.db, unclear, detail=detail, even_if_sent=False)
        return
    if utc_now() - call.created_at > timedelta(seconds=times.longest_call):
        await hang_up(lines, call, End(EndResult.INDETERMINATE, EndReason.MAX_DURATION, AtFault.US))
        return
    try:
        known = await is_known(lines, call)
    except (CarrierUnavailable, SwitchboardError):
        await _wait(lines.db, unclear, seconds=SOON_SECONDS)
        raise
    if known is Known.YES or (known is Known.MAYBE and unclear["status"] == "placed"):
        await _look_again(lines, unclear, times)
    elif unclear["status"] == "uncertain" and (rest := seconds_to_believe(call, times, now=utc_now())) > 0:
        absent = known is Known.NO and is_in_the_past(call, now=utc_now())
        await _wait(lines.db, unclear, seconds=min(rest, first_look(times) if absent else SOON_SECONDS), absent=absent)
    elif unclear["status"] == "uncertain" and known is Known.NO and call.carrier in lines.carriers:
        detail = "the carrier's list shows no such call"
        await close_undialed(lines.db, unclear, detail=detail, even_if_sent=True)
    else:
        await end_call(lines.db, call.id, End(EndResult.INDETERMINATE, EndReason.LOST, AtFault.CARRIER))


def seconds_to_believe(call: Call, times: Times, *, now: datetime) -> float:
    """How long still the carrier's silence about this call proves nothing: its request may be on its way."""
    sent_at = call.dialed_at or call.created_at
    return times.request + times.grace - (now - sent_at).total_seconds()


def is_in_the_past(call: Call, *, now: datetime) -> bool:
    """Whether the carrier would know of the call by now, had its request gone out at its slot."""
    return now - (call.dialed_at or call.created_at) > timedelta(seconds=ON_ITS_WAY_SECONDS)


async def _wait(db: Database, unclear: Row, *, seconds: float, absent: bool = False) -> None:
    """Ask again then; where the attempt is placed, its lease says when."""
    async with db.system() as connection:
        await store.set_next_look(connection, unclear["id"], unclear["fence"], seconds=seconds, absent=absent)


async def is_known(lines: Lines, call: Call) -> Known:
    """Whether the carrier has, or had, this call. What it says of the call is applied on the way."""
    carrier = lines.carriers.get(call.carrier) if call.carrier else None
    if carrier is None:
        return Known.YES if await lines.switchboard.list_legs(call.room_name) else Known.NO
    listed = await _list_candidates(carrier, call)
    if call.carrier_call_id is None and listed:
        # Asked after the list was read: every call in it is marked as sent by now.
        async with lines.db.system() as connection:
            if await store.has_unnamed_twin(connection, call.id, skew=2 * CLOCK_SKEW):
                return Known.MAYBE
    for one in reversed(listed):
        news = CarrierNews(carrier.name, one.carrier_call_id, one.status)
        try:
            await take_news(lines.db, call.id, news)
        except ForeignCarrierCall:
            continue
        return Known.YES
    return Known.NO


async def _list_candidates(carrier: Carrier, call: Call) -> list[CarrierCall]:
    """Newest first: the call by its carrier id where we know it, else all between the two numbers since the dial."""
    since = (call.dialed_at or call.created_at) - CLOCK_SKEW
    listed = await carrier.find_calls(to=call.to_number or "", from_=call.from_number or "", since=since)
    return [one for one in listed if call.carrier_call_id in (None, one.carrier_call_id)]


async def _look_again(lines: Lines, unclear: Row, times: Times) -> None:
    async with lines.db.system() as connection:
        await attempt_store.set_placed(
            connection, ids=[unclear["id"]], fences=[unclear["fence"]], look_again_seconds=[times.look_again]
        )


async def close_undialed(db: Database, unclear: Row, *, detail: str, even_if_sent: bool) -> bool:
    """Give up an uncertain attempt that reached no carrier; its call ends, so that its request can never go out.

    Without `even_if_sent` only where the request had not gone out. False, and nothing changed, otherwise, or where
    the call has ended, the carrier told us of it meanwhile, or someone else has the attempt.
    """
    try:
        async with db.system() as connection:
            await attempt_store.bound_idle(connection)
            call = await store.lock_call(connection, unclear["call_id"])
            if call is None or call["ended"] or call["known"] or (call["sent"] and not even_if_sent):
                return False
            await end_call_in(connection, unclear["call_id"], End(EndResult.FAILED, EndReason.LOST, AtFault.US))
            if not await release_undialed(connection, Open.of_row(unclear), detail=detail):
                raise _Lost
    except _Lost:
        return False
    return True
