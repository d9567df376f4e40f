"""Is everything there that a campaign needs to run?"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.db import Database, Row
from app.http.outward import AddressForbidden, check_url
from campaigns import store
from campaigns.campaigns import Campaign, CampaignStatus
from campaigns.gates.policy import OnFailure, SuppressionRule
from campaigns.lifecycle import preflight_store
from campaigns.lifecycle.outlook import Outlook, ReasonRow, ZoneRow
from campaigns.rules.canary import Canary
from campaigns.rules.pacing import Mode
from telephony.carriers.base import CarrierName
from telephony.lines import store as lines_store


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    """It cannot run so."""


@dataclass(frozen=True)
class Check:
    name: str
    level: Level
    detail: str


def check_team(campaign: Campaign, team: Row | None) -> Check:
    if team is None or not team["published"]:
        return Check(
            "team", Level.ERROR, f"The team {campaign.team} has no published version: trunkline teams push FILE"
        )
    return Check("team", Level.OK, f"{campaign.team} is published")


def check_variables(needed: Mapping[str, str], first: Sequence[Row]) -> Check:
    """`needed`: what the team's texts use, with what is said where there is none."""
    asked = [name for name, usual in needed.items() if not usual]
    lacking = Counter(name for row in first for name in asked if not _has(row, name))
    if not lacking:
        return Check("variables", Level.OK, "every contact has what the team speaks of")
    told = ", ".join(f"{name} ({count} of {len(first)})" for name, count in lacking.most_common(5))
    return Check("variables", Level.WARNING, f"The team speaks of what contacts lack: {told}")


def _has(contact: Row, name: str) -> bool:
    """Name and zone of a contact are variables too, where the list has them."""
    if name in ("name", "time_zone") and contact[name]:
        return True
    return contact["variables"].get(name) not in (None, "")


async def check_lines(db: Database, campaign: Campaign, carriers: Collection[CarrierName] | None) -> list[Check]:
    async with db.system() as connection:
        row = await store.select_campaign(connection, campaign.org_id, campaign.id)
        trunk = await lines_store.select_trunk_for_number(connection, campaign.org_id, campaign.from_number_id)
        alive = await preflight_store.is_dialer_alive(connection)
    assert row is not None  # it was there a moment ago
    carrier = CarrierName(row["carrier"])
    if carrier is CarrierName.SIP and not (trunk and trunk["livekit_trunk_id"]):
        line = Check("number", Level.ERROR, f"{campaign.from_number} has no outbound SIP trunk that is ready")
    elif carrier is not CarrierName.SIP and carriers is not None and carrier not in carriers:
        line = Check("number", Level.ERROR, f"{campaign.from_number} is at {carrier}, which is not set up here")
    else:
        line = Check("number", Level.OK, f"calls from {campaign.from_number} by {carrier}")
    if alive:
        return [line, Check("dialer", Level.OK, "a dialer runs")]
    return [line, Check("dialer", Level.WARNING, "No dialer runs: nothing is dialed until one does (trunkline status)")]


def check_contacts(
    campaign: Campaign,
    counts: Mapping[str, int],
    refused: Sequence[ReasonRow],
    looked_at: int,
    *,
    importing: bool = False,
) -> Check:
    """`importing`: more may come of a file."""
    if campaign.copying:
        return Check("contacts", Level.ERROR, "contacts are still being copied into it")
    if counts["waiting"] == 0:
        over = campaign.ends_when_done and counts["in_flight"] == 0 and not importing
        return Check("contacts", Level.ERROR if over else Level.WARNING, "nobody is left to call")
    never = sum(row.contacts for row in refused if row.for_good)
    if never == looked_at:
        return Check("contacts", Level.ERROR, f"none of the first {looked_at} contacts may ever be called; see refused")
    if never:
        return Check("contacts", Level.WARNING, f"{never} of the first {looked_at} contacts may never be called")
    return Check("contacts", Level.OK, f"{counts['waiting']} wait to be called")


def check_imports(running: int) -> list[Check]:
    """Nothing, or that what is told here is not told of all contacts."""
    if not running:
        return []
    files = "a file is" if running == 1 else f"{running} files are"
    return [Check("imports", Level.WARNING, f"{files} still being imported: not all contacts are there yet")]


def check_times(campaign: Campaign, zones: Sequence[ZoneRow], outlook: Outlook, now: datetime) -> list[Check]:
    if campaign.deadline_at is not None and campaign.deadline_at <= now:
        return [Check("times", Level.ERROR, "the deadline has passed")]
    if campaign.status is CampaignStatus.FINISHED:
        return [Check("times", Level.ERROR, "the campaign is finished: redial those it did not reach")]
    found: list[Check] = []
    if lost := sum(row.contacts for row in zones if row.opens_at is None):
        found.append(Check("times", Level.WARNING, f"{lost} contacts have no hour at which they may be called"))
    if outlook.forecast.left and campaign.deadline_at is not None:
        left = outlook.forecast.left
        found.append(Check("times", Level.WARNING, f"{left} contacts will not be called out before the deadline"))
    return found or [Check("times", Level.OK, "everybody may be called at some hour")]


def check_canary(campaign: Campaign, team: Row | None) -> list[Check]:
    """Nothing, or why its canary cannot pass."""
    rule = Canary.model_validate(campaign.settings["canary"])
    if rule.contacts == 0 or rule.least_score is None or team is None or team["criteria"]:
        return []
    told = f"The canary asks for a score, and {campaign.team} has no criteria to be judged by: it would be stopped"
    return [Check("canary", Level.WARNING, told)]


def check_mode(campaign: Campaign, there: int, known: int) -> Check:
    """`there`, `known`: operators who take its calls, and are not offline; and all."""
    if campaign.mode is Mode.AI:
        return Check("mode", Level.OK, "agents take every call")
    if there:
        return Check("mode", Level.OK, f"{campaign.mode.value}: {there} of its {known} operators are there")
    who = f"none of its {known} operators is there" if known else "it has no operators (trunkline operators add NAME)"
    return Check("mode", Level.WARNING, f"{campaign.mode.value}: {who}, and nothing is dialed while nobody is idle")


def check_suppression(rule: SuppressionRule) -> list[Check]:
    """Nothing, or why nobody can be asked there, which would put every dial off."""
    try:
        if rule.url is not None:
            check_url(rule.url, allow_loopback=True)
    except AddressForbidden as error:
        level = Level.ERROR if rule.on_failure is OnFailure.BLOCK else Level.WARNING
        return [Check("suppression", level, f"nobody can be asked for vetoes: {error.detail}")]
    return []
