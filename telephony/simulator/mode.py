"""How the simulator plays its calls: with sound in real time, or signaling only, as fast as one likes."""

import asyncio
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Mode(BaseModel):
    """`signaling_only`: calls ring, are answered and end, and every webhook is sent, but nothing sounds and no media
    stream is opened. `time_scale`: simulated seconds in one real second (signaling only). `seed`: with it, the number
    and how often that number was asked for, a call's every chance is decided: a run can be repeated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    signaling_only: bool = False
    time_scale: float = Field(1.0, gt=0, le=10_000)
    seed: int = 0

    @model_validator(mode="after")
    def _sound_takes_its_time(self) -> Self:
        if self.time_scale != 1.0 and not self.signaling_only:
            raise ValueError("time_scale needs signaling_only: sound cannot be hurried")
        return self

    async def wait(self, seconds: float) -> None:
        """Let so many simulated seconds pass."""
        await asyncio.sleep(seconds / self.time_scale)

    def simulated(self, real_seconds: float) -> float:
        return real_seconds * self.time_scale
