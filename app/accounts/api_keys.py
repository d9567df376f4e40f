"""API keys: made once, shown once, revoked for ever. Nobody gives out more than they have."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.accounts import store
from app.auth.keys import hash_key, key_prefix, new_key
from app.auth.principal import ROLE_SCOPES, Forbidden, Principal, Role, Scope
from app.clock import Clock, utc_now
from app.db import Connection, Database, Row
from app.errors import InvalidInput, NotFound
from app.ids import ApiKeyId, OrgId, new_id


class ApiKeyNotFound(NotFound):
    """No API key with this id in the organization."""

    code = "api_key_not_found"


class KeyGivesTooMuch(Forbidden):
    """The new key would be able to do more, or for longer, than the one who makes it."""

    code = "key_gives_too_much"


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key after it was made: everything but the key."""

    id: ApiKeyId
    org_id: OrgId
    name: str
    prefix: str
    role: Role
    scopes: tuple[str, ...]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime


@dataclass(frozen=True)
class KeyRequest:
    """A key that somebody asks for."""

    name: str
    role: Role
    scopes: frozenset[Scope]
    expires_at: datetime | None = None


async def create_api_key(
    db: Database,
    org_id: OrgId,
    *,
    name: str,
    role: Role | str,
    scopes: Iterable[Scope | str],
    expires_at: datetime | None = None,
) -> tuple[ApiKeyId, str]:
    """Our own processes make a key (the seed does); returns its id and its text, which is shown this once."""
    request = KeyRequest(name, Role(role), frozenset(Scope(scope) for scope in scopes), expires_at)
    async with db.system() as connection:
        key, text = await _insert(connection, org_id, request)
    return key.id, text


async def issue_api_key(
    db: Database, principal: Principal, request: KeyRequest, *, clock: Clock = utc_now
) -> tuple[ApiKey, str]:
    """Somebody makes a key for their organization. Raises KeyGivesTooMuch or InvalidInput."""
    check_key_request(principal, request, now=clock())
    async with db.request(principal.claims()) as connection:
        return await _insert(connection, principal.org_id, request)


def check_key_request(principal: Principal, request: KeyRequest, *, now: datetime) -> None:
    """The rules of what a key may be, given who asks for it."""
    if request.expires_at is not None and request.expires_at <= now:
        fault = {"path": "body.expires_at", "message": "must be in the future"}
        raise InvalidInput("A key that has expired already is of no use.", errors=[fault])
    ranks = list(Role)
    if ranks.index(request.role) > ranks.index(principal.role):
        raise KeyGivesTooMuch(f"You are {principal.role}; you cannot make a key with the role {request.role}.")
    if request.scopes - principal.scopes:
        extra = ", ".join(sorted(request.scopes - principal.scopes))
        raise KeyGivesTooMuch(f"You lack these scopes yourself: {extra}.")
    if request.scopes - ROLE_SCOPES[request.role]:
        extra = ", ".join(sorted(request.scopes - ROLE_SCOPES[request.role]))
        fault = {"path": "body.scopes", "message": f"not within the role {request.role}: {extra}"}
        raise InvalidInput("These scopes need a higher role.", errors=[fault])
    by_a_key = principal.api_key_id is not None and principal.expires_at is not None
    if by_a_key and (request.expires_at is None or request.expires_at > (principal.expires_at or now)):
        raise KeyGivesTooMuch("A key cannot make one that outlives it; set expires_at accordingly.")


async def list_api_keys(
    db: Database, principal: Principal, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[ApiKey]:
    """Newest first, revoked ones too."""
    async with db.request(principal.claims()) as connection:
        rows = await store.select_api_keys(connection, principal.org_id, before=before, limit=limit)
    return [_read(row) for row in rows]


async def revoke_api_key(db: Database, principal: Principal, key_id: ApiKeyId) -> ApiKey:
    """From now on the key is refused; open event streams of it end. Raises ApiKeyNotFound."""
    async with db.request(principal.claims()) as connection:
        row = await store.revoke_api_key(connection, principal.org_id, key_id)
    if row is None:
        raise ApiKeyNotFound("There is no such API key.")
    return _read(row)


async def _insert(connection: Connection, org_id: OrgId, request: KeyRequest) -> tuple[ApiKey, str]:
    text = new_key()
    row = await store.insert_api_key(
        connection,
        ApiKeyId(new_id()),
        org_id,
        name=request.name,
        prefix=key_prefix(text),
        key_hash=hash_key(text),
        role=request.role,
        scopes=sorted(request.scopes),
        expires_at=request.expires_at,
    )
    assert row is not None  # an insert without a conflict clause returns its row
    return _read(row), text


def _read(row: Row) -> ApiKey:
    return ApiKey(
        id=row["id"],
        org_id=row["org_id"],
        name=row["name"],
        prefix=row["prefix"],
        role=Role(row["role"]),
        scopes=tuple(row["scopes"]),
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
        created_at=row["created_at"],
    )
