"""What a call needs around it: a number of ours with a published team behind it."""

from app.db import Database
from app.ids import E164, NumberId, OrgId, TeamVersionId, new_id
from telephony.carriers.base import CarrierName
from telephony.lines.numbers import Number, add_number
from telephony.lines.routes import set_route


async def make_team(db: Database, org: OrgId, slug: str = "reception") -> TeamVersionId:
    """A team with one published version."""
    team_id, version_id = new_id(), TeamVersionId(new_id())
    async with db.system() as connection:
        await connection.execute(
            "insert into teams (id, org_id, slug, name) values ($1, $2, $3, $3)", team_id, org, slug
        )
        await connection.execute(
            """
            insert into team_versions (id, org_id, team_id, version, status, definition, source)
            values ($1, $2, $3, 1, 'published', '{}', '')
            """,
            version_id,
            org,
            team_id,
        )
    return version_id


async def make_number(
    db: Database, org: OrgId, e164: E164, *, carrier: CarrierName = CarrierName.SIP, slug: str = "reception"
) -> Number:
    """A number of the organization, answered by a team of its own."""
    version_id = await make_team(db, org, slug)
    async with db.system() as connection:
        number = await add_number(connection, org, e164=e164, carrier=carrier)
        team_id = await connection.fetchval("select team_id from team_versions where id = $1", version_id)
        await set_route(connection, org, NumberId(number.id), team_id)
    return number
