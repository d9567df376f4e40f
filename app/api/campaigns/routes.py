"""Campaigns over REST: made from a file, started, paused, watched."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from app.api.campaigns.shapes import UPLOAD, CampaignOut, NewCampaign, ProgressOut, render_campaign
from app.api.dependencies import Parts, State, require
from app.api.wire.pages import Cursor, Limit, Page, read_cursor, split_page, write_cursor
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Scope
from app.ids import CampaignId, OrgId
from campaigns import campaigns
from campaigns.campaigns import Plan
from campaigns.outcomes.report import stream_results
from campaigns.rules.retries import RetryRule
from telephony import reading_store
from telephony.lines.numbers import parse_number

router = APIRouter(prefix="/api/v1/campaigns", tags=["Campaigns"], responses=problem_responses())

Reading = Annotated[Principal, require(Scope.CAMPAIGNS_READ)]
Writing = Annotated[Principal, require(Scope.CAMPAIGNS_WRITE)]


@router.get("", summary="Campaigns, newest first")
async def get_campaigns(
    state: Parts, principal: Reading, limit: Limit = 50, cursor: Cursor = None
) -> Page[CampaignOut]:
    rows = await campaigns.list_campaigns(
        state.db, principal.org_id, **_as(principal), before=read_cursor(cursor), limit=limit + 1
    )
    found, more = split_page(rows, limit)
    following = write_cursor((found[-1].created_at, found[-1].id)) if more else None
    return Page(data=[render_campaign(campaign) for campaign in found], next_cursor=following)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Make a campaign from a CSV file",
    openapi_extra=UPLOAD,
    responses=problem_responses(413),
)
async def post_campaign(request: Request, state: Parts, principal: Writing) -> CampaignOut:
    """Bad and repeated rows are reported with line and reason, the good ones go in. Nothing is dialed before start."""
    # Not a parameter: FastAPI would take in the whole file before it asks who sends it.
    async with request.form(max_files=1, max_fields=20) as form:
        file = form.get("file")
        fields = read_fields(form, has_file=isinstance(file, UploadFile))
        assert isinstance(file, UploadFile)  # read_fields refused everything else
        plan = await read_plan(state, principal, fields)
        campaign, report = await campaigns.create_campaign_from_file(
            state.db, principal.org_id, plan, file.file, claims=principal.claims()
        )
    return render_campaign(campaign, report.to_json())


@router.get("/{campaign_id}", summary="One campaign", responses=problem_responses(404))
async def get_campaign(state: Parts, principal: Reading, campaign_id: UUID) -> CampaignOut:
    return render_campaign(await campaigns.load_campaign(*_named(state, principal, campaign_id), **_as(principal)))


@router.post("/{campaign_id}/start", summary="Start or go on dialing", responses=problem_responses(404, 409))
async def post_start(state: Parts, principal: Writing, campaign_id: UUID) -> CampaignOut:
    return render_campaign(await campaigns.start_campaign(*_named(state, principal, campaign_id), **_as(principal)))


@router.post("/{campaign_id}/pause", summary="Dial nothing more for now", responses=problem_responses(404, 409))
async def post_pause(state: Parts, principal: Writing, campaign_id: UUID) -> CampaignOut:
    return render_campaign(await campaigns.pause_campaign(*_named(state, principal, campaign_id), **_as(principal)))


@router.get("/{campaign_id}/progress", summary="How far it is", responses=problem_responses(404))
async def get_progress(state: Parts, principal: Reading, campaign_id: UUID) -> ProgressOut:
    progress = await campaigns.load_progress(*_named(state, principal, campaign_id), **_as(principal))
    return ProgressOut.model_validate(progress.to_json())


@router.get(
    "/{campaign_id}/results",
    summary="A CSV row for every attempt",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}}}, **problem_responses(404)},
)
async def get_results(state: Parts, principal: Reading, campaign_id: UUID) -> StreamingResponse:
    named = _named(state, principal, campaign_id)
    await campaigns.load_campaign(*named, **_as(principal))
    headers = {"Content-Disposition": f'attachment; filename="campaign-{campaign_id}.csv"'}
    return StreamingResponse(stream_results(*named, **_as(principal)), media_type="text/csv", headers=headers)


def _named(state: State, principal: Principal, campaign_id: UUID) -> tuple[Any, OrgId, CampaignId]:
    return state.db, principal.org_id, CampaignId(campaign_id)


def _as(principal: Principal) -> dict[str, Any]:
    return {"claims": principal.claims()}


def read_fields(form: Mapping[str, Any], *, has_file: bool) -> NewCampaign:
    """Raises RequestValidationError with every fault; an empty field is one that was not sent."""
    texts = {name: value for name, value in form.items() if name != "file" and value != ""}
    faults: list[Any] = [] if has_file else [{"loc": ("body", "file"), "msg": "Send the CSV as a file."}]
    try:
        fields = NewCampaign.model_validate(texts)
    except ValidationError as error:
        faults += [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from error
    if faults:
        raise RequestValidationError(faults)
    return fields


async def read_plan(state: State, principal: Principal, fields: NewCampaign) -> Plan:
    """Raises InvalidNumber."""
    from_number = None
    if fields.from_number is not None:
        async with state.db.request(principal.claims()) as connection:
            country = await reading_store.select_country(connection, principal.org_id)
        from_number = parse_number(fields.from_number, country)
    usual = RetryRule(max_attempts=fields.max_attempts)
    uniform = fields.retry_delay_seconds
    return Plan(
        name=fields.name,
        team=fields.team,
        from_number=from_number,
        max_concurrent=fields.max_concurrent,
        calls_per_second=fields.calls_per_second,
        retry=usual if uniform is None else RetryRule.uniform(fields.max_attempts, uniform),
        ring_timeout_seconds=fields.ring_timeout_seconds,
    )
