"""Start, pause, finish: what people say to a campaign. What it does by itself stands in watch.py."""

from collections.abc import Mapping
from typing import Any

from app.db import Connection, Database
from app.ids import CampaignId, OrgId
from campaigns.campaigns import Campaign, CampaignState, CampaignStatus, CanaryStatus, select_campaign
from campaigns.lifecycle import store as lifecycle_store
from campaigns.lifecycle.copies.store import select_copy_error


async def start_campaign(
    db: Database, org_id: OrgId, campaign_id: CampaignId, *, claims: Mapping[str, Any] | None = None
) -> Campaign:
    """draft or paused → running, or scheduled while its start lies ahead; a running one stays so.

    With a canary that has not passed, it dials its first contacts and is judged. Raises CampaignNotFound,
    CampaignState.
    """
    async with db.system() if claims is None else db.request(claims) as connection:
        return await start_in(connection, org_id, campaign_id)


async def start_in(connection: Connection, org_id: OrgId, campaign_id: CampaignId) -> Campaign:
    """`start_campaign` inside the caller's transaction."""
    campaign = await select_campaign(connection, org_id, campaign_id)
    if campaign.status is CampaignStatus.RUNNING:
        return campaign
    if campaign.status is CampaignStatus.FINISHED:
        raise CampaignState("The campaign is finished; dial those it did not reach as a new one: redial.")
    if campaign.copying:
        error = await select_copy_error(connection, org_id, campaign_id)
        raise CampaignState(f"Not all of its contacts are there: {error or 'they are still being copied'}.")
    if campaign.deleting_at is not None:
        raise CampaignState("The campaign is being deleted.")
    if campaign.ends_when_done and not await lifecycle_store.is_anyone_left(connection, campaign_id):
        raise CampaignState("No contact of this campaign is left to call.")
    if not await lifecycle_store.set_started(connection, org_id, campaign_id):
        raise CampaignState("The campaign's deadline has passed; give it a later one first.")
    return await select_campaign(connection, org_id, campaign_id)


async def pause_campaign(
    db: Database,
    org_id: OrgId,
    campaign_id: CampaignId,
    *,
    reason: str | None = None,
    claims: Mapping[str, Any] | None = None,
) -> Campaign:
    """running or scheduled → paused: nothing more is dialed, calls under way end by themselves. `reason`: None where
    a person wants it. Raises CampaignNotFound, CampaignState for a draft or a finished one."""
    async with db.system() if claims is None else db.request(claims) as connection:
        await lifecycle_store.set_paused(connection, org_id, campaign_id, reason=reason)
        campaign = await select_campaign(connection, org_id, campaign_id)
    if campaign.status is not CampaignStatus.PAUSED:
        raise CampaignState(f"The campaign is {campaign.status.value}; only a running one can be paused.")
    return campaign


async def finish_campaign(
    db: Database, org_id: OrgId, campaign_id: CampaignId, *, claims: Mapping[str, Any] | None = None
) -> Campaign:
    """Whatever it is → finished, for good: who waits is not called, calls under way end by themselves. A finished one
    stays so. Raises CampaignNotFound."""
    async with db.system() if claims is None else db.request(claims) as connection:
        await lifecycle_store.set_finished(connection, org_id, campaign_id)
        return await select_campaign(connection, org_id, campaign_id)


async def pass_canary(
    db: Database, org_id: OrgId, campaign_id: CampaignId, *, claims: Mapping[str, Any] | None = None
) -> Campaign:
    """A person has judged the first dials: it goes on with all others; one that its canary stopped is started too.
    Raises CampaignNotFound, CampaignState for one without a canary."""
    async with db.system() if claims is None else db.request(claims) as connection:
        before = await select_campaign(connection, org_id, campaign_id)
        if before.canary_status is None:
            raise CampaignState("This campaign has no canary that waits to be judged.")
        await lifecycle_store.set_canary_passed(connection, org_id, campaign_id)
        if before.canary_status is CanaryStatus.STOPPED and before.status is CampaignStatus.PAUSED:
            return await start_in(connection, org_id, campaign_id)
        return await select_campaign(connection, org_id, campaign_id)
