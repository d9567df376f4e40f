"""The do-not-call list over REST."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import Parts, require
from app.api.wire.pages import Cursor, Limit, Page, read_cursor, split_page, write_cursor
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Role, Scope
from campaigns.do_not_call import entries
from campaigns.do_not_call.entries import Entry

router = APIRouter(prefix="/api/v1/do-not-call", tags=["Do not call"], responses=problem_responses())

Reading = Annotated[Principal, require(Scope.CAMPAIGNS_READ)]
Adding = Annotated[Principal, require(Scope.CALLS_WRITE)]
Removing = Annotated[Principal, require(Scope.CAMPAIGNS_WRITE)]

_EXAMPLE: dict[str, Any] = {
    "id": "0199f2a4-6f0e-7c60-9d0b-000000000050",
    "phone": "+12025550145",
    "reason": "said in a call",
    "created_at": "2026-11-20T17:39:00Z",
}


class EntryOut(BaseModel):
    """A number that is never dialed."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    phone: str
    reason: str
    created_at: datetime


class NewEntry(BaseModel):
    """`phone`: E.164, or as written in the organization's country."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"phone": "(202) 555-0145", "reason": "asked by letter"}]}
    )

    phone: str = Field(min_length=1, max_length=40)
    reason: str = Field("", max_length=500)


@router.get("", summary="Numbers that are never dialed, newest first")
async def get_entries(state: Parts, principal: Reading, limit: Limit = 50, cursor: Cursor = None) -> Page[EntryOut]:
    async with state.db.request(principal.claims()) as connection:
        rows = await entries.list_entries(connection, principal.org_id, before=read_cursor(cursor), limit=limit + 1)
    found, more = split_page(rows, limit)
    following = write_cursor((found[-1].created_at, found[-1].id)) if more else None
    return Page(data=[render_entry(entry) for entry in found], next_cursor=following)


@router.post("", status_code=status.HTTP_201_CREATED, summary="Never dial this number")
async def post_entry(state: Parts, principal: Adding, body: NewEntry) -> EntryOut:
    """It holds from now on, for contacts of running campaigns too. A number that is on the list stays as it is."""
    async with state.db.request(principal.claims()) as connection:
        return render_entry(await entries.add_entry(connection, principal.org_id, body.phone, reason=body.reason))


@router.delete("/{phone}", summary="Take a number off the list", responses=problem_responses(404))
async def delete_entry(state: Parts, principal: Removing, phone: str) -> EntryOut:
    """Contacts that were blocked because of it stay blocked; campaigns made from now on may dial it. For admins."""
    principal.demand_role(Role.ADMIN)
    async with state.db.request(principal.claims()) as connection:
        return render_entry(await entries.remove_entry(connection, principal.org_id, phone))


def render_entry(entry: Entry) -> EntryOut:
    return EntryOut(id=entry.id, phone=entry.phone, reason=entry.reason, created_at=entry.created_at)
