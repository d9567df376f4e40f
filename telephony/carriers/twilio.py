"""Twilio, through its own SDK: dial, hang up, list calls, and check its webhooks.

The SDK talks over our httpx client, for two reasons: httpx says whether a failed request had left (which decides
between `DialRefused` and `DialUncertain`), and a base URL points everything at the simulator. Nothing is retried.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from twilio.base.exceptions import TwilioException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from app.errors import NotFound
from app.ids import E164
from app.settings import Settings
from telephony.carriers.base import (
    CarrierCall,
    CarrierName,
    CarrierUnavailable,
    DialRefused,
    DialUncertain,
    ForgedWebhook,
    NumberFault,
    OutgoingCall,
)

STATUS_EVENTS = ["initiated", "ringing", "answered", "completed"]

# Raised before a byte of the request left: nobody's phone rings.
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)

# 401: wrong credentials, mended in the settings. 429: more requests than the account may send (error 20429).
TOO_MANY_REQUESTS = 429
RETRYABLE_STATUSES = frozenset({401, TOO_MANY_REQUESTS})

NUMBER_FAULTS = {
    21211: NumberFault.INVALID,  # Invalid 'To' phone number
    21214: NumberFault.FORBIDDEN,  # 'To' phone number cannot be reached
    21215: NumberFault.FORBIDDEN,  # Account not authorized to call it: geographic permissions
    21216: NumberFault.FORBIDDEN,  # Account not allowed to call it: blocked
    21217: NumberFault.INVALID,  # Phone number does not appear to be valid
    21219: NumberFault.FORBIDDEN,  # 'To' phone number not verified: a trial account
}
"""Twilio's error dictionary. Every other refusal is about the account, the number called from, or the request."""

# "Call is not in-progress. Cannot redirect": what an update of a finished call answers.
CALL_IS_OVER = 21220


class NumberNotOwned(NotFound):
    """The carrier account does not have this number."""

    code = "number_not_owned"


