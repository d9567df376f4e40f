"""The simulated carrier itself: the account, its numbers and its calls; survives a restart by its journal."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from uuid import uuid4

from app.clock import Clock, utc_now
from app.errors import NotFound, TrunklineError
from app.settings import Settings
from telephony.simulator.audio.recognizer import Recognizer
from telephony.simulator.audio.voice import Voice
from telephony.simulator.calls.book import CallBook
from telephony.simulator.calls.call import Call, Parts
from telephony.simulator.calls.record import Answer, CallPlan, CallRecord
from telephony.simulator.calls.webhooks import Webhooks
from telephony.simulator.faults import Faults
from telephony.simulator.journal import Journal, Record
from telephony.simulator.mode import Mode
from telephony.simulator.numbers import Numbers, OwnedNumber
from telephony.simulator.people.persona import Persona
from telephony.simulator.people.table import SHIPPED, PersonaTable, load_personas

CLOSE_SECONDS = 4.0


class AccountMissing(TrunklineError):
    """The simulator has no account to be: no TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN."""

    code = "simulator_account_missing"
    title = "The simulated carrier has no account"


class NotOurNumber(NotFound):
    """A call to a number that the account does not own."""

    code = "number_not_owned"


class Pacer:
    """Lets calls start at most `per_second` a second, like an account's queue; None: at once."""

    def __init__(self, per_second: float | None = None) -> None:
        self.per_second = per_second
        self._free_at = 0.0

    async def slot(self) -> None:
        if self.per_second is None:
            return
        now = asyncio.get_running_loop().time()
        start = max(now, self._free_at)
        self._free_at = start + 1.0 / self.per_second
        await asyncio.sleep(start - now)


