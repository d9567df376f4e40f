"""SIP trunks over REST: who may call our numbers, and through whom we dial."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from app.api.dependencies import Parts, require
from app.api.wire.pages import Page
from app.api.wire.problems import problem_responses
from app.auth.principal import Principal, Scope
from app.ids import TrunkId
from telephony.lines.trunk_records import Trunk, TrunkDirection, TrunkOrder, add_trunk, list_trunks, remove_trunk
from telephony.lines.trunks import sync_trunks

router = APIRouter(prefix="/api/v1/trunks", tags=["Trunks"], responses=problem_responses())

Writing = Annotated[Principal, require(Scope.NUMBERS_WRITE)]

_EXAMPLE: dict[str, Any] = {
    "id": "0199f2a4-6f0e-7c60-9d0b-000000000030",
    "name": "Carrier out",
    "direction": "outbound",
    "address": "sip.example.com:5060",
    "username": "acme",
    "allowed_addresses": [],
    "created_at": "2026-11-20T17:39:00Z",
}


class TrunkOut(BaseModel):
    """A SIP trunk. Its password is never shown."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    name: str
    direction: TrunkDirection
    address: str | None
    username: str | None
    allowed_addresses: list[str]
    created_at: datetime


class NewTrunk(BaseModel):
    """Outbound: `address` (host or host:port), and `username` with `password` where the carrier wants them. Inbound:
    `allowed_addresses`, IP addresses or CIDR blocks."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "Carrier out",
                    "direction": "outbound",
                    "address": "sip.example.com:5060",
                    "username": "acme",
                    "password": "correct horse",
                },
                {"name": "Carrier in", "direction": "inbound", "allowed_addresses": ["192.0.2.0/24"]},
            ]
        },
    )

    name: str = Field(min_length=1, max_length=100)
    direction: TrunkDirection
    address: str | None = Field(None, max_length=255)
    username: str | None = Field(None, max_length=255)
    password: SecretStr | None = Field(None, max_length=255)
    allowed_addresses: list[str] = Field(default=[], max_length=100)

    def to_order(self) -> TrunkOrder:
        return TrunkOrder(
            name=self.name,
            direction=self.direction,
            address=self.address,
            username=self.username,
            password=self.password.get_secret_value() if self.password else None,
            allowed_addresses=tuple(self.allowed_addresses),
        )


@router.get("", summary="SIP trunks, by name")
async def get_trunks(state: Parts, principal: Annotated[Principal, require(Scope.CALLS_READ)]) -> Page[TrunkOut]:
    async with state.db.request(principal.claims()) as connection:
        trunks = await list_trunks(connection, principal.org_id)
    return Page(data=[render_trunk(trunk) for trunk in trunks], next_cursor=None)


@router.post("", status_code=status.HTTP_201_CREATED, summary="Add a SIP trunk", responses=problem_responses(409))
async def post_trunk(state: Parts, principal: Writing, body: NewTrunk) -> TrunkOut:
    """It is made known to LiveKit before the answer; where that fails (503), the trunk stays and the next change of
    any trunk or number tries again."""
    async with state.db.request(principal.claims()) as connection:
        trunk = await add_trunk(connection, principal.org_id, body.to_order(), secret_key=state.settings.secret_key)
    await sync_trunks(state.lines.switchboard, state.db, state.settings)
    return render_trunk(trunk)


@router.delete("/{trunk_id}", summary="Remove a SIP trunk", responses=problem_responses(404, 409))
async def delete_trunk(state: Parts, principal: Writing, trunk_id: UUID) -> TrunkOut:
    """Refused (409) while numbers stand on it."""
    async with state.db.request(principal.claims()) as connection:
        trunk = await remove_trunk(connection, principal.org_id, TrunkId(trunk_id))
    await sync_trunks(state.lines.switchboard, state.db, state.settings)
    return render_trunk(trunk)


def render_trunk(trunk: Trunk) -> TrunkOut:
    return TrunkOut(
        id=trunk.id,
        name=trunk.name,
        direction=trunk.direction,
        address=trunk.address,
        username=trunk.username,
        allowed_addresses=list(trunk.allowed_addresses),
        created_at=trunk.created_at,
    )
