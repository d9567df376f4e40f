"""From what a request carries to the Principal that it acts for."""

import hmac
from uuid import UUID

from app.auth import store
from app.auth.keys import hash_key, looks_like_key
from app.auth.principal import ROLE_SCOPES, Forbidden, Principal, Role, Scope, Unauthorized
from app.auth.tokens import TokenVerifier
from app.db import Database
from app.errors import InvalidInput
from app.ids import ApiKeyId, OrgId

_HOW = "Send an API key or a user token as `Authorization: Bearer …`, or an API key as `X-API-Key`."


async def authenticate(
    db: Database, tokens: TokenVerifier, *, authorization: str, api_key: str, organization: str
) -> Principal:
    """The three are the headers Authorization, X-API-Key and X-Organization-Id, "" where absent.

    Raises Unauthorized (401), Forbidden (403), or Unavailable where it cannot be told.
    """
    credential = api_key or _bearer(authorization)
    wanted = _parse_organization(organization)
    if api_key or looks_like_key(credential):
        principal = await _by_api_key(db, credential)
        if wanted not in (None, principal.org_id):
            raise Forbidden("This API key belongs to another organization than X-Organization-Id names.")
        return principal
    return await _by_token(db, tokens, credential, wanted)


def _bearer(authorization: str) -> str:
    scheme, _, credential = authorization.partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise Unauthorized(_HOW)
    return credential.strip()


def _parse_organization(text: str) -> OrgId | None:
    if not text:
        return None
    try:
        return OrgId(UUID(text))
    except ValueError as error:
        fault = {"path": "header.X-Organization-Id", "message": "not a UUID"}
        raise InvalidInput("X-Organization-Id must be the id of an organization.", errors=[fault]) from error


async def _by_api_key(db: Database, key: str) -> Principal:
    key_hash = hash_key(key)
    async with db.system() as connection:
        row = await store.find_api_key(connection, key_hash)
        if row is None or not hmac.compare_digest(bytes(row["hash"]), key_hash):
            raise Unauthorized("This API key is not known.")
        if row["revoked_at"] is not None:
            raise Unauthorized("This API key was revoked.")
        if row["expired"]:
            raise Unauthorized("This API key has expired.")
        if row["stale"]:
            await store.note_api_key_use(connection, ApiKeyId(row["id"]))
    role = Role(row["role"])
    given = frozenset(Scope(text) for text in row["scopes"] if text in set(Scope))
    return Principal(
        org_id=OrgId(row["org_id"]),
        user_id=None,
        api_key_id=ApiKeyId(row["id"]),
        scopes=given & ROLE_SCOPES[role],
        role=role,
        expires_at=row["expires_at"],
    )


async def _by_token(db: Database, tokens: TokenVerifier, token: str, wanted: OrgId | None) -> Principal:
    user = await tokens.verify(token)
    async with db.request({"role": "authenticated", "sub": str(user.user_id)}) as connection:
        roles = {
            OrgId(row["org_id"]): Role(row["role"]) for row in await store.find_memberships(connection, user.user_id)
        }
    org_id = _choose_organization(list(roles), wanted)
    role = roles[org_id]
    return Principal(org_id, user.user_id, None, ROLE_SCOPES[role], role, user.expires_at)


def _choose_organization(mine: list[OrgId], wanted: OrgId | None) -> OrgId:
    if wanted is not None:
        if wanted not in mine:
            raise Forbidden("You do not belong to the organization that X-Organization-Id names.")
        return wanted
    if not mine:
        raise Forbidden("You do not belong to any organization yet.")
    if len(mine) > 1:
        raise Forbidden(
            "You belong to several organizations; say which with the header X-Organization-Id.",
            organizations=[str(org_id) for org_id in mine],
        )
    return mine[0]