class TwilioHttp(AsyncHttpClient):
    """The SDK's transport seam over httpx. `base_url` (scheme and host) replaces Twilio's own, where given.

    Logs nothing: the SDK's own transports write whole requests, and those carry phone numbers.
    """

    def __init__(self, *, base_url: str, timeout_seconds: float) -> None:
        super().__init__(logging.getLogger("twilio"), True, timeout_seconds)
        self._base_url = base_url.rstrip("/")
        self._limit_seconds = timeout_seconds
        # A proxy of the environment leads to Twilio, never to a carrier that runs here.
        self._client = httpx.AsyncClient(timeout=timeout_seconds, trust_env=not base_url, follow_redirects=False)

    async def request(  # type: ignore[override]  # the SDK's stub names `uri` what it passes by position
        self,
        method: str,
        uri: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """One request, one answer. Raises httpx.HTTPError, or TimeoutError when the answer drips past the limit."""
        if self._base_url:
            parts = urlsplit(uri)
            uri = f"{self._base_url}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        # httpx bounds each phase; this bounds them together.
        async with asyncio.timeout(2 * self._limit_seconds):
            response = await self._client.request(method, uri, params=params, data=data, headers=headers, auth=auth)
        return Response(response.status_code, response.text, response.headers)

    async def close(self) -> None:
        await self._client.aclose()


class TwilioCarrier:
    """`telephony.carriers.base.Carrier` for a Twilio account, or what speaks like one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http = TwilioHttp(base_url=settings.twilio_api_base_url, timeout_seconds=settings.carrier_timeout_seconds)
        token = settings.twilio_auth_token.get_secret_value()
        self._validator = RequestValidator(token)
        # An empty environment: settings are read in one place only.
        client = Client(settings.twilio_account_sid, token, http_client=self._http, environment={"": ""})
        # Reached for here because the SDK imports half a second of code on first use.
        self._calls = client.api.v2010.account.calls
        self._numbers = client.api.v2010.account.incoming_phone_numbers

    @property
    def name(self) -> CarrierName:
        return CarrierName.TWILIO

    async def dial(self, call: OutgoingCall) -> str:
        """See `Carrier.dial`; the id is Twilio's call SID."""
        try:
            placed = await self._calls.create_async(
                to=call.to,
                from_=call.from_,
                url=call.answer_url,
                method="POST",
                status_callback=call.status_url,
                status_callback_event=STATUS_EVENTS,
                status_callback_method="POST",
                timeout=call.ring_timeout_seconds,
            )
        except NEVER_SENT as error:
            raise DialRefused("Twilio cannot be reached; nothing was dialed.", retryable=True) from error
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            raise DialUncertain("Twilio's answer to the dial request was lost.") from error
        except TwilioException as error:
            raise read_refusal(error) from error
        if not placed.sid:
            raise DialUncertain("Twilio accepted the dial request without naming the call.")
        return placed.sid

    async def hang_up(self, carrier_call_id: str) -> None:
        """See `Carrier.hang_up`: `completed` also ends a call that is queued or ringing."""
        try:
            await self._calls.get(carrier_call_id).update_async(status="completed")
        except TwilioException as error:
            if http_status(error) == 404 or twilio_code(error) == CALL_IS_OVER:
                return
            raise CarrierUnavailable(f"Twilio would not end the call (error {twilio_code(error)}).") from error
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            raise CarrierUnavailable("Twilio does not answer.") from error

    async def find_calls(self, *, to: str, from_: str, since: datetime) -> Sequence[CarrierCall]:
        """See `Carrier.find_calls`.

        Twilio's own date filters look at the start time, which a queued call has not; so the list, newest first, is
        read down to `since`. Twilio's dates carry whole seconds.
        """
        found: list[CarrierCall] = []
        oldest = since.replace(microsecond=0)
        try:
            async for row in await self._calls.stream_async(to=to, from_=from_, page_size=50):
                call = read_carrier_call(row)
                if call.created_at is not None and call.created_at < oldest:
                    break
                found.append(call)
        except (TwilioException, httpx.HTTPError, TimeoutError, ValueError) as error:
            raise CarrierUnavailable("Twilio's list of calls cannot be read.") from error
        return found

    async def route_number(self, number: E164, *, voice_url: str, status_url: str) -> None:
        """Tell Twilio to ask `voice_url` what to do with calls to our number, and to tell `status_url` of their ends.

        Raises NumberNotOwned, CarrierUnavailable.
        """
        try:
            owned = await self._numbers.list_async(phone_number=number, limit=1)
            if not owned:
                raise NumberNotOwned("The Twilio account does not have this number.")
            await owned[0].update_async(
                voice_url=voice_url,
                voice_method="POST",
                status_callback=status_url,
                status_callback_method="POST",
            )
        except (TwilioException, httpx.HTTPError, TimeoutError, ValueError) as error:
            raise CarrierUnavailable("Twilio would not route the number.") from error

    def verify_webhook(self, path_and_query: str, params: Mapping[str, Any], signature: str) -> None:
        """Check X-Twilio-Signature over the public URL (never the Host header) and the form. Raises ForgedWebhook.

        `params`: the form as a mapping; a multi-dict with `getlist` keeps repeated fields, which the signature covers.
        """
        # Without a token everybody could sign.
        signed = bool(self._validator.token) and self._validator.validate(
            self._settings.public_url + path_and_query, params, signature
        )
        if not signed:
            raise ForgedWebhook("The signature does not fit. Check PUBLIC_BASE_URL and TWILIO_AUTH_TOKEN.")

    async def close(self) -> None:
        await self._http.close()


def read_refusal(error: TwilioException) -> DialRefused | DialUncertain:
    """What an error answer to a dial request means: a 4xx refused it, anything else may have come after the deed."""
    status, code = http_status(error), twilio_code(error)
    if 400 <= status < 500 and status != 408:
        detail = f"Twilio refused to dial (HTTP {status}, error {code})."
        return DialRefused(
            detail,
            carrier_code=code,
            retryable=status in RETRYABLE_STATUSES,
            throttled=status == TOO_MANY_REQUESTS,
            number_fault=NUMBER_FAULTS.get(code) if code is not None else None,
        )
    return DialUncertain(f"Twilio failed on the dial request (HTTP {status or 'unknown'}).")


def http_status(error: TwilioException) -> int:
    """0 for an error of the SDK itself. Its two error classes share the attribute, not a base that has it."""
    status = getattr(error, "status", 0)
    return status if isinstance(status, int) else 0


def twilio_code(error: TwilioException) -> int | None:
    code = getattr(error, "code", None)
    return code if isinstance(code, int) else None


def read_carrier_call(row: Any) -> CarrierCall:
    """A CallInstance of the SDK in our words."""
    created = row.date_created
    if created is not None:
        created = created.replace(tzinfo=UTC) if created.tzinfo is None else created.astimezone(UTC)
    return CarrierCall(
        carrier_call_id=row.sid,
        status=str(getattr(row.status, "value", row.status)),
        to=row.to or "",
        from_=row._from or "",  # the SDK's own name for a field that is a Python keyword
        created_at=created,
    )
