"""The api process: REST, carrier webhooks, media websockets and live events."""

import asyncio
import logging
import signal
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from importlib.metadata import version

import uvicorn
from fastapi import FastAPI

from app.api import api_keys, health, operators, teams, webhook_endpoints, write_ups
from app.api.callees import contacts, do_not_call
from app.api.calls import events, records
from app.api.calls import routes as calls
from app.api.campaigns import imports, lifecycle, outcomes, scheduled_calls, schedules
from app.api.campaigns import routes as campaigns
from app.api.carriers import media, webhooks
from app.api.dependencies import State
from app.api.lines import dialing_rules, lanes, numbers, trunks
from app.api.wire.metrics import Metrics
from app.api.wire.problems import document_problems, install_problems
from app.api.wire.requests import BodyLimit, RequestFrame
from app.db import Database
from app.http.docs_page import serve_docs
from app.live import LiveEvents
from app.settings import Settings
from campaigns.imports.resuming import watch_imports
from telephony.floor.answered import watch_floor
from telephony.outbound import build_lines
from telephony.watch.rescue import watch_calls

_ABOUT = """Phone calls, campaigns and browser sessions, answered by a team of AI agents.

Send an API key or a user token as `Authorization: Bearer …`. A user of several organizations says which with
`X-Organization-Id`. Lists are `{data, next_cursor}`; errors are problem+json with a stable `code`."""

_GRACE_SECONDS = 3

ROUTERS = (
    health,
    calls,
    records,
    campaigns,
    lifecycle,
    imports,
    outcomes,
    webhook_endpoints,
    schedules,
    scheduled_calls,
    contacts,
    do_not_call,
    dialing_rules,
    lanes,
    operators,
    write_ups,
    teams,
    numbers,
    trunks,
    api_keys,
    events,
    webhooks,
    media,
)
"""The modules of `app/api` whose `router` is served, in the order of the documentation."""


def create_app(settings: Settings) -> FastAPI:
    """The app; everything it depends on is opened when it starts, and closed when it stops."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_state(settings, metrics) as state:
            app.state.trunkline = state
            yield

    app = FastAPI(
        title="Trunkline",
        version=version("trunkline"),
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    # The last one added is the outermost.
    app.add_middleware(BodyLimit)
    app.add_middleware(RequestFrame, metrics=metrics)
    install_problems(app)
    for module in ROUTERS:
        app.include_router(module.router)
    serve_docs(app, "/docs")
    document_problems(app)
    return app


@asynccontextmanager
async def open_state(settings: Settings, metrics: Metrics) -> AsyncGenerator[State]:
    """The parts of the process. Raises DatabaseUnavailable."""
    async with AsyncExitStack() as parts:
        db = await Database.connect(
            settings.database_url, pooler=settings.database_pooler, max_size=20, application="trunkline-api"
        )
        parts.push_async_callback(db.close)
        lines = await build_lines(settings, db)
        parts.push_async_callback(lines.close)
        # Every replica watches: a call whose agent died is rescued by whoever sees it first.
        lines.keep(watch_calls(lines), name="watch calls")
        # And an import whose process died is finished by whoever is left.
        lines.keep(watch_imports(db), name="watch imports")
        # Operators who vanished, and calls of theirs that ended without their worker.
        lines.keep(watch_floor(db), name="watch floor")
        live = LiveEvents(settings.database_session_url or settings.database_url)
        await parts.enter_async_context(live.running())
        yield State(settings, db, lines, live, metrics)


class Server(uvicorn.Server):
    """uvicorn, with signals that end the process with exit code 0, and end its event streams first."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """Streams have no end of their own: without this they would hold the shutdown up for the whole grace."""
        if isinstance(state := getattr(self._app.state, "trunkline", None), State):
            state.live.close()
        self.should_exit = True


async def run_api(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then within 5 s everything is closed."""
    # At DEBUG it writes every event, people's words included.
    logging.getLogger("sse_starlette").setLevel(logging.INFO)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.ports.api,
        log_config=None,
        # Our own line for each request has neither query strings nor numbers in it.
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ws_max_size=1024 * 1024,
    )
    await Server(config, app).serve()
