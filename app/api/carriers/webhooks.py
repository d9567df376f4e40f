"""What carriers and LiveKit tell us. Each request is signed; each answer is quick, and what takes time comes after it.

A carrier fetches instructions here with a caller on the line: whatever goes wrong on our side, it gets words to speak
(`apology_twiml`), never an error that leaves the caller in silence.
"""

import asyncio
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Depends, Header, Request, Response
from starlette.datastructures import FormData

from app.api.dependencies import Parts, State
from app.errors import TrunklineError, Unavailable
from app.ids import CallId
from app.logs import get_logger
from telephony.calls import Call, load_call, mark_answered
from telephony.carriers.base import CarrierName
from telephony.carriers.twilio import TwilioCarrier
from telephony.carriers.twiml import apology_twiml, connect_twiml, hangup_twiml, reject_twiml
from telephony.inbound import Arrival, UnknownNumber, answer_inbound
from telephony.livekit_event import LiveKitEvent
from telephony.media.stream_token import StreamGrant, sign_stream_token
from telephony.outbound import Lines
from telephony.watch.carrier_events import CarrierNews, adopt_carrier_call, find_carrier_call, take_news
from telephony.watch.rescue import on_room_event

ANSWER_SECONDS = 8.0
"""Twilio waits 15 for instructions."""

router = APIRouter(prefix="/webhooks", include_in_schema=False)

log = get_logger(__name__)


class CarrierNotSetUp(Unavailable):
    """A webhook of a carrier that this installation has no credentials for."""

    code = "carrier_not_set_up"


async def read_twilio(request: Request, state: Parts, x_twilio_signature: Annotated[str, Header()] = "") -> FormData:
    """The form of a request that Twilio signed. Raises ForgedWebhook, CarrierNotSetUp."""
    carrier = state.lines.carriers.get(CarrierName.TWILIO)
    if not isinstance(carrier, TwilioCarrier):
        raise CarrierNotSetUp("No Twilio account is set up here.")
    form = await request.form(max_fields=200, max_files=0)
    query = f"?{request.url.query}" if request.url.query else ""
    carrier.verify_webhook(request.url.path + query, form, x_twilio_signature)
    return form


TwilioForm = Annotated[FormData, Depends(read_twilio)]


@router.post("/twilio/voice")
async def answer_twilio_call(form: TwilioForm, state: Parts) -> Response:
    """A call to a number of ours: connect it to its media stream, or refuse it."""
    arrival = Arrival(
        carrier=CarrierName.TWILIO,
        carrier_call_id=field(form, "CallSid"),
        room_name=None,
        dialed=field(form, "To"),
        caller=field(form, "From"),
    )
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            call = await answer_inbound(state.db, arrival)
    except UnknownNumber:
        return twiml(reject_twiml())
    # The outermost loop of a call that is waiting for words.
    except Exception:
        log.exception("an inbound call could not be answered")
        return twiml(apology_twiml())
    return twiml(connect_call(state, call))


@router.post("/twilio/answered/{call_id}")
async def connect_answered_call(call_id: UUID, form: TwilioForm, state: Parts) -> Response:
    """The callee of a call that we placed has answered: connect it to its media stream."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await adopt_carrier_call(state.db, CallId(call_id), CarrierName.TWILIO, field(form, "CallSid"))
            await mark_answered(state.db, CallId(call_id))
            call = await load_call(state.db, CallId(call_id))
    # The outermost loop of a call that is waiting for words.
    except Exception:
        log.exception("an answered call could not be connected", call_id=str(call_id))
        return twiml(apology_twiml())
    return twiml(connect_call(state, call))


@router.post("/twilio/status/{call_id}", status_code=204)
async def take_twilio_status(call_id: UUID, form: TwilioForm, state: Parts, after: BackgroundTasks) -> None:
    """A change of a call that we placed; repeated and overtaking ones change nothing."""
    if await take_news(state.db, CallId(call_id), read_news(form)):
        after.add_task(close_call_room, state.lines, CallId(call_id))


@router.post("/twilio/status", status_code=204)
async def take_twilio_number_status(form: TwilioForm, state: Parts, after: BackgroundTasks) -> None:
    """A change of a call to a number of ours: the number's own status URL cannot carry our id. Unknown ones pass."""
    call_id = await find_carrier_call(state.db, CarrierName.TWILIO, field(form, "CallSid"))
    if call_id is not None and await take_news(state.db, call_id, read_news(form)):
        after.add_task(close_call_room, state.lines, call_id)


@router.post("/livekit", status_code=204)
async def take_livekit_event(
    request: Request, state: Parts, after: BackgroundTasks, authorization: Annotated[str, Header()] = ""
) -> None:
    """Who came and went in a room; the answer does not wait for what we do about it."""
    event = state.lines.switchboard.read_webhook(await request.body(), authorization)
    after.add_task(follow_room_event, state.lines, event)


def connect_call(state: State, call: Call) -> str:
    """TwiML that connects the call to its media stream; for one that is over, a hang-up."""
    if call.end is not None or call.carrier_call_id is None:
        return hangup_twiml()
    token = sign_stream_token(state.settings, StreamGrant(call.id, call.carrier_call_id), now=datetime.now(UTC))
    return connect_twiml(stream_url(state.settings.public_url), token)


def stream_url(public_url: str) -> str:
    """Where the carrier opens its media websocket: ws where we are http, wss where https."""
    return "ws" + public_url.removeprefix("http") + "/media/twilio"


async def follow_room_event(lines: Lines, event: LiveKitEvent) -> None:
    """What the event asks for. LiveKit has its answer by now: what goes wrong is in the log, and `watch_calls` mends
    it."""
    try:
        await on_room_event(lines, event)
    except TrunklineError as error:
        log.warning("a room's event was not followed", event_name=event.name.value, error=error.code, why=error.detail)


async def close_call_room(lines: Lines, call_id: CallId) -> None:
    """The carrier says that the call is over: nobody stays in its room."""
    try:
        call = await load_call(lines.db, call_id)
        await lines.switchboard.close_room(call.room_name)
    except TrunklineError as error:
        log.warning("a room was not closed", call_id=str(call_id), error=error.code, why=error.detail)


def read_news(form: FormData) -> CarrierNews:
    """Twilio sends "initiated" as CallStatus too; the SIP code only where SIP was what failed."""
    code = field(form, "SipResponseCode")
    return CarrierNews(
        carrier=CarrierName.TWILIO,
        carrier_call_id=field(form, "CallSid"),
        status=field(form, "CallStatus"),
        sip_code=int(code) if code.isdecimal() and len(code) == 3 else None,
    )


def field(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def twiml(text: str) -> Response:
    return Response(text, media_type="text/xml")
