"""The example organization, so that there is something to call after the first start.

Idempotent: what is there stays as it is. A team file is pushed when it is new, or differs from what was pushed the
last time; a team that a person changed meanwhile is left alone until then.
"""

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, Field
from twilio.base.exceptions import TwilioException
from twilio.rest import Client

from agents.team.teams import push_team
from app.accounts.api_keys import create_api_key
from app.accounts.organizations import create_organization
from app.auth.authenticate import authenticate
from app.auth.principal import Role, Scope, Unauthorized
from app.auth.tokens import TokenVerifier
from app.db import Database
from app.errors import NotFound, Unavailable
from app.ids import E164, OrgId, TeamId
from app.settings import Settings
from app.stack import store
from app.stack.parts import write_private
from app.stack.stack_env import load_given, uses_twilio
from telephony import reading_store
from telephony.carriers.base import CarrierName
from telephony.carriers.twilio import NumberNotOwned, TwilioCarrier, TwilioHttp
from telephony.lines.numbers import NumberNotFound, add_number, find_number, parse_number
from telephony.lines.routes import set_route
from telephony.lines.trunks import sync_trunks
from telephony.switchboard import Switchboard

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "harbor-dental"


class NotSeeded(NotFound):
    """There is no demo.json: the stack was never up in this folder."""

    code = "not_seeded"


class SimulatorUnavailable(Unavailable):
    """The simulated carrier did not take our number."""

    code = "simulator_unavailable"


class ExampleNumber(BaseModel):
    e164: str
    name: str = ""
    carrier: CarrierName
    team: str


class Example(BaseModel):
    """examples/harbor-dental/organization.yaml."""

    name: str
    slug: str
    country: str
    teams: list[str] = Field(min_length=1)
    numbers: list[ExampleNumber]

    def number_of(self, carrier: CarrierName) -> str:
        return next((number.e164 for number in self.numbers if number.carrier is carrier), "")


async def seed_example(settings: Settings, *, simulator_elsewhere: bool = False) -> dict[str, Any]:
    """Make what is missing, write demo.json and return it. Postgres, LiveKit and the simulator must be ready.

    `simulator_elsewhere`: a person's own TWILIO_API_BASE_URL is a simulator too (the compose file's), and gets our
    number.
    """
    example = read_example()
    former = read_former(settings.home)
    db = await Database.connect(settings.database_url, pooler=settings.database_pooler, max_size=2)
    try:
        org_id = await _organization(db, example)
        key = await _api_key(db, settings, org_id, str(former.get("api_key", "")))
        pushed = await _teams(db, org_id, example, dict(former.get("pushed", {})))
        await _numbers(db, org_id, example)
        await _trunks(db, settings)
    finally:
        await db.close()
    carrier_number = example.number_of(CarrierName.TWILIO)
    if carrier_number and has_simulator(load_given(), settings, elsewhere=simulator_elsewhere):
        await _route_at_simulator(settings, E164(carrier_number))
    demo = describe_demo(settings, example, org_id, key)
    write_private(settings.home / "demo.json", json.dumps(demo | {"pushed": pushed}, indent=1) + "\n")
    return demo


def read_example(folder: Path = EXAMPLE) -> Example:
    return Example.model_validate(yaml.safe_load((folder / "organization.yaml").read_text()))


