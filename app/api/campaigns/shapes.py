"""What campaigns look like over REST."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from campaigns.campaigns import Campaign, CampaignStatus

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
    "import": _REPORT,
    "created_at": "2026-11-20T17:39:00Z",
    "started_at": None,
    "finished_at": None,
}
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
    """A campaign; `import` tells what became of the rows of its file."""

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
    import_report: dict[str, Any] = Field(
        validation_alias=AliasChoices("import", "import_report"), serialization_alias="import"
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class NewCampaign(BaseModel):
    """The fields beside the file. `team`: its slug; `retry_delay_seconds`: the wait before another try, whatever came
    of the last."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_PLAN]})

    name: str = Field(min_length=1, max_length=200)
    team: str = Field(min_length=1, max_length=63)
    from_number: str | None = Field(None, max_length=40)
    max_concurrent: int = Field(5, ge=1, le=1000)
    calls_per_second: float = Field(1.0, gt=0, le=100)
    max_attempts: int = Field(3, ge=1, le=20)
    retry_delay_seconds: float | None = Field(None, ge=0, le=30 * 86400)
    ring_timeout_seconds: int = Field(30, ge=15, le=120)


class ProgressOut(BaseModel):
    """Counts at one instant. `attempts.dialed`: requests that went, or may have gone, out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "running",
                    "contacts": {"waiting": 9, "in_flight": 3, "finished": 8, "blocked": 1},
                    "attempts": {"placed": 3, "settled": 9, "dialed": 12},
                    "dispositions": {"confirmed": 5, "busy": 3},
                }
            ]
        }
    )

    status: CampaignStatus
    contacts: dict[str, int]
    attempts: dict[str, int]
    dispositions: dict[str, int]


UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "name", "team"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "CSV, UTF-8, a column of numbers.",
                        },
                        **NewCampaign.model_json_schema()["properties"],
                    },
                },
                "example": {"file": "phone,name\n+12025550142,Ada\n", **_PLAN},
            }
        },
    }
}
"""The documentation of the form, which is read by hand."""


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
        import_report=dict(campaign.import_report if report is None else report),
        created_at=campaign.created_at,
        started_at=campaign.started_at,
        finished_at=campaign.finished_at,
    )
