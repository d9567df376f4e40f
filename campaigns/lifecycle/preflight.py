"""Before the first dial: is everything there, who will be called where and when, who will not and why, and when it
will be through at what cost. Nothing is changed or locked, nobody outside is asked."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.clock import utc_now
from app.db import Connection, Database, Row
from app.ids import CampaignId, OrgId
from campaigns import store
from campaigns.campaigns import Campaign, select_campaign
from campaigns.gates.gates import Policy, load_policy
from campaigns.imports.opening import load_needs
from campaigns.lifecycle import preflight_store, watch_store
from campaigns.lifecycle.checks import (
    Check,
    Level,
    check_canary,
    check_contacts,
    check_imports,
    check_lines,
    check_mode,
    check_suppression,
    check_team,
    check_times,
    check_variables,
)
from campaigns.lifecycle.outlook import (
    Outlook,
    Place,
    ReasonRow,
    ZoneRow,
    ask_gates,
    group_by_zone,
    look_ahead,
    read_places,
)
from campaigns.outcomes.progress import read_progress
from telephony.carriers.base import CarrierName
from telephony.toll_gate.destinations import DialingRules
from telephony.toll_gate.gate import load_rules
from telephony.toll_gate.policy import DialingPolicy

LOOKED_AT = 1000
"""Contacts that are asked all gates: those that are called first."""
RECENT_CALLS = 1000
"""The answer rate is taken from so many, at most."""


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
        found = await _read(connection, org_id, campaign_id, needs.rules, now)
    # Seconds of reckoning for a campaign of months, which nobody's call may wait for.
    zones, outlook = await asyncio.to_thread(_reckon, found, now)
    checks = [
        check_team(found.campaign, found.team),
        check_variables(needs.variables, found.first),
        *await check_lines(db, found.campaign, carriers),
        check_contacts(found.campaign, found.contacts, found.refused, len(found.first), importing=found.importing > 0),
        *check_imports(found.importing),
        *check_times(found.campaign, zones, outlook, now),
        check_mode(found.campaign, found.operators["there"], found.operators["known"]),
        *check_suppression(found.policy.suppression),
        *check_canary(found.campaign, found.team),
    ]
    return Preflight(
        ready=all(check.level is not Level.ERROR for check in checks),
        checks=checks,
        contacts=found.contacts,
        zones=zones,
        blocked=found.blocked,
        refused=found.refused,
        looked_at=len(found.first),
        outlook=outlook,
    )


@dataclass(frozen=True)
class _Found:
    """What the rows say. `first`: the contacts that are called first; `recent`: as `look_ahead` takes them;
    `operators`: how many are `there`, and `known`; `importing`: files that are not all in yet."""

    campaign: Campaign
    policy: Policy
    contacts: Mapping[str, int]
    places: Sequence[Place]
    blocked: Sequence[ReasonRow]
    first: Sequence[Row]
    refused: Sequence[ReasonRow]
    team: Row | None
    recent: Sequence[Row]
    dialing: DialingPolicy
    operators: Mapping[str, int]
    importing: int


def _reckon(found: _Found, now: datetime) -> tuple[list[ZoneRow], Outlook]:
    """Who is where, and when all of it will be through. Blocks the thread."""
    zones = group_by_zone(found.policy, found.places, now)
    outlook = look_ahead(found.campaign, found.policy, found.places, found.recent, found.dialing, found.first, now)
    return zones, outlook


async def _read(
    connection: Connection, org_id: OrgId, campaign_id: CampaignId, rules: DialingRules, now: datetime
) -> _Found:
    """In the caller's transaction. Raises CampaignNotFound."""
    campaign = await select_campaign(connection, org_id, campaign_id)
    policy = await load_policy(connection, campaign_id)
    contacts = (await read_progress(connection, org_id, campaign_id)).contacts
    first = await preflight_store.select_first_waiting(connection, campaign_id, limit=LOOKED_AT)
    blocked = await preflight_store.select_blocked(connection, campaign_id)
    return _Found(
        campaign=campaign,
        policy=policy,
        contacts=contacts,
        places=read_places(await preflight_store.select_places(connection, campaign_id), contacts["waiting"]),
        blocked=[ReasonRow(row["gate"], row["reason"], row["contacts"], True) for row in blocked],
        first=first,
        refused=await ask_gates(connection, policy, rules, first, now),
        team=await store.select_team(connection, org_id, campaign.team),
        recent=await watch_store.count_recent_calls(
            connection, campaign_id, window_seconds=0, window_calls=0, calls=RECENT_CALLS
        ),
        dialing=(await load_rules(connection, org_id))[1],
        operators=await preflight_store.count_operators(connection, org_id, campaign_id),
        importing=await preflight_store.count_imports(connection, org_id, campaign_id),
    )
