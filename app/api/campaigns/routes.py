"""Campaigns over REST: made from a file, started, paused, watched."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi import status as http_status
from starlette.datastructures import UploadFile

from app.api.campaigns.reading import IdempotencyKey, hash_form, read_edit, read_form, read_json, read_once, read_plan
from app.api.campaigns.shapes import UPLOAD, CampaignOut, CampaignRow, NewCampaignEdit, render_campaign, render_row
from app.api.dependencies import Parts, State, require
from app.api.wire.pages import Cursor, Limit, Page, read_cursor, split_page, write_cursor
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Role, Scope
from app.ids import CampaignId, OrgId
from campaigns import campaigns
from campaigns.campaigns import CampaignStatus
from campaigns.creating import create_campaign, create_campaign_from_file
from campaigns.lifecycle.control import finish_campaign, pause_campaign, start_campaign
from campaigns.lifecycle.editing import edit_campaign

router = APIRouter(prefix="/api/v1/campaigns", tags=["Campaigns"], responses=problem_responses())

Reading = Annotated[Principal, require(Scope.CAMPAIGNS_READ)]
Writing = Annotated[Principal, require(Scope.CAMPAIGNS_WRITE)]


@router.get("", summary="Campaigns, newest first")
async def get_campaigns(
    state: Parts,
    principal: Reading,
    status: Annotated[CampaignStatus | None, Query(description="Only these.")] = None,
    name: Annotated[str | None, Query(max_length=200, description="Only those whose name has this in it.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[CampaignRow]:
    """Each with its contacts by status."""
    rows = await campaigns.list_campaigns(
        state.db,
        principal.org_id,
        status=status,
        name=name,
        before=read_cursor(cursor),
        limit=limit + 1,
        **_as(principal),
    )
    found, more = split_page(rows, limit)
    counts = await campaigns.count_contacts(state.db, principal.org_id, [one.id for one in found], **_as(principal))
    following = write_cursor((found[-1].created_at, found[-1].id)) if more else None
    return Page(data=[render_row(one, counts.get(one.id, {})) for one in found], next_cursor=following)


@router.post(
    "",
    status_code=http_status.HTTP_201_CREATED,
    summary="Make a campaign, of a file of contacts or empty",
    openapi_extra=UPLOAD,
    responses=problem_responses(409, 413),
)
async def post_campaign(
    request: Request, state: Parts, principal: Writing, idempotency_key: IdempotencyKey = ""
) -> CampaignOut:
    """A form with a file, or JSON for a draft to which contacts are added later. Bad and repeated rows are reported
    with line and reason, the good ones go in. Nothing is dialed before start."""
    if request.headers.get("content-type", "").split(";")[0].strip() == "application/json":
        plan = await read_plan(state, principal, await read_json(request))
        made = await create_campaign(
            state.db, principal.org_id, plan, once=await read_once(request, idempotency_key), claims=principal.claims()
        )
        return render_campaign(made)
    # Not a parameter: FastAPI would take in the whole file before it asks who sends it.
    async with request.form(max_files=1, max_fields=40) as form:
        file = form.get("file")
        fields = read_form(form, has_file=isinstance(file, UploadFile))
        assert isinstance(file, UploadFile)  # read_form refused everything else
        plan = await read_plan(state, principal, fields)
        once = await asyncio.to_thread(hash_form, form, file.file, idempotency_key)
        campaign, report = await create_campaign_from_file(
            state.db, principal.org_id, plan, file.file, once=once, claims=principal.claims()
        )
    return render_campaign(campaign, report.to_json() if report else None)


@router.get("/{campaign_id}", summary="One campaign", responses=problem_responses(404))
async def get_campaign(state: Parts, principal: Reading, campaign_id: UUID) -> CampaignOut:
    return render_campaign(await campaigns.load_campaign(*_named(state, principal, campaign_id), **_as(principal)))


@router.patch("/{campaign_id}", summary="Change a campaign that does not dial", responses=problem_responses(404, 409))
async def patch_campaign(state: Parts, principal: Writing, campaign_id: UUID, body: NewCampaignEdit) -> CampaignOut:
    """A draft, a scheduled or a paused one; calls under way end by what held when they began. Whom calling hours, caps,
    consent or a veto had put off is asked again where these are other ones now."""
    edit = await read_edit(state, principal, body)
    return render_campaign(await edit_campaign(*_named(state, principal, campaign_id), edit, **_as(principal)))


@router.delete("/{campaign_id}", status_code=204, summary="Delete a draft", responses=problem_responses(404, 409))
async def delete_campaign(state: Parts, principal: Writing, campaign_id: UUID) -> Response:
    """With its contacts. Needs the role admin; what ever called anybody is kept."""
    principal.demand_role(Role.ADMIN)
    await campaigns.delete_campaign(*_named(state, principal, campaign_id), **_as(principal))
    return Response(status_code=204)


@router.post("/{campaign_id}/start", summary="Start or go on dialing", responses=problem_responses(404, 409))
async def post_start(state: Parts, principal: Writing, campaign_id: UUID) -> CampaignOut:
    """With `starts_at` in the future it is scheduled; with a canary its first dials are judged."""
    return render_campaign(await start_campaign(*_named(state, principal, campaign_id), **_as(principal)))


@router.post("/{campaign_id}/pause", summary="Dial nothing more for now", responses=problem_responses(404, 409))
async def post_pause(state: Parts, principal: Writing, campaign_id: UUID) -> CampaignOut:
    return render_campaign(await pause_campaign(*_named(state, principal, campaign_id), **_as(principal)))


@router.post("/{campaign_id}/finish", summary="End it for good", responses=problem_responses(404))
async def post_finish(state: Parts, principal: Writing, campaign_id: UUID) -> CampaignOut:
    """Who waits is not called any more; calls under way end by themselves."""
    return render_campaign(await finish_campaign(*_named(state, principal, campaign_id), **_as(principal)))


def _named(state: State, principal: Principal, campaign_id: UUID) -> tuple[Any, OrgId, CampaignId]:
    return state.db, principal.org_id, CampaignId(campaign_id)


def _as(principal: Principal) -> dict[str, Any]:
    return {"claims": principal.claims()}
