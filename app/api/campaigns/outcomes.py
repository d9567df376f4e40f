"""What comes of a campaign, over REST: progress, results."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from app.api.campaigns.outcome_shapes import ProgressOut
from app.api.dependencies import Parts, State, require
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Scope
from app.ids import CampaignId, OrgId
from campaigns.outcomes.progress import load_progress
from campaigns.outcomes.report import stream_results

router = APIRouter(prefix="/api/v1/campaigns/{campaign_id}", tags=["Outcomes"], responses=problem_responses(404))

Reading = Annotated[Principal, require(Scope.CAMPAIGNS_READ)]


@router.get("/progress", summary="How far it is: funnel, pace, forecast")
async def get_progress(state: Parts, principal: Reading, campaign_id: UUID) -> ProgressOut:
    """As cheap for ten million contacts as for ten; ask as often as you like."""
    progress = await load_progress(*_named(state, principal, campaign_id), **_as(principal))
    return ProgressOut.model_validate(progress.to_json())


@router.get(
    "/results",
    summary="A CSV row for every attempt",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}}}},
)
async def get_results(state: Parts, principal: Reading, campaign_id: UUID) -> StreamingResponse:
    named = _named(state, principal, campaign_id)
    await load_progress(*named, **_as(principal))
    headers = {"Content-Disposition": f'attachment; filename="campaign-{campaign_id}.csv"'}
    return StreamingResponse(stream_results(*named, **_as(principal)), media_type="text/csv", headers=headers)


def _named(state: State, principal: Principal, campaign_id: UUID) -> tuple[Any, OrgId, CampaignId]:
    return state.db, principal.org_id, CampaignId(campaign_id)


def _as(principal: Principal) -> dict[str, Any]:
    return {"claims": principal.claims()}
