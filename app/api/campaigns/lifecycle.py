"""A campaign's preflight, canary and redial over REST."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, status
from pydantic import BaseModel, ConfigDict, Field

from app.api.campaigns.reading import IdempotencyKey, read_once
from app.api.campaigns.shapes import CampaignOut, render_campaign
from app.api.dependencies import Parts, require
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Scope
from app.ids import CampaignId
from campaigns.campaigns import CanaryStatus
from campaigns.lifecycle.checks import Level
from campaigns.lifecycle.control import pass_canary
from campaigns.lifecycle.preflight import Preflight, run_preflight
from campaigns.lifecycle.redial import redial_unreached
from campaigns.lifecycle.watch import look_at_canary

router = APIRouter(prefix="/api/v1/campaigns/{campaign_id}", tags=["Campaigns"], responses=problem_responses(404))

Reading = Annotated[Principal, require(Scope.CAMPAIGNS_READ)]
Writing = Annotated[Principal, require(Scope.CAMPAIGNS_WRITE)]

_CHECK: dict[str, Any] = {"name": "team", "level": "ok", "detail": "harbor-dental is published"}
_ZONE: dict[str, Any] = {"zone": "America/New_York", "contacts": 18, "opens_at": "2026-11-20T17:39:00Z"}
_BLOCKED: dict[str, Any] = {
    "gate": "do-not-call",
    "reason": "on the organization's list",
    "contacts": 2,
    "for_good": True,
}
_CLOSED: dict[str, Any] = {
    "gate": "calling-hours",
    "reason": "closed at this hour",
    "contacts": 3,
    "for_good": False,
}
_FORECAST: dict[str, Any] = {
    "finish_at": "2026-11-20T18:09:00Z",
    "dials": 41,
    "answered": 12,
    "left": 0,
    "cost_minor": 10,
    "currency": "USD",
    "answer_rate": 0.3,
    "dials_per_second": 0.122,
    "basis": "the usual answer rate: nothing was dialed yet",
}


def _example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class CheckOut(BaseModel):
    """ok, a warning, or an error: then the campaign cannot run so."""

    model_config = _example(_CHECK)

    name: str
    level: Level
    detail: str


class ZoneOut(BaseModel):
    """Waiting contacts of a zone ("… or …" where their numbers may be in several). `opens_at`: null for never."""

    model_config = _example(_ZONE)

    zone: str
    contacts: int
    opens_at: datetime | None


class ReasonOut(BaseModel):
    """Contacts that a gate holds back; `for_good` false: only for now."""

    model_config = _example(_BLOCKED)

    gate: str
    reason: str
    contacts: int
    for_good: bool


class ForecastOut(BaseModel):
    """`finish_at`: null where contacts are `left` at the deadline. `cost_minor`: in minor units of `currency`, null
    where no rates are set. `basis`: where `answer_rate` comes from."""

    model_config = _example(_FORECAST)

    finish_at: datetime | None
    dials: int
    answered: int
    left: int
    cost_minor: int | None
    currency: str | None
    answer_rate: float
    dials_per_second: float
    basis: str


class PreflightOut(BaseModel):
    """`ready`: no check is an error. `contacts`: by status. `blocked`: never called. `refused`: what the gates say now
    to the `looked_at` contacts that come first."""

    model_config = _example(
        {
            "ready": True,
            "checks": [_CHECK],
            "contacts": {"waiting": 21, "in_flight": 0, "finished": 0, "blocked": 2},
            "zones": [_ZONE],
            "blocked": [_BLOCKED],
            "refused": [_CLOSED],
            "looked_at": 21,
            "forecast": _FORECAST,
        }
    )

    ready: bool
    checks: list[CheckOut]
    contacts: dict[str, int]
    zones: list[ZoneOut]
    blocked: list[ReasonOut]
    refused: list[ReasonOut]
    looked_at: int
    forecast: ForecastOut


class CanaryOut(BaseModel):
    """The first dials of a campaign. `status`: null without a canary; `verdict`: "go on", "wait" or "stop", as its rule
    would say now; `reason`: why it waits or stops. `judged`: answered calls that were evaluated; `scored`,
    `mean_score`: those of them with a score."""

    model_config = _example(
        {
            "status": "dialing",
            "dialed": 12,
            "settled": 9,
            "answered": 4,
            "failed": 0,
            "judged": 3,
            "scored": 2,
            "mean_score": 0.91,
            "verdict": "wait",
            "reason": "9 of 50 first calls are over",
        }
    )

    status: CanaryStatus | None
    dialed: int
    settled: int
    answered: int
    failed: int
    judged: int
    scored: int
    mean_score: float | None
    verdict: str
    reason: str


class NewRedial(BaseModel):
    """`outcomes`: the last outcomes of those to dial again; left out: whoever was not talked to."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "Reminders, again", "outcomes": ["no-answer", "busy"]}]},
    )

    name: str | None = Field(None, min_length=1, max_length=200)
    outcomes: list[str] | None = Field(None, min_length=1, max_length=50)


