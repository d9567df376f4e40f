"""What the carrier said to a dial request, written down: many at a time, and again until the database has it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from app.clock import utc_now
from app.db import Connection, Database, DatabaseUnavailable
from app.logs import get_logger
from campaigns.dialing import attempt_store, settling_store
from campaigns.dialing.attempts import Claim, Departure, Times, first_look
from campaigns.dialing.recovery.releasing import Open, release_attempt, release_undialed
from campaigns.dialing.settling import Settlement, decide_refused, write_settlements
from telephony.calls import AtFault, End, EndReason, EndResult, end_call_in
from telephony.carriers.base import NumberFault
from telephony.carriers.replies import Refusal, read_reply
from telephony.outbound_batch import record_dialed

log = get_logger(__name__)

GATHER_SECONDS = 0.05
MOST_AT_ONCE = 500
AGAIN_SECONDS = 0.25


@dataclass(frozen=True)
class Placed:
    """The carrier has it, under this id."""

    carrier_call_id: str


@dataclass(frozen=True)
class Refused:
    """The carrier surely did not dial. `retryable`: the same request may succeed in a moment. `carrier_code`: its own
    number for the reason. `throttled`: it wants fewer requests, and did not fail. `number_fault`: what it has against
    this number; None: it would have refused any."""

    detail: str
    retryable: bool
    carrier_code: int | None = None
    throttled: bool = False
    number_fault: NumberFault | None = None

    @property
    def end(self) -> End:
        """Of the call: a number that is none is no fault of the carrier's, as where it says so only after the dial."""
        if self.number_fault is NumberFault.INVALID:
            return End(EndResult.FAILED, EndReason.INVALID_NUMBER, AtFault.CALLEE)
        return End(EndResult.FAILED, EndReason.CARRIER_ERROR, AtFault.CARRIER)


@dataclass(frozen=True)
class Unclear:
    """Nobody knows whether the carrier has it: parked, and never blindly dialed again."""


@dataclass(frozen=True)
class NotSent:
    """The request was surely not sent, and never will be: its time passed, or the mark could not be written."""

    detail: str


Answer = Placed | Refused | Unclear | NotSent


@dataclass(frozen=True)
class Outcome:
    departure: Departure
    answer: Answer

    @property
    def claim(self) -> Claim:
        return self.departure.claim


class Recorder:
    """Gathers outcomes for a moment and writes them in one transaction. Its caller owns the tasks that wait in
    `record`; the last of them ends with the writing."""

    def __init__(self, db: Database, times: Times) -> None:
        self._db = db
        self._times = times
        self._waiting: list[tuple[Outcome, asyncio.Future[None]]] = []
        self._writing = asyncio.Lock()

    async def record(self, outcome: Outcome) -> None:
        """Return once it is committed, however long the database is away. Each step names its fence, so writing
        twice what a lost connection may have committed changes nothing."""
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((outcome, written))
        async with self._writing:
            if not written.done():
                await asyncio.sleep(GATHER_SECONDS)
                await self._write()
        await written

    async def _write(self) -> None:
        """All that waits; whoever comes first writes for the others."""
        while self._waiting:
            batch = self._waiting[:MOST_AT_ONCE]
            try:
                await record_outcomes(self._db, [outcome for outcome, _ in batch], self._times)
            except DatabaseUnavailable as error:
                log.warning("outcomes wait for the database", waiting=len(self._waiting), why=error.detail)
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            except asyncpg.UniqueViolationError:
                await self._write_singly(batch)
            except asyncpg.PostgresError as error:
                for _, written in batch:
                    if not written.done():
                        written.set_exception(error)
            del self._waiting[: len(batch)]
            for _, written in batch:
                if not written.done():
                    written.set_result(None)

    async def _write_singly(self, batch: list[tuple[Outcome, "asyncio.Future[None]"]]) -> None:
        """One of them has a carrier's id that another call has: it must not keep the others from being written."""
        for outcome, written in batch:
            try:
                await record_outcomes(self._db, [outcome], self._times)
            except (DatabaseUnavailable, asyncpg.UniqueViolationError) as error:
                if not written.done():
                    written.set_exception(error)


async def record_outcomes(db: Database, outcomes: Sequence[Outcome], times: Times) -> None:
    """Write down what came of these requests, in one transaction."""
    placed = [(one.departure, one.answer) for one in outcomes if isinstance(one.answer, Placed)]
    refused = [(one.departure, one.answer) for one in outcomes if isinstance(one.answer, Refused)]
    unclear = [one.claim for one in outcomes if isinstance(one.answer, Unclear)]
    async with db.system() as connection:
        await attempt_store.bound_idle(connection)
        if placed:
            await _record_placed(connection, placed, times)
        if unclear:
            await attempt_store.set_uncertain(
                connection,
                ids=[claim.attempt_id for claim in unclear],
                fences=[claim.fence for claim in unclear],
                wait_seconds=first_look(times),
            )
        if refused:
            await _record_refused(connection, refused)
        for one in outcomes:
            if isinstance(one.answer, NotSent):
                await _record_unsent(connection, one.departure, one.answer)


async def _record_placed(connection: Connection, placed: Sequence[tuple[Departure, Placed]], times: Times) -> None:
    await record_dialed(connection, {departure.call.id: answer.carrier_call_id for departure, answer in placed})
    await attempt_store.set_placed(
        connection,
        ids=[departure.claim.attempt_id for departure, _ in placed],
        fences=[departure.claim.fence for departure, _ in placed],
        look_again_seconds=[d.claim.terms.ring_timeout_seconds + times.look_again for d, _ in placed],
    )


async def _record_refused(connection: Connection, refused: Sequence[tuple[Departure, Refused]]) -> None:
    """Nobody's phone rang. What the carrier would take in a moment is due again a little later; of all else the contact
    goes on as its campaign says."""
    for departure, answer in refused:
        await end_call_in(connection, departure.call.id, answer.end)
        if answer.retryable:
            attempt, failed = Open.of_claim(departure.claim), not answer.throttled
            await release_undialed(connection, attempt, detail=answer.detail, carrier_failed=failed)
    over = {departure.claim.attempt_id: (departure, answer) for departure, answer in refused if not answer.retryable}
    if not over:
        return
    rows = await settling_store.select_refused(
        connection, ids=list(over), fences=[departure.claim.fence for departure, _ in over.values()]
    )
    now = utc_now()
    settlements: list[Settlement] = []
    for row in rows:
        departure, answer = over[row["id"]]
        blocked = read_reply(carrier=departure.call.carrier, carrier_code=answer.carrier_code) is Refusal.BLOCKED
        fault = answer.number_fault
        settlements.append(
            decide_refused(row, now, end=answer.end, detail=answer.detail, number_fault=fault, blocked=blocked)
        )
    await write_settlements(connection, settlements)


async def _record_unsent(connection: Connection, departure: Departure, unsent: NotSent) -> None:
    """The contact keeps its place; the call's row ends, so that nothing can send it any more."""
    if await release_attempt(connection, Open.of_claim(departure.claim), detail=unsent.detail, due_at=None):
        await end_call_in(connection, departure.call.id, End(EndResult.FAILED, EndReason.LOST, AtFault.US))
