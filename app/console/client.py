"""The command line's way to the REST API: its address, its key, and its errors as one line each."""

import json
from typing import Any

import httpx

from app.errors import TrunklineError, Unavailable, describe_faults
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


async def ask(client: httpx.AsyncClient, method: str, path: str, **content: Any) -> Any:
    """One request; returns the answer's JSON, None where it has none. Raises ApiUnreachable and ApiRefused."""
    try:
        answer = await client.request(method, path, **content)
    except httpx.TransportError as error:
        raise ApiUnreachable(f"The api does not answer at {client.base_url}. Is it up? `trunkline status`") from error
    if answer.is_success:
        return answer.json() if answer.content else None
    raise ApiRefused(describe_problem(answer.status_code, answer.text))


def describe_problem(status: int, body: str) -> str:
    """The lines to show for an answer that is not a success."""
    try:
        problem = json.loads(body)
        detail = problem.get("detail") or problem.get("title") or body
    except (ValueError, AttributeError):
        return f"The api answered {status}: {body[:300]}"
    return describe_faults(str(detail), problem.get("errors", []))
