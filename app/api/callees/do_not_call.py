"""The do-not-call lists over REST."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, status
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile

from app.api.campaigns.reading import read_model
from app.api.dependencies import Parts, require
from app.api.wire.pages import Cursor, Limit, Page, read_cursor, split_page, write_cursor
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Role, Scope
from app.ids import CampaignId
from campaigns.do_not_call import entries
from campaigns.do_not_call.asking import Source
from campaigns.do_not_call.entries import Entry
from campaigns.do_not_call.importing import import_list
from campaigns.gates.suppression import signing_secret

router = APIRouter(prefix="/api/v1/do-not-call", tags=["Do not call"], responses=problem_responses())

Reading = Annotated[Principal, require(Scope.CAMPAIGNS_READ)]
Adding = Annotated[Principal, require(Scope.CALLS_WRITE)]
Importing = Annotated[Principal, require(Scope.CAMPAIGNS_WRITE)]
Removing = Annotated[Principal, require(Scope.CAMPAIGNS_WRITE)]
Administering = Annotated[Principal, require(Scope.ADMIN)]
Campaign = Annotated[UUID | None, Query(description="The list of this campaign alone, not the organization's.")]

_EXAMPLE: dict[str, Any] = {
    "id": "0199f2a4-6f0e-7c60-9d0b-000000000050",
    "phone": "+12025550145",
    "reason": "said in a call",
    "source": "said-in-call",
    "campaign_id": None,
    "created_at": "2026-11-20T17:39:00Z",
}
_FAULT: dict[str, Any] = {"line": 9, "column": "phone", "value": "911", "reason": "Emergency numbers are not dialed."}
_REPORT: dict[str, Any] = {"rows": 1000, "added": 990, "known": 9, "rejected": 1, "faults": [_FAULT]}
_UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "CSV, XLSX or JSON with a column of numbers and maybe one called reason; or "
                            "numbers alone, one a line.",
                        },
                        "reason": {"type": "string", "description": "Of rows that have none of their own."},
                        "campaign_id": {
                            "type": "string",
                            "format": "uuid",
                            "description": "The list of this campaign alone.",
                        },
                    },
                },
                "example": {"file": "phone,reason\n+12025550145,asked by letter\n", "reason": "list of May"},
            }
        },
    }
}


class EntryOut(BaseModel):
    """A number that is never dialed: by anyone, or by one campaign."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    phone: str
    reason: str
    source: Source
    campaign_id: UUID | None
    created_at: datetime


class NewEntry(BaseModel):
    """`phone`: E.164, or as written in the organization's country. `campaign_id`: for this campaign alone."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"phone": "(202) 555-0145", "reason": "asked by letter"}]}
    )

    phone: str = Field(min_length=1, max_length=40)
    reason: str = Field("", max_length=500)
    campaign_id: UUID | None = None


class NewList(BaseModel):
    """The fields beside the file."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "list of May"}]})

    reason: str = Field("", max_length=500)
    campaign_id: UUID | None = None


class ListFault(BaseModel):
    """A row whose number cannot be read."""

    model_config = ConfigDict(json_schema_extra={"examples": [_FAULT]})

    line: int
    column: str
    value: str
    reason: str


class ListReportOut(BaseModel):
    """What became of a file's `rows`. `added`, `known`: numbers, and a row may have several. `rejected`: what is no
    number, and rows without one; `faults`: the first thousand of them."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REPORT]})

    rows: int
    added: int
    known: int
    rejected: int
    faults: list[ListFault]


class SigningSecretOut(BaseModel):
    """What signs the requests by which campaigns ask for vetoes (Standard Webhooks)."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"secret": "whsec_c2VjcmV0LW9mLXRoZS1leGFtcGxl"}]})

    secret: str


@router.get("", summary="Numbers that are never dialed, newest first")
async def get_entries(
    state: Parts, principal: Reading, campaign_id: Campaign = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[EntryOut]:
    async with state.db.request(principal.claims()) as connection:
        rows = await entries.list_entries(
            connection,
            principal.org_id,
            campaign_id=_campaign(campaign_id),
            before=read_cursor(cursor),
            limit=limit + 1,
        )
    found, more = split_page(rows, limit)
    following = write_cursor((found[-1].created_at, found[-1].id)) if more else None
    return Page(data=[render_entry(entry) for entry in found], next_cursor=following)


@router.post(
    "", status_code=status.HTTP_201_CREATED, summary="Never dial this number", responses=problem_responses(404)
)
async def post_entry(state: Parts, principal: Adding, body: NewEntry) -> EntryOut:
    """It holds from now on, for contacts of running campaigns too. A number that is on the list stays as it is."""
    async with state.db.request(principal.claims()) as connection:
        entry = await entries.add_entry(
            connection,
            principal.org_id,
            body.phone,
            reason=body.reason,
            campaign_id=_campaign(body.campaign_id),
        )
    return render_entry(entry)


@router.post(
    "/imports",
    summary="Never dial the numbers of a file",
    openapi_extra=_UPLOAD,
    responses=problem_responses(404, 413),
)
async def post_list(request: Request, state: Parts, principal: Importing) -> ListReportOut:
    """All of its numbers, or none where the file turns out broken; rows that are no number are told. The same file
    again adds nothing."""
    async with request.form(max_files=1, max_fields=5) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise RequestValidationError([{"loc": ("body", "file"), "msg": "Send the list as a file."}])
        fields = read_model(NewList, {name: value for name, value in form.items() if name != "file" and value}, [])
        report = await import_list(
            state.db,
            principal.org_id,
            file.file,
            reason=fields.reason or file.filename or "",
            campaign_id=_campaign(fields.campaign_id),
            claims=principal.claims(),
        )
    faults = [ListFault(line=f.line, column=f.column, value=f.value, reason=f.reason) for f in report.faults]
    return ListReportOut(
        rows=report.rows, added=report.added, known=report.known, rejected=report.rejected, faults=faults
    )


@router.get("/signing-secret", summary="The secret that signs requests for vetoes")
async def get_signing_secret(state: Parts, principal: Administering) -> SigningSecretOut:
    """A campaign with `suppression.url` asks there right before each dial; check the signature of what arrives with
    this secret. For admins."""
    return SigningSecretOut(secret=signing_secret(state.settings.secret_key, principal.org_id))


@router.delete("/{phone}", summary="Take a number off the list", responses=problem_responses(404))
async def delete_entry(state: Parts, principal: Removing, phone: str, campaign_id: Campaign = None) -> EntryOut:
    """Contacts that were blocked because of it stay blocked; campaigns made from now on may dial it. For admins."""
    principal.demand_role(Role.ADMIN)
    async with state.db.request(principal.claims()) as connection:
        entry = await entries.remove_entry(connection, principal.org_id, phone, campaign_id=_campaign(campaign_id))
    return render_entry(entry)


def render_entry(entry: Entry) -> EntryOut:
    return EntryOut(**{name: getattr(entry, name) for name in EntryOut.model_fields})


def _campaign(campaign_id: UUID | None) -> CampaignId | None:
    return None if campaign_id is None else CampaignId(campaign_id)
