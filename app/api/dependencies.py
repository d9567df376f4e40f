"""What a route may ask for: the parts of the process, and who is asking."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Security
from fastapi.requests import HTTPConnection
from fastapi.security import APIKeyHeader, HTTPBearer
from structlog.contextvars import bind_contextvars

from app.api.wire.metrics import Metrics
from app.auth.authenticate import authenticate
from app.auth.principal import Principal, Scope
from app.auth.tokens import TokenVerifier
from app.db import Database
from app.live import LiveEvents
from app.settings import Settings
from campaigns.outcomes.page.html_report import PRESSES
from telephony.outbound import Lines


@dataclass
class State:
    """The parts of the api process, built once in `app.main`; routes reach it as `request.app.state.trunkline`."""

    settings: Settings
    db: Database
    lines: Lines
    live: LiveEvents
    tokens: TokenVerifier = field(init=False)
    metrics: Metrics = field(default_factory=Metrics)
    press: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PRESSES))
    """Whoever makes a report's page holds it."""

    def __post_init__(self) -> None:
        self.tokens = TokenVerifier(self.settings)


def get_state(connection: HTTPConnection) -> State:
    state: State = connection.app.state.trunkline
    return state


Parts = Annotated[State, Depends(get_state)]

# For the documentation only: `authenticate` reads the headers itself, so that every fault is a problem of ours.
_bearer = HTTPBearer(auto_error=False, description="An API key (`tl_…`) or a user token (JWT).")
_key_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="An API key (`tl_…`).")


async def get_principal(connection: HTTPConnection, state: Parts) -> Principal:
    """Who is asking. Raises Unauthorized or Forbidden."""
    headers = connection.headers
    principal = await authenticate(
        state.db,
        state.tokens,
        authorization=headers.get("authorization", ""),
        api_key=headers.get("x-api-key", ""),
        organization=headers.get("x-organization-id", ""),
    )
    bind_contextvars(org_id=str(principal.org_id))
    return principal


def require(scope: Scope) -> Any:
    """`principal: Annotated[Principal, require(Scope.CALLS_READ)]`: 401 without a credential, 403 without the scope."""

    async def check(
        principal: Annotated[Principal, Depends(get_principal)],
        _bearer: Annotated[Any, Security(_bearer)],
        _key: Annotated[Any, Security(_key_header)],
    ) -> Principal:
        principal.demand(scope)
        return principal

    checked: Callable[..., Awaitable[Principal]] = check
    return Depends(checked)
