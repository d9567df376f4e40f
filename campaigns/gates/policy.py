"""What a campaign and its organization say about who may be called when, as it stands at one moment."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from app.db import Connection, Row
from app.errors import NotFound
from app.ids import CampaignId, OrgId
from campaigns.gates import store
from campaigns.rules.calling.caps import CapsRule
from campaigns.rules.calling.consent import ConsentRule
from campaigns.rules.calling.schedule import CallingRule, Schedule


class NoSuchCampaign(NotFound):
    """The campaign does not exist, or not any more."""

    code = "campaign_not_found"


class OnFailure(StrEnum):
    """Where who may veto gives no usable answer: put the contact off for a minute, or dial."""

    BLOCK = "block"
    ALLOW = "allow"


class SuppressionRule(BaseModel):
    """campaigns.suppression: somebody who is asked right before each dial and may veto it.

    `url`: https, on the public internet; None asks nobody. `on_failure`: what happens where no usable answer comes
    within `timeout_seconds`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str | None = Field(None, max_length=2000, pattern=r"^https?://")
    timeout_seconds: float = Field(2.0, ge=0.1, le=10)
    on_failure: OnFailure = OnFailure.BLOCK


@dataclass(frozen=True)
class Policy:
    """Settings of a campaign, read; `status` and the instants are those of its row."""

    org_id: OrgId
    campaign_id: CampaignId
    campaign_name: str
    status: str
    starts_at: datetime | None
    deadline_at: datetime | None
    org_country: str
    schedule: Schedule
    caps: CapsRule
    consent: ConsentRule
    suppression: SuppressionRule


async def load_policy(connection: Connection, campaign_id: CampaignId) -> Policy:
    """Raises NoSuchCampaign."""
    row = await store.select_policy(connection, campaign_id)
    if row is None:
        raise NoSuchCampaign("There is no such campaign.")
    return read_policy(row)


def read_policy(row: Row) -> Policy:
    """From a row of `campaigns` with `country` of its organization beside it."""
    return Policy(
        org_id=row["org_id"],
        campaign_id=row["id"],
        campaign_name=row["name"],
        status=row["status"],
        starts_at=row["starts_at"],
        deadline_at=row["deadline_at"],
        org_country=row["country"],
        schedule=Schedule.read(CallingRule.model_validate(row["calling"])),
        caps=CapsRule.model_validate(row["caps"]),
        consent=ConsentRule.model_validate(row["consent"]),
        suppression=SuppressionRule.model_validate(row["suppression"]),
    )
