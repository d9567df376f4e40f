"""How many contacts each campaign claims now, and how far apart dials are. Pure.

What a dial needs at once: room under the concurrency of its campaign, its organization and each of its lanes; a slot
soon under the calls per second of the campaign and of each lane; and, where people take the calls, a person.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from app.ids import CampaignId
from campaigns.rules.pace.predictive import Floor, Predictive, count_progressive, count_to_predict
from campaigns.rules.pace.ramp import Ramp, share_of_pace
from campaigns.rules.pace.shares import Claimant, share_out

HORIZON_SECONDS = 0.5
"""Contacts are claimed for the dial slots of this near future: more than a tick apart, far less than a lease."""

SPACING_MARGIN = 1.05
"""Slots are 5 % wider than the rate asks for. They are exact by the database's clock; the margin is for what lies
between a slot and the carrier's door, so that the carrier does not count one too many either."""

_ORGANIZATION = "the organization"


class Mode(StrEnum):
    """Who takes the answered calls. AI: agents, as many as calls, so an abandoned call is a defect. The others:
    people; progressive dials one number for each idle one, predictive dials ahead of them."""

    AI = "ai"
    PROGRESSIVE = "progressive"
    PREDICTIVE = "predictive"


class Pace(BaseModel):
    """`campaigns.pace`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ramp: Ramp = Field(default_factory=Ramp)
    predictive: Predictive = Field(default_factory=Predictive)


@dataclass(frozen=True)
class Room:
    """A running campaign, counted from rows.

    `open_attempts`: every attempt that may hold a line, those whose outcome is unknown too. `waiting_for_slot`: of
    these, claimed and not dialed yet, whoever holds them. `next_slot_in_seconds`: until its next dial slot, 0 for now.
    `due`: contacts due now, counted up to any bound above a round's slots; None: not counted. `lanes`: the keys of all
    that one dial goes through, its trunk or carrier account and its number. `served`: dials of the last minute, to
    share fairly; None: not counted. `floor`: the people who take its calls; without them a campaign of a mode other
    than AI claims nothing.
    """

    campaign_id: CampaignId
    max_concurrent: int
    calls_per_second: float
    open_attempts: int = 0
    waiting_for_slot: int = 0
    next_slot_in_seconds: float = 0.0
    due: int | None = None
    lanes: tuple[str, ...] = ()
    mode: Mode = Mode.AI
    priority: int = 0
    share: float = 1.0
    served: float | None = None
    running_since: datetime | None = None
    pace: Pace = field(default_factory=Pace)
    floor: Floor | None = None


@dataclass(frozen=True)
class Lane:
    """A trunk, a carrier account or a number: what is paced and limited, whoever dials through it.

    None: no limit. `open_calls`: attempts and other calls that may hold a line of it, claimed ones too.
    """

    key: str
    calls_per_second: float | None = None
    max_concurrent: int | None = None
    open_calls: int = 0
    waiting_for_slot: int = 0
    next_slot_in_seconds: float = 0.0


@dataclass(frozen=True)
class OrgLimits:
    """The organization's lines: `max_concurrent` calls in all (None: no limit), of which `inbound_share` is kept free
    for callers. `open_outbound`: attempts and other calls outward, claimed ones too; `open_inbound`: callers now."""

    max_concurrent: int | None = None
    inbound_share: float = 0.0
    open_outbound: int = 0
    open_inbound: int = 0


def slot_spacing_seconds(calls_per_second: float) -> float:
    """The least time between two dials: no window of one second ever holds more than `calls_per_second` of them
    (for a rate below one: no window of 1/rate seconds more than one)."""
    return SPACING_MARGIN / calls_per_second


def count_slots_soon(calls_per_second: float | None, *, next_slot_in_seconds: float, waiting_for_slot: int) -> int:
    """Dial slots of the near future that nobody waits for yet. Below zero, `next_slot_in_seconds` makes it longer: for
    who comes back so much later, or takes slots so much earlier."""
    if calls_per_second is None:
        return _NO_LIMIT
    ahead = HORIZON_SECONDS - next_slot_in_seconds
    if ahead < 0:
        return 0
    return max(0, 1 + math.floor(ahead / slot_spacing_seconds(calls_per_second)) - waiting_for_slot)


_NO_LIMIT = 1_000_000


def plan_claims(
    rooms: Sequence[Room], lanes: Sequence[Lane], organization: OrgLimits, *, now: datetime
) -> dict[CampaignId, int]:
    """How many contacts each campaign of one organization claims now; every room has its entry, most often 0.

    A lane that a room names and that is not given has no limits.
    """
    claimants = [
        Claimant(
            campaign_id=room.campaign_id,
            want=count_wanted(room, now=now),
            priority=room.priority,
            share=room.share,
            served=room.served,
            pools=(_ORGANIZATION, *room.lanes),
        )
        for room in rooms
    ]
    pools = {lane.key: count_free_on_lane(lane) for lane in lanes} | {_ORGANIZATION: count_free_lines(organization)}
    return share_out(claimants, pools, now=now)


def rate_now(room: Room, *, now: datetime) -> float:
    """Calls per second of the campaign at this point of its ramp."""
    return room.calls_per_second * share_of_pace(room.pace.ramp, running_since=room.running_since, now=now)


def count_wanted(room: Room, *, now: datetime) -> int:
    """What the campaign could claim if it were alone."""
    allowed = share_of_pace(room.pace.ramp, running_since=room.running_since, now=now)
    free = max(1, math.floor(room.max_concurrent * allowed)) - room.open_attempts
    slots = count_slots_soon(
        rate_now(room, now=now),
        next_slot_in_seconds=room.next_slot_in_seconds,
        waiting_for_slot=room.waiting_for_slot,
    )
    wanted = min(free, slots, _NO_LIMIT if room.due is None else room.due)
    if room.mode is not Mode.AI:
        wanted = min(wanted, count_for_people(room))
    return max(0, wanted)


def count_for_people(room: Room) -> int:
    """Dials that the campaign's people can take: one for each idle one, or more where the mode predicts."""
    if room.floor is None:
        return 0
    if room.mode is Mode.PREDICTIVE:
        return count_to_predict(room.floor, room.pace.predictive)
    return count_progressive(room.floor)


def count_free_on_lane(lane: Lane) -> int:
    """Dials that the lane takes now: under its concurrency, with a slot soon."""
    free = _NO_LIMIT if lane.max_concurrent is None else lane.max_concurrent - lane.open_calls
    slots = count_slots_soon(
        lane.calls_per_second, next_slot_in_seconds=lane.next_slot_in_seconds, waiting_for_slot=lane.waiting_for_slot
    )
    return max(0, min(free, slots))


def count_free_lines(organization: OrgLimits) -> int:
    """Lines for dials outward. What is kept for callers is used by callers first, and never by dials."""
    if organization.max_concurrent is None:
        return _NO_LIMIT
    kept = math.ceil(organization.max_concurrent * organization.inbound_share)
    taken = organization.open_outbound + max(organization.open_inbound, kept)
    return max(0, organization.max_concurrent - taken)
