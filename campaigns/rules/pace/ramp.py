"""A campaign starts gently: carriers and callees' networks take a sudden flood for spam. Pure."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class Ramp(BaseModel):
    """From `start_share` of the full pace to all of it, in a straight line over `seconds`; 0: at once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seconds: float = Field(default=0.0, ge=0.0, le=86_400.0)
    start_share: float = Field(default=0.1, gt=0.0, le=1.0)


def share_of_pace(ramp: Ramp, *, running_since: datetime | None, now: datetime) -> float:
    """How much of the full pace is allowed now, above 0 and up to 1. `running_since`: None for one just started."""
    if ramp.seconds == 0.0:
        return 1.0
    elapsed = max((now - running_since).total_seconds(), 0.0) if running_since else 0.0
    return min(1.0, ramp.start_share + (1.0 - ramp.start_share) * elapsed / ramp.seconds)
