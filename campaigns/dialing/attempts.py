"""An attempt's life: claimed → dialing → placed → settled; uncertain where nobody knows, released where nothing was
dialed. Each step is one transaction for many attempts, and names the fence of whoever takes it.

Here is what is known of an attempt on its way. The steps: `claiming`, `intents`, `departures`, `recording`, `settling`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.ids import E164, AttemptId, CampaignId, ContactId, NumberId, OrgId, TeamVersionId
from telephony.calls import Call


class Point(StrEnum):
    """Where a dialer may die; tests make it die there."""

    CLAIMED = "claimed"
    BEFORE_INTENT = "before intent"
    INTENT_COMMITTED = "intent committed"
    MARKED = "marked as sent"
    ANSWERED_BY_CARRIER = "answered by carrier"
    RECORDED = "recorded"
    SETTLING = "settling"


Failpoint = Callable[[Point], None]


def no_failpoint(_point: Point) -> None:
    """Nothing happens here in earnest."""


@dataclass(frozen=True)
class Times:
    """Seconds. `lease`: how long a dialer has for what it claimed, while it lives. `presence`: without a beat for so
    long it counts as dead, and what it has in hand goes back. `request`: the most that one dial request takes.
    `grace`: how long an unknown outcome waits before the carrier's list is believed. `look_again`: how often a placed
    call without an end is asked about; the first time, that long after the ringing bound. `last_words`: how long after
    its end an answered call may still leave its hint, which a person who says it and hangs up makes late.
    `longest_call`: one that lasts longer is hung up."""

    lease: float = 30.0
    presence: float = 2.5
    request: float = 20.0
    grace: float = 60.0
    look_again: float = 60.0
    last_words: float = 2.0
    longest_call: float = 4 * 3600.0


EARLY_LOOK_SECONDS = 3.0


def first_look(times: Times) -> float:
    """Seconds until the carrier is first asked about a dial of which nobody knows; its yes is believed at once, its no
    only after the grace."""
    return min(times.grace, EARLY_LOOK_SECONDS)


@dataclass(frozen=True)
class Terms:
    """What all dials of a campaign have in common at the moment of a claim. `lanes`: the keys of those that each dial
    goes through, sorted. `asks_for_vetoes`: somebody outside is asked before each dial."""

    org_id: OrgId
    campaign_id: CampaignId
    from_number_id: NumberId
    team_version_id: TeamVersionId
    ring_timeout_seconds: int
    calls_per_second: float
    lanes: tuple[str, ...] = ()
    asks_for_vetoes: bool = False


@dataclass(frozen=True)
class Claim:
    """A contact that is ours to dial until the lease is over. `deadline`: when that is at the latest, on the event
    loop's clock, which goes on while this process is frozen; others may then have concluded that we are gone."""

    attempt_id: AttemptId
    fence: int
    contact_id: ContactId
    ordinal: int
    to: E164
    name: str | None
    terms: Terms
    deadline: float
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    time_zone: str | None = None
    consent_at: datetime | None = None
    consent_expires_at: datetime | None = None


LATE_SECONDS = 0.02
"""Half of what the spacing of slots is wider than the rate asks for in a second, less the clocks' error."""


@dataclass(frozen=True)
class Departure:
    """A committed intent: this call goes out at `slot`, by the database's clock, or up to `patience` seconds later, or
    not at all. `marked`: its row says so, for whoever finds it after our death."""

    claim: Claim
    call: Call
    slot: datetime
    patience: float = LATE_SECONDS
    marked: bool = False

    def at(self, slot: datetime, patience: float) -> "Departure":
        """The same at another slot, marked."""
        return replace(self, slot=slot, patience=patience, marked=True)
