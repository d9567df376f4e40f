"""Twilio's IncomingPhoneNumbers resource: buy, list, point at a voice_url, release."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import FormData

from telephony.simulator.exchange import Exchange
from telephony.simulator.numbers import SETTABLE, OwnedNumber, is_e164
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
)

router = APIRouter(prefix=f"/{API_VERSION}/Accounts/{{account_sid}}", route_class=JournaledRoute)


@router.post("/IncomingPhoneNumbers.json")
async def buy_number(exchange: SignedIn, form: Form) -> Response:
    """Any free E.164 number can be had."""
    e164 = text(form, "PhoneNumber")
    if not is_e164(e164):
        raise RestFault(400, 21421, f"PhoneNumber is invalid: {e164}")
    if exchange.numbers.find(e164) is not None:
        raise RestFault(400, 21422, f"{e164} is not available.")
    return JSONResponse(_render(exchange, exchange.numbers.buy(e164, _texts(form))), 201)


@router.get("/IncomingPhoneNumbers.json")
async def list_numbers(request: Request, exchange: SignedIn) -> Response:
    e164, name = request.query_params.get("PhoneNumber"), request.query_params.get("FriendlyName")
    found = [
        _render(exchange, number)
        for number in exchange.numbers.list()
        if (e164 is None or number.e164 == e164) and (name is None or number.text("friendly_name", number.e164) == name)
    ]
    return JSONResponse(render_page(request, "incoming_phone_numbers", found))


@router.get("/IncomingPhoneNumbers/{sid}.json")
async def fetch_number(request: Request, exchange: SignedIn, sid: str) -> Response:
    return JSONResponse(_render(exchange, _find(request, exchange, sid)))


@router.post("/IncomingPhoneNumbers/{sid}.json")
async def change_number(request: Request, exchange: SignedIn, sid: str, form: Form) -> Response:
    number = _find(request, exchange, sid)
    exchange.numbers.change(number, _texts(form))
    return JSONResponse(_render(exchange, number))


@router.delete("/IncomingPhoneNumbers/{sid}.json")
async def release_number(request: Request, exchange: SignedIn, sid: str) -> Response:
    exchange.numbers.release(_find(request, exchange, sid))
    return Response(status_code=204)


def _find(request: Request, exchange: Exchange, sid: str) -> OwnedNumber:
    number = exchange.numbers.get(sid)
    if number is None:
        raise not_found(request.url.path)
    return number


def _texts(form: FormData) -> dict[str, str]:
    """The settable members that the form names: VoiceUrl → voice_url and so on."""
    wire_names = {name: "".join(word.capitalize() for word in name.split("_")) for name in SETTABLE}
    return {name: text(form, wire) for name, wire in wire_names.items() if wire in form}


def _render(exchange: Exchange, number: OwnedNumber) -> dict[str, Any]:
    return {
        "sid": number.sid,
        "account_sid": exchange.account_sid,
        "phone_number": number.e164,
        "friendly_name": number.text("friendly_name", number.e164),
        "voice_url": number.text("voice_url"),
        "voice_method": number.text("voice_method", "POST"),
        "voice_fallback_url": number.text("voice_fallback_url"),
        "voice_fallback_method": number.text("voice_fallback_method", "POST"),
        "status_callback": number.text("status_callback"),
        "status_callback_method": number.text("status_callback_method", "POST"),
        "capabilities": {"voice": True, "sms": False, "mms": False, "fax": False},
        "api_version": API_VERSION,
        "beta": False,
        "origin": "twilio",
        "status": "in-use",
        "date_created": rfc2822(number.created_at),
        "date_updated": rfc2822(number.updated_at),
        "uri": f"/{API_VERSION}/Accounts/{exchange.account_sid}/IncomingPhoneNumbers/{number.sid}.json",
    }
