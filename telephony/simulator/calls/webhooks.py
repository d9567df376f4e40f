"""Requests that the simulated carrier makes to the application: signed like Twilio's, journaled, bounded in time."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
from twilio.request_validator import RequestValidator
from yarl import URL

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

CHUNK_BYTES = 16 * 1024

Params = Mapping[str, str]


class AnswerTooLong(Exception):
    """The application sends more than anybody would read."""


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
    """The one HTTP client of the simulator, made inside a running event loop; signs with the account's token."""

    def __init__(self, auth_token: str, journal: Journal) -> None:
        self._validator = RequestValidator(auth_token)
        self._journal = journal
        self._turns = asyncio.Semaphore(CONNECTIONS)
        # Kept-alive connections and a client that does not slow down with their number: a run in fast time makes
        # thousands of requests a second.
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=60),
            headers={"User-Agent": "TwilioProxy/1.1"},
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        await self._http.close()

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
        except (aiohttp.ClientError, AnswerTooLong, TimeoutError, ValueError) as error:
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
        data = urlencode(form).encode() if method == "POST" else None
        if data is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        # The exact URL was signed: nothing of it may be encoded anew.
        exact = URL(url, encoded=True)
        async with self._http.request(method, exact, data=data, headers=headers, allow_redirects=False) as response:
            body = bytearray()
            async for piece in response.content.iter_chunked(CHUNK_BYTES):
                body += piece
                if len(body) > limit:
                    raise AnswerTooLong
            return response.status, bytes(body)
