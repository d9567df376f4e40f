"""Webhook endpoints over REST: where we tell of campaign events, and the log of what became of it."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, status
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import Parts, require
from app.api.wire.pages import Cursor, Limit, Page, read_cursor, split_page, write_cursor
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Scope
from app.db import Row
from campaigns.outcomes.webhooks import endpoints
from campaigns.outcomes.webhooks.endpoints import DeliveryStatus, Endpoint, Wish

router = APIRouter(prefix="/api/v1/webhook-endpoints", tags=["Webhooks"], responses=problem_responses())

Asking = Annotated[Principal, require(Scope.ADMIN)]

_ENDPOINT: dict[str, Any] = {
    "id": "0199f2a4-6f0e-7c60-9d0b-000000000060",
    "campaign_id": None,
    "url": "https://crm.example.com/hooks/trunkline",
    "description": "the CRM",
    "events": ["attempt.settled", "campaign.finished"],
    "enabled": True,
    "disabled_reason": None,
    "created_at": "2026-11-20T17:39:00Z",
    "old_secret_until": None,
}
_DELIVERY: dict[str, Any] = {
    "id": "0199f2a4-6f0e-7c60-9d0b-000000000061",
    "kind": "attempt.settled",
    "status": "pending",
    "at": "2026-11-20T17:39:00Z",
    "tries": 2,
    "next_at": "2026-11-20T17:40:05Z",
    "last_status": 503,
    "last_error": "answered 503",
    "last_try_at": "2026-11-20T17:39:05Z",
    "last_milliseconds": 112,
    "delivered_at": None,
    "campaign_id": "0199f2a4-6f0e-7c60-9d0b-000000000020",
    "attempt_id": "0199f2a4-6f0e-7c60-9d0b-000000000040",
    "body": '{"type":"attempt.settled","timestamp":"2026-11-20T17:39:00.000Z","data":{}}',
}


class EndpointOut(BaseModel):
    """Where we tell. `events`: empty for all kinds; `disabled_reason`: why we turned it off; `old_secret_until`: so
    long the secret before the present one signs too."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ENDPOINT]})

    id: UUID
    campaign_id: UUID | None
    url: str
    description: str
    events: list[str]
    enabled: bool
    disabled_reason: str | None
    created_at: datetime
    old_secret_until: datetime | None


class CreatedEndpointOut(EndpointOut):
    """`secret`: to check signatures with (Standard Webhooks); shown this once."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_ENDPOINT, "secret": "whsec_dHJ1bmtsaW5lIGV4YW1wbGUgc2VjcmV0"}]}
    )

    secret: str


class NewEndpoint(BaseModel):
    """`events`: kinds to be told of, empty for all; `campaign_id`: of one campaign only."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": _ENDPOINT["url"], "events": ["attempt.settled", "campaign.finished"]}]},
    )

    url: str = Field(min_length=1, max_length=2000)
    description: str = Field("", max_length=200)
    events: list[str] = Field(default_factory=list[str], max_length=50)
    campaign_id: UUID | None = None


class NewEndpointSettings(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"enabled": True}]})

    url: str | None = Field(None, min_length=1, max_length=2000)
    description: str | None = Field(None, max_length=200)
    events: list[str] | None = Field(None, max_length=50)
    enabled: bool | None = None


