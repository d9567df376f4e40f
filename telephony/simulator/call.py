"""The life of one simulated call: queued → initiated → ringing → in-progress → how it ended.

`Call.live` is the story; every step is journaled and told to the application by signed status callbacks.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from app.clock import Clock
from app.logs import get_logger
from telephony.simulator.audio.line import Line
from telephony.simulator.audio.voice import Voice
from telephony.simulator.audio.wav import save_wav
from telephony.simulator.callee import Callee
from telephony.simulator.journal import Journal
from telephony.simulator.persona import Busy, Invalid, NoAnswer, Persona, PicksUp, Rejects
from telephony.simulator.program import Answer, Program
from telephony.simulator.record import CallPlan, CallRecord, Outcome
from telephony.simulator.twiml import Document, Reject
from telephony.simulator.webhooks import Webhooks

SETUP_SECONDS = 0.1
"""From dialing to the first ring."""

CALLBACK_DRAIN_SECONDS = 35.0
"""Longer than two tries of one status callback."""

CLEANUP_SECONDS = 3.0

logger = get_logger(__name__)


@dataclass(frozen=True)
class Parts:
    """What every call shares. `slot` waits until the account's rate lets one more call start."""

    account_sid: str
    journal: Journal
    webhooks: Webhooks
    voice: Voice
    clock: Clock
    slot: Callable[[], Awaitable[None]]
    audio_dir: Path


@dataclass
class Call:
    """One live call; `live` runs it to its end and returns when everybody has been told."""

    record: CallRecord
    plan: CallPlan
    persona: Persona
    parts: Parts
    line: Line = field(default_factory=Line)
    callee: Callee | None = None

    def __post_init__(self) -> None:
        parts = self.parts
        self.program = Program(
            self.record.sid,
            parts.account_sid,
            self.line,
            lambda: self.record.params(parts.account_sid),
            parts.webhooks,
            parts.voice,
            parts.journal,
        )
        self._callbacks: asyncio.Queue[tuple[str, dict[str, str]] | None] = asyncio.Queue()
        self._sequence = 0
        self._cut_off: Outcome | None = None
        self._story: asyncio.Task[Outcome] | None = None

    async def live(self) -> None:
        """Run the call; the outermost loop of its task: what goes wrong ends this call only."""
        teller = asyncio.create_task(self._tell(), name=f"{self.record.sid}-status")
        try:
            self._end(await self._outcome())
            await self._keep_audio()
            self._callbacks.put_nowait(None)
            await asyncio.wait({teller}, timeout=CALLBACK_DRAIN_SECONDS)
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
        await asyncio.sleep(SETUP_SECONDS)
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
            await asyncio.sleep(patience)
            return Outcome("no-answer", 487, "time_limit")
        await asyncio.gather(asyncio.sleep(self.persona.rings_seconds), self._prepare_callee())
        match self.persona:
            case Busy():
                return Outcome("busy", 486, "persona")
            case Rejects():
                return Outcome("busy", 603, "persona")
            case _:
                return None

    async def _prepare_callee(self) -> None:
        if isinstance(self.persona, PicksUp):
            self.callee = self._make_callee(self.persona)
            await self.callee.prepare()

    def _make_callee(self, persona: PicksUp) -> Callee:
        return Callee(persona, self.line, self.parts.voice, self.parts.journal, self.record.sid)

    def _answer(self) -> None:
        self.record.answered_at = self.parts.clock()
        self._become("in-progress", event="answered")

    async def _converse(self, first: Document | Answer) -> Outcome:
        """Both sides of the answered call, until one of them leaves or the time is up."""
        if self.callee is None:
            await self._prepare_callee()
        assert self.callee is not None  # only personas that pick up get here
        sides = {
            asyncio.create_task(self.callee.act()): "persona",
            asyncio.create_task(self.program.run(first)): "twiml",
            asyncio.create_task(self.line.run()): "clock",
        }
        try:
            done, _ = await asyncio.wait(
                sides, timeout=self.plan.time_limit_seconds, return_when=asyncio.FIRST_COMPLETED
            )
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
        params = self.record.params(self.parts.account_sid) | {
            "CallbackSource": "call-progress-events",
            "Timestamp": format_datetime(now),
            "SequenceNumber": str(self._sequence),
        }
        if self.record.over:
            params["CallDuration"] = str(self.record.duration_seconds)
            params["Duration"] = str(math.ceil(self.record.duration_seconds / 60))
            params["SipResponseCode"] = str(self.record.sip_code)
        self._sequence += 1
        self._callbacks.put_nowait((event, params))

    def _end(self, outcome: Outcome) -> None:
        record = self.record
        record.ended_at, record.sip_code, record.ended_by = self.parts.clock(), outcome.sip_code, outcome.by
        record.report = self.callee.report() if self.callee is not None else None
        self._become(
            outcome.status,
            event="completed",
            sip_code=outcome.sip_code,
            ended_by=outcome.by,
            duration_seconds=record.duration_seconds,
            report=record.report,
        )

    async def _keep_audio(self) -> None:
        if self.record.answered_at is None:
            return
        for name, payload in (("heard", self.line.heard), ("spoken", self.line.spoken)):
            path = self.parts.audio_dir / f"{self.record.sid}-{name}.wav"
            await asyncio.to_thread(save_wav, path, payload)

    async def _tell(self) -> None:
        """Send the status callbacks one after the other, in order."""
        while (waiting := await self._callbacks.get()) is not None:
            _, params = waiting
            await self.parts.webhooks.tell_status(
                self.record.sid, self.plan.status_url, self.plan.status_method, params
            )
