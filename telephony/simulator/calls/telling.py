"""Status callbacks of one call, in order and one after the other, unless a fault orders otherwise."""

import asyncio
from dataclasses import dataclass, field
from random import Random

from telephony.simulator.calls.record import CallPlan
from telephony.simulator.calls.webhooks import Webhooks
from telephony.simulator.faults import Faults, Target
from telephony.simulator.journal import Journal


@dataclass(frozen=True)
class News:
    """One change of the call: its event name, and the parameters of its callback."""

    event: str
    params: dict[str, str]


@dataclass
class Teller:
    """Tells the application what became of one call. `put` whenever something changes, `close` at the end."""

    call_sid: str
    to: str
    plan: CallPlan
    webhooks: Webhooks
    journal: Journal
    faults: Faults
    chance: Random
    _news: asyncio.Queue[News | None] = field(default_factory=asyncio.Queue[News | None])
    _late: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def put(self, news: News) -> None:
        self._news.put_nowait(news)

    def close(self) -> None:
        self._news.put_nowait(None)

    async def run(self) -> None:
        """Tell everything until `close`; what was ordered late is waited for."""
        held: list[News] = []
        try:
            while (news := await self._news.get()) is not None:
                if await self._meet_fault(news, held):
                    continue
                await self._send(news)
                while held:
                    await self._send(held.pop(0))
            for news in held:
                await self._send(news)
            if self._late:
                await asyncio.wait(self._late)
        finally:
            for task in self._late:
                task.cancel()

    async def _meet_fault(self, news: News, held: list[News]) -> bool:
        """True where the fault has dealt with the callback, or puts it off."""
        fault = self.faults.take(Target.WEBHOOK, self.chance, to=self.to, event=news.event)
        if fault is None:
            return False
        self.journal.note("fault.met", call_sid=self.call_sid, fault=fault.kind, event=news.event)
        match fault.kind:
            case "webhook_duplicate":
                await self._send(news)
                return False
            case "webhook_late":
                self._late.add(asyncio.create_task(self._send_late(news, fault.seconds)))
            case "webhook_out_of_order":
                held.append(news)
            case _:
                pass  # missing: never sent
        return True

    async def _send_late(self, news: News, after_seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        await self._send(news)

    async def _send(self, news: News) -> None:
        await self.webhooks.tell_status(self.call_sid, self.plan.status_url, self.plan.status_method, news.params)
