"""The life of one simulated call: queued → initiated → ringing → in-progress → how it ended.

`Call.live` is the story; every step is journaled and told to the application by signed status callbacks.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import format_datetime
from pathlib import Path
from random import Random
from typing import Any, Protocol

from app.clock import Clock
from app.logs import get_logger
from telephony.simulator.audio.line import Line
from telephony.simulator.audio.recognizer import Recognizer
from telephony.simulator.audio.voice import Voice
from telephony.simulator.audio.wav import save_wav
from telephony.simulator.calls.program import Program
from telephony.simulator.calls.record import Answer, CallPlan, CallRecord, Outcome
from telephony.simulator.calls.sound import Audible, Silent, Sound
from telephony.simulator.calls.telling import News, Teller
from telephony.simulator.calls.twiml import Document, Reject
from telephony.simulator.calls.webhooks import Webhooks
from telephony.simulator.faults import Fault, Faults, Target
from telephony.simulator.journal import Journal
from telephony.simulator.mode import Mode
from telephony.simulator.people.callee import Callee
from telephony.simulator.people.persona import Busy, Invalid, NoAnswer, Persona, PicksUp, Rejects
from telephony.simulator.people.silent import SilentCallee
from telephony.simulator.people.speaker import Speaker

SETUP_SECONDS = 0.1
"""From dialing to the first ring."""

CLEANUP_SECONDS = 3.0

logger = get_logger(__name__)


class FarEnd(Protocol):
    """Who picked up."""

    async def prepare(self) -> None: ...

    async def act(self) -> None: ...

    def report(self) -> dict[str, Any] | None: ...


@dataclass(frozen=True)
class Parts:
    """What every call shares. `slot` waits until the account's rate lets one more call start."""

    account_sid: str
    journal: Journal
    webhooks: Webhooks
    voice: Voice
    recognizer: Recognizer
    faults: Faults
    clock: Clock
    slot: Callable[[], Awaitable[None]]
    audio_dir: Path


