"""The command line's way to the REST API: its address, its key, and its errors as one line each."""

import asyncio
import json
from typing import Any
from uuid import UUID

import httpx

from app.errors import InvalidInput, TrunklineError, Unavailable, describe_faults
from app.settings import Settings


class ApiUnreachable(Unavailable):
    """Nothing answers at the api's address."""

    code = "api_unreachable"


class ApiRefused(TrunklineError):
    """The api answered with a problem document; `detail` says what it said, with every fault on a line of its own."""

    code = "api_refused"


class NoApiKey(TrunklineError):
    """The command line has no key to send."""

    code = "no_api_key"


class NotAnId(InvalidInput):
    """What was typed where an id belongs is none."""

    code = "not_an_id"


def read_id(text: str) -> str:
    """Of an argument that becomes a part of an address, so it must not name another one. Raises NotAnId."""
    try:
        return str(UUID(text))
    except ValueError:
        raise NotAnId(f'"{text}" is no id; an id looks like 0199f2a4-6f0e-7c60-9d0b-000000000020.') from None


def open_client(settings: Settings) -> httpx.AsyncClient:
    """A client of /api/v1 that sends TRUNKLINE_API_KEY, or else the example organization's key. Raises NoApiKey."""
    headers = {"Authorization": f"Bearer {find_key(settings)}"}
    # Straight to loopback, whatever proxy the environment names.
    return httpx.AsyncClient(base_url=f"{settings.api_url}/api/v1", headers=headers, timeout=30, trust_env=False)


def find_key(settings: Settings) -> str:
    if key := settings.api_key.get_secret_value():
        return key
    try:
        return str(json.loads((settings.home / "demo.json").read_text())["api_key"])
    except (FileNotFoundError, KeyError, ValueError):
        raise NoApiKey("No API key: start Trunkline with `trunkline up`, or set TRUNKLINE_API_KEY.") from None


def request(method: str, path: str, **content: Any) -> Any:
    """`ask` by a client of its own. Raises ApiUnreachable, ApiRefused, NoApiKey."""

    async def once() -> Any:
        async with open_client(Settings.load()) as client:
            return await ask(client, method, path, **content)

    return asyncio.run(once())


async def ask(client: httpx.AsyncClient, method: str, path: str, **content: Any) -> Any:
    """One request; returns the answer's JSON, None where it has none. Raises ApiUnreachable and ApiRefused."""
    try:
        answer = await client.request(method, path, **content)
    except httpx.TransportError as error:
        raise ApiUnreachable(f"The api does not answer at {client.base_url}. Is it up? `trunkline status`") from error
    if not answer.is_success:
        raise ApiRefused(describe_problem(answer.status_code, answer.text))
    try:
        return answer.json() if answer.content else None
    except ValueError as error:
        raise ApiRefused(f"What answers {method} {answer.url} is no JSON: is it Trunkline's api?") from error


def describe_problem(status: int, body: str) -> str:
    """The lines to show for an answer that is not a success."""
    try:
        problem = json.loads(body)
        detail = problem.get("detail") or problem.get("title") or body
    except (ValueError, AttributeError):
        return f"The api answered {status}: {body[:300] or 'nothing is at that address'}"
    return describe_faults(str(detail), problem.get("errors", []))
