"""What campaigns look like over REST."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, JsonValue

from app.api.wire.values import Instant, Region, Title
from campaigns.campaigns import Campaign, CampaignKind, CampaignStatus, CanaryStatus, FinishReason
from campaigns.contacts import ContactStatus
from campaigns.rules.pacing import Mode

Settings = dict[str, JsonValue]

_REPORT: dict[str, Any] = {
    "rows": 24,
    "accepted": 21,
    "rejected": 2,
    "duplicates": 1,
    "blocked": 0,
    "phone_column": "phone",
    "name_column": "name",
    "variables": ["appointment"],
    "warnings": [],
    "errors": [{"line": 7, "column": "phone", "value": "12", "reason": "too short"}],
}
_RETRY: dict[str, Any] = {
    "max_attempts": 3,
    "outcomes": {
        "busy": {"delays_seconds": [60, 300], "next_number": False, "spread": None},
        "no-answer": {"delays_seconds": [1800, 86400], "next_number": True, "spread": None},
    },
    "spread_hours": 3.0,
}
_CAMPAIGN: dict[str, Any] = {
    "id": "0199f2a4-6f0e-7c60-9d0b-000000000020",
    "name": "Reminders",
    "status": "draft",
    "team": "harbor-dental",
    "from_number": "+12025550101",
    "max_concurrent": 5,
    "calls_per_second": 1.0,
    "max_attempts": 3,
    "ring_timeout_seconds": 30,
    "mode": "ai",
    "priority": 0,
    "share": 1.0,
    "starts_at": None,
    "deadline_at": "2026-11-27T17:00:00Z",
    "region": "US",
    "ends_when_done": True,
    "kind": "list",
    "parent_id": None,
    "retry": _RETRY,
    "settings": {"pace": {}, "canary": {"contacts": 50}, "breaker": {}},
    "canary_status": None,
    "copying": False,
    "pause_reason": None,
    "finish_reason": None,
    "import": _REPORT,
    "created_at": "2026-11-20T17:39:00Z",
    "started_at": None,
    "resumed_at": None,
    "finished_at": None,
}
_CONTACTS: dict[str, Any] = {"waiting": 21, "in_flight": 0, "finished": 0, "blocked": 0}
_PLAN: dict[str, Any] = {
    "name": "Reminders",
    "team": "harbor-dental",
    "from_number": "+12025550101",
    "max_concurrent": 5,
    "calls_per_second": 1.0,
    "max_attempts": 2,
    "retry_delay_seconds": 300,
}


class CampaignOut(BaseModel):
    """A campaign; `import` tells what became of the rows of its file, `pause_reason` why it paused itself (null where
    a person did), `canary_status` how far its first dials are judged, `settings` what was said of each subject. While
    `copying`, a draft has not all of its contacts yet and cannot be started."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CAMPAIGN]})

    id: UUID
    name: str
    status: CampaignStatus
    team: str
    from_number: str
    max_concurrent: int
    calls_per_second: float
    max_attempts: int
    ring_timeout_seconds: int
    mode: Mode
    priority: int
    share: float
    starts_at: datetime | None
    deadline_at: datetime | None
    region: str | None
    ends_when_done: bool
    kind: CampaignKind
    parent_id: UUID | None
    retry: dict[str, Any]
    settings: dict[str, dict[str, Any]]
    canary_status: CanaryStatus | None
    copying: bool
    pause_reason: str | None
    finish_reason: FinishReason | None
    import_report: dict[str, Any] = Field(
        validation_alias=AliasChoices("import", "import_report"), serialization_alias="import"
    )
    created_at: datetime
    started_at: datetime | None
    resumed_at: datetime | None
    finished_at: datetime | None


