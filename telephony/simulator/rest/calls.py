"""Twilio's Calls resource: dial, look, list, hang up, redirect."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import FormData

from telephony.simulator.calls.record import Answer, CallPlan, CallRecord
from telephony.simulator.exchange import Exchange
from telephony.simulator.faults import Fault, Target
from telephony.simulator.numbers import OwnedNumber, is_e164
from telephony.simulator.rest.account import (
    API_VERSION,
    Form,
    JournaledRoute,
    RestFault,
    SignedIn,
    not_found,
    render_page,
    rfc2822,
    text,
    whole,
)

MAX_TWIML_CHARACTERS = 4000
STATUS_EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})

router = APIRouter(prefix=f"/{API_VERSION}/Accounts/{{account_sid}}", route_class=JournaledRoute)


@router.post("/Calls.json")
async def create_call(request: Request, exchange: SignedIn, form: Form) -> Response:
    """Dial. A fault that a test ordered may refuse, delay or swallow the answer."""
    chance = exchange.chance_for(text(form, "To"))
    fault = exchange.faults.take(Target.DIAL, chance, to=text(form, "To"))
    _refuse(fault)
    number, to = _parties(exchange, form)
    record = exchange.dial(to=to, number=number, plan=_plan(form), chance=chance)
    request.state.call_sid = record.sid
    response = JSONResponse(render_call(exchange, record), 201)
    await exchange.journal.synced()
    if fault is not None and fault.kind == "accept_then_500":
        raise RestFault(500, 20500, "An internal server error has occurred")
    if fault is not None and fault.kind == "delay":
        await asyncio.sleep(fault.seconds)
    request.state.lost = fault is not None and fault.kind == "lose_response"
    return response


@router.get("/Calls.json")
async def list_calls(request: Request, exchange: SignedIn) -> Response:
    to = request.query_params.get("To")
    if exchange.faults.take(Target.LIST, exchange.chance_of_list(), to=to or ""):
        raise RestFault(500, 20500, "An internal server error has occurred")
    wanted = _filter(request)
    found = [render_call(exchange, record) for record in exchange.calls.newest_first(to) if wanted(record)]
    return JSONResponse(render_page(request, "calls", found))


@router.get("/Calls/{call_sid}.json")
async def fetch_call(request: Request, exchange: SignedIn, call_sid: str) -> Response:
    return JSONResponse(render_call(exchange, _find(request, exchange, call_sid)))


@router.post("/Calls/{call_sid}.json")
async def update_call(request: Request, exchange: SignedIn, call_sid: str, form: Form) -> Response:
    """Hang up (`Status`), or send a live call elsewhere (`Url` or `Twiml`)."""
    record = _find(request, exchange, call_sid)
    call, status = exchange.live.get(call_sid), text(form, "Status")
    if status not in ("", "completed", "canceled"):
        raise RestFault(400, 20001, f"Parameter 'Status' is not valid: {status}")
    if call is None or record.over:
        raise RestFault(400, 21220, "Call is not in-progress. Cannot redirect.")
    if status == "completed" or (status == "canceled" and record.answered_at is None):
        call.hang_up("api")
    elif not status:
        if record.answered_at is None:
            raise RestFault(400, 21220, "Call is not in-progress. Cannot redirect.")
        call.program.redirect(_answer(form))
    await asyncio.sleep(0)  # the call's task takes note before its state is rendered
    return JSONResponse(render_call(exchange, record))


def _find(request: Request, exchange: Exchange, call_sid: str) -> CallRecord:
    request.state.call_sid = call_sid
    record = exchange.calls.get(call_sid)
    if record is None:
        raise not_found(request.url.path)
    return record


def _refuse(fault: Fault | None) -> None:
    match fault.kind if fault is not None else None:
        case "status_429":
            raise RestFault(429, 20429, "Too Many Requests")
        case "status_500":
            raise RestFault(500, 20500, "An internal server error has occurred")
        case "status_503":
            raise RestFault(503, 20503, "Service is not available")
        case _:
            return


def _parties(exchange: Exchange, form: FormData) -> tuple[OwnedNumber, str]:
    """The number that calls and the one that is called; raises RestFault with Twilio's codes."""
    to, from_ = text(form, "To"), text(form, "From")
    if not to:
        raise RestFault(400, 21201, "No 'To' number is specified")
    if not is_e164(to):
        raise RestFault(400, 21211, f"The phone number you are attempting to call, {to}, is not valid.")
    if not from_:
        raise RestFault(400, 21213, "No 'From' number is specified")
    if not is_e164(from_):
        raise RestFault(400, 21212, f"The source phone number provided, {from_}, is not valid.")
    number = exchange.numbers.find(from_)
    if number is None:
        raise RestFault(400, 21210, f"The source phone number provided, {from_}, is not yet verified for your account.")
    return number, to