@dataclass
class Exchange:
    """Everything that the REST and control routes act on. `mode` holds for calls that begin from then on."""

    account_sid: str
    auth_token: str
    journal: Journal
    numbers: Numbers
    personas: PersonaTable
    webhooks: Webhooks
    voice: Voice
    recognizer: Recognizer
    audio_dir: Path
    clock: Clock
    mode: Mode = field(default_factory=lambda: Mode(time_scale=1.0))
    pacer: Pacer = field(default_factory=Pacer)
    calls: CallBook = field(default_factory=CallBook)
    live: dict[str, Call] = field(default_factory=dict[str, Call])
    faults: Faults = field(default_factory=Faults)
    _lists: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def chance_for(self, to: str) -> Random:
        """What decides everything in a new call to `to`: the seed, the number, and how many-th request for it this is.
        A request that is refused counts: who asks again is not unlucky for ever."""
        return Random(f"{self.mode.seed}:{to}:{self.calls.ask(to)}")  # noqa: S311  # a game, not a secret

    def chance_of_list(self) -> Random:
        """Another one for every look at the list: who asks again is not unlucky for ever."""
        self._lists += 1
        return Random(f"{self.mode.seed}:list:{self._lists}")  # noqa: S311  # a game, not a secret

    def dial(self, *, to: str, number: OwnedNumber, plan: CallPlan, chance: Random) -> CallRecord:
        """Create a call to the outside; the persona of `to` will pick up, or not."""
        name, persona = self.personas.draw(self.personas.choose(to), chance)
        record = self._open("outbound-api", to=to, from_=number.e164, persona=name, number=number, plan=plan)
        self._begin(Call(record, plan, persona, self._parts(), self.mode, chance))
        return record

    def ring_in(self, *, caller: str, number: OwnedNumber, name: str, persona: Persona) -> CallRecord:
        """Let `persona` call one of our numbers; the number's voice_url says what happens."""
        plan = CallPlan(
            Answer(number.text("voice_url"), number.text("voice_method", "POST")),
            status_url=number.text("status_callback"),
            status_method=number.text("status_callback_method", "POST"),
        )
        chance = self.chance_for(number.e164)
        record = self._open("inbound", to=number.e164, from_=caller, persona=name, number=number, plan=plan)
        self._begin(Call(record, plan, persona, self._parts(), self.mode, chance))
        return record

    def set_mode(self, mode: Mode) -> None:
        self.mode = mode
        self.journal.note("mode.set", **mode.model_dump())

    def _open(
        self, direction: str, *, to: str, from_: str, persona: str, number: OwnedNumber, plan: CallPlan
    ) -> CallRecord:
        now = self.clock()
        record = CallRecord(f"CA{uuid4().hex}", direction, to, from_, persona, now, now, number.sid)
        record.ordinal = self.calls.next_ordinal(to)
        self.calls.add(record)
        self.journal.note(
            "call.created",
            call_sid=record.sid,
            direction=direction,
            to=to,
            from_number=from_,
            persona=persona,
            number_sid=number.sid,
            ordinal=record.ordinal,
            url=plan.answer.url,
            status_url=plan.status_url,
        )
        return record

    def _parts(self) -> Parts:
        return Parts(
            self.account_sid,
            self.journal,
            self.webhooks,
            self.voice,
            self.recognizer,
            self.faults,
            self.clock,
            self.pacer.slot,
            self.audio_dir,
        )

    def _begin(self, call: Call) -> None:
        sid = call.record.sid
        self.live[sid] = call
        task = asyncio.create_task(call.live(), name=sid)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self.live.pop(sid, None))

    # -- restart and end

    def restore(self) -> None:
        """Rebuild numbers and calls from the journal; calls that the last run left open have failed."""
        for record in self.journal.replay():
            if record["kind"].startswith("number."):
                self.numbers.restore(record)
            elif record["kind"] == "call.created":
                self._restore_call(record)
            elif record["kind"] == "mode.set":
                self.mode = Mode(**{name: record[name] for name in Mode.model_fields})
            elif record["kind"] == "call.state" and record["call_sid"] in self.calls:
                _restore_state(self.calls[record["call_sid"]], record)
        for call in [call for call in self.calls.values() if not call.over]:
            call.status, call.ended_by, call.sip_code = "failed", "restart", 503
            call.ended_at = call.updated_at = self.clock()
            self.journal.note(
                "call.state", call_sid=call.sid, status="failed", sip_code=503, ended_by="restart", report=None
            )

    def _restore_call(self, record: Record) -> None:
        at = datetime.fromisoformat(record["at"])
        self.calls.add(
            CallRecord(
                record["call_sid"],
                record["direction"],
                record["to"],
                record["from_number"],
                record["persona"],
                at,
                at,
                record["number_sid"],
                ordinal=self.calls.next_ordinal(record["to"]),
            )
        )

    async def close(self) -> None:
        """End what is live and wait for it."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)


def _restore_state(call: CallRecord, record: Record) -> None:
    at = datetime.fromisoformat(record["at"])
    call.status, call.updated_at = record["status"], at
    if call.status == "in-progress":
        call.answered_at = at
    elif call.over:
        call.ended_at, call.report = at, record.get("report")
        call.sip_code, call.ended_by = record["sip_code"], record["ended_by"]
        call.duration_seconds = record.get("duration_seconds", 0)
    elif call.started_at is None:
        call.started_at = at


@asynccontextmanager
async def open_exchange(settings: Settings, clock: Clock = utc_now) -> AsyncGenerator[Exchange]:
    """The carrier on its folder `simulator/` of the installation's home.

    Raises AccountMissing, JournalBusy, JournalDamaged, InvalidPersonas.
    """
    token = settings.twilio_auth_token.get_secret_value()
    if not settings.twilio_account_sid or not token:
        raise AccountMissing("Set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN (`trunkline up` generates both).")
    home = settings.home.absolute() / "simulator"
    audio_dir = home / "audio"
    audio_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = home / "personas.yaml"
    personas = load_personas(own if own.exists() else SHIPPED)
    journal = Journal(home / "journal.jsonl", clock)
    webhooks, voice, recognizer = Webhooks(token, journal), Voice(home / "voices"), Recognizer()
    exchange = Exchange(
        settings.twilio_account_sid,
        token,
        journal,
        Numbers(journal, clock),
        personas,
        webhooks,
        voice,
        recognizer,
        audio_dir,
        clock,
    )
    try:
        exchange.restore()
        journal.note("simulator.started")
        yield exchange
    finally:
        await exchange.close()
        await webhooks.close()
        voice.close()
        recognizer.close()
        journal.note("simulator.stopped")
        await journal.close()
