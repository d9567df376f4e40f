"""The simulator's own API, for tests and people on this machine: place calls, look at them, listen, break things."""

import ipaddress
from itertools import islice
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.errors import InvalidInput, NotFound, TrunklineError
from telephony.simulator.audio.ear import seconds
from telephony.simulator.audio.wav import write_wav
from telephony.simulator.calls.record import CallRecord
from telephony.simulator.exchange import Exchange, NotOurNumber
from telephony.simulator.people.persona import Persona, PicksUp
from telephony.simulator.people.table import parse_persona
from telephony.simulator.rest.account import exchange_of

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class NotLoopback(TrunklineError):
    """The control API obeys this machine only, and no web page that points a name of its own at it."""

    status = 403
    code = "loopback_only"
    title = "Only from this machine"


class UnknownCall(NotFound):
    code = "unknown_call"


class CannotCall(InvalidInput):
    """This persona never speaks first on a call: it is one that refuses calls."""

    code = "persona_cannot_call"
    title = "This persona cannot place a call"


async def _local(request: Request) -> Exchange:
    client = request.client.host if request.client else ""
    named = urlsplit(f"//{request.headers.get('host', '')}").hostname
    if not client or not ipaddress.ip_address(client).is_loopback or named not in LOOPBACK_NAMES:
        raise NotLoopback("The simulator's control API answers loopback clients only.")
    return exchange_of(request)


Local = Annotated[Exchange, Depends(_local)]
router = APIRouter(prefix="/simulator", tags=["simulator"])


class InboundCall(BaseModel):
    """`persona`: a name from personas.yaml, or a whole persona (with a `name`, if you like); default: `from`'s."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    from_: str = Field(alias="from", pattern=r"^\+[1-9][0-9]{6,14}$", examples=["+12025550120"])
    to: str = Field(pattern=r"^\+[1-9][0-9]{6,14}$", examples=["+12025550101"])
    persona: str | dict[str, Any] | None = None


@router.post("/calls", status_code=201)
async def place_inbound_call(exchange: Local, order: InboundCall) -> dict[str, str]:
    """Somebody calls one of the account's numbers."""
    number = exchange.numbers.find(order.to)
    if number is None or not number.text("voice_url"):
        raise NotOurNumber(f"{order.to} is not owned by the account, or has no voice_url.")
    name, persona = _choose(exchange, order)
    if not isinstance(persona, PicksUp):
        raise CannotCall(f"The persona {name} ({persona.kind}) does not take part in calls.")
    record = exchange.ring_in(caller=order.from_, number=number, name=name, persona=persona)
    await exchange.journal.synced()
    return {"sid": record.sid}


@router.get("/calls")
async def list_calls(exchange: Local, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> dict[str, Any]:
    """The newest calls first."""
    newest = islice(exchange.calls.newest_first(), limit)
    return {"data": [_describe(exchange, record) for record in newest]}


@router.get("/calls/{sid}")
async def get_call(exchange: Local, sid: str) -> dict[str, Any]:
    """State and timeline: what was said and when speech was heard, in seconds from the answer."""
    return _describe(exchange, _find(exchange, sid))


@router.post("/calls/{sid}/hangup")
async def hang_up(exchange: Local, sid: str) -> dict[str, Any]:
    """The person hangs up now."""
    record = _find(exchange, sid)
    if (call := exchange.live.get(sid)) is not None:
        call.hang_up("control")
    return _describe(exchange, record)


@router.get("/calls/{sid}/{side}.wav")
async def get_audio(exchange: Local, sid: str, side: str) -> Response:
    """What the person `heard` or has `spoken`: 8 kHz mono WAVs of equal length, in step with each other."""
    record = _find(exchange, sid)
    path = exchange.audio_dir / f"{record.sid}-{side}.wav"
    if side not in ("heard", "spoken"):
        raise NotFound("There is heard.wav and spoken.wav.")
    call = exchange.live.get(sid)
    if call is not None and call.line is not None and record.answered_at is not None:
        payload = call.line.heard if side == "heard" else call.line.spoken
        return Response(write_wav(payload), media_type="audio/wav")
    if not path.exists():
        raise NotFound("This call was never answered, had no sound (signaling only), or lost it in a restart.")
    return Response(path.read_bytes(), media_type="audio/wav")


@router.get("/journal")
async def read_journal(
    exchange: Local, after: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=10_000)] = 1000
) -> dict[str, Any]:
    """The records with seq > `after`, oldest first; `seq`: the newest that exists."""
    return {"data": exchange.journal.read(after, limit), "seq": exchange.journal.seq}


def _choose(exchange: Exchange, order: InboundCall) -> tuple[str, Persona]:
    match order.persona:
        case None:
            return exchange.personas.draw(exchange.personas.choose(order.from_), exchange.chance_for(order.to))
        case str(name):
            if name not in exchange.personas.personas:
                raise NotFound(f"No persona is called {name}.")
            return exchange.personas.draw(name, exchange.chance_for(order.to))
        case inline:
            return str(inline.pop("name", "(inline)")), parse_persona(inline)


def _find(exchange: Exchange, sid: str) -> CallRecord:
    record = exchange.calls.get(sid)
    if record is None:
        raise UnknownCall(f"No call {sid}.")
    return record


def _describe(exchange: Exchange, record: CallRecord) -> dict[str, Any]:
    call = exchange.live.get(record.sid)
    report = record.report
    if report is None and call is not None and call.callee is not None:
        report = call.callee.report()
    return {
        "sid": record.sid,
        "direction": record.direction,
        "from": record.from_,
        "to": record.to,
        "persona": record.persona,
        "status": record.status,
        "sip_code": record.sip_code,
        "ended_by": record.ended_by,
        "created_at": record.created_at,
        "answered_at": record.answered_at,
        "ended_at": record.ended_at,
        "position_seconds": seconds(call.line.tick) if call is not None and call.line is not None else None,
        "report": report,
    }
