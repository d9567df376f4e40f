"""The simulated carrier's process: Twilio-shaped REST and its own control API on one port, by default of loopback."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Generator
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.errors import TrunklineError, Unavailable
from app.http.docs_page import serve_docs
from app.settings import Settings
from telephony.simulator import control, orders
from telephony.simulator.exchange import Exchange, open_exchange
from telephony.simulator.rest import calls, numbers
from telephony.simulator.rest.account import API_VERSION, not_found, note_request

SHUTDOWN_SECONDS = 1


class PortTaken(Unavailable):
    code = "simulator_port_taken"
    title = "The simulator's port is in use"


class _DroppableProtocol(HttpToolsProtocol):
    """Gives a route the means to cut its own connection without an answer (the fault `lose_response`)."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["extensions"] = {"trunkline.drop": self.transport.abort}


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to `run_simulator`: uvicorn would raise them again, and a clean stop must exit with 0."""
        yield


def create_simulator(exchange: Exchange) -> FastAPI:
    app = FastAPI(title="Trunkline's simulated carrier", docs_url=None, redoc_url=None)
    serve_docs(app, "/simulator/docs")
    app.state.exchange = exchange
    app.include_router(calls.router)
    app.include_router(numbers.router)
    app.include_router(control.router)
    app.include_router(orders.router)
    app.add_api_route("/simulator/healthz", _healthz, methods=["GET"])
    every = ["GET", "POST", "PUT", "DELETE", "PATCH"]
    app.add_api_route(f"/{API_VERSION}/{{rest:path}}", _unknown_resource, methods=every, include_in_schema=False)
    app.add_exception_handler(TrunklineError, _problem)
    return app


async def _healthz() -> dict[str, str]:
    return {"status": "ok"}


async def _unknown_resource(request: Request) -> Response:
    await note_request(request, 404)
    return not_found(request.url.path).render()


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, TrunklineError)
    body = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        **error.extra,
    }
    return JSONResponse(body, error.status, media_type="application/problem+json")


def build_server(exchange: Exchange) -> uvicorn.Server:
    config = uvicorn.Config(
        create_simulator(exchange),
        http=_DroppableProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return _Server(config)


async def run_simulator(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises PortTaken, AccountMissing, JournalBusy, InvalidPersonas."""
    with _bind(settings.simulator_host, settings.ports.simulator) as listener:
        async with open_exchange(settings) as exchange:
            server = build_server(exchange)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, lambda: setattr(server, "should_exit", True))
            try:
                await server.serve(sockets=[listener])
            finally:
                for number in (signal.SIGTERM, signal.SIGINT):
                    loop.remove_signal_handler(number)


def _bind(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"Port {port} of {host} cannot be had ({error.strerror}): another simulator? "
            "Set TRUNKLINE_PORT_BASE to move."
        ) from error
    return listener
