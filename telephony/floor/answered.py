"""A person answered a call of a campaign whose calls people take: who has it, and that nobody does.

Each function is one transaction and safe to repeat; the rows of operators say whose call it is.
"""

import asyncio
import itertools
from dataclasses import dataclass
from uuid import UUID

from app.db import Connection, Database
from app.ids import AttemptId, CallId
from app.logs import get_logger
from telephony.calls import Call, EventKind, mark_answered, record_event
from telephony.floor import call_store, operator_store
from telephony.floor.message import ABANDON_MESSAGE, CONNECT_SECONDS, fill_message

log = get_logger(__name__)

KEEP_SECONDS = 1.0


@dataclass(frozen=True)
class FloorCall:
    """A call that is somebody's to take. `message`: what they hear whom nobody greets within `connect_seconds`."""

    campaign_id: UUID
    message: str
    connect_seconds: float


async def find_floor(connection: Connection, attempt_id: AttemptId | None, from_number: str | None) -> FloorCall | None:
    """None where agents take the call: every one that no campaign dialed, and most that one did."""
    row = attempt_id and await call_store.select_floor(connection, attempt_id)
    if not row:
        return None
    text = row["message"] or ABANDON_MESSAGE
    message = fill_message(text, organization=row["organization"], from_number=from_number)
    return FloorCall(row["campaign_id"], message, row["connect_seconds"] or CONNECT_SECONDS)


async def note_answered(db: Database, call: Call) -> float:
    """Write down that it was answered, if nobody did; how many seconds ago that was."""
    await mark_answered(db, call.id)
    async with db.system() as connection:
        return await call_store.count_seconds_since_answer(connection, call.id)


async def reserve_operator(db: Database, call: Call, floor: FloorCall) -> UUID | None:
    """Who has it from now on, those too who had it before; None while nobody is free."""
    async with db.system() as connection:
        await call_store.insert_floor_call(connection, call.id, floor.campaign_id, "waiting")
        if held := await call_store.select_holder(connection, call.id):
            return held
        operator_id = await call_store.reserve(connection, call.id, floor.campaign_id)
        if operator_id is not None:
            data = {"operator_id": str(operator_id)}
            await record_event(connection, call.org_id, call.id, EventKind.OPERATOR_RESERVED, data)
    return operator_id


async def connect_operator(db: Database, call: Call, operator_id: UUID) -> bool:
    """They are in the room and can be heard; False where the call is theirs no more."""
    async with db.system() as connection:
        if not await call_store.set_connected(connection, call.id, operator_id):
            return await call_store.select_holder(connection, call.id) == operator_id
        data = {"operator_id": str(operator_id)}
        await record_event(connection, call.org_id, call.id, EventKind.OPERATOR_CONNECTED, data)
    return True


async def abandon_call(db: Database, call: Call, floor: FloorCall) -> None:
    """Nobody was there in time: it counts, and whose call it was is offline."""
    async with db.system() as connection:
        await call_store.insert_floor_call(connection, call.id, floor.campaign_id, "waiting")
        if await call_store.set_abandoned(connection, call.id):
            await record_event(connection, call.org_id, call.id, EventKind.CALL_ABANDONED, {})


async def note_machine(db: Database, call: Call, floor: FloorCall) -> None:
    """A machine answered: no operator's call, and none that counts as answered by a person."""
    async with db.system() as connection:
        if not await call_store.insert_floor_call(connection, call.id, floor.campaign_id, "machine"):
            await call_store.set_machine(connection, call.id)


async def finish_floor_call(db: Database, call_id: CallId) -> None:
    """Once the call's row is ended: its operator writes up. No matter if it is not over."""
    async with db.system() as connection:
        await call_store.finish_calls(connection, call_id)


async def keep_floor(db: Database) -> None:
    """What nobody else does: calls that ended without their worker, wrap-ups that are over, operators who vanished."""
    async with db.system() as connection:
        if not await call_store.try_lock_floor(connection):
            return
        await call_store.finish_calls(connection)
        await operator_store.put_vanished_offline(connection)
        await operator_store.end_wrap_ups(connection)


async def watch_floor(db: Database) -> None:
    """Run for as long as the process does (the api owns it); any number of processes may."""
    for _ in itertools.count():
        try:
            await keep_floor(db)
        # The outermost loop: Postgres may be back in a second.
        except Exception:
            log.exception("keeping the floor failed")
        await asyncio.sleep(KEEP_SECONDS)
