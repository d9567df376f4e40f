"""The answered call of a campaign whose calls people take: an operator hears the callee within two seconds of the
greeting, or the callee hears who called. The agents stay silent all the while."""

import asyncio
from contextlib import suppress
from uuid import UUID

from agents.answering.verdict import Finding
from agents.course.company import Company, wait_for_pickup
from agents.course.person import has_answered
from agents.floor.screening import OVER_SECONDS, Screening
from agents.floor.seat import OperatorSeat, record_operator
from agents.record.recording import Recording
from app.db import Database, DatabaseUnavailable
from app.logs import get_logger
from telephony.calls import Call, End, EndReason, EndResult
from telephony.floor.answered import (
    FloorCall,
    abandon_call,
    connect_operator,
    finish_floor_call,
    note_answered,
    note_machine,
    reserve_operator,
)
from telephony.floor.operators import operator_identity
from telephony.hints import leave_hint
from telephony.watch.answerer import note_answerer

log = get_logger(__name__)

ASK_AGAIN_SECONDS = 0.1
MESSAGE_SECONDS = 30.0
ABANDONED = End(EndResult.COMPLETED, EndReason.NO_OPERATOR)
"""Nobody's fault in its row, or the carrier would apologize once more after our message."""
MACHINE = End(EndResult.COMPLETED, EndReason.MACHINE)
OPERATOR_LEFT = End(EndResult.COMPLETED, EndReason.OPERATOR_ENDED)


class MachineAnswered(Exception):
    """It said a machine's words, or speaks on as machines do."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.because)
        self.finding = finding


async def give_to_operator(company: Company, floor: FloorCall, screening: Screening, recording: Recording) -> None:
    """From the answer to the end of the talk, or to the message for whom nobody was there. `screening` hears what the
    callee's side sends."""
    call, state = company.call, company.state
    speed = state.definition.agent(state.active).voice.speed
    company.running.keep(company.desk.engines.speaking.warm([floor.message], speed), name="warm message")
    try:
        if has_answered(call, company.person):
            await company.running.wait_until_heard()
        else:
            await wait_for_pickup(company)
            screening.begin()
        with suppress(DatabaseUnavailable):
            screening.count_from(await note_answered(company.db, call))
        seat = await find_seat(company, floor, screening)
    except MachineAnswered as machine:
        await leave_machine(company, floor, machine.finding)
        return
    finally:
        screening.close()
    if seat is not None:
        await accompany(company, seat, recording)
    elif not company.ending.is_over:
        await apologize(company, floor)


async def find_seat(company: Company, floor: FloorCall, screening: Screening) -> OperatorSeat | None:
    """An operator who can be heard, within the time that the law gives, which runs from the end of the greeting; None
    where there is none. Raises MachineAnswered."""
    if company.state.rescue:
        # Who was screened before the first worker died may be in the middle of a long sentence.
        screening.close()
    else:
        # Half of the time for making sure who it is, or the other half would be too short to come in.
        over_seconds = min(OVER_SECONDS, floor.connect_seconds / 2)
        await screening.judge(over_seconds=over_seconds)
    demand_person(screening)
    left_seconds = floor.connect_seconds - min(screening.seconds_since_greeting, floor.connect_seconds / 2)
    try:
        async with asyncio.timeout(left_seconds):
            # Whoever is called needs the other half to come in: called at the last moment they would only miss it.
            async with asyncio.timeout(left_seconds / 2):
                operator_id = await reserve_soon(company, floor, screening)
            log.info("an operator is called", call_id=str(company.call.id), operator_id=str(operator_id))
            return await seat_operator(company, operator_id, screening)
    except (TimeoutError, DatabaseUnavailable):
        return None


def demand_person(screening: Screening) -> None:
    """Raises MachineAnswered where something has given one away by now."""
    if (finding := screening.find_machine()) is not None:
        raise MachineAnswered(finding)


async def reserve_soon(company: Company, floor: FloorCall, screening: Screening) -> UUID:
    """Whoever is free first. Raises MachineAnswered."""
    while True:
        operator_id = await reserve_operator(company.db, company.call, floor)
        if operator_id is not None:
            return operator_id
        await asyncio.sleep(ASK_AGAIN_SECONDS)
        demand_person(screening)


async def seat_operator(company: Company, operator_id: UUID, screening: Screening) -> OperatorSeat | None:
    """Once their microphone is in the room. Until then the greeting may still give a machine away. None where the call
    is theirs no more. Raises MachineAnswered."""
    seat = OperatorSeat(company.room, operator_identity(operator_id))
    connected = False
    try:
        while not await seat.is_heard(within_seconds=ASK_AGAIN_SECONDS):
            demand_person(screening)
        connected = await connect_operator(company.db, company.call, operator_id)
    finally:
        if not connected:
            seat.close()
    return seat if connected else None


async def accompany(company: Company, seat: OperatorSeat, recording: Recording) -> None:
    """The operator talks; the call is over when they leave."""
    log.info("an operator has the call", call_id=str(company.call.id))
    company.running.keep(record_operator(seat.track, recording), name="record operator")
    try:
        await seat.left.wait()
    finally:
        seat.close()
    company.ending.end(OPERATOR_LEFT)


async def leave_machine(company: Company, floor: FloorCall, finding: Finding) -> None:
    log.info("a machine answered", call_id=str(company.call.id), by=finding.by.value)
    with suppress(DatabaseUnavailable):
        await note_machine(company.db, company.call, floor)
        await note_answerer(company.db, company.call.id, finding.answered_by, finding.evidence)
    company.ending.end(MACHINE)


async def apologize(company: Company, floor: FloorCall) -> None:
    """What the law asks for where nobody was there: who called, and how to reach them. It sounds first and counts
    beside it: a database that is away must not keep the callee in silence."""
    log.warning("nobody was there in time", call_id=str(company.call.id))
    company.running.keep(note_abandoned(company, floor), name="note abandoned")
    try:
        speech = company.running.session.say(floor.message, allow_interruptions=False)
        await asyncio.wait_for(speech.wait_for_playout(), MESSAGE_SECONDS)
    except (RuntimeError, TimeoutError):
        log.warning("the message was not heard", call_id=str(company.call.id))
    company.ending.end(ABANDONED)


async def note_abandoned(company: Company, floor: FloorCall) -> None:
    # The hint, because who hangs up during the message was abandoned all the same.
    await abandon_call(company.db, company.call, floor)
    await leave_hint(company.db, company.call.id, {"disposition": "abandoned"})


async def end_for_operator(db: Database, call: Call) -> None:
    """The call's row has ended: who had it writes up. Where it has not (another worker goes on) nothing changes."""
    # The api sees it within a second, if we cannot say it.
    with suppress(DatabaseUnavailable):
        await finish_floor_call(db, call.id)
