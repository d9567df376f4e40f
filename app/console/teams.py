"""`trunkline teams push FILE`."""

from pathlib import Path
from typing import Any

from app.console.client import ask, open_client
from app.errors import InvalidInput
from app.settings import Settings


class TeamFileUnreadable(InvalidInput):
    """The team file is not there, or not text."""

    code = "team_file_unreadable"


def read_team_file(file: Path) -> str:
    """Raises TeamFileUnreadable."""
    try:
        source = file.read_text(encoding="utf-8")
    except OSError as error:
        raise TeamFileUnreadable(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise TeamFileUnreadable(f"{file} is not text: a team file is YAML, written in UTF-8.") from error
    if "\0" in source:
        raise TeamFileUnreadable(f"{file} is not text: a team file is YAML, written in UTF-8.")
    if not source.strip():
        raise TeamFileUnreadable(f"{file} is empty: a team file has a name, a slug, an entry and agents.")
    return source


async def push_team(settings: Settings, source: str) -> dict[str, Any]:
    """Send the team file's text, which is checked and published there; returns the team as the api shows it."""
    async with open_client(settings) as client:
        return await ask(
            client, "POST", "/teams", content=source.encode(), headers={"Content-Type": "text/yaml; charset=utf-8"}
        )
