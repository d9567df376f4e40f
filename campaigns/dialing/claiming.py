"""Claiming: which contacts this dialer takes on now, for all running campaigns of an organization at once."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from math import ceil
from typing import TypeVar
from uuid import UUID

from app.clock import utc_now
from app.db import Connection, Database, Row
from app.ids import CampaignId, OrgId
from campaigns.dialing import attempt_store, claim_store
from campaigns.dialing.attempts import Claim, Terms, Times
from campaigns.dialing.lanes import store as lane_store
from campaigns.dialing.lanes.counting import lane_keys, read_lane, read_limits
from campaigns.dialing.people.floors import read_floors
from campaigns.gates.calling import judge_hours
from campaigns.gates.policy import load_policy
from campaigns.rules.callbacks import recall
from campaigns.rules.pace.predictive import Floor
from campaigns.rules.pacing import HORIZON_SECONDS, Lane, Mode, Pace, Room, plan_claims, rate_now

Paced = TypeVar("Paced", Room, Lane)

NEAR_SECONDS = HORIZON_SECONDS / 2
"""Whoever comes first claims all slots so near, lest they pass unused; those after them it shares with the others."""
LOOK_AT_ONCE = 500
LOOKS = 10
"""How many contacts at most are looked at in a round for one that is open at this hour."""


async def claim_due(
    db: Database, org_id: OrgId, *, dialer: str, times: Times, lead_seconds: float = 0.0, most: int | None = None
) -> list[list[Claim]]:
    """Contacts that are due, fit under every concurrency, and have a dial slot soon, or up to `lead_seconds` later: a
    list for each campaign that has any; where another dialer takes its slots earlier, so does this one. `most`: of all
    of them together; None: no limit."""
    deadline = asyncio.get_running_loop().time() + times.lease
    async with db.system() as connection:
        await attempt_store.bound_idle(connection)
        if not await claim_store.try_lock_claims(connection, org_id):
            return []
        rows = await claim_store.select_rooms(connection, org_id)
        if not any(row["dialable"] and row["due"] for row in rows):
            return []
        dialers = await claim_store.select_dialers(connection, presence_seconds=times.presence)
        lead = max(lead_seconds, dialers["lead_seconds"])
        near, plan = await _plan(connection, org_id, rows, (lead - NEAR_SECONDS, lead))
        shares = bound({one: count_share(near[one], soon, dialers["count"]) for one, soon in plan.items()}, most)
        batches: list[list[Claim]] = []
        for row in rows:
            if limit := shares.get(row["id"], 0):
                contacts = await find_open(connection, row["id"], limit=limit)
                claimed = await claim_store.claim_contacts(
                    connection, contacts, dialer=dialer, lease_seconds=times.lease
                )
                terms = _read_terms(row)
                batches.append([_read_claim(one, terms, deadline) for one in claimed])
    return [batch for batch in batches if batch]


def count_share(near: int, soon: int, dialers: int) -> int:
    """What one of so many dialers claims: all that is `near`, and its part of what comes `soon` after that. One that
    took everything would leave the others idle, and be late with its own. Rounded down: no limit is passed by it."""
    return near + (soon - near) // max(1, dialers)


def bound(counts: Mapping[CampaignId, int], most: int | None) -> dict[CampaignId, int]:
    """In the same proportions, all together `most` and at the most one more for each."""
    total = sum(counts.values())
    if most is None or total <= most:
        return dict(counts)
    return {one: ceil(count * max(0, most) / total) for one, count in counts.items()}


async def find_open(connection: Connection, campaign_id: CampaignId, *, limit: int) -> list[UUID]:
    """Up to `limit` due contacts, held, who may be called at this hour. Closed ones that are met on the way are due
    again when it opens there: they must not stand in front of those that are open."""
    policy = await load_policy(connection, campaign_id)
    found: list[UUID] = []
    for look in (limit, *[LOOK_AT_ONCE] * LOOKS):
        rows = await claim_store.select_due(connection, campaign_id, limit=look, but=found)
        now, closed = utc_now(), dict[UUID, datetime]()
        for row in rows:
            ruling = judge_hours(policy.schedule, row["dialed"], row["time_zone"], now)
            if ruling.next_at is None:
                found.append(row["id"])  # open; or never: then the gates say so, with the reason
            else:
                closed[row["id"]] = ruling.next_at
        if closed:
            await claim_store.postpone_contacts(connection, list(closed), list(closed.values()))
        if len(found) >= limit or len(rows) < look:
            break
    return found[:limit]


async def _plan(
    connection: Connection, org_id: OrgId, rows: Sequence[Row], lead_seconds: Sequence[float]
) -> list[dict[CampaignId, int]]:
    """How many contacts each campaign can claim now, for each of these leads."""
    lane_rows = await lane_store.select_lanes(connection, org_id)
    others = await claim_store.select_other_calls(connection, org_id)
    settings = await lane_store.select_line_settings(connection, org_id)
    dialable = [row for row in rows if row["dialable"]]
    served = await claim_store.count_served(connection, [row["id"] for row in dialable]) if len(dialable) > 1 else None
    floors = await read_floors(connection, org_id, rows)
    rooms = [_read_room(row, served, floors.get(row["id"])) for row in dialable]
    lanes = [read_lane(lane, rows, others) for lane in lane_rows]
    limits, now = read_limits(settings, rows, others), utc_now()
    return [
        plan_claims(
            [_bring_near(room, lead) for room in rooms], [_bring_near(lane, lead) for lane in lanes], limits, now=now
        )
        for lead in lead_seconds
    ]


def _bring_near(paced: Paced, lead_seconds: float) -> Paced:
    """For the slots until we come back."""
    return replace(paced, next_slot_in_seconds=paced.next_slot_in_seconds - lead_seconds)


def _read_terms(row: Row) -> Terms:
    return Terms(
        org_id=row["org_id"],
        campaign_id=row["id"],
        from_number_id=row["from_number_id"],
        team_version_id=row["team_version_id"],
        ring_timeout_seconds=row["ring_timeout_seconds"],
        calls_per_second=rate_now(_read_room(row, None), now=utc_now()),
        lanes=lane_keys(row["from_number_id"], row["carrier"], row["trunk_id"]),
        asks_for_vetoes=row["asks_for_vetoes"],
    )


def _read_room(row: Row, served: Mapping[UUID, int] | None, floor: Floor | None = None) -> Room:
    return Room(
        campaign_id=row["id"],
        max_concurrent=row["max_concurrent"],
        calls_per_second=row["calls_per_second"],
        open_attempts=row["open_attempts"],
        waiting_for_slot=row["waiting_for_slot"],
        next_slot_in_seconds=row["next_slot_in_seconds"],
        due=row["due"] if row["canary_left"] is None else max(0, min(row["due"], row["canary_left"])),
        lanes=lane_keys(row["from_number_id"], row["carrier"], row["trunk_id"]),
        mode=Mode(row["mode"]),
        priority=row["priority"],
        share=row["share"],
        served=None if served is None else float(served.get(row["id"], 0)),
        running_since=row["running_since"],
        pace=Pace.model_validate(row["pace"]),
        floor=floor,
    )


def _zone_known(time_zone: str | None) -> dict[str, str]:
    """The agent reads by it what "after lunch" means."""
    return {"time_zone": time_zone} if time_zone else {}


def _read_claim(row: Row, terms: Terms, deadline: float) -> Claim:
    return Claim(
        attempt_id=row["id"],
        fence=row["fence"],
        contact_id=row["contact_id"],
        ordinal=row["ordinal"],
        to=row["dialed"],
        name=row["name"],
        terms=terms,
        deadline=deadline,
        variables={**recall(row["memory"]), **row["variables"], **_zone_known(row["time_zone"])},
        time_zone=row["time_zone"],
        consent_at=row["consent_at"],
        consent_expires_at=row["consent_expires_at"],
    )
