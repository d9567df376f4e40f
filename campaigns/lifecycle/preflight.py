"""Before the first dial: is everything there, who will be called where and when, who will not and why, and when it
will be through at what cost. Nothing is changed or locked, nobody outside is asked."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.clock import utc_now
from app.db import Database
from app.ids import CampaignId, OrgId
from campaigns import store
from campaigns.campaigns import select_campaign
from campaigns.gates.gates import load_policy
from campaigns.imports.opening import load_needs
from campaigns.lifecycle import preflight_store, watch_store
from campaigns.lifecycle.checks import (
    Check,
    Level,
    check_contacts,
    check_lines,
    check_mode,
    check_team,
    check_times,
    check_variables,
)
from campaigns.lifecycle.outlook import Outlook, ReasonRow, ZoneRow, ask_gates, group_by_zone, look_ahead, read_places
from campaigns.outcomes.progress import read_progress
from telephony.carriers.base import CarrierName
from telephony.toll_gate.gate import load_rules

LOOKED_AT = 1000
"""Contacts that are asked all gates: those that are called first."""


@dataclass(frozen=True)
class Preflight:
    """`contacts`: by status. `zones`: those who wait. `blocked`: already. `refused`: of the `looked_at` who are called
    first, what gates say to them now."""

    ready: bool
    checks: Sequence[Check]
    contacts: Mapping[str, int]
    zones: Sequence[ZoneRow]
    blocked: Sequence[ReasonRow]
    refused: Sequence[ReasonRow]
    looked_at: int
    outlook: Outlook


async def run_preflight(
    db: Database,
    org_id: OrgId,
    campaign_id: CampaignId,
    *,
    carriers: Collection[CarrierName] | None = None,
    claims: Mapping[str, Any] | None = None,
) -> Preflight:
    """`carriers`: those that this installation has; None: not checked. Raises CampaignNotFound."""
    now = utc_now()
    needs = await load_needs(db, org_id, campaign_id=campaign_id, claims=claims)
    async with db.system() if claims is None else db.request(claims) as connection:
        campaign = await select_campaign(connection, org_id, campaign_id)
        policy = await load_policy(connection, campaign_id)
        counts = (await read_progress(connection, org_id, campaign_id)).contacts
        places = read_places(await preflight_store.select_places(connection, campaign_id), counts["waiting"])
        blocked = await preflight_store.select_blocked(connection, campaign_id)
        first = await preflight_store.select_first_waiting(connection, campaign_id, limit=LOOKED_AT)
        refused = await ask_gates(connection, policy, needs.rules, first, now)
        team = await store.select_team(connection, org_id, campaign.team)
        recent = await watch_store.count_recent_calls(
            connection, campaign_id, window_seconds=0, window_calls=0, calls=1000
        )
        dialing = (await load_rules(connection, org_id))[1]
    zones = group_by_zone(policy, places, now)
    outlook = look_ahead(campaign, policy, places, recent, dialing, first, now)
    checks = [
        check_team(campaign, team),
        check_variables(needs.variables, first),
        *await check_lines(db, campaign, carriers),
        check_contacts(campaign, counts, refused, len(first)),
        *check_times(campaign, zones, outlook, now),
        check_mode(campaign),
    ]
    return Preflight(
        ready=all(check.level is not Level.ERROR for check in checks),
        checks=checks,
        contacts=counts,
        zones=zones,
        blocked=[ReasonRow(row["gate"], row["reason"], row["contacts"], True) for row in blocked],
        refused=refused,
        looked_at=len(first),
        outlook=outlook,
    )
