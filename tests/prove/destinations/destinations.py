"""A hundred thousand destinations try every door to the carrier; only those of the allow-list may get out.

The doors: one call, as the api places it; a caller that forgot to read what was typed; a campaign's batch; and a row
that something else wrote, dialed without having met the gate, at the carrier and by SIP. The carrier is an HTTP server
that keeps what it was asked; that is judged by lists of its own (`hostile_numbers`).
"""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from unittest.mock import patch
from urllib.parse import parse_qs
from uuid import UUID

import phonenumbers
from pydantic import SecretStr

from app.db import Database
from app.ids import E164, CallId, NumberId, OrgId, TeamVersionId, new_id
from app.settings import Settings
from telephony.calls import Call
from telephony.carriers.base import CarrierName, DialRefused, DialUncertain
from telephony.carriers.twilio import TwilioCarrier
from telephony.lines.numbers import InvalidNumber, parse_number
from telephony.outbound import DialRequest, Lines, prepare_call, send_dial
from telephony.outbound_batch import prepare_calls
from telephony.switchboard import Switchboard
from telephony.toll_gate.destinations import DialingRules, TollGateRefused
from telephony.toll_gate.gate import open_gate
from telephony.toll_gate.policy import DialingPolicy
from telephony.toll_gate.settings import set_rules
from tests.prove.destinations.allow_list import OWN_NUMBER, REFUSED_PREFIX, may_reach
from tests.prove.destinations.hostile_numbers import Hostile, destinations
from tests.prove.proof import Figures, Proof, Sizes
from tests.prove.world import CALLER_ID, proving_ground

assert CALLER_ID == OWN_NUMBER
SEED = 20261120
BATCH = 250
AT_ONCE = 16


@dataclass
class Carrier:
    """What speaks like Twilio's REST, takes every call, and remembers to whom."""

    asked: list[str] = field(default_factory=list)
    url: str = ""

    @contextmanager
    def serving(self) -> Generator[None]:
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                asked.extend(parse_qs(body, keep_blank_values=True)["To"])
                answer = json.dumps({"sid": f"CA{new_id().hex}", "status": "queued"}).encode()
                self.send_response(201)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


@dataclass(frozen=True)
class Doors:
    """Every way to the carrier, for one organization."""

    lines: Lines
    org: OrgId
    number: NumberId
    team: TeamVersionId
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def request(self, to: str) -> DialRequest:
        return DialRequest(self.org, E164(to), self.team, self.number)

    async def one_by_one(self, offered: Sequence[Hostile]) -> list[Call]:
        """As the api does it, and as one who forgot to read what was typed."""
        calls: list[Call] = []
        async with self.lines.db.system() as connection:
            for text in (text for one in offered for text in as_typed_and_read(one.text)):
                try:
                    calls.append(await prepare_call(connection, self.request(text), now=datetime.now(UTC)))
                except TollGateRefused:
                    continue
        return calls

    async def in_a_batch(self, offered: Sequence[Hostile]) -> list[Call]:
        """As a campaign does it: one gate, many numbers."""
        async with self.lines.db.system() as connection:
            gate = await open_gate(connection, self.org, self.number)
            texts = [text for one in offered for text in as_typed_and_read(one.text)]
            passed = [E164(text) for text in texts if gate.rules.why_not(E164(text)) is None]
            verdicts = await gate.reserve(connection, passed)
            goes = [self.request(to) for to, verdict in zip(passed, verdicts, strict=True) if verdict is None]
            return await prepare_calls(connection, gate.number, goes, now=datetime.now(UTC))

    async def send(self, calls: Iterable[Call]) -> int:
        """Dial them; how many were refused at the very last."""
        return sum(await asyncio.gather(*(self._send(call) for call in calls)))

    async def _send(self, call: Call) -> bool:
        async with self.gate:
            try:
                await send_dial(self.lines, call, 30)
            except (DialRefused, DialUncertain):
                return True
        return False

    async def behind_the_gate(self, like: Call, offered: Sequence[Hostile]) -> int:
        """Rows with the number as it was typed, straight to the carrier and to LiveKit; how many were refused."""
        forged = [replace(like, id=CallId(new_id()), to_number=one.text) for one in offered if not is_e164(one.text)]
        stopped = await self.send(forged)
        for call in forged:
            try:
                await self.lines.switchboard.dial_sip(call, "ST_none", ring_timeout_seconds=30)
            except DialRefused as error:
                stopped += "E.164" in error.detail
        return 2 * len(forged) - stopped


def is_e164(text: str) -> bool:
    return text.isascii() and text[:1] == "+" and text[1:].isdecimal() and text[1] != "0" and 7 <= len(text) - 1 <= 15


