"""The rest of the simulator's own API: how calls are played, how fast they start, and what shall go wrong."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from telephony.simulator.control import Local
from telephony.simulator.faults import FaultOrder
from telephony.simulator.mode import Mode

router = APIRouter(prefix="/simulator", tags=["simulator"])


class Limits(BaseModel):
    """`calls_per_second`: how fast queued calls start; null: at once."""

    model_config = ConfigDict(extra="forbid")

    calls_per_second: float | None = Field(gt=0, le=1000)


@router.get("/mode")
async def get_mode(exchange: Local) -> Mode:
    return exchange.mode


@router.put("/mode")
async def set_mode(exchange: Local, mode: Mode) -> Mode:
    """Calls that begin from now on are played so; it is remembered across restarts."""
    exchange.set_mode(mode)
    return mode


@router.get("/faults")
async def list_faults(exchange: Local) -> dict[str, Any]:
    """What is ordered and has not happened yet; `left`: null where it goes on."""
    return {"data": [{**fault.order.model_dump(), "left": fault.left} for fault in exchange.faults.waiting]}


@router.post("/faults", status_code=201)
async def order_fault(exchange: Local, order: FaultOrder) -> dict[str, int]:
    """Let something go wrong: with the next requests to dial, callbacks, lists or streams."""
    exchange.journal.note("fault.ordered", order=order.model_dump())
    return {"ordered": exchange.faults.order(order)}


@router.delete("/faults", status_code=204)
async def forget_faults(exchange: Local) -> None:
    exchange.faults.clear()
    exchange.journal.note("faults.forgotten")


@router.put("/limits")
async def set_limits(exchange: Local, limits: Limits) -> Limits:
    exchange.pacer.per_second = limits.calls_per_second
    exchange.journal.note("limits.set", **limits.model_dump())
    return limits
