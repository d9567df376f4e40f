"""A campaign like another one: with all of its contacts again, or with those whom it did not reach."""

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from app.db import Connection, Database
from app.ids import CampaignId, OrgId
from campaigns import store as campaign_store
from campaigns.campaigns import Campaign, CampaignKind, CampaignState, Plan, select_campaign
from campaigns.creating import Once, find_made, mark_made
from campaigns.lifecycle.copies import store
from campaigns.lifecycle.copies.copying import begin_copy, run_copy
from campaigns.rules.dispositions import Disposition

UNREACHED: frozenset[str] = frozenset(
    {
        Disposition.NO_ANSWER,
        Disposition.BUSY,
        Disposition.FAILED,
        Disposition.CANCELED,
        Disposition.VOICEMAIL,
        Disposition.VOICEMAIL_LEFT,
        Disposition.ABANDONED,
        Disposition.CALLBACK,
    }
)
"""Nobody was talked to, or they asked for a call that was not made. Who refused a call is dialed again only by name. Of
an unknown end that cannot be said: name it to dial those again too."""

PATIENCE_SECONDS = 20.0
"""Who asks waits so long for the contacts; of more than that the clock copies the rest."""


@dataclass(frozen=True)
class Copied:
    """`contacts`: how many it has; where they are still copied, how many it gets."""

    campaign: Campaign
    contacts: int


async def redial_unreached(
    db: Database,
    org_id: OrgId,
    campaign_id: CampaignId,
    *,
    name: str | None = None,
    outcomes: Collection[str] | None = None,
    once: Once | None = None,
    claims: Mapping[str, Any] | None = None,
) -> Copied:
    """A draft with the same settings and the contacts that were not reached: those whose last outcome is one of
    `outcomes` (UNREACHED if None) and, of a finished campaign, those who still waited. Who is blocked, who asked never
    to be called, and whose numbers are all wrong is not among them; the campaign's do-not-call list comes along.

    Returns when all are there, or after PATIENCE_SECONDS with a draft that is still `copying`: what is not done then,
    or is cut off by a death, is finished by whoever comes (copying.py). Raises CampaignNotFound; CampaignState where
    there is nobody to dial again; RequestKeyReused.
    """
    async with db.system() if claims is None else db.request(claims) as connection:
        if known := await find_made(connection, org_id, once):
            return await _look(connection, known)
        source = await select_campaign(connection, org_id, campaign_id)
        wanted = UNREACHED if outcomes is None else frozenset(outcomes)
        plan = plan_like(source, name or f"{source.name}, again")
        begun = await begin_copy(connection, source, plan, outcomes=wanted)
        if begun.contacts == 0:
            raise CampaignState(f"Nobody to dial again: none who may be called ended as {', '.join(sorted(wanted))}.")
        await mark_made(connection, begun.campaign.id, once)
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await run_copy(db, begun.copy_id, fence=1)
    async with db.system() if claims is None else db.request(claims) as connection:
        return await _look(connection, await select_campaign(connection, org_id, begun.campaign.id))


async def _look(connection: Connection, campaign: Campaign) -> Copied:
    """As it stands: with the contacts that it gets, where not all are there yet."""
    planned = await store.select_planned(connection, campaign.org_id, campaign.id)
    if planned is not None:
        return Copied(campaign, planned)
    rows = await campaign_store.sum_contacts(connection, campaign.org_id, [campaign.id])
    return Copied(campaign, sum(row["count"] for row in rows))


def plan_like(source: Campaign, name: str) -> Plan:
    """Its start and deadline are not taken over: they are past."""
    return Plan(
        name=name[:200],
        team=source.team,
        from_number=source.from_number,
        max_concurrent=source.max_concurrent,
        calls_per_second=source.calls_per_second,
        retry=source.retry,
        ring_timeout_seconds=source.ring_timeout_seconds,
        mode=source.mode,
        priority=source.priority,
        share=source.share,
        region=source.region,
        kind=CampaignKind.LIST,
        parent_id=source.id,
        settings=source.settings,
    )
