"""Calls over REST: list, one, place, end."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response, status
from fastapi.responses import JSONResponse

from app.api.calls.placing import Ask, place_for
from app.api.calls.shapes import CallDetailOut, CallOut, EvaluationOut, NewCall, render_call
from app.api.dependencies import Parts, State, require
from app.api.wire.idempotency import Answer, hash_request
from app.api.wire.pages import Cursor, Limit, Page, read_cursor, split_page, write_cursor
from app.api.wire.problems import problem_responses, request_id_of
from app.auth.principal import Principal, Scope
from telephony import reading_store
from telephony.calls import AtFault, Call, CallNotFound, CallStatus, Direction, End, EndReason, EndResult, read_call
from telephony.outbound import hang_up

router = APIRouter(prefix="/api/v1/calls", tags=["Calls"], responses=problem_responses())

Reading = Annotated[Principal, require(Scope.CALLS_READ)]
Writing = Annotated[Principal, require(Scope.CALLS_WRITE)]


@router.get("", summary="Calls, newest first")
async def get_calls(
    state: Parts,
    principal: Reading,
    status_in: Annotated[
        list[CallStatus] | None, Query(alias="status", description="Any of these; repeat for more.")
    ] = None,
    direction: Direction | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[CallOut]:
    async with state.db.request(principal.claims()) as connection:
        rows = await reading_store.select_calls(
            connection,
            principal.org_id,
            statuses=status_in or [],
            direction=direction,
            before=read_cursor(cursor),
            limit=limit + 1,
        )
    calls, more = split_page([read_call(row) for row in rows], limit)
    following = write_cursor((calls[-1].created_at, calls[-1].id)) if more else None
    return Page(data=[render_call(call) for call in calls], next_cursor=following)


@router.get("/{call_id}", summary="One call", responses=problem_responses(404))
async def get_call(state: Parts, principal: Reading, call_id: UUID) -> CallDetailOut:
    call = render_call(await find_call(state, principal, call_id))
    async with state.db.request(principal.claims()) as connection:
        row = await reading_store.select_evaluation(connection, principal.org_id, call_id)
    evaluation = EvaluationOut.model_validate(dict(row)) if row else None
    return CallDetailOut(**call.model_dump(), evaluation=evaluation)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Dial a number and let a team talk",
    response_model=CallOut,
    responses={
        202: {
            "model": CallOut,
            "description": "Unknown whether the carrier placed it; it is not dialed again, and the row will tell.",
        },
        **problem_responses(409, 429, 502, 503),
    },
)
async def post_call(
    request: Request,
    state: Parts,
    principal: Writing,
    body: NewCall,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=255, description="The same key and body again get the same answer: one dial."),
    ] = None,
) -> Response:
    """On lines that are limited (`/api/v1/lanes`) the dial takes its slot among those of campaigns and waits up to 1.5
    s for it; else 429 `no_line_free` with Retry-After, and nothing was written: the same key may be used again."""
    ask = Ask(
        principal=principal,
        body=body,
        key=idempotency_key or "",
        request_hash=hash_request(request.method, request.url.path, body.model_dump_json()),
        request_id=request_id_of(request),
    )
    return render_answer(await place_for(state, ask))


@router.post("/{call_id}/end", summary="Hang up", responses=problem_responses(404))
async def post_end(state: Parts, principal: Writing, call_id: UUID) -> CallOut:
    """Ends the call for everyone in it. A call that is over already stays as it ended."""
    call = await find_call(state, principal, call_id)
    if call.end is None:
        await hang_up(state.lines, call, end_by_api(call))
    return render_call(await find_call(state, principal, call_id))


async def find_call(state: State, principal: Principal, call_id: UUID) -> Call:
    """The call, if it is one of the organization's. Raises CallNotFound."""
    async with state.db.request(principal.claims()) as connection:
        row = await reading_store.select_call(connection, principal.org_id, call_id)
    if row is None:
        raise CallNotFound("There is no such call.")
    return read_call(row)


def end_by_api(call: Call) -> End:
    """A call that nobody answered yet is canceled, one in progress is completed."""
    talking = call.status is CallStatus.IN_PROGRESS
    return End(EndResult.COMPLETED if talking else EndResult.CANCELED, EndReason.API_ENDED, AtFault.NOBODY)


def render_answer(answer: Answer) -> JSONResponse:
    headers = {"Idempotency-Replayed": "true"} if answer.replayed else {}
    return JSONResponse(answer.body, answer.status, headers, media_type=answer.media_type)