class CampaignRow(CampaignOut):
    """A campaign in a list. `contacts`: how many, by status."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CAMPAIGN | {"contacts": _CONTACTS}]})

    contacts: dict[str, int]


class NewCampaignSettings(BaseModel):
    """How a campaign dials; what is left out has its default, or keeps its value when a campaign is changed.

    `retry`: by outcome, see the example. `calling`, `caps`, `consent`, `suppression`, `pace`, `canary`, `breaker`,
    `outcomes`: an object each, {} for the defaults. `starts_at` in the future: a started campaign waits until then.
    `deadline_at`: nobody is called after it. `region`: ISO 3166, the country of numbers written without one.
    `ends_when_done`: false for a campaign that runs on while contacts are added.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"calls_per_second": 2.0, "retry": _RETRY, "canary": {"contacts": 50, "most_failed": 0.1}}]
        },
    )

    from_number: str | None = Field(None, max_length=40)
    max_concurrent: int = Field(5, ge=1, le=10_000)
    calls_per_second: float = Field(1.0, ge=0.001, le=1000)
    ring_timeout_seconds: int = Field(30, ge=15, le=120)
    mode: Mode = Mode.AI
    priority: int = Field(0, ge=-9, le=9)
    share: float = Field(1.0, ge=0.001, le=1000)
    starts_at: Instant | None = None
    deadline_at: Instant | None = None
    region: Region | None = None
    ends_when_done: bool = True
    retry: Settings | None = None
    calling: Settings | None = None
    caps: Settings | None = None
    consent: Settings | None = None
    suppression: Settings | None = None
    pace: Settings | None = None
    canary: Settings | None = None
    breaker: Settings | None = None
    outcomes: Settings | None = None


class NewCampaign(NewCampaignSettings):
    """`team`: its slug. `max_attempts`, `retry_delay_seconds` (the wait before another try, whatever came of the last):
    for who needs no more of `retry` than that."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_PLAN]})

    name: Title
    team: str = Field(min_length=1, max_length=63)
    max_attempts: int = Field(3, ge=1, le=100)
    retry_delay_seconds: float | None = Field(None, ge=0, le=30 * 86400)


class NewCampaignEdit(NewCampaignSettings):
    """What to change of a draft, scheduled or paused campaign; only what is sent is changed. `retry` and the other
    objects are merged into what is there (RFC 7396): null takes a value away."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"calls_per_second": 2.0, "name": "Reminders, again"}]}
    )

    name: Title = ""
    team: str | None = Field(None, min_length=1, max_length=63)


UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": NewCampaign.model_json_schema(), "example": _PLAN},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "name", "team"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "CSV, XLSX or JSON with numbers.",
                        },
                        **NewCampaign.model_json_schema()["properties"],
                    },
                },
                "example": {"file": "phone,name\n+12025550142,Ada\n", **_PLAN},
            },
        },
    }
}
"""The documentation of the body, which is read by hand. In the form, objects are JSON text."""


def render_campaign(campaign: Campaign, report: dict[str, Any] | None = None) -> CampaignOut:
    return CampaignOut(
        id=campaign.id,
        name=campaign.name,
        status=campaign.status,
        team=campaign.team,
        from_number=campaign.from_number,
        max_concurrent=campaign.max_concurrent,
        calls_per_second=campaign.calls_per_second,
        max_attempts=campaign.retry.max_attempts,
        ring_timeout_seconds=campaign.ring_timeout_seconds,
        mode=campaign.mode,
        priority=campaign.priority,
        share=campaign.share,
        starts_at=campaign.starts_at,
        deadline_at=campaign.deadline_at,
        region=campaign.region,
        ends_when_done=campaign.ends_when_done,
        kind=campaign.kind,
        parent_id=campaign.parent_id,
        retry=campaign.retry.to_json(),
        settings={name: dict(value) for name, value in campaign.settings.items()},
        canary_status=campaign.canary_status,
        copying=campaign.copying,
        pause_reason=campaign.pause_reason,
        finish_reason=campaign.finish_reason,
        import_report=dict(campaign.import_report if report is None else report),
        created_at=campaign.created_at,
        started_at=campaign.started_at,
        resumed_at=campaign.resumed_at,
        finished_at=campaign.finished_at,
    )


def render_row(campaign: Campaign, counts: Mapping[str, int]) -> CampaignRow:
    """`counts`: contacts by status, which are left out where there are none."""
    contacts = {status.value.replace("-", "_"): counts.get(status.value, 0) for status in ContactStatus}
    return CampaignRow(**dict(render_campaign(campaign)), contacts=contacts)