class RedialOut(BaseModel):
    """The new draft, and how many contacts it has."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"contacts": 14, "campaign": CampaignOut.model_config["json_schema_extra"]["examples"][0]}]  # type: ignore[index]
        }
    )

    contacts: int
    campaign: CampaignOut


@router.get("/preflight", summary="What would happen if it were started")
async def get_preflight(state: Parts, principal: Reading, campaign_id: UUID) -> PreflightOut:
    """Nothing is dialed, changed or asked outside."""
    found = await run_preflight(
        state.db,
        principal.org_id,
        CampaignId(campaign_id),
        carriers=state.lines.carriers.keys(),
        claims=principal.claims(),
    )
    return render_preflight(found)


@router.get("/canary", summary="How its first dials go")
async def get_canary(state: Parts, principal: Reading, campaign_id: UUID) -> CanaryOut:
    look = await look_at_canary(state.db, principal.org_id, CampaignId(campaign_id), claims=principal.claims())
    counts = look.counts
    return CanaryOut(
        status=look.status,
        dialed=counts.dialed,
        settled=counts.settled,
        answered=counts.answered,
        failed=counts.failed,
        judged=counts.judged,
        scored=counts.scored,
        mean_score=counts.mean_score,
        verdict=look.verdict.step.value,
        reason=look.verdict.reason,
    )


@router.post("/canary/pass", summary="Let it go on past its canary", responses=problem_responses(409))
async def post_canary_pass(state: Parts, principal: Writing, campaign_id: UUID) -> CampaignOut:
    """A person has judged the first dials. A campaign that its canary stopped is started as well."""
    return render_campaign(
        await pass_canary(state.db, principal.org_id, CampaignId(campaign_id), claims=principal.claims())
    )


@router.post(
    "/redial",
    status_code=status.HTTP_201_CREATED,
    summary="A new campaign of those it did not reach",
    responses=problem_responses(409),
)
async def post_redial(
    request: Request,
    state: Parts,
    principal: Writing,
    campaign_id: UUID,
    body: NewRedial,
    idempotency_key: IdempotencyKey = "",
) -> RedialOut:
    """A draft with the same settings. Of a finished campaign those who still waited come along; who is blocked or asked
    not to be called never does, nor whose numbers are all wrong. The campaign's own do-not-call list comes along, with
    what is put on it before all are there: who is on it is not called by the new one either. A callback that lies ahead
    stays where it is. Where there are many, it is still `copying` when this answers, and cannot be started before all
    are there."""
    copied = await redial_unreached(
        state.db,
        principal.org_id,
        CampaignId(campaign_id),
        name=body.name,
        outcomes=body.outcomes,
        once=await read_once(request, idempotency_key),
        claims=principal.claims(),
    )
    return RedialOut(contacts=copied.contacts, campaign=render_campaign(copied.campaign))


def render_preflight(found: Preflight) -> PreflightOut:
    ahead = found.outlook.forecast
    return PreflightOut(
        ready=found.ready,
        checks=[CheckOut.model_validate(vars(check)) for check in found.checks],
        contacts=dict(found.contacts),
        zones=[ZoneOut.model_validate(vars(row)) for row in found.zones],
        blocked=[ReasonOut.model_validate(vars(row)) for row in found.blocked],
        refused=[ReasonOut.model_validate(vars(row)) for row in found.refused],
        looked_at=found.looked_at,
        forecast=ForecastOut(
            finish_at=ahead.finish_at,
            dials=ahead.dials,
            answered=ahead.answered,
            left=ahead.left,
            cost_minor=ahead.cost_minor if found.outlook.currency else None,
            currency=found.outlook.currency,
            answer_rate=found.outlook.answer_rate,
            dials_per_second=found.outlook.dials_per_second,
            basis=found.outlook.basis,
        ),
    )
