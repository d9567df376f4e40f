"""What a carrier tells us about a call, made into what happened to the call.

Carriers tell things late, twice and in any order, and sometimes tell of a call whose dial request never got an
answer: every step is safe to repeat, the first end wins, and the carrier's id is adopted from whatever comes first.
"""

from dataclasses import dataclass

import asyncpg

from app.db import Database
from app.errors import Conflict
from app.ids import CallId
from telephony.calls import (
    AtFault,
    Call,
    CallNotFound,
    Direction,
    End,
    EndReason,
    EndResult,
    end_call,
    mark_answered,
    mark_ringing,
    read_call,
)
from telephony.carriers import store
from telephony.carriers.base import CarrierName
from telephony.carriers.replies import SIP_REFUSALS

INVALID_NUMBER_CODES = frozenset({404, 410, 484, 604})

STATUS_ORDER = ("queued", "initiated", "ringing", "in-progress", "completed", "busy", "no-answer", "failed", "canceled")
TERMINAL_FROM = STATUS_ORDER.index("completed")


class ForeignCarrierCall(Conflict):
    """The carrier speaks of another call of its own than the one that this call of ours is."""

    code = "foreign_carrier_call"


@dataclass(frozen=True)
class CarrierNews:
    """One status callback. `status` is the carrier's own word (Twilio's are ours); `sip_code` where it came to that."""

    carrier: CarrierName
    carrier_call_id: str
    status: str
    sip_code: int | None = None


async def adopt_carrier_call(db: Database, call_id: CallId, carrier: CarrierName, carrier_call_id: str) -> Call:
    """Make sure that our call is this one of the carrier, and say so in its row: this is how a call whose dial
    response was lost gets its carrier id. Raises CallNotFound, ForeignCarrierCall.
    """
    return await keep_news(db, call_id, CarrierNews(carrier, carrier_call_id, status=""))


async def take_news(db: Database, call_id: CallId, news: CarrierNews) -> bool:
    """Apply one status callback; True if the call ended by it. Raises CallNotFound, ForeignCarrierCall."""
    call = await keep_news(db, call_id, news)
    end = read_end(news, call.direction)
    if end is not None:
        return await end_call(db, call.id, end)
    if call.direction is Direction.OUTBOUND and news.status == "ringing":
        await mark_ringing(db, call.id)
    if call.direction is Direction.OUTBOUND and news.status == "in-progress":
        await mark_answered(db, call.id)
    return False


async def find_carrier_call(db: Database, carrier: CarrierName, carrier_call_id: str) -> CallId | None:
    """Which call of ours the carrier's is, for callbacks that cannot carry our id (inbound)."""
    async with db.system() as connection:
        found = await store.select_call_id_by_carrier_id(connection, carrier, carrier_call_id)
    return CallId(found) if found else None


async def keep_news(db: Database, call_id: CallId, news: CarrierNews) -> Call:
    """Write down the carrier's id and its latest word, whether or not the call is over."""
    async with db.system() as connection:
        row = await store.lock_call(connection, call_id)
        if row is None:
            raise CallNotFound("There is no such call.")
        call = read_call(row)
        if call.carrier is not news.carrier or call.carrier_call_id not in (None, news.carrier_call_id):
            raise ForeignCarrierCall("This call is another one at the carrier.")
        try:
            kept = await store.set_carrier_news(
                connection,
                call_id,
                carrier_call_id=news.carrier_call_id,
                carrier_status=later_status(call.carrier_status, news.status),
                sip_code=news.sip_code,
            )
        except asyncpg.UniqueViolationError as error:
            raise ForeignCarrierCall("The carrier's call is another one of ours.") from error
    return read_call(kept) if kept else call


def later_status(kept: str | None, told: str) -> str | None:
    """The carrier's word that stands: callbacks overtake each other, and the first terminal one is the last."""
    if not told:
        return kept
    if kept is None:
        return told
    if kept in STATUS_ORDER and STATUS_ORDER.index(kept) >= TERMINAL_FROM:
        return kept
    if kept in STATUS_ORDER and told in STATUS_ORDER:
        return max(kept, told, key=STATUS_ORDER.index)
    return told


def read_end(news: CarrierNews, direction: Direction) -> End | None:
    """How the call ended by the carrier's account; None while it goes on, or for a word that we do not know."""
    match news.status:
        case "completed" if direction is Direction.INBOUND:
            return End(EndResult.COMPLETED, EndReason.CALLER_HUNG_UP)
        case "completed":
            return End(EndResult.COMPLETED, EndReason.CALLEE_HUNG_UP)
        case "busy" | "failed" if news.sip_code in SIP_REFUSALS:
            return End(EndResult.REJECTED, EndReason.REJECTED, AtFault.CALLEE)
        case "busy":
            return End(EndResult.BUSY, EndReason.BUSY, AtFault.CALLEE)
        case "no-answer":
            return End(EndResult.NO_ANSWER, EndReason.NO_ANSWER, AtFault.CALLEE)
        case "canceled" if direction is Direction.INBOUND:
            return End(EndResult.CANCELED, EndReason.CALLER_HUNG_UP)
        case "canceled":
            return End(EndResult.CANCELED, EndReason.API_ENDED)
        case "failed" if news.sip_code in INVALID_NUMBER_CODES:
            return End(EndResult.FAILED, EndReason.INVALID_NUMBER, AtFault.CALLEE)
        case "failed":
            return End(EndResult.FAILED, EndReason.CARRIER_ERROR, AtFault.CARRIER)
        case _:
            return None
