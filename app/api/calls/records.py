"""What a call left behind: its turns, its events, its recording."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import FileResponse

from app.api.calls.routes import find_call
from app.api.calls.shapes import EventOut, TurnOut
from app.api.dependencies import Parts, require
from app.api.wire.pages import (
    Cursor,
    Limit,
    Page,
    read_cursor,
    read_number_cursor,
    split_page,
    write_cursor,
    write_number_cursor,
)
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Role, Scope
from app.errors import Conflict, NotFound
from telephony import reading_store

router = APIRouter(prefix="/api/v1/calls/{call_id}", tags=["Calls"], responses=problem_responses(404))

Reading = Annotated[Principal, require(Scope.CALLS_READ)]

_MEDIA_TYPES = {"wav": "audio/wav", "ogg": "audio/ogg"}


class RecordingNotFound(NotFound):
    """The call has no recording, or its file is gone."""

    code = "recording_not_found"


class RecordingNotReady(Conflict):
    """The call is still being recorded."""

    code = "recording_not_ready"


@router.get("/turns", summary="Who said what, in order")
async def get_turns(
    state: Parts, principal: Reading, call_id: UUID, limit: Limit = 200, cursor: Cursor = None
) -> Page[TurnOut]:
    await find_call(state, principal, call_id)
    after = read_cursor(cursor)
    async with state.db.request(principal.claims()) as connection:
        rows = await reading_store.select_turns(connection, principal.org_id, call_id, after=after, limit=limit + 1)
    turns, more = split_page([TurnOut.model_validate(dict(row)) for row in rows], limit)
    following = write_cursor((turns[-1].started_at, turns[-1].id)) if more else None
    return Page(data=turns, next_cursor=following)


@router.get("/events", summary="What happened, in order")
async def get_call_events(
    state: Parts, principal: Reading, call_id: UUID, limit: Limit = 200, cursor: Cursor = None
) -> Page[EventOut]:
    """For a call that is still open, `GET /api/v1/events?call_id=…` is the one that skips nothing."""
    await find_call(state, principal, call_id)
    after = read_number_cursor(cursor)
    async with state.db.request(principal.claims()) as connection:
        rows = await reading_store.select_events(connection, principal.org_id, call_id, after=after, limit=limit + 1)
    events, more = split_page([EventOut.model_validate(dict(row)) for row in rows], limit)
    return Page(data=events, next_cursor=write_number_cursor(events[-1].id) if more else None)


@router.get(
    "/recording",
    summary="The recording, as a file",
    response_class=FileResponse,
    responses={
        200: {"description": "Two channels: the person left, the agents right", "content": {"audio/wav": {}}},
        206: {"description": "The part that the Range header asked for", "content": {"audio/wav": {}}},
        **problem_responses(404, 409),
    },
)
async def get_recording(state: Parts, principal: Reading, call_id: UUID) -> FileResponse:
    """For supervisors and above. Answers Range requests."""
    principal.demand_role(Role.SUPERVISOR)
    await find_call(state, principal, call_id)
    async with state.db.request(principal.claims()) as connection:
        row = await reading_store.select_recording(connection, principal.org_id, call_id)
    if row is None:
        raise RecordingNotFound("This call has no recording.")
    if row["finished_at"] is None:
        raise RecordingNotReady("The call is still being recorded.")
    file = locate_recording(state.settings.recordings_dir, row["path"])
    return FileResponse(file, media_type=_MEDIA_TYPES[row["format"]], filename=f"{call_id}.{row['format']}")


def locate_recording(folder: Path, path: str) -> Path:
    """The file, if it lies inside the folder and exists. Raises RecordingNotFound."""
    file = (folder / path).resolve()
    if not file.is_relative_to(folder.resolve()) or not file.is_file():
        raise RecordingNotFound("The file of this recording is gone.")
    return file
