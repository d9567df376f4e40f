"""The keys that the person presses on their telephone, taken as something they say.

LiveKit SIP and the media bridge (telephony/media/room_leg.py) tell of a key the same way: the room's event
`sip_dtmf_received`. Keys pressed one after the other are one turn; rules and models read them as its digits.
"""

import asyncio

from livekit import rtc

from agents.conversation_state import ConversationState
from agents.course.ending import Session
from agents.record.transcript import Transcript
from app.logs import get_logger
from telephony.calls import EventKind
from telephony.legs import LegKind, RoomLeg

log = get_logger(__name__)

PAUSE_SECONDS = 1.2
"""After a key, wait so long for the next one."""
DONE = "#"
MOST_KEYS = 64
SILENCED_SECONDS = 3.0


def listen_for_keys(room: rtc.Room, person: RoomLeg, transcript: Transcript) -> "asyncio.Queue[str]":
    """The person's keys as they come, each recorded as an event (the bridge records those of a stream itself)."""
    pressed: asyncio.Queue[str] = asyncio.Queue()

    def on_key(key: rtc.SipDTMF) -> None:
        if key.participant is None or key.participant.identity != person.identity:
            return
        if person.kind is not LegKind.STREAM:
            transcript.add_event(EventKind.DTMF_RECEIVED, {"digit": key.digit})
        pressed.put_nowait(key.digit)

    room.on("sip_dtmf_received", on_key)
    return pressed


async def take_keys(session: Session, state: ConversationState, pressed: "asyncio.Queue[str]") -> None:
    """Let the person speak by keys, until cancelled."""
    while True:
        digits = await collect_keys(pressed)
        # Before the answer nobody can have been asked anything, and after the goodbye nothing more is said.
        if state.answered and not state.ended:
            await say_keys(session, digits)


async def collect_keys(pressed: "asyncio.Queue[str]") -> str:
    """The keys up to a pause or to #, which only ends them; # alone is a key like any other."""
    digits = await pressed.get()
    while digits[-1] != DONE and len(digits) < MOST_KEYS:
        try:
            async with asyncio.timeout(PAUSE_SECONDS):
                digits += await pressed.get()
        except TimeoutError:
            break
    return digits.removesuffix(DONE) or DONE


async def say_keys(session: Session, digits: str) -> None:
    """The turn itself: the agent falls silent, and answers what was pressed."""
    try:
        await asyncio.wait_for(session.interrupt(), SILENCED_SECONDS)
    except (RuntimeError, TimeoutError):
        # What may not be interrupted (an apology, the farewell) is said to its end; the keys come after it.
        log.debug("keys wait for the end of what is said")
    try:
        session.generate_reply(user_input=digits)
    except RuntimeError:
        log.warning("keys came too late: the conversation is closing")
