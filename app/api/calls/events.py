"""Live events over SSE."""

from collections.abc import AsyncGenerator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.api.dependencies import Parts, require
from app.api.wire.event_stream import EventFeed, FeedCursor
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Scope
from app.live import Reader

router = APIRouter(prefix="/api/v1/events", tags=["Events"], responses=problem_responses(429))

HEARTBEAT_SECONDS = 15
SLOW_READER_SECONDS = 30

_EXAMPLE = """id: 74210.3187
event: call.answered
data: {"id":"74210.3187","call_id":"0199f2a4-6f0e-7c60-9d0b-6f1a2b3c4d5e","kind":"call.answered",\
"at":"2026-11-20T17:39:02.113Z","data":{}}

"""

Listener = Annotated[Principal, require(Scope.CALLS_READ)]


async def open_reader(state: Parts, principal: Listener) -> AsyncGenerator[Reader]:
    """A reader for as long as the answer takes. Raises TooManyReaders."""
    with state.live.reader(principal.org_id) as reader:
        yield reader


@router.get(
    "",
    summary="What happens on the calls of the organization, as it happens",
    response_class=EventSourceResponse,
    responses={200: {"description": "Server-sent events", "content": {"text/event-stream": {"example": _EXAMPLE}}}},
)
async def get_events(
    state: Parts,
    principal: Listener,
    reader: Annotated[Reader, Depends(open_reader)],
    call_id: Annotated[UUID | None, Query(description="Only the events of this call.")] = None,
    last_event_id: Annotated[str | None, Header(description="Go on after this event, missing none.")] = None,
) -> EventSourceResponse:
    """Each event is named after its kind and holds `{"id", "call_id", "kind", "at", "data"}`. The stream opens with
    `stream.ready`, or with `stream.reset` where Last-Event-ID is unknown to this database: read anew what you show.
    It ends with `stream.ended` when the key or token is no longer good. Comments keep it alive meanwhile."""
    cursor = FeedCursor.parse(last_event_id) if last_event_id else None
    feed = EventFeed(state.db, principal, call_id=call_id)
    return EventSourceResponse(
        feed.stream(reader, cursor),
        ping=HEARTBEAT_SECONDS,
        ping_message_factory=lambda: ServerSentEvent(comment="still here"),
        send_timeout=SLOW_READER_SECONDS,
    )
