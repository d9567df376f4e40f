"""What every route of the Twilio-shaped REST shares: who asks, Twilio's error documents, pages, dates, the journal."""

import hmac
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from starlette.datastructures import FormData

from app.errors import TrunklineError
from telephony.simulator.exchange import Exchange

MAX_BODY_BYTES = 64 * 1024
DEFAULT_PAGE, LARGEST_PAGE = 50, 1000
API_VERSION = "2010-04-01"


class RestFault(TrunklineError):
    """An error in Twilio's own form: HTTP status, Twilio's code, and a message."""

    title = "Refused by the carrier"

    def __init__(self, http_status: int, error_code: int, message: str) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.error_code = error_code

    def render(self) -> Response:
        body = {
            "code": self.error_code,
            "message": self.detail,
            "more_info": f"https://www.twilio.com/docs/errors/{self.error_code}",
            "status": self.http_status,
        }
        headers = {"WWW-Authenticate": 'Basic realm="Twilio API"'} if self.http_status == 401 else None
        return JSONResponse(body, self.http_status, headers)


def not_found(path: str) -> RestFault:
    return RestFault(404, 20404, f"The requested resource {path} was not found")


class JournaledRoute(APIRoute):
    """Renders RestFault, and has every request with its answer on disk before the answer leaves.

    An answer that a fault wants lost never leaves: the connection is cut.
    """

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        answer = super().get_route_handler()

        async def answer_and_note(request: Request) -> Response:
            try:
                response = await answer(request)
            except RestFault as fault:
                response = fault.render()
            lost: bool = getattr(request.state, "lost", False)
            await note_request(request, None if lost else response.status_code)
            if lost:
                request.scope["extensions"]["trunkline.drop"]()
            return response

        return answer_and_note


async def note_request(request: Request, status: int | None) -> None:
    """Journal a REST request with its parameters and the answer's status (None: lost); returns once on disk."""
    journal = exchange_of(request).journal
    form: FormData | None = getattr(request.state, "form", None)
    journal.note(
        "rest.request",
        call_sid=getattr(request.state, "call_sid", None),
        method=request.method,
        path=request.url.path,
        query=request.url.query,
        params=[[name, str(value)] for name, value in form.multi_items()] if form else [],
        status=status,
    )
    await journal.synced()


def exchange_of(request: Request) -> Exchange:
    exchange: Exchange = request.app.state.exchange
    return exchange


async def _signed_in(
    request: Request,
    account_sid: str,
    credentials: Annotated[HTTPBasicCredentials | None, Depends(HTTPBasic(auto_error=False))],
) -> Exchange:
    """The exchange, for whoever knows the account's SID and token."""
    exchange = exchange_of(request)
    known = credentials is not None and _same(credentials.username, exchange.account_sid)
    if credentials is None or not known or not _same(credentials.password, exchange.auth_token):
        raise RestFault(401, 20003, "Authenticate")
    if account_sid != exchange.account_sid:
        raise not_found(request.url.path)
    return exchange


async def _form(request: Request) -> FormData:
    """The form of a POST; kept on the request for the journal."""
    if int(request.headers.get("content-length", "0") or 0) > MAX_BODY_BYTES:
        raise RestFault(413, 20413, "Request entity too large")
    request.state.form = form = await request.form(max_fields=200, max_files=0)
    return form


SignedIn = Annotated[Exchange, Depends(_signed_in)]
Form = Annotated[FormData, Depends(_form)]


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())


def text(form: FormData, name: str, default: str = "") -> str:
    """The last value of a form field."""
    value = form.get(name, default)
    return value if isinstance(value, str) else default


def whole(form: FormData, name: str, default: int, *, low: int, high: int) -> int:
    """A whole number of the form between `low` and `high`. Raises RestFault 20001."""
    raw = text(form, name, str(default))
    if not raw.isdecimal() or not low <= int(raw) <= high:
        raise RestFault(400, 20001, f"Parameter '{name}' is not valid: {raw}")
    return int(raw)


def rfc2822(moment: datetime | None) -> str | None:
    """Twilio's dates: Thu, 20 Nov 2026 17:39:00 +0000."""
    return None if moment is None else format_datetime(moment)


def render_page(request: Request, key: str, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One page of `found` (newest first, each with a `sid`), with the links that the SDK follows.

    PageToken names the last item of the page before, so that items which come in between shift nothing.
    """
    size = _page_number(request, "PageSize", DEFAULT_PAGE, 1, LARGEST_PAGE)
    page = _page_number(request, "Page", 0, 0, 1_000_000)
    token = request.query_params.get("PageToken", "")
    start = page * size
    if token:
        start = next((n + 1 for n, item in enumerate(found) if item["sid"] == token.removeprefix("PA")), len(found))
    items = list(found[start : start + size])
    more = start + size < len(found)

    def link(number: int, after: str | None) -> str:
        kept = [(k, v) for k, v in request.query_params.multi_items() if k not in ("Page", "PageToken", "PageSize")]
        query = [*kept, ("PageSize", str(size)), ("Page", str(number))]
        query += [("PageToken", f"PA{after}")] if after else []
        return f"{request.url.path}?{urlencode(query)}"

    return {
        key: items,
        "page": page,
        "page_size": size,
        "start": start,
        "end": start + max(0, len(items) - 1),
        "uri": f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path,
        "first_page_uri": link(0, None),
        "previous_page_uri": None if page == 0 else link(page - 1, None),
        "next_page_uri": link(page + 1, items[-1]["sid"]) if more and items else None,
    }


def _page_number(request: Request, name: str, default: int, low: int, high: int) -> int:
    raw = request.query_params.get(name, str(default))
    if not raw.isdecimal():
        raise RestFault(400, 20001, f"Parameter '{name}' is not valid: {raw}")
    return min(max(int(raw), low), high)
