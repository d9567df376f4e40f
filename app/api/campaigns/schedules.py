"""What happens to campaigns by itself, over REST: again and again by cron."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response, status
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import Parts, require
from app.api.wire.pages import Cursor, Limit, Page, read_cursor, split_page, write_cursor
from app.api.wire.problems import problem_responses
from app.api.wire.values import Instant, Title
from app.auth.principal import Principal, Scope
from app.ids import CampaignId
from campaigns.schedules import schedules
from campaigns.schedules.schedules import Action, Missed, Run, Schedule

router = APIRouter(prefix="/api/v1/schedules", tags=["Schedules"], responses=problem_responses())

Reading = Annotated[Principal, require(Scope.CAMPAIGNS_READ)]
Writing = Annotated[Principal, require(Scope.CAMPAIGNS_WRITE)]

_NEW: dict[str, Any] = {
    "name": "Monday reminders",
    "campaign_id": "0199f2a4-6f0e-7c60-9d0b-000000000020",
    "cron": "0 9 * * mon",
    "time_zone": "America/New_York",
    "action": "copy",
    "missed": "once",
    "ends_at": None,
}


class ScheduleOut(BaseModel):
    """`action` at every time of `cron`, by the clocks of `time_zone`. copy: a new campaign like `campaign_id`, with all
    of its contacts, is made and started; redial: with those it did not reach, and each time after that with those whom
    the redial before did not reach, once no call of it is under way; start and pause: itself.
    `missed`: what becomes of times that passed while no dialer ran. `next_at`: null for never again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0199f2a4-6f0e-7c60-9d0b-000000000070",
                    **_NEW,
                    "enabled": True,
                    "next_at": "2026-11-23T14:00:00Z",
                    "created_at": "2026-11-20T17:39:00Z",
                }
            ]
        }
    )

    id: UUID
    name: str
    campaign_id: UUID
    cron: str
    time_zone: str
    action: Action
    missed: Missed
    ends_at: datetime | None
    enabled: bool
    next_at: datetime | None
    created_at: datetime


class NewSchedule(BaseModel):
    """`cron`: minute, hour, day, month, weekday (0 and 7 are Sunday), or @daily and the like."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_NEW]})

    name: Title = Field(max_length=150)
    campaign_id: UUID
    cron: str = Field(min_length=1, max_length=200)
    time_zone: str = Field(min_length=1, max_length=60)
    action: Action = Action.COPY
    missed: Missed = Missed.ONCE
    ends_at: Instant | None = None


class NewScheduleEdit(BaseModel):
    """Only what is sent is changed. `enabled` false: nothing happens until it is true again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"enabled": False}]})

    name: Title = Field("", max_length=150)
    cron: str = Field("", min_length=1, max_length=200)
    time_zone: str = Field("", min_length=1, max_length=60)
    action: Action = Action.COPY
    missed: Missed = Missed.ONCE
    enabled: bool = True
    ends_at: Instant | None = None


class ScheduleRunOut(BaseModel):
    """What came of one time. `outcome`: done, skipped or failed; `detail` says more."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "planned_at": "2026-11-16T14:00:00Z",
                    "outcome": "done",
                    "detail": "120 contacts",
                    "campaign_id": "0199f2a4-6f0e-7c60-9d0b-000000000021",
                    "created_at": "2026-11-16T14:00:01Z",
                }
            ]
        }
    )

    planned_at: datetime
    outcome: str
    detail: str
    campaign_id: UUID | None
    created_at: datetime


class ScheduleRuns(BaseModel):
    """The latest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"data": ScheduleRunOut.model_config["json_schema_extra"]["examples"]}]  # type: ignore[index]
        }
    )

    data: list[ScheduleRunOut]


@router.get("", summary="Schedules, newest first")
async def get_schedules(
    state: Parts, principal: Reading, limit: Limit = 50, cursor: Cursor = None
) -> Page[ScheduleOut]:
    rows = await schedules.list_schedules(
        state.db, principal.org_id, claims=principal.claims(), before=read_cursor(cursor), limit=limit + 1
    )
    found, more = split_page(rows, limit)
    following = write_cursor((found[-1].created_at, found[-1].id)) if more else None
    return Page(data=[render_schedule(schedule) for schedule in found], next_cursor=following)


@router.post(
    "", status_code=status.HTTP_201_CREATED, summary="Let it happen by cron", responses=problem_responses(404, 409)
)
async def post_schedule(state: Parts, principal: Writing, body: NewSchedule) -> ScheduleOut:
    made = await schedules.create_schedule(
        state.db,
        principal.org_id,
        name=body.name,
        campaign_id=CampaignId(body.campaign_id),
        cron=body.cron,
        time_zone=body.time_zone,
        action=body.action,
        missed=body.missed,
        ends_at=body.ends_at,
        claims=principal.claims(),
    )
    return render_schedule(made)


@router.get("/{schedule_id}", summary="One schedule", responses=problem_responses(404))
async def get_schedule(state: Parts, principal: Reading, schedule_id: UUID) -> ScheduleOut:
    return render_schedule(
        await schedules.load_schedule(state.db, principal.org_id, schedule_id, claims=principal.claims())
    )


@router.patch("/{schedule_id}", summary="Change it, or switch it off and on", responses=problem_responses(404, 409))
async def patch_schedule(state: Parts, principal: Writing, schedule_id: UUID, body: NewScheduleEdit) -> ScheduleOut:
    """Its next time is reckoned from now on."""
    changed = {name: getattr(body, name) for name in body.model_fields_set}
    return render_schedule(
        await schedules.edit_schedule(state.db, principal.org_id, schedule_id, changed, claims=principal.claims())
    )


@router.delete("/{schedule_id}", status_code=204, summary="Forget it", responses=problem_responses(404))
async def delete_schedule(state: Parts, principal: Writing, schedule_id: UUID) -> Response:
    """The campaigns that it made stay."""
    await schedules.delete_schedule(state.db, principal.org_id, schedule_id, claims=principal.claims())
    return Response(status_code=204)


@router.get("/{schedule_id}/runs", summary="What came of its times", responses=problem_responses(404))
async def get_runs(
    state: Parts, principal: Reading, schedule_id: UUID, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> ScheduleRuns:
    runs = await schedules.list_runs(state.db, principal.org_id, schedule_id, limit=limit, claims=principal.claims())
    return ScheduleRuns(data=[render_run(run) for run in runs])


def render_schedule(schedule: Schedule) -> ScheduleOut:
    return ScheduleOut.model_validate(vars(schedule), extra="ignore")


def render_run(run: Run) -> ScheduleRunOut:
    return ScheduleRunOut.model_validate(vars(run))
