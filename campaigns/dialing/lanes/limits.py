"""What an organization says about its lines: how many calls at once, what is kept for callers, limits of lanes."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.db import Connection
from app.errors import InvalidInput, NotFound
from app.ids import OrgId
from campaigns.dialing.lanes import store


class NoSuchLane(InvalidInput):
    """A key that names no trunk, number or carrier of the organization."""

    code = "no_such_lane"


@dataclass(frozen=True)
class LaneLimits:
    """`key`: `trunk:<id>`, `carrier:<name>` (our account there) or `number:<id>`. None: no limit of its own."""

    key: str
    calls_per_second: float | None = None
    max_concurrent: int | None = None


@dataclass(frozen=True)
class LineLimits:
    """`max_concurrent_calls`: in all, both directions; None: no limit. `inbound_share`: of these, kept free for
    callers. `lanes`: those with limits, by key. `keys`: every lane that there is."""

    max_concurrent_calls: int | None
    inbound_share: float
    lanes: Sequence[LaneLimits]
    keys: Sequence[str] = ()


async def load_limits(connection: Connection, org_id: OrgId) -> LineLimits:
    """Raises NotFound."""
    settings = await store.select_line_settings(connection, org_id)
    if settings is None:
        raise NotFound("There is no such organization.")
    rows = await store.select_lanes(connection, org_id)
    return LineLimits(
        max_concurrent_calls=settings["max_concurrent_calls"],
        inbound_share=settings["inbound_share"],
        lanes=[LaneLimits(row["key"], row["calls_per_second"], row["max_concurrent"]) for row in rows],
        keys=await store.select_lane_keys(connection, org_id),
    )


async def set_limits(connection: Connection, org_id: OrgId, limits: LineLimits) -> None:
    """All of them at once: a lane that is not named has no limits any more. They hold from the next dial on, and what
    was dialed before still counts. Raises NoSuchLane."""
    known = set(await store.select_lane_keys(connection, org_id))
    if unknown := [lane.key for lane in limits.lanes if lane.key not in known]:
        raise NoSuchLane(
            f"No trunk, number or carrier account is called {', '.join(unknown)}; there are: {', '.join(sorted(known))}"
        )
    await store.set_line_settings(
        connection, org_id, max_concurrent_calls=limits.max_concurrent_calls, inbound_share=limits.inbound_share
    )
    await store.delete_lanes(connection, org_id, but=[lane.key for lane in limits.lanes])
    for lane in limits.lanes:
        await store.upsert_lane(
            connection,
            org_id,
            lane.key,
            calls_per_second=lane.calls_per_second,
            max_concurrent=lane.max_concurrent,
        )
