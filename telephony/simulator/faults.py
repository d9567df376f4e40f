"""What goes wrong on purpose: with requests to dial, with the carrier's list, with webhooks and with media streams."""

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Target(StrEnum):
    DIAL = "dial"
    LIST = "list"
    WEBHOOK = "webhook"
    MEDIA = "media"


FaultKind = Literal[
    # a request to dial: refused, answered late, or accepted without the client ever knowing
    "status_429",
    "status_500",
    "status_503",
    "delay",
    "lose_response",
    "accept_then_500",
    # the list of calls
    "list_500",
    # status callbacks
    "webhook_missing",
    "webhook_duplicate",
    "webhook_late",
    "webhook_out_of_order",
    # the media stream's websocket
    "cut_media",
]

TARGETS: dict[FaultKind, Target] = {
    "status_429": Target.DIAL,
    "status_500": Target.DIAL,
    "status_503": Target.DIAL,
    "delay": Target.DIAL,
    "lose_response": Target.DIAL,
    "accept_then_500": Target.DIAL,
    "list_500": Target.LIST,
    "webhook_missing": Target.WEBHOOK,
    "webhook_duplicate": Target.WEBHOOK,
    "webhook_late": Target.WEBHOOK,
    "webhook_out_of_order": Target.WEBHOOK,
    "cut_media": Target.MEDIA,
}
SECONDS_MEAN_SOMETHING: frozenset[FaultKind] = frozenset({"delay", "webhook_late", "cut_media"})


class FaultOrder(BaseModel):
    """What shall go wrong with the next `count` of its kind (null: until it is taken back), each with chance `rate`.

    `seconds`, in real time: how long `delay` holds the answer, how late `webhook_late` is, how long a stream lasts
    before `cut_media`. `to`: only calls to numbers that begin so. `event`: only this status callback.
    """

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    count: int | None = Field(1, ge=1)
    rate: float = Field(1.0, gt=0, le=1)
    seconds: float = Field(0.0, ge=0, le=600)
    to: str = Field("", pattern=r"^(\+[0-9]*)?$", examples=["+1202555015"])
    event: Literal["", "initiated", "ringing", "answered", "completed"] = ""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.seconds and self.kind not in SECONDS_MEAN_SOMETHING:
            raise ValueError(f"{self.kind} takes no seconds")
        if self.event and TARGETS[self.kind] is not Target.WEBHOOK:
            raise ValueError(f"{self.kind} takes no event")
        return self


@dataclass
class Fault:
    """An order, and how often it is still to happen (None: for ever)."""

    order: FaultOrder
    left: int | None

    @property
    def kind(self) -> FaultKind:
        return self.order.kind

    @property
    def seconds(self) -> float:
        return self.order.seconds


@dataclass
class Faults:
    """All orders, first come, first served."""

    waiting: list[Fault] = field(default_factory=list[Fault])

    def order(self, order: FaultOrder) -> int:
        """Returns how many faults with a number are ordered in all."""
        self.waiting.append(Fault(order, order.count))
        return sum(fault.left or 0 for fault in self.waiting)

    def take(self, target: Target, chance: Random, *, to: str = "", event: str = "") -> Fault | None:
        """The fault that this one shall meet, if any; used up by it. `chance` is the call's own: a run repeats."""
        for fault in self.waiting:
            order = fault.order
            if TARGETS[order.kind] is not target or not to.startswith(order.to) or order.event not in ("", event):
                continue
            if order.rate < 1 and chance.random() >= order.rate:
                continue
            if fault.left is not None:
                fault.left -= 1
                if fault.left == 0:
                    self.waiting.remove(fault)
            return fault
        return None

    def clear(self) -> None:
        self.waiting.clear()
