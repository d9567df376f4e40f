"""Where an organization wants to be told of what happens to its campaigns, and what became of telling it."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from app.db import Connection, Database, Row
from app.errors import Conflict, InvalidInput, NotFound
from app.http.outward import check_url
from app.ids import OrgId, new_id
from app.vault import seal
from campaigns.outcomes.events import CampaignEventKind
from campaigns.outcomes.progress_store import select_campaign_state
from campaigns.outcomes.webhooks import endpoint_store, store

MOST_ENDPOINTS = 20
SECRET_BYTES = 32
BOTH_SECRETS = timedelta(hours=24)
MARK = "whsec_"
"""What secrets of Standard Webhooks begin with."""


class EndpointOff(Conflict):
    """Nothing is sent to an endpoint that is turned off."""

    code = "webhook_endpoint_off"
    title = "The endpoint is turned off"


class EndpointNotFound(NotFound):
    """The organization has no such webhook endpoint."""

    code = "webhook_endpoint_not_found"


class DeliveryNotFound(NotFound):
    """The endpoint has no such delivery."""

    code = "webhook_delivery_not_found"


class TooManyEndpoints(Conflict):
    """The organization has all the endpoints that it may have."""

    code = "too_many_webhook_endpoints"


class UnknownEvents(InvalidInput):
    """A kind of event that does not exist, or a campaign that is not the organization's."""

    code = "unknown_events"


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True)
class Endpoint:
    """`events`: the kinds that are sent, empty for all. `disabled_reason`: why it was turned off by us.
    `old_secret_until`: so long the secret before this one signs too; None where none does."""

    id: UUID
    org_id: OrgId
    campaign_id: UUID | None
    url: str
    description: str
    events: Sequence[str]
    enabled: bool
    disabled_reason: str | None
    created_at: datetime
    old_secret_until: datetime | None = None


@dataclass(frozen=True)
class Wish:
    """What someone asks for; None leaves it as it is, or as is usual."""

    url: str | None = None
    description: str | None = None
    events: Sequence[str] | None = None
    enabled: bool | None = None
    campaign_id: UUID | None = None


async def create_endpoint(
    db: Database,
    org_id: OrgId,
    wish: Wish,
    *,
    secret_key: SecretStr,
    allow_loopback: bool = False,
    claims: Mapping[str, Any] | None = None,
) -> tuple[Endpoint, str]:
    """The endpoint, and its secret: shown once, kept sealed. Raises AddressForbidden, UnknownEvents,
    TooManyEndpoints."""
    check_url(wish.url or "", allow_loopback=allow_loopback)
    check_events(wish.events or ())
    secret = draw_secret()
    async with db.system() if claims is None else db.request(claims) as connection:
        await _check_room(connection, org_id, wish.campaign_id)
        row = await endpoint_store.insert_endpoint(
            connection,
            endpoint_id=new_id(),
            org_id=org_id,
            campaign_id=wish.campaign_id,
            url=wish.url or "",
            description=wish.description or "",
            events=wish.events or (),
            secret_sealed=seal(secret_key, secret),
        )
    return _read(row), secret


def draw_secret() -> str:
    """A new secret, as Standard Webhooks writes it."""
    return MARK + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


async def rotate_secret(
    db: Database,
    org_id: OrgId,
    endpoint_id: UUID,
    *,
    secret_key: SecretStr,
    claims: Mapping[str, Any] | None = None,
) -> tuple[Endpoint, str]:
    """A new secret, shown once. For BOTH_SECRETS the one until now signs too, so that no message is refused while the
    receiver changes over. Raises EndpointNotFound."""
    async with db.system() if claims is None else db.request(claims) as connection:
        _read(await endpoint_store.select_endpoint(connection, org_id, endpoint_id))
    secret = draw_secret()
    # Not as who asks: nobody may read a secret, and the old one is kept by reading it.
    async with db.system() as connection:
        row = await endpoint_store.change_secret(
            connection, org_id, endpoint_id, secret_sealed=seal(secret_key, secret), both_for=BOTH_SECRETS
        )
    return _read(row), secret


