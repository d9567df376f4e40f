"""A campaign is changed while it does not dial: as a draft, before its start, or paused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.db import Database
from app.ids import E164, CampaignId, OrgId
from campaigns import store
from campaigns.campaigns import Campaign, CampaignState, CampaignStatus, select_campaign
from campaigns.creating import check_times, find_caller_id, find_team
from campaigns.lifecycle.settings import check_settings, merge_settings
from campaigns.rules.retries import spell_outcomes

PLAIN = frozenset(
    {"name", "max_concurrent", "calls_per_second", "ring_timeout_seconds", "mode", "priority", "share", "region"}
    | {"ends_when_done"}
)
"""Columns that take what is said as it is."""
OF_GATES = frozenset({"calling", "caps", "consent", "suppression"})
"""Settings by which a gate may put a contact off."""


@dataclass(frozen=True)
class Edit:
    """What changes. `plain`: by the names of PLAIN. `settings`: by those of lifecycle/settings.py, each merged into
    what is there. `times`: `starts_at`, `deadline_at`, None to take one away. `team`: a slug; `from_number`: one of our
    numbers."""

    plain: Mapping[str, Any] = field(default_factory=dict[str, Any])
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    times: Mapping[str, datetime | None] = field(default_factory=dict[str, datetime | None])
    team: str | None = None
    from_number: E164 | None = None


async def edit_campaign(
    db: Database, org_id: OrgId, campaign_id: CampaignId, edit: Edit, *, claims: Mapping[str, Any] | None = None
) -> Campaign:
    """All of it or nothing; whom a gate put off that is another one now is asked again. Raises CampaignNotFound,
    CampaignState for a running or finished one, NoSuchTeam, NoCallerId, InvalidSettings."""
    assert edit.plain.keys() <= PLAIN
    async with db.system() if claims is None else db.request(claims) as connection:
        campaign = await select_campaign(connection, org_id, campaign_id)
        times = {"starts_at": campaign.starts_at, "deadline_at": campaign.deadline_at, **edit.times}
        check_times(times["starts_at"], times["deadline_at"])
        stored = {"retry": campaign.retry.to_json(), **campaign.settings}
        said = {name: spell_outcomes(given) if name == "retry" else given for name, given in edit.settings.items()}
        merged = {name: merge_settings(stored[name], given) for name, given in said.items()}
        changed = {**edit.plain, **check_settings(merged)}
        changed |= {name: at and at.isoformat() for name, at in edit.times.items()}
        if edit.team is not None:
            changed["team_id"] = str(await find_team(connection, org_id, edit.team))
        if edit.from_number is not None:
            changed["from_number_id"] = str(await find_caller_id(connection, org_id, edit.from_number))
        other = any(merged[name] != stored[name] for name in OF_GATES & merged.keys())
        if not await store.update_campaign(connection, org_id, campaign_id, changed, changes_gates=other):
            raise _not_editable((await select_campaign(connection, org_id, campaign_id)).status)
        return await select_campaign(connection, org_id, campaign_id)


def _not_editable(status: CampaignStatus) -> CampaignState:
    advice = "make a new one, or redial" if status is CampaignStatus.FINISHED else "pause it first"
    return CampaignState(f"The campaign is {status.value}; {advice}.")
