"""The simulator with one number of ours, the scripted application behind it, the SDK and the control API."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from twilio.rest import Client

from app.settings import Settings
from telephony.simulator.exchange import Exchange
from tests.live.simulator.application import Application, QuietServer
from tests.live.simulator.carrier import (
    ACCOUNT_SID,
    APP,
    APP_PORT,
    AUTH_TOKEN,
    BASE,
    OURS,
    PORT_BASE,
    RedirectedHttp,
    simulator_at,
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, port_base=PORT_BASE, twilio_account_sid=ACCOUNT_SID, twilio_auth_token=AUTH_TOKEN)  # type: ignore[call-arg]


@pytest.fixture
async def exchange(settings: Settings) -> AsyncIterator[Exchange]:
    async with simulator_at(settings) as exchange:
        exchange.numbers.buy(OURS, {"voice_url": f"{APP}/voice", "status_callback": f"{APP}/status"})
        yield exchange


@pytest.fixture
async def application() -> AsyncIterator[Application]:
    application = Application()
    config = uvicorn.Config(
        application.build(), host="127.0.0.1", port=APP_PORT, log_config=None, lifespan="off", ws="websockets-sansio"
    )
    async with QuietServer(config).running():
        yield application
    assert application.forged == 0


@pytest.fixture
def twilio() -> Client:
    return Client(ACCOUNT_SID, AUTH_TOKEN, http_client=RedirectedHttp(pool_connections=False, timeout=5))


@pytest.fixture
async def control() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{BASE}/simulator", trust_env=False) as client:
        yield client
