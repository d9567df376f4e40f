"""API keys over REST."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict, Field

from app.accounts.api_keys import ApiKey, KeyRequest, issue_api_key, list_api_keys, revoke_api_key
from app.api.dependencies import Parts, require
from app.api.wire.pages import Cursor, Limit, Page, read_cursor, split_page, write_cursor
from app.api.wire.problems import problem_responses
from app.api.wire.values import Instant
from app.auth.principal import Principal, Role, Scope
from app.ids import ApiKeyId

router = APIRouter(prefix="/api/v1/api_keys", tags=["API keys"], responses=problem_responses())

Admin = Annotated[Principal, require(Scope.ADMIN)]

_EXAMPLE: dict[str, Any] = {
    "id": "0199f2a4-6f0e-7c60-9d0b-6f1a2b3c4d5e",
    "name": "CRM",
    "prefix": "tl_k3J9xQ",
    "role": "supervisor",
    "scopes": ["calls:read", "campaigns:read"],
    "expires_at": "2027-11-20T00:00:00Z",
    "revoked_at": None,
    "last_used_at": None,
    "created_at": "2026-11-20T17:39:00Z",
}


class ApiKeyOut(BaseModel):
    """An API key, without the key."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    name: str
    prefix: str
    role: Role
    scopes: list[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime


class NewApiKey(BaseModel):
    """What the key may do: its scopes, within its role, within what you may do yourself."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "CRM",
                    "role": "supervisor",
                    "scopes": ["calls:read", "campaigns:read"],
                    "expires_at": "2027-11-20T00:00:00Z",
                }
            ]
        },
    )

    name: str = Field(min_length=1, max_length=100)
    role: Role
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope))
    expires_at: Instant | None = None


class ApiKeyMade(ApiKeyOut):
    """The one answer that holds the key itself: keep it, it is not shown again."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_EXAMPLE, "key": "tl_k3J9xQ0000000000000000000000000000example"}]}
    )

    key: str


@router.get("", summary="API keys, newest first")
async def get_api_keys(state: Parts, principal: Admin, limit: Limit = 50, cursor: Cursor = None) -> Page[ApiKeyOut]:
    rows = await list_api_keys(state.db, principal, before=read_cursor(cursor), limit=limit + 1)
    keys, more = split_page(rows, limit)
    following = write_cursor((keys[-1].created_at, keys[-1].id)) if more else None
    return Page(data=[render(key) for key in keys], next_cursor=following)


@router.post("", status_code=status.HTTP_201_CREATED, summary="Make an API key")
async def post_api_key(state: Parts, principal: Admin, body: NewApiKey) -> ApiKeyMade:
    request = KeyRequest(body.name, body.role, frozenset(body.scopes), body.expires_at)
    key, text = await issue_api_key(state.db, principal, request)
    return ApiKeyMade(**render(key).model_dump(), key=text)


@router.delete("/{key_id}", summary="Revoke an API key, for ever", responses=problem_responses(404))
async def delete_api_key(state: Parts, principal: Admin, key_id: UUID) -> ApiKeyOut:
    return render(await revoke_api_key(state.db, principal, ApiKeyId(key_id)))


def render(key: ApiKey) -> ApiKeyOut:
    return ApiKeyOut(
        id=key.id,
        name=key.name,
        prefix=key.prefix,
        role=key.role,
        scopes=list(key.scopes),
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        last_used_at=key.last_used_at,
        created_at=key.created_at,
    )
