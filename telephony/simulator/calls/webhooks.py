"""Requests that the simulated carrier makes to the application: signed like Twilio's, journaled, bounded in time."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import httpx
from twilio.request_validator import RequestValidator

from app.errors import TrunklineError
from telephony.simulator.journal import Journal

ANSWER_SECONDS = 15.0
"""Twilio waits this long for TwiML and for a status callback."""

RETRY_SECONDS = 0.5
CONNECTIONS = 64
"""Requests under way at a time, on connections that are kept; more wait their turn here, without a limit."""

MAX_TEXT_BYTES = 64 * 1024
MAX_MEDIA_BYTES = 10 * 1024 * 1024
HTTP_RETRIEVAL_FAILURE = 11200

Params = Mapping[str, str]


class WebhookFailed(TrunklineError):
    """The application did not answer in time, or not with 2xx; `error_code` is Twilio's."""

    status = 502
    code = "webhook_failed"
    title = "The application's webhook failed"

    def __init__(self, detail: str, *, retryable: bool) -> None:
        super().__init__(detail)
        self.error_code = HTTP_RETRIEVAL_FAILURE
        self.retryable = retryable


class Webhooks:
    """The one HTTP client of the simulator; signs with the account's token."""

    def __init__(self, auth_token: str, journal: Journal) -> None:
        self._validator = RequestValidator(auth_token)
        self._journal = journal
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._http = httpx.AsyncClient(
            trust_env=False,
            headers={"User-Agent": "TwilioProxy/1.1"},
            timeout=ANSWER_SECONDS,
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
        )

    async def close(self) -> None:
        await self._http.aclose()

    def sign(self, url: str, params: Params) -> str:
        """X-Twilio-Signature over the exact URL and the POST parameters."""
        return str(self._validator.compute_signature(url, dict(params)))

    async def fetch_twiml(self, call_sid: str, url: str, method: str, params: Params) -> str:
        """Ask the application what to do with the call. Raises WebhookFailed."""
        body = await self._ask("voice", call_sid, url, method, params)
        return body.decode(errors="replace")

    async def fetch_media(self, call_sid: str, url: str) -> bytes:
        """Download a file to play. Raises WebhookFailed."""
        return await self._ask("media", call_sid, url, "GET", {}, limit=MAX_MEDIA_BYTES)

    async def tell_status(self, call_sid: str, url: str, method: str, params: Params) -> None:
        """Send a status callback; tried once more where the application did not answer or said 5xx."""
        for last_try in (False, True):
            try:
                await self._ask("status", call_sid, url, method, params)
            except WebhookFailed as failed:
                if last_try or not failed.retryable:
                    return
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _ask(
        self, purpose: str, call_sid: str, url: str, method: str, params: Params, limit: int = MAX_TEXT_BYTES
    ) -> bytes:
        """One signed request in its turn, journaled before it leaves and when its answer is known."""
        async with self._turns:
            return await self._ask_now(purpose, call_sid, url, method, params, limit)

    async def _ask_now(self, purpose: str, call_sid: str, url: str, method: str, params: Params, limit: int) -> bytes:
        sent = self._journal.note(
            "webhook.sent", call_sid=call_sid, purpose=purpose, method=method, url=url, params=dict(params)
        )
        await self._journal.synced()
        answer: dict[str, Any] = {}
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                status, body = await self._exchange(method, url, params, limit)
            answer = {"status": status}
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            answer = {"status": None, "error": type(error).__name__}
            raise WebhookFailed(f"{purpose} webhook: {type(error).__name__}", retryable=True) from error
        finally:
            self._journal.note("webhook.answered", call_sid=call_sid, purpose=purpose, sent=sent, **answer)
        if not 200 <= status < 300:
            raise WebhookFailed(f"{purpose} webhook: HTTP {status}", retryable=status >= 500)
        return body

    async def _exchange(self, method: str, url: str, params: Params, limit: int) -> tuple[int, bytes]:
        if method == "GET" and params:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(params)}"
        form = params if method == "POST" else {}
        headers = {"X-Twilio-Signature": self.sign(url, form)}
        data = dict(form) if method == "POST" else None
        async with self._http.stream(method, url, data=data, headers=headers) as response:
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > limit:
                    raise httpx.DecodingError(f"the answer is longer than {limit} bytes")
            return response.status_code, bytes(body)