async def _check_room(connection: Connection, org_id: OrgId, campaign_id: UUID | None) -> None:
    if await endpoint_store.count_endpoints(connection, org_id) >= MOST_ENDPOINTS:
        raise TooManyEndpoints(f"There are {MOST_ENDPOINTS} webhook endpoints already; remove one.")
    if campaign_id is not None and await select_campaign_state(connection, org_id, campaign_id) is None:
        detail = "There is no such campaign."
        raise UnknownEvents(detail, errors=[{"path": "campaign_id", "message": detail}])


def check_events(events: Sequence[str]) -> None:
    """Raises UnknownEvents, with the kinds that there are."""
    known = [kind.value for kind in CampaignEventKind]
    unknown = [kind for kind in events if kind not in known]
    if unknown:
        detail = f"Unknown kinds of events: {', '.join(unknown)}. There are: {', '.join(known)}."
        raise UnknownEvents(detail, errors=[{"path": "events", "message": detail}])


async def list_endpoints(db: Database, org_id: OrgId, *, claims: Mapping[str, Any] | None = None) -> list[Endpoint]:
    async with db.system() if claims is None else db.request(claims) as connection:
        return [_read(row) for row in await endpoint_store.select_endpoints(connection, org_id)]


async def change_endpoint(
    db: Database,
    org_id: OrgId,
    endpoint_id: UUID,
    wish: Wish,
    *,
    allow_loopback: bool = False,
    claims: Mapping[str, Any] | None = None,
) -> Endpoint:
    """Deliveries that wait go to the address that holds when they are sent. Raises EndpointNotFound,
    AddressForbidden, UnknownEvents."""
    if wish.url is not None:
        check_url(wish.url, allow_loopback=allow_loopback)
    check_events(wish.events or ())
    async with db.system() if claims is None else db.request(claims) as connection:
        row = await endpoint_store.update_endpoint(
            connection,
            org_id,
            endpoint_id,
            url=wish.url,
            description=wish.description,
            events=wish.events,
            enabled=wish.enabled,
        )
    return _read(row)


async def remove_endpoint(
    db: Database, org_id: OrgId, endpoint_id: UUID, *, claims: Mapping[str, Any] | None = None
) -> Endpoint:
    """With the log of its deliveries. Raises EndpointNotFound."""
    async with db.system() if claims is None else db.request(claims) as connection:
        return _read(await endpoint_store.delete_endpoint(connection, org_id, endpoint_id))


async def send_test(
    db: Database, org_id: OrgId, endpoint_id: UUID, *, claims: Mapping[str, Any] | None = None
) -> Endpoint:
    """Queue a delivery of kind `webhook.test`; the log tells what came of it. Raises EndpointNotFound, EndpointOff."""
    async with db.system() if claims is None else db.request(claims) as connection:
        endpoint = _read(await endpoint_store.select_endpoint(connection, org_id, endpoint_id))
    if not endpoint.enabled:
        raise EndpointOff("This endpoint is turned off: nothing is sent to it. Turn it on, then test it.")
    async with db.system() as connection:
        await store.insert_test(connection, org_id, endpoint_id)
    return endpoint


async def list_deliveries(
    db: Database,
    org_id: OrgId,
    endpoint_id: UUID,
    *,
    status: DeliveryStatus | None = None,
    claims: Mapping[str, Any] | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> Sequence[Row]:
    """The log, newest first. Raises EndpointNotFound."""
    async with db.system() if claims is None else db.request(claims) as connection:
        _read(await endpoint_store.select_endpoint(connection, org_id, endpoint_id))
        return await store.select_deliveries(connection, org_id, endpoint_id, status=status, before=before, limit=limit)


async def resend(
    db: Database, org_id: OrgId, endpoint_id: UUID, delivery_id: UUID, *, claims: Mapping[str, Any] | None = None
) -> Row:
    """The same message once more, with the same id. Raises DeliveryNotFound."""
    async with db.system() if claims is None else db.request(claims) as connection:
        row = await store.send_again(connection, org_id, endpoint_id, delivery_id)
    if row is None:
        raise DeliveryNotFound("This endpoint has no such delivery.")
    return row


def _read(row: Row | None) -> Endpoint:
    """Raises EndpointNotFound for None."""
    if row is None:
        raise EndpointNotFound("There is no such webhook endpoint.")
    return Endpoint(**dict(row))
