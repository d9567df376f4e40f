"""What one dialer is and has: its name in the rows, what it dials with, what it has in hand."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil
from uuid import UUID

from app.db import Database
from app.tasks import Tasks
from campaigns.dialing.attempts import LATE_SECONDS, Claim, Departure, Failpoint, Times, no_failpoint
from campaigns.dialing.recording import Recorder
from campaigns.dialing.recovery.presence import DatabaseClock
from campaigns.gates.suppression import SuppressionClient
from telephony.outbound import Lines

SHORTEST_LEAD_SECONDS = 0.1
LONGEST_LEAD_SECONDS = 2.0
LONGEST_PATIENCE_SECONDS = 0.5
LATE_SHARE = 0.2
FEW_LATE_SHARE = 0.05
WEIGHT = 0.01
"""Of one dial, in what is said of the dials lately."""
ROUND_WEIGHT = 0.2
"""Of one round, in what is said of a second lately."""
SHAKEN_SECONDS = 2.0
"""For so long after the database was away dials may be late without the machine being slow."""
MORE = 1.1
"""By which a dialer whose dials are late tries again what it can do."""


@dataclass
class Dialer:
    """`name`: unique for each start. `stopping` is set once. A task that failed changed nothing that recovery does not
    give back. `in_hand`: the attempts that some task here works on; what the rows call ours beside them is nobody's.
    `missed`: dials that passed their slots unsent.
    `lead`: seconds between taking a slot and the slot, longer while the machine or the database is slow; so is
    `patience`, the seconds that a dial may be behind its slot. `late_share`: the part of the dials lately that missed
    theirs. `manages`: dials a second lately that met them. `shaken_until`: until then (`time.monotonic`) what is late
    says nothing of all this, because the database was away.
    `vetoes`: asks whoever a campaign wants asked before each dial; without it such a campaign dials nobody."""

    name: str
    lines: Lines
    times: Times = field(default_factory=Times)
    failpoint: Failpoint = no_failpoint
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: Tasks = field(default_factory=lambda: Tasks("an attempt failed on our side; it will be recovered"))
    clock: DatabaseClock = field(default_factory=DatabaseClock)
    in_hand: set[UUID] = field(default_factory=set[UUID])
    missed: list[Departure] = field(default_factory=list[Departure])
    lead: float = SHORTEST_LEAD_SECONDS
    patience: float = LATE_SECONDS
    late_share: float = 0.0
    manages: float = 0.0
    met: int = 0
    claimed_at: float = 0.0
    shaken_until: float = 0.0
    vetoes: SuppressionClient | None = None
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.db, self.times)

    @property
    def db(self) -> Database:
        return self.lines.db

    def take(self, claims: Iterable[Claim]) -> None:
        self.in_hand.update(claim.attempt_id for claim in claims)

    def let_go(self, claims: Iterable[Claim]) -> None:
        """Nothing here works on these any more."""
        self.in_hand.difference_update(claim.attempt_id for claim in claims)

    @property
    def is_shaken(self) -> bool:
        return time.monotonic() < self.shaken_until

    def shake(self) -> None:
        """The database was away a moment ago."""
        self.shaken_until = time.monotonic() + SHAKEN_SECONDS

    def slow_down(self, missed: int) -> None:
        """So many slots were missed: take them earlier before their time. Where many are, keep more of them free behind
        ours, too: that costs the lanes a part of every batch, a missed slot only itself."""
        if self.is_shaken:
            return
        self.late_share = 1 - (1 - self.late_share) * (1 - WEIGHT) ** missed
        # A lease must last for a lead, and what is missed then, and the request.
        longest = min(LONGEST_LEAD_SECONDS, (self.times.lease - self.times.request) / 4)
        self.lead = min(2 * self.lead, max(longest, SHORTEST_LEAD_SECONDS))
        if self.late_share > LATE_SHARE:
            self.patience = min(2 * self.patience, LONGEST_PATIENCE_SECONDS)

    def speed_up(self) -> None:
        """A slot was met."""
        self.met += 1
        self.late_share *= 1 - WEIGHT
        self.lead = max(0.998 * self.lead, SHORTEST_LEAD_SECONDS)
        self.patience = max(0.998 * self.patience, LATE_SECONDS)

    def most_claims(self, since_seconds: float) -> int | None:
        """How many contacts to claim at the most, so many seconds after this was asked last: a little more than it
        managed lately, where dials are late. None: as many as there are slots."""
        if not self.is_shaken:
            self.manages += ROUND_WEIGHT * (self.met / max(since_seconds, 0.001) - self.manages)
        self.met = 0
        if self.late_share < FEW_LATE_SHARE:
            return None
        return 1 + ceil(MORE * self.manages * since_seconds)

    async def pause(self, seconds: float) -> None:
        """Sleep, or wake because the dialer stops."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return
