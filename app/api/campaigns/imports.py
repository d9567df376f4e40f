"""Contacts on their way into a campaign: a look at a file, its import and how far it is, and contacts one by one."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query, Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel
from pydantic_core import from_json
from starlette.datastructures import UploadFile

from app.api.campaigns.import_shapes import (
    UPLOAD_IMPORT,
    UPLOAD_PREVIEW,
    AddedOut,
    FaultOut,
    ImportOut,
    NewContacts,
    NewImport,
    NewPreview,
    PreviewContact,
    PreviewOut,
)
from app.api.campaigns.reading import IdempotencyKey, read_model
from app.api.dependencies import Parts, State, require
from app.api.wire import idempotency
from app.api.wire.idempotency import Answer, KeyTaken, hash_request
from app.api.wire.pages import (
    Cursor,
    Limit,
    Page,
    read_cursor,
    read_number_cursor,
    split_page,
    write_cursor,
    write_number_cursor,
)
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Scope
from app.db import Row
from app.ids import CampaignId
from campaigns.creating import find_team
from campaigns.imports import reading
from campaigns.imports.contacts import FaultKind
from campaigns.imports.importing import Once, start_import
from campaigns.imports.opening import ImportOptions, load_needs, open_import
from campaigns.imports.preview import preview_import
from campaigns.imports.reading import ImportRecord
from campaigns.imports.report import stream_rejected
from campaigns.imports.resuming import run_kept
from campaigns.imports.writing.given import GivenContact, add_contacts
from campaigns.imports.writing.store import NewFault

router = APIRouter(prefix="/api/v1", tags=["Imports"], responses=problem_responses())

Reading = Annotated[Principal, require(Scope.CAMPAIGNS_READ)]
Writing = Annotated[Principal, require(Scope.CAMPAIGNS_WRITE)]
Fields = TypeVar("Fields", bound=BaseModel)
JSON_FIELDS = ("columns", "ignore")


@router.post(
    "/import-previews",
    summary="What a file would be read as",
    openapi_extra=UPLOAD_PREVIEW,
    responses=problem_responses(404, 413),
)
async def post_preview(request: Request, state: Parts, principal: Writing) -> PreviewOut:
    """Nothing is kept of it. Say what was guessed wrong with `columns`, and look again."""
    async with request.form(max_files=1, max_fields=20) as form:
        file, fields = read_upload(NewPreview, form)
        options = _options(fields)
        campaign_id = CampaignId(fields.campaign_id) if fields.campaign_id else None
        if fields.team is not None:
            async with state.db.request(principal.claims()) as connection:
                await find_team(connection, principal.org_id, fields.team)
        needs = await load_needs(
            state.db, principal.org_id, campaign_id=campaign_id, team=fields.team, claims=principal.claims()
        )
        seen = await preview_import(file.file, needs, options)
    return PreviewOut(
        **{name: getattr(seen, name) for name in PreviewOut.model_fields if name not in ("contacts", "faults")},
        contacts=[PreviewContact.model_validate(contact) for contact in seen.contacts],
        faults=[
            FaultOut(line=f.line, kind=kind, column=f.column, value=f.value, reason=f.reason) for kind, f in seen.faults
        ],
    )


@router.post(
    "/imports",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Import a file of contacts into a campaign",
    openapi_extra=UPLOAD_IMPORT,
    responses=problem_responses(404, 409, 413),
)
async def post_import(
    request: Request, state: Parts, principal: Writing, idempotency_key: IdempotencyKey = ""
) -> ImportOut:
    """Accepted as soon as the file is safe with us; ask for the import to see how far it is. It is finished whatever
    happens to the process that took it. The campaign may run meanwhile."""
    # Not a parameter: FastAPI would take in the whole file before it asks who sends it.
    async with request.form(max_files=1, max_fields=20) as form:
        file, fields = read_upload(NewImport, form)
        needs = await load_needs(
            state.db, principal.org_id, campaign_id=CampaignId(fields.campaign_id), claims=principal.claims()
        )
        opened = await open_import(file.file, needs, _options(fields))
        asked = hash_request("POST", "/imports", f"{opened.sha256} {fields.model_dump_json()}")
        started = await start_import(
            state.db,
            principal.org_id,
            CampaignId(fields.campaign_id),
            opened,
            file_name=file.filename or "",
            once=Once(idempotency_key, asked) if idempotency_key else None,
            claims=principal.claims(),
        )
    if started.job is not None:
        # The file that came with the request goes with it: it is read from where it was kept.
        kept = run_kept(state.db, principal.org_id, started.import_id, started.job.fence)
        state.lines.keep(kept, name="import")
    return await _load(state, principal, started.import_id)


@router.get("/imports", summary="Imports, newest first")
async def get_imports(
    state: Parts,
    principal: Reading,
    limit: Limit = 50,
    cursor: Cursor = None,
    campaign_id: Annotated[UUID | None, Query(description="Of this campaign only.")] = None,
) -> Page[ImportOut]:
    rows = await reading.list_imports(
        state.db,
        principal.org_id,
        campaign_id=CampaignId(campaign_id) if campaign_id else None,
        before=read_cursor(cursor),
        limit=limit + 1,
        claims=principal.claims(),
    )
    found, more = split_page(rows, limit)
    following = write_cursor((found[-1].row["created_at"], found[-1].row["id"])) if more else None
    return Page(data=[render_import(one) for one in found], next_cursor=following)


@router.get("/imports/{import_id}", summary="How far an import is", responses=problem_responses(404))
async def get_import(state: Parts, principal: Reading, import_id: UUID) -> ImportOut:
    return await _load(state, principal, import_id)


@router.get("/imports/{import_id}/faults", summary="What is to be said of its rows", responses=problem_responses(404))
async def get_faults(
    state: Parts,
    principal: Reading,
    import_id: UUID,
    limit: Limit = 50,
    cursor: Cursor = None,
    kind: Annotated[list[FaultKind] | None, Query(description="Only of these kinds.")] = None,
) -> Page[FaultOut]:
    """By line."""
    await reading.load_import(state.db, principal.org_id, import_id, claims=principal.claims())
    place = read_number_cursor(cursor)
    rows = await reading.list_faults(
        state.db,
        principal.org_id,
        import_id,
        kinds=kind or [],
        after=divmod(place, _PLACES) if cursor else None,
        limit=limit + 1,
        claims=principal.claims(),
    )
    found, more = split_page(list(rows), limit)
    following = write_number_cursor(found[-1]["line"] * _PLACES + found[-1]["ordinal"]) if more else None
    return Page(data=[render_fault(row) for row in found], next_cursor=following)


_PLACES = 1 << 20


@router.get(
    "/imports/{import_id}/rejected",
    summary="The bad rows as CSV, to mend and import again",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}}}, **problem_responses(404)},
)
async def get_rejected(state: Parts, principal: Reading, import_id: UUID) -> StreamingResponse:
    """With the line, column and reason of each; an import leaves these columns out. Names and cells that a spreadsheet
    would run have an apostrophe in front, which an import of a file with these columns takes away."""
    one = await reading.load_import(state.db, principal.org_id, import_id, claims=principal.claims())
    lines = stream_rejected(state.db, principal.org_id, import_id, one.columns.names, claims=principal.claims())
    headers = {"Content-Disposition": f'attachment; filename="import-{import_id}-rejected.csv"'}
    return StreamingResponse(lines, media_type="text/csv", headers=headers)


@router.post(
    "/campaigns/{campaign_id}/contacts",
    summary="Add contacts to a campaign",
    responses=problem_responses(404, 409, 413),
    response_model=AddedOut,
)
async def post_contacts(
    state: Parts, principal: Writing, campaign_id: UUID, body: NewContacts, idempotency_key: IdempotencyKey = ""
) -> JSONResponse:
    """Also to a running one. Bad and repeated ones are told, the others go in. The same Idempotency-Key again adds
    nothing and gets the same answer."""
    try:
        answer = await _add(state, principal, campaign_id, body, idempotency_key)
    except KeyTaken:
        # Another request with this key was just at it: its answer is there now.
        answer = await _add(state, principal, campaign_id, body, idempotency_key)
    headers = {"Idempotency-Replayed": "true"} if answer.replayed else {}
    return JSONResponse(answer.body, answer.status, headers, answer.media_type)


async def _add(state: State, principal: Principal, campaign_id: UUID, body: NewContacts, key: str) -> Answer:
    """Contacts, key and answer in one transaction. Raises KeyTaken, KeyReused, CampaignNotFound, CampaignState."""
    org_id = principal.org_id
    asked = hash_request("POST", f"/campaigns/{campaign_id}/contacts", body.model_dump_json())
    async with state.db.request(principal.claims()) as connection:
        if key:
            known = await idempotency.find_known(connection, org_id, key, asked)
            if known is not None and known.answer is not None:
                return known.answer
            await idempotency.take_key(connection, org_id, key, asked, None)
        given = [GivenContact(**contact.model_dump()) for contact in body.contacts]
        added = await add_contacts(
            connection, org_id, CampaignId(campaign_id), given, region=body.region, elsewhere=body.elsewhere
        )
        out = AddedOut(rows=len(given), **added.counts, errors=[_given_fault(fault) for fault in added.faults])
        answer = Answer(200, out.model_dump(mode="json"))
        if key:
            await idempotency.keep_answer(connection, org_id, key, answer)
    return answer


def read_upload(model: type[Fields], form: Mapping[str, Any]) -> tuple[UploadFile, Fields]:
    """The file and the fields beside it; an empty field is one that was not sent. Raises RequestValidationError with
    every fault."""
    file = form.get("file")
    faults: list[Any] = []
    if not isinstance(file, UploadFile):
        faults.append({"loc": ("body", "file"), "msg": "Send the contacts as a file."})
    fields: dict[str, Any] = {name: value for name, value in form.items() if name != "file" and value != ""}
    for name in JSON_FIELDS:
        if isinstance(value := fields.get(name), str):
            try:
                fields[name] = from_json(value)
            except ValueError:
                del fields[name]
                faults.append({"loc": ("body", name), "msg": "must be JSON"})
    read = read_model(model, fields, faults)
    if not isinstance(file, UploadFile):
        raise RequestValidationError(faults)
    return file, read


def _options(fields: NewImport | NewPreview) -> ImportOptions:
    return ImportOptions.model_validate(fields.model_dump(exclude={"campaign_id", "team"}))


async def _load(state: State, principal: Principal, import_id: UUID) -> ImportOut:
    return render_import(await reading.load_import(state.db, principal.org_id, import_id, claims=principal.claims()))


def render_import(one: ImportRecord) -> ImportOut:
    row, report = one.row, one.report
    return ImportOut(
        **{name: row[name] for name in ("id", "campaign_id", "status", "file_name", "bytes", "sha256", "dialect")},
        mapping=one.columns.mapping(),
        **{name: getattr(report, name) for name in ("rows", "accepted", "rejected", "duplicates", "blocked", "warned")},
        warnings=report.warnings,
        errors=[render_fault(fault) for fault in one.faults],
        error=row["error"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
    )


def render_fault(row: Row) -> FaultOut:
    return FaultOut(
        line=row["line"], kind=row["kind"], column=row["column_name"], value=row["value"], reason=row["reason"]
    )


def _given_fault(fault: NewFault) -> FaultOut:
    return FaultOut(
        line=fault.line, kind=FaultKind(fault.kind), column=fault.column, value=fault.value, reason=fault.reason
    )
