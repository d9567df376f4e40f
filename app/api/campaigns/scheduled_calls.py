"""Single calls in the future over REST."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, status
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.api.campaigns.reading import IdempotencyKey, read_once
from app.api.dependencies import Parts, State, require
from app.api.wire.pages import Cursor, Limit, Page, read_cursor, split_page, write_cursor
from app.api.wire.problems import problem_responses
from app.api.wire.values import Instant
from app.auth.principal import Principal, Scope
from app.ids import CampaignId
from campaigns.campaigns import CampaignStatus
from campaigns.lifecycle.settings import check_settings
from campaigns.rules.retries import RetryRule
from campaigns.schedules import calls
from campaigns.schedules.calls import CallPlan, ScheduledCall
from telephony import reading_store
from telephony.lines.numbers import parse_number

router = APIRouter(prefix="/api/v1/scheduled-calls", tags=["Schedules"], responses=problem_responses())

Reading = Annotated[Principal, require(Scope.CAMPAIGNS_READ)]
Writing = Annotated[Principal, require(Scope.CAMPAIGNS_WRITE)]
Settings = dict[str, JsonValue]

_OUT: dict[str, Any] = {
    "id": "0199f2a4-6f0e-7c60-9d0b-000000000080",
    "to": "+12025550142",
    "name": "Ada",
    "team": "harbor-dental",
    "from_number": "+12025550101",
    "at": "2026-11-23T19:30:00Z",
    "due_at": "2026-11-23T19:30:00Z",
    "status": "scheduled",
    "contact_id": "0199f2a4-6f0e-7c60-9d0b-000000000081",
    "contact_status": "waiting",
    "disposition": None,
    "attempts_made": 0,
    "created_at": "2026-11-20T17:39:00Z",
}


class ScheduledCallOut(BaseModel):
    """A call that is made from `at` on, as soon as every gate allows. `due_at`: when it is tried next. `status`: of the
    campaign that makes it, which has the call's `id`; `contact_status` and `disposition`: what came of it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_OUT]})

    id: UUID
    to: str
    name: str | None
    team: str
    from_number: str
    at: datetime | None
    due_at: datetime
    status: CampaignStatus
    contact_id: UUID
    contact_status: str
    disposition: str | None
    attempts_made: int
    created_at: datetime


class NewScheduledCall(BaseModel):
    """`to` in any form; without + it is of the organization's country. `time_zone`: the callee's own; left out, calling
    hours hold in every zone that the number may be in. `variables`: what the agent may know."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "to": "+12025550142",
                    "team": "harbor-dental",
                    "at": "2026-11-23T14:30:00-05:00",
                    "name": "Ada",
                    "time_zone": "America/New_York",
                    "variables": {"appointment": "Tuesday"},
                    "retry": {"max_attempts": 2},
                }
            ]
        },
    )

    to: str = Field(min_length=1, max_length=40)
    team: str = Field(min_length=1, max_length=63)
    at: Instant
    deadline_at: Instant | None = None
    from_number: str | None = Field(None, max_length=40)
    name: str | None = Field(None, max_length=200)
    time_zone: str | None = Field(None, max_length=60)
    variables: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue], max_length=100)
    consent_at: Instant | None = None
    consent_source: str | None = Field(None, max_length=500)
    retry: Settings | None = None
    calling: Settings | None = None
    caps: Settings | None = None
    consent: Settings | None = None


@router.get("", summary="Single calls, newest first")
async def get_scheduled_calls(
    state: Parts, principal: Reading, limit: Limit = 50, cursor: Cursor = None
) -> Page[ScheduledCallOut]:
    rows = await calls.list_scheduled_calls(
        state.db, principal.org_id, claims=principal.claims(), before=read_cursor(cursor), limit=limit + 1
    )
    found, more = split_page(rows, limit)
    following = write_cursor((found[-1].campaign.created_at, found[-1].campaign.id)) if more else None
    return Page(data=[render_call(call) for call in found], next_cursor=following)


@router.post("", status_code=status.HTTP_201_CREATED, summary="Call somebody later", responses=problem_responses(409))
async def post_scheduled_call(
    request: Request, state: Parts, principal: Writing, body: NewScheduledCall, idempotency_key: IdempotencyKey = ""
) -> ScheduledCallOut:
    """The same Idempotency-Key again answers with the call that it made. A call that a gate forbids for good (a
    do-not-call list, a country that is not allowed, one of your own numbers) is refused here already."""
    plan = await read_call(state, principal, body)
    once = await read_once(request, idempotency_key)
    return render_call(
        await calls.schedule_call(state.db, principal.org_id, plan, once=once, claims=principal.claims())
    )


@router.get("/{call_id}", summary="One of them", responses=problem_responses(404))
async def get_scheduled_call(state: Parts, principal: Reading, call_id: UUID) -> ScheduledCallOut:
    named = (state.db, principal.org_id, CampaignId(call_id))
    return render_call(await calls.load_scheduled_call(*named, claims=principal.claims()))


@router.delete("/{call_id}", summary="Do not make it after all", responses=problem_responses(404))
async def delete_scheduled_call(state: Parts, principal: Writing, call_id: UUID) -> ScheduledCallOut:
    """One that is under way goes on."""
    named = (state.db, principal.org_id, CampaignId(call_id))
    return render_call(await calls.cancel_call(*named, claims=principal.claims()))


async def read_call(state: State, principal: Principal, body: NewScheduledCall) -> CallPlan:
    """Raises InvalidNumber, InvalidSettings."""
    async with state.db.request(principal.claims()) as connection:
        country = await reading_store.select_country(connection, principal.org_id)
    said = body.model_dump(include={"retry", "calling", "caps", "consent"}, exclude_none=True)
    settings = check_settings(said)
    return CallPlan(
        to=parse_number(body.to, country),
        team=body.team,
        at=body.at,
        from_number=parse_number(body.from_number, country) if body.from_number else None,
        name=body.name,
        time_zone=body.time_zone,
        variables=body.variables,
        retry=RetryRule.read(settings.pop("retry", {})),
        deadline_at=body.deadline_at,
        consent_at=body.consent_at,
        consent_source=body.consent_source,
        settings=settings,
    )


def render_call(call: ScheduledCall) -> ScheduledCallOut:
    return ScheduledCallOut(
        id=call.campaign.id,
        to=call.to,
        name=call.name,
        team=call.campaign.team,
        from_number=call.campaign.from_number,
        at=call.campaign.starts_at,
        due_at=call.due_at,
        status=call.campaign.status,
        contact_id=call.contact_id,
        contact_status=call.status,
        disposition=call.disposition,
        attempts_made=call.attempts_made,
        created_at=call.campaign.created_at,
    )
