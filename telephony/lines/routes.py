"""What answers a number."""

from dataclasses import dataclass

import asyncpg

from app.db import Connection
from app.errors import NotFound
from app.ids import E164, NumberId, OrgId, TeamId, TeamVersionId, new_id
from telephony.lines import store


class RouteTargetNotFound(NotFound):
    """The number or the team does not exist in this organization."""

    code = "route_target_not_found"


@dataclass(frozen=True)
class Route:
    """A number and the team behind it. `team_version_id` is None while the team has nothing published."""

    org_id: OrgId
    number_id: NumberId
    team_id: TeamId
    team_version_id: TeamVersionId | None


async def set_route(connection: Connection, org_id: OrgId, number_id: NumberId, team_id: TeamId) -> None:
    """From now on `team_id` answers the number, whatever did before. Raises RouteTargetNotFound."""
    try:
        await store.upsert_route(connection, route_id=new_id(), org_id=org_id, number_id=number_id, team_id=team_id)
    except asyncpg.ForeignKeyViolationError as error:
        raise RouteTargetNotFound("The number or the team is not one of this organization.") from error


async def find_route(connection: Connection, e164: E164) -> Route | None:
    """What answers `e164` now, of whichever organization owns it; None if nobody does or it has no route."""
    row = await store.select_route(connection, e164)
    if row is None:
        return None
    return Route(row["org_id"], row["number_id"], row["team_id"], row["team_version_id"])