def _plan(form: FormData) -> CallPlan:
    events = {word for value in form.getlist("StatusCallbackEvent") for word in str(value).split()}
    if not events <= STATUS_EVENTS:
        raise RestFault(400, 20001, f"Parameter 'StatusCallbackEvent' is not valid: {sorted(events - STATUS_EVENTS)}")
    return CallPlan(
        _answer(form),
        status_url=_url(form, "StatusCallback", 21609),
        status_method=_method(form, "StatusCallbackMethod"),
        status_events=frozenset(events) or frozenset({"completed"}),
        ring_timeout_seconds=whole(form, "Timeout", 60, low=1, high=600),
        time_limit_seconds=whole(form, "TimeLimit", 14400, low=1, high=86400),
    )


def _answer(form: FormData) -> Answer:
    """What to do once answered: Twiml wins over Url, one of them is needed."""
    twiml = text(form, "Twiml")
    if len(twiml) > MAX_TWIML_CHARACTERS:
        raise RestFault(400, 21218, f"Twiml is longer than {MAX_TWIML_CHARACTERS} characters")
    url = _url(form, "Url", 21205)
    if not twiml and not url:
        raise RestFault(400, 21205, "Url parameter is required")
    return Answer("" if twiml else url, _method(form, "Method"), twiml)


def _url(form: FormData, name: str, error_code: int) -> str:
    url = text(form, name)
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise RestFault(400, error_code, f"{name} is not a valid URL: {url}")
    return url


def _method(form: FormData, name: str) -> str:
    method = text(form, name, "POST").upper()
    if method not in ("GET", "POST"):
        raise RestFault(400, 20001, f"Parameter '{name}' is not valid: {method}")
    return method


def _filter(request: Request) -> Callable[[CallRecord], bool]:
    """To, From, Status and the three forms of StartTime (on, <= and >=), as Twilio compares them."""
    query = request.query_params
    to, from_, status = query.get("To"), query.get("From"), query.get("Status")
    since = _moment(query.get("StartTime>"), "StartTime>")
    until = _moment(query.get("StartTime<"), "StartTime<")
    on = _moment(query.get("StartTime"), "StartTime")

    def wanted(record: CallRecord) -> bool:
        started = (record.started_at or record.created_at).replace(microsecond=0)
        return (
            (to is None or record.to == to)
            and (from_ is None or record.from_ == from_)
            and (status is None or _shown_status(record) == status)
            and (since is None or started >= since)
            and (until is None or started <= until)
            and (on is None or started.date() == on.date())
        )

    return wanted


def _moment(raw: str | None, name: str) -> datetime | None:
    if not raw:
        return None
    if re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?", raw) is None:
        raise RestFault(400, 20001, f"Parameter '{name}' is not valid: {raw}")
    return datetime.fromisoformat(raw.removesuffix("Z")).replace(tzinfo=UTC)


def _shown_status(record: CallRecord) -> str:
    # The resource has no word for a call that is being set up; webhooks do.
    return "queued" if record.status == "initiated" else record.status


def render_call(exchange: Exchange, record: CallRecord) -> dict[str, Any]:
    """The Call resource, member by member as the SDK's CallInstance reads it."""
    uri = f"/{API_VERSION}/Accounts/{exchange.account_sid}/Calls/{record.sid}"
    queued_for = (record.started_at or record.updated_at) - record.created_at
    return {
        "sid": record.sid,
        "account_sid": exchange.account_sid,
        "parent_call_sid": None,
        "to": record.to,
        "to_formatted": record.to,
        "from": record.from_,
        "from_formatted": record.from_,
        "phone_number_sid": record.number_sid,
        "status": _shown_status(record),
        "start_time": rfc2822(record.started_at),
        "end_time": rfc2822(record.ended_at),
        "duration": str(record.duration_seconds) if record.over else None,
        "price": None,
        "price_unit": "USD",
        "direction": record.direction,
        "answered_by": None,
        "api_version": API_VERSION,
        "forwarded_from": None,
        "caller_name": None,
        "group_sid": None,
        "trunk_sid": None,
        "queue_time": str(round(queued_for.total_seconds() * 1000)),
        "annotation": None,
        "date_created": rfc2822(record.created_at),
        "date_updated": rfc2822(record.updated_at),
        "uri": f"{uri}.json",
        "subresource_uris": {"events": f"{uri}/Events.json", "streams": f"{uri}/Streams.json"},
    }
