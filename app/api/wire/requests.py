"""What happens around every request: its id, its log line, its duration, the size of its body, and the last resort."""

import re
from time import perf_counter

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.wire.metrics import Metrics
from app.api.wire.problems import internal_problem, problem
from app.ids import new_id
from app.logs import get_logger

MOST_BODY_BYTES = 1024 * 1024
MOST_UPLOAD_BYTES = 512 * 1024 * 1024
UPLOAD_PATHS = frozenset(
    {"/api/v1/campaigns", "/api/v1/imports", "/api/v1/import-previews", "/api/v1/do-not-call/imports"}
)
HEALTH = "/healthz"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")

log = get_logger(__name__)


class RequestFrame:
    """X-Request-ID in and out, a log line without query, numbers or keys, metrics, and 500 for what nobody foresaw."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope).get("x-request-id", "")
        request_id = asked if _REQUEST_ID.fullmatch(asked) else str(new_id())
        scope["trunkline.request_id"] = request_id
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            if scope["type"] == "websocket":
                await self._app(scope, receive, send)
            else:
                await self._handle(scope, receive, send, request_id)

    async def _handle(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        status = 0
        started_at = perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            status = status or 499
        except Exception:
            # The outermost frame of a request: whatever it was, the client gets an answer and the log the reason.
            log.exception("request_failed", method=scope["method"], route=route_of(scope))
            if status:
                raise
            await internal_problem(request_id)(scope, receive, send_with_id)
        finally:
            self._note(scope, status, perf_counter() - started_at)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope)
        self._metrics.requests.labels(scope["method"], route, str(status)).observe(seconds)
        # Who looks whether we are well does so every few seconds, all day.
        write = log.debug if route == HEALTH and status == 200 else log.info
        write("request", method=scope["method"], route=route, status=status, milliseconds=round(seconds * 1000, 1))


def route_of(scope: Scope) -> str:
    """The route's template ("/api/v1/calls/{call_id}"), never the path itself; "-" where nothing matched."""
    return str(getattr(scope.get("route"), "path", "-"))


class BodyLimit:
    """413 for a body that is too large: at once if it says so, else as soon as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = MOST_UPLOAD_BYTES if scope["path"] in UPLOAD_PATHS else MOST_BODY_BYTES
        detail = f"The body of this request may have at most {most} bytes."
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > most:
            request_id = scope.get("trunkline.request_id")
            response = problem(request_id, 413, "content_too_large", "Content too large", detail)
            await response(scope, receive, send)
            return
        seen = 0

        async def receive_counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise HTTPException(413, detail)
            return message

        await self._app(scope, receive_counted, send)