def read_former(home: Path) -> dict[str, Any]:
    """demo.json as the last start wrote it; nothing where there is none."""
    try:
        former: dict[str, Any] = json.loads((home / "demo.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return former


def read_demo(home: Path) -> dict[str, Any]:
    """What scripts need. Raises NotSeeded."""
    demo = read_former(home)
    if not demo:
        raise NotSeeded("Trunkline was never up in this folder: `trunkline up`.")
    return {name: value for name, value in demo.items() if name != "pushed"}


def describe_demo(settings: Settings, example: Example, org_id: OrgId, key: str) -> dict[str, Any]:
    return {
        "api_url": settings.api_url,
        "api_key": key,
        "org_id": str(org_id),
        "sip_host": "127.0.0.1",
        "sip_port": settings.ports.sip,
        "sip_number": example.number_of(CarrierName.SIP),
        "carrier_number": example.number_of(CarrierName.TWILIO),
        "simulator_url": f"http://127.0.0.1:{settings.ports.simulator}",
    }


async def _organization(db: Database, example: Example) -> OrgId:
    async with db.system() as connection:
        there = await store.select_organization_id(connection, example.slug)
    if there is not None:
        return OrgId(there)
    return await create_organization(db, slug=example.slug, name=example.name, country=example.country)


async def _api_key(db: Database, settings: Settings, org_id: OrgId, former: str) -> str:
    """The key of the last start, if it still opens this organization; else a new one."""
    try:
        asked = await authenticate(
            db, TokenVerifier(settings), authorization="", api_key=former or "-", organization=""
        )
        if asked.org_id == org_id:
            return former
    except Unauthorized:
        pass
    _, text = await create_api_key(db, org_id, name="demo.json", role=Role.ADMIN, scopes=list(Scope))
    return text


async def _teams(db: Database, org_id: OrgId, example: Example, former: dict[str, str]) -> dict[str, str]:
    """Push what is new; returns the hash of each file as it was pushed last."""
    pushed: dict[str, str] = {}
    async with db.system() as connection:
        virgin = await reading_store.select_published_version(connection, org_id, example.slug) is None
    for name in example.teams:
        source = (EXAMPLE / name).read_text(encoding="utf-8")
        pushed[name] = hashlib.sha256(source.encode()).hexdigest()
        if virgin or former.get(name) != pushed[name]:
            await push_team(db, None, org_id, source)
    return pushed


async def _numbers(db: Database, org_id: OrgId, example: Example) -> None:
    async with db.system() as connection:
        for wanted in example.numbers:
            e164 = parse_number(wanted.e164, example.country)
            try:
                number = await find_number(connection, org_id, e164)
            except NumberNotFound:
                number = await add_number(connection, org_id, e164=e164, carrier=wanted.carrier, name=wanted.name)
            team = await reading_store.select_published_version(connection, org_id, wanted.team)
            if number.team_id is None and team is not None:
                await set_route(connection, org_id, number.id, TeamId(team["team_id"]))


async def _trunks(db: Database, settings: Settings) -> None:
    switchboard = await Switchboard.connect(settings)
    try:
        await sync_trunks(switchboard, db, settings)
    finally:
        await switchboard.close()


async def _route_at_simulator(settings: Settings, number: E164) -> None:
    """Own the number at the simulated carrier and tell it whom to ask when someone calls; never at Twilio itself."""
    carrier = TwilioCarrier(settings)
    voice_url = f"{settings.public_url}/webhooks/twilio/voice"
    status_url = f"{settings.public_url}/webhooks/twilio/status"
    try:
        try:
            await carrier.route_number(number, voice_url=voice_url, status_url=status_url)
        except NumberNotOwned:
            await _buy_at_simulator(settings, number)
            await carrier.route_number(number, voice_url=voice_url, status_url=status_url)
    finally:
        await carrier.close()


def has_simulator(given: Settings, settings: Settings, *, elsewhere: bool) -> bool:
    """Whether the carrier is a simulator, where a number costs nothing. At Twilio itself it is money."""
    host = urlsplit(settings.twilio_api_base_url).hostname or ""
    if not host or uses_twilio(given) or host == "twilio.com" or host.endswith(".twilio.com"):
        return False
    return elsewhere or not given.twilio_api_base_url


async def _buy_at_simulator(settings: Settings, number: E164) -> None:
    http = TwilioHttp(base_url=settings.twilio_api_base_url, timeout_seconds=settings.carrier_timeout_seconds)
    client = Client(settings.twilio_account_sid, settings.twilio_auth_token.get_secret_value(), http_client=http)
    try:
        await client.incoming_phone_numbers.create_async(phone_number=number)
    except TwilioException as error:
        raise SimulatorUnavailable(f"The simulated carrier refused our number: {error}") from error
    finally:
        await http.close()
