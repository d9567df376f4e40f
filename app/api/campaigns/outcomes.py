"""What comes of a campaign, over REST: progress, events, results, report, evidence."""

from collections.abc import AsyncGenerator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.api.calls.events import HEARTBEAT_SECONDS, SLOW_READER_SECONDS
from app.api.campaigns.event_feed import CampaignFeed
from app.api.campaigns.outcome_shapes import EVENTS_EXAMPLE, EvidenceOut, ProgressOut
from app.api.dependencies import Parts, State, require
from app.api.wire.event_stream import FeedCursor
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Role, Scope
from app.ids import AttemptId, CampaignId, OrgId
from app.live import Reader
from campaigns.outcomes.evidence.evidence import load_evidence, stream_evidence
from campaigns.outcomes.page.html_report import write_page
from campaigns.outcomes.progress import load_progress
from campaigns.outcomes.report import Format, Rows, stream_report

router = APIRouter(prefix="/api/v1/campaigns/{campaign_id}", tags=["Outcomes"], responses=problem_responses(404))

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
"""The page holds what others wrote: whatever slipped through could do nothing."""

Reading = Annotated[Principal, require(Scope.CAMPAIGNS_READ)]


async def open_reader(state: Parts, principal: Reading) -> AsyncGenerator[Reader]:
    """A reader for as long as the answer takes. Raises TooManyReaders."""
    with state.live.reader(principal.org_id) as reader:
        yield reader


@router.get("/progress", summary="How far it is: funnel, pace, forecast")
async def get_progress(state: Parts, principal: Reading, campaign_id: UUID) -> ProgressOut:
    """As cheap for ten million contacts as for ten; ask as often as you like."""
    progress = await load_progress(*_named(state, principal, campaign_id), **_as(principal))
    return ProgressOut.model_validate(progress.to_json())


@router.get(
    "/events",
    summary="What happens to it and how far it is, as it happens",
    response_class=EventSourceResponse,
    responses={
        200: {"description": "Server-sent events", "content": {"text/event-stream": {"example": EVENTS_EXAMPLE}}},
        **problem_responses(429),
    },
)
async def get_campaign_events(
    state: Parts,
    principal: Reading,
    reader: Annotated[Reader, Depends(open_reader)],
    campaign_id: UUID,
    last_event_id: Annotated[str | None, Header(description="Go on after this event, missing none.")] = None,
) -> EventSourceResponse:
    """Each event is named after its kind and holds `{"id", "kind", "at", "attempt_id", "contact_id", "data"}`;
    `progress`, when its counts changed and at most twice a second, holds what `…/progress` answers, and `complete`: the
    campaign is finished, and every event up to that came before. The stream opens with `stream.ready`, or with
    `stream.reset` where Last-Event-ID is unknown to this database, and ends with `stream.ended` when the key or token
    is no longer good. Comments keep it alive meanwhile."""
    cursor = FeedCursor.parse(last_event_id) if last_event_id else None
    await load_progress(*_named(state, principal, campaign_id), **_as(principal))
    feed = CampaignFeed(state.db, principal, CampaignId(campaign_id))
    return EventSourceResponse(
        feed.stream(reader, cursor),
        ping=HEARTBEAT_SECONDS,
        ping_message_factory=lambda: ServerSentEvent(comment="still here"),
        send_timeout=SLOW_READER_SECONDS,
    )


@router.get(
    "/results",
    summary="A row for every attempt, or for every contact",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}, "application/json": {}}}},
)
async def get_results(
    state: Parts,
    principal: Reading,
    campaign_id: UUID,
    rows: Annotated[Rows, Query(description="What a row is.")] = Rows.ATTEMPTS,
    format: Annotated[Format, Query(description="json: one array.")] = Format.CSV,
) -> StreamingResponse:
    """Details of the conversations are columns of their own, `details.NAME`; columns of the list are
    `variables.NAME`. What is found only after the header was written, or is the 1001st of its kind, stands as a
    JSON object in `other_details` and `other_variables`. Cells that a spreadsheet would run as formulas begin with
    an apostrophe in CSV. In JSON, `details` and `variables` are objects with everything in them."""
    named = _named(state, principal, campaign_id)
    await load_progress(*named, **_as(principal))
    headers = {"Content-Disposition": f'attachment; filename="campaign-{campaign_id}-{rows}.{format}"'}
    kind = "text/csv" if format is Format.CSV else "application/json"
    return StreamingResponse(stream_report(*named, rows, format, **_as(principal)), media_type=kind, headers=headers)


@router.get(
    "/report",
    summary="The report, as one HTML page of its own",
    response_class=Response,
    responses={
        200: {
            "description": "No script, nothing fetched: plots stand in the page itself.",
            "content": {"text/html": {}},
        },
        **problem_responses(503),
    },
)
async def get_report(state: Parts, principal: Reading, campaign_id: UUID) -> HTMLResponse:
    """Funnel, outcomes, answer rate by hour and zone, lengths, latency, cost. Looks at every attempt once, and only
    two pages are made at a time: 503 with Retry-After where others take long."""
    page = await write_page(*_named(state, principal, campaign_id), press=state.press, **_as(principal))
    return HTMLResponse(page, headers=PAGE_HEADERS)


@router.get(
    "/evidence",
    summary="The evidence of every attempt",
    response_class=StreamingResponse,
    responses={200: {"description": "JSON Lines", "content": {"application/jsonl": {}}}},
)
async def get_all_evidence(state: Parts, principal: Reading, campaign_id: UUID) -> StreamingResponse:
    """One line a bundle, as `…/attempts/{attempt_id}/evidence` has it. For supervisors and above."""
    principal.demand_role(Role.SUPERVISOR)
    named = _named(state, principal, campaign_id)
    await load_progress(*named, **_as(principal))
    lines = stream_evidence(*named, recordings=state.settings.recordings_dir, **_as(principal))
    headers = {"Content-Disposition": f'attachment; filename="campaign-{campaign_id}-evidence.jsonl"'}
    return StreamingResponse(lines, media_type="application/jsonl", headers=headers)


@router.get("/attempts/{attempt_id}/evidence", summary="The evidence of one attempt")
async def get_evidence(state: Parts, principal: Reading, campaign_id: UUID, attempt_id: UUID) -> EvidenceOut:
    """Who was called on what ground, what each gate said in the moment of the intent, what was said first, and the
    recording's hash, then and now. `digest`: SHA-256 of all the rest as JSON with sorted keys and no spaces. For
    supervisors and above."""
    principal.demand_role(Role.SUPERVISOR)
    bundle = await load_evidence(
        *_named(state, principal, campaign_id),
        AttemptId(attempt_id),
        recordings=state.settings.recordings_dir,
        **_as(principal),
    )
    return EvidenceOut.model_validate(bundle)


def _named(state: State, principal: Principal, campaign_id: UUID) -> tuple[Any, OrgId, CampaignId]:
    return state.db, principal.org_id, CampaignId(campaign_id)


def _as(principal: Principal) -> dict[str, Any]:
    return {"claims": principal.claims()}
