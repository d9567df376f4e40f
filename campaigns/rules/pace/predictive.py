"""Dialing ahead of the people who take the calls: more dials than people, because most are not answered, and never so
many that more than the law's share of those who answer hear nobody. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field


class Predictive(BaseModel):
    """`max_abandoned`: the most of the calls that people answered which may be abandoned, over any 30 days of the
    campaign (FTC, 16 CFR 310.4(b)(4): 3 %). Past it nothing is dialed ahead."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_abandoned: float = Field(default=0.03, ge=0.0, le=0.03)


@dataclass(frozen=True)
class Dial:
    """One of the newest dials. `answered`: by a person, who was or is to be connected to one of ours."""

    age_seconds: float
    answered: bool = False
    over: bool = False


@dataclass(frozen=True)
class Floor:
    """The people who take a campaign's calls, and what they wait for.

    `idle`: those who could take one now. `busy_seconds`: for each of the others how long the call, with what is
    written after it, has lasted. `waiting`: callees who answered and hear nobody yet. `dials`: the newest, all that
    ring among them.
    """

    idle: int
    busy_seconds: Sequence[float] = ()
    waiting: int = 0
    dials: Sequence[Dial] = field(default_factory=tuple[Dial, ...])

    @property
    def on_their_way(self) -> int:
        """Calls that will want a person, if they are answered."""
        return self.waiting + sum(not dial.answered and not dial.over for dial in self.dials)


def count_to_predict(floor: Floor, rule: Predictive) -> int:
    """How many to dial now."""
    return max(0, floor.idle - floor.on_their_way)