def as_typed_and_read(text: str) -> list[str]:
    """The text itself, and what an import or the api reads in it."""
    try:
        read = parse_number(text, "US")
    except InvalidNumber:
        return [text]
    return [text] if read == text else [text, read]


async def open_doors(db: Database, org: OrgId, carrier: Carrier) -> Doors:
    settings = Settings.model_construct().model_copy(
        update={
            "twilio_account_sid": "AC" + "0" * 32,
            "twilio_auth_token": SecretStr("token"),
            "twilio_api_base_url": carrier.url,
            "public_base_url": "https://trunkline.example",
            "livekit_url": "ws://127.0.0.1:9",
            "livekit_api_key": "key",
            "livekit_api_secret": SecretStr("livekit-secret-of-the-proofs-long-enough"),
        }
    )
    async with db.system() as connection:
        number: UUID = await connection.fetchval("select id from numbers where org_id = $1", org)
        team: UUID = await connection.fetchval("select id from team_versions where org_id = $1", org)
        await set_rules(
            connection,
            org,
            DialingPolicy(allowed_countries=["GB"], refused_prefixes=[REFUSED_PREFIX]),
            set_by=None,
        )
    lines = Lines(db, await Switchboard.connect(settings), {CarrierName.TWILIO: TwilioCarrier(settings)}, settings)
    return Doors(lines, org, NumberId(number), TeamVersionId(team))


@dataclass
class Tally:
    kinds: Counter[str] = field(default_factory=Counter)
    ordinary: set[str] = field(default_factory=set)
    forged_out: int = 0


async def try_all(doors: Doors, count: int) -> Tally:
    tally = Tally()
    offered = destinations(count, seed=SEED)
    while batch := list(islice(offered, BATCH)):
        tally.kinds.update(one.kind for one in batch)
        tally.ordinary |= {one.text for one in batch if one.ordinary}
        calls = await doors.one_by_one(batch)
        await doors.send([*calls, *await doors.in_a_batch(batch)])
        if calls:
            tally.forged_out += await doors.behind_the_gate(calls[0], batch)
    return tally


async def measure(db: Database, org: OrgId, count: int) -> Figures:
    """`count` destinations against every door of the organization, which has the number CALLER_ID."""
    carrier = Carrier()
    with carrier.serving():
        doors = await open_doors(db, org, carrier)
        try:
            tally = await try_all(doors, count)
        finally:
            await doors.lines.close()
    return judge(tally, carrier.asked)


def judge(tally: Tally, asked: Sequence[str]) -> Figures:
    wrong = [to for to in asked if not may_reach(to)]
    held_back = tally.ordinary - set(asked)
    rows: Mapping[str, str] = {
        "destinations": f"{sum(tally.kinds.values()):,} of {len(tally.kinds)} kinds, through 5 doors",
        "ordinary ones among them": f"{tally.kinds['ordinary']:,}; held back: {len(held_back):,}",
        "dials that reached the carrier": f"{len(asked):,}",
        "of these outside the allow-list": f"{len(wrong):,}",
        "forged rows that were dialed": f"{tally.forged_out:,}",
    }
    return Figures(not wrong and not held_back and not tally.forged_out and bool(tally.ordinary), rows)


def read_generously(rules: DialingRules, to: str) -> object:
    """The planted fault: a gate that asks the country code of whatever can be read as a number."""
    try:
        number = phonenumbers.parse(to, "US")
    except phonenumbers.NumberParseException as error:
        raise TollGateRefused("Not a number.") from error
    if number.country_code not in (1, 44) or not to.isprintable():
        raise TollGateRefused("Abroad.")
    return number


@contextmanager
def planted_fault() -> Generator[None]:
    """The gate, and the last look before the carrier, read numbers the way people do."""
    with ExitStack() as faults:
        faults.enter_context(patch.object(DialingRules, "check", read_generously))
        faults.enter_context(patch("telephony.carriers.base.require_dialable", lambda to, from_: None))
        yield


@dataclass(frozen=True)
class TollGateProof:
    name: str = "destinations"
    title: str = "of 100,000 destinations none outside the allow-list reaches the carrier, by no door"

    async def run(self, size: Sizes) -> Figures:
        async with proving_ground() as ground:
            return await measure(ground.db, ground.org, size.get("DESTINATIONS", 100_000))

    async def control(self, size: Sizes) -> Figures:
        """A twentieth of the size: most get through, and each of those is dialed."""
        async with proving_ground() as ground:
            with planted_fault():
                return await measure(ground.db, ground.org, max(20, size.get("DESTINATIONS", 100_000) // 20))


PROOFS: list[Proof] = [TollGateProof()]