class DeliveryOut(BaseModel):
    """One message to one endpoint. `id` is its `webhook-id`, the same at every try; `body`: as it was sent."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DELIVERY]})

    id: UUID
    kind: str
    status: DeliveryStatus
    at: datetime
    tries: int
    next_at: datetime | None
    last_status: int | None
    last_error: str | None
    last_try_at: datetime | None
    last_milliseconds: int | None
    delivered_at: datetime | None
    campaign_id: UUID | None
    attempt_id: UUID | None
    body: str | None


@router.get("", summary="Where we tell of campaign events")
async def get_endpoints(state: Parts, principal: Asking) -> list[EndpointOut]:
    found = await endpoints.list_endpoints(state.db, principal.org_id, claims=principal.claims())
    return [render_endpoint(endpoint) for endpoint in found]


@router.post("", status_code=status.HTTP_201_CREATED, summary="Tell this address", responses=problem_responses(409))
async def post_endpoint(state: Parts, principal: Asking, body: NewEndpoint) -> CreatedEndpointOut:
    """Every event of the kinds asked for is sent there from now on, signed, and again until it is taken: for three
    days, with longer and longer waits."""
    endpoint, secret = await endpoints.create_endpoint(
        state.db,
        principal.org_id,
        Wish(url=body.url, description=body.description, events=body.events, campaign_id=body.campaign_id),
        secret_key=state.settings.secret_key,
        allow_loopback=state.settings.webhooks_to_loopback,
        claims=principal.claims(),
    )
    return CreatedEndpointOut(**render_endpoint(endpoint).model_dump(), secret=secret)


@router.patch("/{endpoint_id}", summary="Change it, turn it on or off", responses=problem_responses(404))
async def patch_endpoint(state: Parts, principal: Asking, endpoint_id: UUID, body: NewEndpointSettings) -> EndpointOut:
    changed = await endpoints.change_endpoint(
        state.db,
        principal.org_id,
        endpoint_id,
        Wish(url=body.url, description=body.description, events=body.events, enabled=body.enabled),
        allow_loopback=state.settings.webhooks_to_loopback,
        claims=principal.claims(),
    )
    return render_endpoint(changed)


@router.delete("/{endpoint_id}", summary="Tell it nothing more", responses=problem_responses(404))
async def delete_endpoint(state: Parts, principal: Asking, endpoint_id: UUID) -> EndpointOut:
    """Its log goes with it."""
    removed = await endpoints.remove_endpoint(state.db, principal.org_id, endpoint_id, claims=principal.claims())
    return render_endpoint(removed)


@router.post(
    "/{endpoint_id}/test",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Send it a webhook.test",
    responses=problem_responses(404, 409),
)
async def post_test(state: Parts, principal: Asking, endpoint_id: UUID) -> EndpointOut:
    """The log of its deliveries tells what came of it."""
    tested = await endpoints.send_test(state.db, principal.org_id, endpoint_id, claims=principal.claims())
    return render_endpoint(tested)


@router.post("/{endpoint_id}/rotate-secret", summary="Give it a new secret", responses=problem_responses(404))
async def post_rotation(state: Parts, principal: Asking, endpoint_id: UUID) -> CreatedEndpointOut:
    """The new secret is shown this once. For 24 hours every message has two signatures, of the new secret and of the
    one before, as Standard Webhooks allows: the receiver may change over at any time of these."""
    endpoint, secret = await endpoints.rotate_secret(
        state.db, principal.org_id, endpoint_id, secret_key=state.settings.secret_key, claims=principal.claims()
    )
    return CreatedEndpointOut(**render_endpoint(endpoint).model_dump(), secret=secret)


@router.get("/{endpoint_id}/deliveries", summary="The log, newest first", responses=problem_responses(404))
async def get_deliveries(
    state: Parts,
    principal: Asking,
    endpoint_id: UUID,
    status: Annotated[DeliveryStatus | None, Query(description="Only these.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[DeliveryOut]:
    rows = await endpoints.list_deliveries(
        state.db,
        principal.org_id,
        endpoint_id,
        status=status,
        claims=principal.claims(),
        before=read_cursor(cursor),
        limit=limit + 1,
    )
    found, more = split_page(list(rows), limit)
    following = write_cursor((found[-1]["created_at"], found[-1]["id"])) if more else None
    return Page(data=[render_delivery(row) for row in found], next_cursor=following)


@router.post(
    "/{endpoint_id}/deliveries/{delivery_id}/retry",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Send it once more",
    responses=problem_responses(404),
)
async def post_retry(state: Parts, principal: Asking, endpoint_id: UUID, delivery_id: UUID) -> DeliveryOut:
    """The same message with the same id."""
    return render_delivery(
        await endpoints.resend(state.db, principal.org_id, endpoint_id, delivery_id, claims=principal.claims())
    )


def render_endpoint(endpoint: Endpoint) -> EndpointOut:
    return EndpointOut(
        id=endpoint.id,
        campaign_id=endpoint.campaign_id,
        url=endpoint.url,
        description=endpoint.description,
        events=list(endpoint.events),
        enabled=endpoint.enabled,
        disabled_reason=endpoint.disabled_reason,
        created_at=endpoint.created_at,
        old_secret_until=endpoint.old_secret_until,
    )


def render_delivery(row: Row) -> DeliveryOut:
    """`next_at` only while it waits to be sent again."""
    shown = {name: row[name] for name in DeliveryOut.model_fields}
    if row["status"] != DeliveryStatus.PENDING:
        shown["next_at"] = None
    return DeliveryOut.model_validate(shown)
