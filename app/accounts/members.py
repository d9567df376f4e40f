"""Who belongs to an organization, and as what."""

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from app.accounts import store
from app.auth.principal import Role
from app.db import Database
from app.errors import NotFound
from app.ids import OrgId, UserId


class UserNotFound(NotFound):
    """No such user (or organization)."""

    code = "user_not_found"


@dataclass(frozen=True)
class Member:
    org_id: OrgId
    user_id: UserId
    role: Role
    created_at: datetime


async def put_member(db: Database, org_id: OrgId, user_id: UserId, role: Role) -> None:
    """Let a user in, or change their role. Raises UserNotFound."""
    try:
        async with db.system() as connection:
            await store.upsert_member(connection, org_id, user_id, role)
    except asyncpg.ForeignKeyViolationError as error:
        raise UserNotFound("There is no such user or organization.") from error


async def list_members(db: Database, org_id: OrgId) -> list[Member]:
    async with db.system() as connection:
        rows = await store.select_members(connection, org_id)
    return [Member(row["org_id"], row["user_id"], Role(row["role"]), row["created_at"]) for row in rows]
