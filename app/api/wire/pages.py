"""Lists come in pages: `{"data": […], "next_cursor": "…" | null}`. A cursor is opaque and names the last row seen."""

import base64
from datetime import datetime
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel

from app.errors import InvalidInput

T = TypeVar("T")
Position = tuple[datetime, UUID]
"""Of a row in a list by time: its instant, and its id for those of the same instant."""

Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")]


class Page(BaseModel, Generic[T]):
    """A page of a list; `next_cursor` is null on the last one."""

    data: list[T]
    next_cursor: str | None


def write_cursor(position: Position) -> str:
    return _encode(f"{position[0].isoformat()} {position[1]}")


def read_cursor(cursor: str | None) -> Position | None:
    """Raises InvalidInput for what we never gave out."""
    if cursor is None:
        return None
    try:
        at, _, row_id = _decode(cursor).partition(" ")
        instant = datetime.fromisoformat(at)
        if instant.tzinfo is None:
            raise _not_ours()
        return instant, UUID(row_id)
    except ValueError as error:
        raise _not_ours() from error


def write_number_cursor(number: int) -> str:
    """For lists in the order of a number."""
    return _encode(str(number))


def read_number_cursor(cursor: str | None) -> int:
    """0 without a cursor. Raises InvalidInput for what we never gave out."""
    try:
        number = int(_decode(cursor)) if cursor is not None else 0
    except ValueError as error:
        raise _not_ours() from error
    if not 0 <= number < 2**63:
        raise _not_ours()
    return number


def write_text_cursor(text: str) -> str:
    """For lists in the order of a text that no two rows share."""
    return _encode(text)


def read_text_cursor(cursor: str | None) -> str:
    """Empty without a cursor. Raises InvalidInput for what we never gave out."""
    try:
        text = _decode(cursor) if cursor is not None else ""
    except ValueError as error:
        raise _not_ours() from error
    if "\x00" in text:
        raise _not_ours()
    return text


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str) -> str:
    """Raises ValueError, of which those of base64 and UTF-8 are kinds."""
    return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()


def _not_ours() -> InvalidInput:
    fault = {"path": "query.cursor", "message": "not a cursor of this list"}
    return InvalidInput("Use next_cursor as it was given.", errors=[fault])


def split_page(rows: list[T], limit: int) -> tuple[list[T], bool]:
    """Of `limit + 1` rows asked for: those of the page, and whether there are more."""
    return rows[:limit], len(rows) > limit
