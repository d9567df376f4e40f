"""The documentation's page, of the api and of the simulated carrier, asks nobody but us."""

import re
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from app.main import create_app
from app.settings import Settings
from telephony.simulator.main import create_simulator

APPS = [(create_app(Settings.model_construct()), "/docs"), (create_simulator(cast(Any, None)), "/simulator/docs")]
NAMED = re.compile(r"""(?:src|href)="([^"]+)"|'url': '([^']+)'|url: '([^']+)'""")


@pytest.mark.parametrize(("app", "path"), APPS)
async def test_every_address_in_the_page_is_ours_and_answers(app: FastAPI, path: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ours") as client:
        page = await client.get(path)
        assert page.status_code == 200
        assert "://" not in page.text
        addresses = {"".join(found) for found in NAMED.findall(page.text)}
        assert {address.rsplit("/", 1)[1] for address in addresses} == {
            "openapi.json",
            "swagger-ui-bundle.js",
            "swagger-ui.css",
            "favicon-32x32.png",
        }
        for address in addresses:
            assert re.match(r"/[^/]", address)
            assert (await client.get(address)).status_code == 200, address


@pytest.mark.parametrize(("app", "path"), APPS)
async def test_nothing_is_sent_to_a_validator_and_the_styles_load_nothing(app: FastAPI, path: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ours") as client:
        assert re.search(r'"validatorUrl":\s*null', (await client.get(path)).text)
        styles = (await client.get(f"{path}/files/swagger-ui.css")).text
        assert all(source.startswith("data:") for source in re.findall(r"url\([\"']?([^)]*)", styles))


async def test_behind_a_prefix_the_page_names_it() -> None:
    app, path = APPS[0]
    transport = httpx.ASGITransport(app, root_path="/trunkline")
    async with httpx.AsyncClient(transport=transport, base_url="http://ours") as client:
        assert 'href="/trunkline/docs/files/swagger-ui.css"' in (await client.get(f"/trunkline{path}")).text


async def test_redoc_which_would_load_from_elsewhere_is_not_there() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APPS[0][0]), base_url="http://ours") as client:
        assert (await client.get("/redoc")).status_code == 404
