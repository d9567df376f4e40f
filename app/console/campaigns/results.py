"""The results of a campaign as a file, or on stdout."""

from pathlib import Path
from typing import BinaryIO

import httpx

from app.console.client import ApiRefused, ApiUnreachable, describe_problem
from app.errors import InvalidInput


class ResultsUnwritable(InvalidInput):
    """The file for the results cannot be written."""

    code = "results_unwritable"


def check_writable(file: Path) -> None:
    """Raises ResultsUnwritable. Leaves a file that is there as it is, and none where none was."""
    there = file.exists()
    try:
        with file.open("ab"):
            pass
        if not there:
            file.unlink()
    except OSError as error:
        raise unwritable(file, error) from error


def unwritable(file: Path, error: OSError) -> ResultsUnwritable:
    return ResultsUnwritable(f"The results cannot be written to {file}: {error.strerror or error}. Choose with --out.")


async def save_results(client: httpx.AsyncClient, campaign_id: str, file: Path) -> None:
    """Raises ResultsUnwritable, ApiUnreachable, ApiRefused."""
    try:
        with file.open("wb") as sink:
            await copy_results(client, campaign_id, sink)
    except OSError as error:
        raise unwritable(file, error) from error


async def copy_results(client: httpx.AsyncClient, campaign_id: str, sink: BinaryIO) -> None:
    """CSV, a row for every attempt. Raises ApiUnreachable, ApiRefused."""
    try:
        async with client.stream("GET", f"/campaigns/{campaign_id}/results") as answer:
            if not answer.is_success:
                body = await answer.aread()
                raise ApiRefused(describe_problem(answer.status_code, body.decode(errors="replace")))
            async for part in answer.aiter_bytes():
                sink.write(part)
    except httpx.TransportError as error:
        raise ApiUnreachable("The api went away while it sent the results; they are still there.") from error
