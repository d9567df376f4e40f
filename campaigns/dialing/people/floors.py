"""The people who take calls, as pacing counts them, for the campaigns of an organization that need them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from app.db import Connection, Row
from app.ids import CampaignId, OrgId
from campaigns.dialing.people import store
from campaigns.rules.dispositions import Disposition
from campaigns.rules.pace.answers import Cohort, draw_ring_curve
from campaigns.rules.pace.people import Demand, Takes, share_idle
from campaigns.rules.pace.predictive import USUAL_ANSWER_RATE, Floor
from campaigns.rules.pace.steering import Outcomes
from campaigns.rules.pacing import Mode

USUAL_BUSY_SECONDS = 120.0
NOBODY_THERE = frozenset(
    {
        Disposition.NO_ANSWER,
        Disposition.BUSY,
        Disposition.WRONG_NUMBER,
        Disposition.CANCELED,
        Disposition.FAILED,
        Disposition.UNKNOWN,
        Disposition.VOICEMAIL,
        Disposition.VOICEMAIL_LEFT,
        Disposition.REFUSED,
        Disposition.CARRIER_BLOCKED,
    }
)
"""A dial that came to one of these was not answered by a person who listened."""


async def read_floors(connection: Connection, org_id: OrgId, rooms: Sequence[Row]) -> Mapping[UUID, Floor]:
    """`rooms`: rows of `select_rooms`. Nothing is asked for where agents take all calls."""
    of_people = [row for row in rooms if row["mode"] != Mode.AI]
    if not of_people:
        return {}
    ids = [row["id"] for row in of_people]
    rows = await store.select_floors(connection, org_id, ids, nobody_there=sorted(NOBODY_THERE))
    counted = {row["campaign_id"]: row for row in rows}
    people: list[Mapping[str, Any]] = rows[0]["people"]
    idle = share_idle(
        [_read_takes(one) for one in people if one["state"] == "available"],
        [_read_demand(room, counted[room["id"]]) for room in of_people],
    )
    busy = {key: sum(one["state"] != "available" and one["campaign_id"] == str(key) for one in people) for key in ids}
    return {key: read_floor(counted[key], idle=idle[key], busy=busy[key]) for key in ids}


def _read_takes(person: Mapping[str, Any]) -> Takes:
    takes = person["campaigns"]
    return None if takes is None else frozenset(CampaignId(UUID(one)) for one in takes)


def _read_demand(room: Row, counted: Row) -> Demand:
    ringing: float = counted["ringing"]
    if room["mode"] == Mode.PREDICTIVE:
        ringing *= find_usual_rate(counted)
    return Demand(
        campaign_id=room["id"],
        coming=counted["waiting"] + math.ceil(ringing),
        wants=bool(room["dialable"] and room["due"]),
        priority=room["priority"],
        share=room["share"],
    )


def find_usual_rate(counted: Row) -> float:
    """Of the campaign's dials so far, the share that people answered."""
    dialed = counted["ever_dialed"]
    return (dialed - counted["ever_unanswered"]) / dialed if dialed else USUAL_ANSWER_RATE


def read_floor(counted: Row, *, idle: int, busy: int) -> Floor:
    """`counted`: a row of `select_floors`. Dials are not kept one by one: those behind the newest answers are reckoned
    from the usual rate, which is all that they are used for."""
    answered, rate = counted["answered"], find_usual_rate(counted)
    return Floor(
        idle=idle,
        busy=busy,
        waiting=counted["waiting"],
        ringing=counted["ringing"],
        busy_seconds=counted["busy_seconds"] or USUAL_BUSY_SECONDS,
        cohorts=tuple(Cohort(*cohort) for cohort in counted["cohorts"]),
        rings=draw_ring_curve(counted["rings"]),
        recent=Outcomes(round(answered / rate) if rate else 0, answered, counted["abandoned"]),
        month=Outcomes(0, counted["month_answered"], counted["month_abandoned"]),
    )
