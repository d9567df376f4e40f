"""What was sent about a campaign, read: JSON or a form, and looked up as far as it takes to mean something here."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, BinaryIO, TypeVar

from fastapi import Header, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from app.api.campaigns.shapes import NewCampaign, NewCampaignEdit, NewCampaignSettings
from app.api.dependencies import State
from app.auth.principal import Principal
from app.clock import utc_now
from app.ids import E164
from campaigns.campaigns import Plan
from campaigns.creating import Once
from campaigns.lifecycle.editing import PLAIN, Edit
from campaigns.lifecycle.settings import MODELS, InvalidSettings, check_settings
from campaigns.rules.retries import RetryRule
from telephony import reading_store
from telephony.lines.numbers import parse_number

Model = TypeVar("Model", bound=BaseModel)
IdempotencyKey = Annotated[str, Header(max_length=255, description="The same key again makes nothing new.")]
TIMES = ("starts_at", "deadline_at")


def check_deadline(deadline_at: datetime | None) -> None:
    """Raises InvalidSettings for one that has passed: nobody would be called."""
    if deadline_at is not None and deadline_at <= utc_now():
        fault = {"path": "body.deadline_at", "message": "must lie ahead"}
        raise InvalidSettings("The deadline has passed.", errors=[fault])


def read_model(model: type[Model], value: Any, faults: list[Any]) -> Model:
    """Raises RequestValidationError with `faults` and every fault of the value."""
    try:
        read = model.model_validate(value)
    except ValidationError as error:
        faults += [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from error
    if faults:
        raise RequestValidationError(faults)
    return read


async def read_json(request: Request) -> NewCampaign:
    """Raises RequestValidationError."""
    try:
        body = from_json(await request.body())
    except ValueError as error:
        raise RequestValidationError([{"loc": ("body",), "msg": f"Not JSON: {error}"}]) from error
    return read_model(NewCampaign, body, [])


def read_form(form: Mapping[str, Any], *, has_file: bool) -> NewCampaign:
    """Raises RequestValidationError with every fault; an empty field is one that was not sent. Objects are JSON."""
    faults: list[Any] = [] if has_file else [{"loc": ("body", "file"), "msg": "Send the contacts as a file."}]
    fields: dict[str, Any] = {}
    for name, value in form.items():
        if name == "file" or value == "":
            continue
        fields[name] = value
        if name in MODELS and isinstance(value, str):
            try:
                fields[name] = from_json(value)
            except ValueError:
                del fields[name]
                faults.append({"loc": ("body", name), "msg": "must be a JSON object"})
    return read_model(NewCampaign, fields, faults)


async def read_once(request: Request, key: str) -> Once | None:
    """The Idempotency-Key with what was asked for; None without a key."""
    if not key:
        return None
    asked = f"{request.method} {request.url.path}\n".encode() + await request.body()
    return Once(key, hashlib.sha256(asked).digest())


def hash_form(form: Mapping[str, Any], file: BinaryIO, key: str) -> Once | None:
    """The same for a form: its fields, and what the file holds."""
    if not key:
        return None
    fields = sorted((name, str(value)) for name, value in form.items() if name != "file")
    asked = hashlib.sha256(repr(fields).encode())
    while part := file.read(1 << 20):
        asked.update(part)
    file.seek(0)
    return Once(key, asked.digest())


async def read_plan(state: State, principal: Principal, fields: NewCampaign) -> Plan:
    """Raises InvalidNumber, InvalidSettings."""
    check_deadline(fields.deadline_at)
    settings = read_settings(fields)
    retry = settings.pop("retry", None)
    check_settings({"retry": retry} if retry is not None else {})
    if retry is not None:
        rule = RetryRule.read(retry)
    elif fields.retry_delay_seconds is not None:
        rule = RetryRule.uniform(fields.max_attempts, fields.retry_delay_seconds)
    else:
        rule = RetryRule(max_attempts=fields.max_attempts)
    return Plan(
        name=fields.name,
        team=fields.team,
        from_number=await read_from_number(state, principal, fields),
        max_concurrent=fields.max_concurrent,
        calls_per_second=fields.calls_per_second,
        retry=rule,
        ring_timeout_seconds=fields.ring_timeout_seconds,
        mode=fields.mode,
        priority=fields.priority,
        share=fields.share,
        starts_at=fields.starts_at,
        deadline_at=fields.deadline_at,
        region=fields.region,
        ends_when_done=fields.ends_when_done,
        settings=settings,
    )


async def read_edit(state: State, principal: Principal, fields: NewCampaignEdit) -> Edit:
    """Only what was sent. Raises InvalidNumber, InvalidSettings."""
    check_deadline(fields.deadline_at)
    sent = fields.model_fields_set
    plain = fields.model_dump(mode="json", include=set(PLAIN & sent))
    return Edit(
        plain=plain,
        settings=read_settings(fields),
        times={name: getattr(fields, name) for name in TIMES if name in sent},
        team=fields.team,
        from_number=await read_from_number(state, principal, fields),
    )


def read_settings(fields: NewCampaignSettings) -> dict[str, dict[str, Any]]:
    """The objects that were sent, by name."""
    sent = {name: getattr(fields, name) for name in MODELS}
    return {name: dict(value) for name, value in sent.items() if value is not None}


async def read_from_number(state: State, principal: Principal, fields: NewCampaignSettings) -> E164 | None:
    """Raises InvalidNumber."""
    if fields.from_number is None:
        return None
    async with state.db.request(principal.claims()) as connection:
        country = await reading_store.select_country(connection, principal.org_id)
    return parse_number(fields.from_number, country)
