"""Is the process alive, can it work, and how is it doing."""

import asyncio
from typing import Literal

import httpx
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from app.api.dependencies import Parts, State
from app.errors import TrunklineError
from telephony.reading_store import count_open_calls

router = APIRouter(tags=["health"])

_TIMEOUT_SECONDS = 3


class Health(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """`parts`: what this process depends on, and "ok" or what is wrong with it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "ready", "parts": {"postgres": "ok", "livekit": "ok"}}]}
    )

    status: Literal["ready", "not-ready"]
    parts: dict[str, str]


@router.get("/healthz", summary="The process is alive")
async def healthz() -> Health:
    return Health()


@router.get(
    "/readyz",
    summary="The process can do its work",
    responses={503: {"model": Readiness, "description": "A part that it depends on does not answer"}},
)
async def readyz(state: Parts, response: Response) -> Readiness:
    postgres, livekit = await asyncio.gather(check_postgres(state), check_livekit(state.settings.livekit_url))
    parts = {"postgres": postgres, "livekit": livekit}
    ready = all(word == "ok" for word in parts.values())
    response.status_code = 200 if ready else 503
    return Readiness(status="ready" if ready else "not-ready", parts=parts)


@router.get("/metrics", summary="For Prometheus", response_class=Response)
async def metrics(state: Parts) -> Response:
    async with state.db.system() as connection:
        open_calls = await count_open_calls(connection)
    text = state.metrics.render(open_calls=open_calls, event_streams=state.live.reader_count)
    return Response(text, media_type="text/plain; version=0.0.4")


async def check_postgres(state: State) -> str:
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS), state.db.system() as connection:
            await count_open_calls(connection)
    except (TrunklineError, OSError, TimeoutError):
        return "does not answer"
    return "ok"


async def check_livekit(url: str) -> str:
    """LiveKit answers plain HTTP at the address of its websockets."""
    if not url:
        return "LIVEKIT_URL is not set"
    address = url.replace("ws", "http", 1)
    # Certificate authorities take 30 ms to read, and calls' media run on this loop: only where there is TLS.
    verify = not address.startswith("http://")
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False, verify=verify) as client:
            (await client.get(address)).raise_for_status()
    except httpx.HTTPError:
        return "does not answer"
    return "ok"
