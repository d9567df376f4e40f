"""Who is asking, and what they may do."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.errors import TrunklineError
from app.ids import ApiKeyId, OrgId, UserId


class Unauthorized(TrunklineError):
    """Nobody we know: no credential, or one that is wrong, expired or revoked."""

    status = 401
    code = "unauthorized"
    title = "Who are you?"


class Forbidden(TrunklineError):
    """Somebody we know, who may not do this."""

    status = 403
    code = "forbidden"
    title = "Not allowed"


class Role(StrEnum):
    """What a member or an API key is in its organization, the least first; row-level security checks it too."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"
    OWNER = "owner"


class Scope(StrEnum):
    """What a request needs; a user has those of their role, an API key those it was given and its role allows."""

    CALLS_READ = "calls:read"
    CALLS_WRITE = "calls:write"
    CAMPAIGNS_READ = "campaigns:read"
    CAMPAIGNS_WRITE = "campaigns:write"
    TEAMS_WRITE = "teams:write"
    NUMBERS_WRITE = "numbers:write"
    ADMIN = "admin"


_VIEWER = frozenset({Scope.CALLS_READ, Scope.CAMPAIGNS_READ})
_OPERATOR = _VIEWER | {Scope.CALLS_WRITE}
_SUPERVISOR = _OPERATOR | {Scope.CAMPAIGNS_WRITE}

ROLE_SCOPES: Mapping[Role, frozenset[Scope]] = {
    Role.VIEWER: _VIEWER,
    Role.OPERATOR: _OPERATOR,
    Role.SUPERVISOR: _SUPERVISOR,
    Role.ADMIN: frozenset(Scope),
    Role.OWNER: frozenset(Scope),
}


@dataclass(frozen=True)
class Principal:
    """One organization, seen by one user or one API key (exactly one of `user_id`, `api_key_id` is set)."""

    org_id: OrgId
    user_id: UserId | None
    api_key_id: ApiKeyId | None
    scopes: frozenset[Scope]
    role: Role = Role.VIEWER
    expires_at: datetime | None = None
    """When the credential stops being good; None: never, or until it is revoked."""

    def claims(self) -> dict[str, Any]:
        """What the database is told: only what we checked, never a claim that a token brought along."""
        if self.api_key_id is not None:
            return {"role": "authenticated", "api_key_id": str(self.api_key_id)}
        return {"role": "authenticated", "sub": str(self.user_id)}

    def demand(self, scope: Scope) -> None:
        """Raises Forbidden where the scope is missing, and says how to get it."""
        if scope in self.scopes:
            return
        if self.api_key_id is None:
            raise Forbidden(f"The role {self.role} has no scope {scope}.", scope=scope.value)
        if scope in ROLE_SCOPES[self.role]:
            raise Forbidden(f"This API key was made without the scope {scope}.", scope=scope.value)
        raise Forbidden(f"This API key has the role {self.role}, which has no scope {scope}.", scope=scope.value)

    def demand_role(self, least: Role) -> None:
        """Raises Forbidden below that role: for what row-level security hides from lower ones."""
        ranks = list(Role)
        if ranks.index(self.role) < ranks.index(least):
            raise Forbidden(f"This needs the role {least} or higher; yours is {self.role}.", role=least.value)
