"""What goes on beside a conversation from its first moment to its last."""

import asyncio
from dataclasses import dataclass

from livekit import rtc

from agents.conversation_state import ConversationState
from agents.course.apologies import Apologies
from agents.course.ending import Ending, Patience, limit_duration
from agents.course.keys import listen_for_keys, take_keys
from agents.desk import Desk
from agents.record.transcript import Transcript
from agents.session import RunningSession
from app.db import Database, DatabaseUnavailable
from app.logs import get_logger
from telephony.calls import Call, mark_answered
from telephony.legs import BEAT_SECONDS, RoomLeg, beat_agent
from telephony.watch.sip_progress import STATUS_ATTRIBUTE, note_sip_status

log = get_logger(__name__)


@dataclass(frozen=True)
class Company:
    """Everything that the parts of a conversation may need to know."""

    desk: Desk
    db: Database
    room: rtc.Room
    call: Call
    person: RoomLeg
    state: ConversationState
    ending: Ending
    running: RunningSession
    transcript: Transcript


def keep_company(company: Company) -> None:
    """Start it all; the running session owns the tasks. Where people take the call, the answer and what fails are no
    matter of the agents'."""
    running, ending = company.running, company.ending
    session, state, voice = running.session, company.state, company.desk.engines.speaking
    pressed = listen_for_keys(company.room, company.person, company.transcript)
    running.keep(warm_first_words(company), name="first words")
    running.keep(beat(company), name="heartbeat")
    if not state.silent:
        running.keep(note_answer(company), name="answer")
        running.keep(Apologies(session, state, voice).run(ending), name="apologies")
    running.keep(Patience(session, state).run(ending), name="patience")
    running.keep(take_keys(session, state, pressed), name="keys")
    running.keep(limit_duration(session, state, ending), name="longest call")


async def warm_first_words(company: Company) -> None:
    """Have the greeting ready before the line opens."""
    state = company.state
    agent = state.definition.agent(state.active)
    words = state.definition.rescue_line if state.rescue else agent.greeting
    if words and not state.silent:
        await company.desk.engines.speaking.warm([state.fill(words)], agent.voice.speed)


async def beat(company: Company) -> None:
    """Say that this agent lives, until the call is over or another agent has it."""
    identity = company.room.local_participant.identity
    while not company.ending.is_over:
        try:
            if not await beat_agent(company.db, company.call.id, identity=identity):
                company.ending.end(None)
        except DatabaseUnavailable:
            log.warning("a heartbeat was lost", call_id=str(company.call.id))
        await asyncio.sleep(BEAT_SECONDS)


async def note_answer(company: Company) -> None:
    """Write down when the call was answered, and let the agent speak then."""
    if not company.state.answered:
        await wait_for_pickup(company)
        company.state.answer()
    else:
        await company.running.wait_until_heard()
    log.info("call answered", call_id=str(company.call.id))
    await mark_answered(company.db, company.call.id)


async def wait_for_pickup(company: Company) -> None:
    """Follow the phone that we dialed until somebody picks it up."""
    statuses: asyncio.Queue[str] = asyncio.Queue()
    person = company.person.identity

    def on_changed(changed: dict[str, str], participant: rtc.Participant) -> None:
        if participant.identity == person and STATUS_ATTRIBUTE in changed:
            statuses.put_nowait(changed[STATUS_ATTRIBUTE])

    company.room.on("participant_attributes_changed", on_changed)
    try:
        status = company.room.remote_participants[person].attributes.get(STATUS_ATTRIBUTE, "")
        while status != "active":
            await note_sip_status(company.db, company.call, status)
            status = await statuses.get()
    finally:
        company.room.off("participant_attributes_changed", on_changed)