class Call:
    """One live call; `live` runs it to its end and returns when everybody has been told.

    `line` is None where only the signaling is played. `chance` decides all that is left to chance in this call.
    """

    def __init__(
        self, record: CallRecord, plan: CallPlan, persona: Persona, parts: Parts, mode: Mode, chance: Random
    ) -> None:
        self.record, self.plan, self.persona, self.parts = record, plan, persona, parts
        self.mode, self.chance = mode, chance
        self.line = None if mode.signaling_only else Line()
        self.callee: FarEnd | None = None
        self.program = Program(record.sid, self._make_sound(), self._params, parts.webhooks, parts.journal)
        self._teller = Teller(record.sid, record.to, plan, parts.webhooks, parts.journal, parts.faults, chance)
        self._sequence = 0
        self._cut_off: Outcome | None = None
        self._story: asyncio.Task[Outcome] | None = None

    def _params(self) -> dict[str, str]:
        return self.record.params(self.parts.account_sid)

    def _make_sound(self) -> Sound:
        if self.line is None:
            return Silent(self.mode)
        parts, sid = self.parts, self.record.sid
        return Audible(
            sid, parts.account_sid, self.line, parts.voice, parts.webhooks, parts.journal, self._take_media_fault
        )

    def _take_media_fault(self) -> Fault | None:
        return self.parts.faults.take(Target.MEDIA, self.chance, to=self.record.to)

    async def live(self) -> None:
        """Run the call; the outermost loop of its task: what goes wrong ends this call only."""
        teller = asyncio.create_task(self._teller.run(), name=f"{self.record.sid}-status")
        try:
            self._end(await self._outcome())
            await self._keep_audio()
            self._teller.close()
            # As long as it takes: each callback is bounded in time once it has its turn, and a carrier with much to
            # tell tells it late, and not in part.
            await asyncio.wait({teller})
        finally:
            teller.cancel()
            await asyncio.wait({teller})

    async def _outcome(self) -> Outcome:
        try:
            return await self._until_over()
        except asyncio.CancelledError:
            self._end(Outcome("failed", 503, "restart"))
            await self._keep_audio()
            raise
        except Exception:
            logger.exception("simulated call crashed", call_sid=self.record.sid)
            return Outcome("failed", 500, "error")

    def hang_up(self, by: str) -> None:
        """End the call from outside; before the answer that cancels it. Over already: nothing happens."""
        if self.record.over or self._cut_off is not None:
            return
        answered = self.record.answered_at is not None
        self._cut_off = Outcome("completed", 200, by) if answered else Outcome("canceled", 487, by)
        if self._story is not None:
            self._story.cancel()

    async def _until_over(self) -> Outcome:
        story = self._dial_out() if self.record.direction == "outbound-api" else self._ring_in()
        self._story = asyncio.create_task(story, name=f"{self.record.sid}-story")
        if self._cut_off is not None:
            self._story.cancel()
        try:
            await asyncio.wait({self._story})
        finally:
            self._story.cancel()
            await asyncio.wait({self._story}, timeout=CLEANUP_SECONDS)
        if self._story.cancelled() and self._cut_off is not None:
            return self._cut_off
        return self._story.result()

    # -- the two stories

    async def _dial_out(self) -> Outcome:
        await self.parts.slot()
        self.record.started_at = self.parts.clock()
        self._become("initiated", event="initiated")
        await self.mode.wait(SETUP_SECONDS)
        if isinstance(self.persona, Invalid):
            return Outcome("failed", 404, "network")
        self._become("ringing", event="ringing")
        refused = await self._ring()
        if refused is not None:
            return refused
        self._answer()
        return await self._converse(self.plan.answer)

    async def _ring_in(self) -> Outcome:
        self.record.started_at = self.parts.clock()
        self._become("ringing")
        document = await self.program.load(self.plan.answer)
        if document and isinstance(document[0], Reject):
            busy = document[0].reason == "busy"
            return Outcome("busy", 486, "twiml") if busy else Outcome("no-answer", 603, "twiml")
        self._answer()
        return await self._converse(document)

    async def _ring(self) -> Outcome | None:
        """Ring until the persona does something; None when it picks up."""
        patience = self.plan.ring_timeout_seconds
        if isinstance(self.persona, NoAnswer | Invalid) or self.persona.rings_seconds >= patience:
            await self.mode.wait(patience)
            return Outcome("no-answer", 487, "time_limit")
        await asyncio.gather(self.mode.wait(self.persona.rings_seconds), self._prepare_callee())
        match self.persona:
            case Busy():
                return Outcome("busy", 486, "persona")
            case Rejects():
                return Outcome("busy", 603, "persona")
            case _:
                return None

    async def _prepare_callee(self) -> None:
        if not isinstance(self.persona, PicksUp):
            return
        if self.line is None:
            self.callee = SilentCallee(self.persona, self.mode, self.chance)
        else:
            parts = self.parts
            speaker = Speaker(self.line, parts.voice, parts.journal, self.record.sid)
            self.callee = Callee(self.persona, speaker, parts.recognizer)
        await self.callee.prepare()

    def _answer(self) -> None:
        self.record.answered_at = self.parts.clock()
        self._become("in-progress", event="answered")

    async def _converse(self, first: Document | Answer) -> Outcome:
        """Both sides of the answered call, until one of them leaves or the time is up."""
        if self.callee is None:
            await self._prepare_callee()
        assert self.callee is not None  # only personas that pick up get here
        if self.line is None and isinstance(first, Answer):
            # The application's time is not scaled: nobody's stay is shortened by how long its instructions take.
            first = await self.program.load(first)
        sides = {
            asyncio.create_task(self.callee.act()): "persona",
            asyncio.create_task(self.program.run(first)): "twiml",
        }
        if self.line is not None:
            sides[asyncio.create_task(self.line.run())] = "clock"
        limit = self.plan.time_limit_seconds / self.mode.time_scale
        try:
            done, _ = await asyncio.wait(sides, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)
        for side in done:
            side.result()
        return Outcome("completed", 200, sides[min(done, key=lambda side: sides[side])] if done else "time_limit")

    # -- what is kept and told

    def _become(self, status: str, *, event: str | None = None, **fields: Any) -> None:
        now = self.parts.clock()
        self.record.status, self.record.updated_at = status, now
        self.parts.journal.note("call.state", call_sid=self.record.sid, status=status, **fields)
        if event is None or not self.plan.status_url or event not in self.plan.status_events:
            return
        params = self._params() | {
            "CallbackSource": "call-progress-events",
            "Timestamp": format_datetime(now),
            "SequenceNumber": str(self._sequence),
        }
        if self.record.over:
            params["CallDuration"] = str(self.record.duration_seconds)
            params["Duration"] = str(math.ceil(self.record.duration_seconds / 60))
            params["SipResponseCode"] = str(self.record.sip_code)
        self._sequence += 1
        self._teller.put(News(event, params))

    def _end(self, outcome: Outcome) -> None:
        record = self.record
        record.ended_at, record.sip_code, record.ended_by = self.parts.clock(), outcome.sip_code, outcome.by
        record.report = self.callee.report() if self.callee is not None else None
        if record.answered_at is not None:
            talked = (record.ended_at - record.answered_at).total_seconds()
            record.duration_seconds = round(self.mode.simulated(talked))
        self._become(
            outcome.status,
            event="completed",
            sip_code=outcome.sip_code,
            ended_by=outcome.by,
            duration_seconds=record.duration_seconds,
            report=record.report,
        )

    async def _keep_audio(self) -> None:
        if self.record.answered_at is None or self.line is None:
            return
        for name, payload in (("heard", self.line.heard), ("spoken", self.line.spoken)):
            path = self.parts.audio_dir / f"{self.record.sid}-{name}.wav"
            await asyncio.to_thread(save_wav, path, payload)
