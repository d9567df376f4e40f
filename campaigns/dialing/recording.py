"""What the carrier said to a dial request, written down: many at a time, and again until the database has it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import asyncpg

from app.clock import utc_now
from app.db import Connection, Database, DatabaseUnavailable, Row
from app.ids import AttemptId, CampaignId, ContactId, OrgId
from app.logs import get_logger
from campaigns.dialing import attempt_store, settling_store
from campaigns.dialing.attempts import Claim, Departure, Times, first_look
from campaigns.dialing.intents import event_of
from campaigns.outcomes.events import AttemptEvent, CampaignEventKind, record_attempt_events
from campaigns.rules.dispositions import Disposition
from campaigns.rules.retries import due_after_no_dial
from telephony.calls import AtFault, End, EndReason, EndResult, end_call_in
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
    """The carrier surely did not dial. `retryable`: the same request may succeed later. `carrier_code`: its own number
    for the reason. `throttled`: it wants fewer requests, and did not fail."""

    detail: str
    retryable: bool
    carrier_code: int | None = None
    throttled: bool = False


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
        for one in outcomes:
            if isinstance(one.answer, Refused):
                await _record_refused(connection, one.departure, one.answer)
            elif isinstance(one.answer, NotSent):
                await _record_unsent(connection, one.departure, one.answer)


async def _record_placed(connection: Connection, placed: Sequence[tuple[Departure, Placed]], times: Times) -> None:
    await record_dialed(connection, {departure.call.id: answer.carrier_call_id for departure, answer in placed})
    await attempt_store.set_placed(
        connection,
        ids=[departure.claim.attempt_id for departure, _ in placed],
        fences=[departure.claim.fence for departure, _ in placed],
        look_again_seconds=[d.claim.terms.ring_timeout_seconds + times.look_again for d, _ in placed],
    )


@dataclass(frozen=True)
class Open:
    """An attempt that is open, named as a step names it."""

    attempt_id: AttemptId
    fence: int
    contact_id: ContactId
    campaign_id: CampaignId
    org_id: OrgId

    @classmethod
    def of_claim(cls, claim: Claim) -> Self:
        terms = claim.terms
        return cls(claim.attempt_id, claim.fence, claim.contact_id, terms.campaign_id, terms.org_id)

    @classmethod
    def of_row(cls, row: Row) -> Self:
        """A row of `attempts`, or one with these columns of it."""
        return cls(row["id"], row["fence"], row["contact_id"], row["campaign_id"], row["org_id"])


async def _record_refused(connection: Connection, departure: Departure, refused: Refused) -> None:
    """Due again a little later, or over where the carrier never would."""
    claim = departure.claim
    await end_call_in(connection, departure.call.id, End(EndResult.FAILED, EndReason.CARRIER_ERROR, AtFault.CARRIER))
    if refused.retryable:
        failed = not refused.throttled
        await release_undialed(connection, Open.of_claim(claim), detail=refused.detail, carrier_failed=failed)
        return
    blocked = read_reply(carrier=departure.call.carrier, carrier_code=refused.carrier_code) is Refusal.BLOCKED
    disposition = Disposition.CARRIER_BLOCKED if blocked else Disposition.FAILED
    settled = await settling_store.set_settled(
        connection,
        ids=[claim.attempt_id],
        fences=[claim.fence],
        dispositions=[disposition],
        details=[refused.detail],
    )
    if settled:
        await settling_store.set_contacts_dialed(
            connection,
            contact_ids=[claim.contact_id],
            dispositions=[disposition],
            due_at=[None],
            phone_index=[None],
        )
        data: dict[str, object] = {"disposition": disposition.value, "detail": refused.detail}
        await record_attempt_events(connection, [event_of(claim, CampaignEventKind.ATTEMPT_SETTLED, data)])


async def _record_unsent(connection: Connection, departure: Departure, unsent: NotSent) -> None:
    """The contact keeps its place; the call's row ends, so that nothing can send it any more."""
    if await _release(connection, Open.of_claim(departure.claim), detail=unsent.detail, due_at=None):
        await end_call_in(connection, departure.call.id, End(EndResult.FAILED, EndReason.LOST, AtFault.US))


async def release_undialed(connection: Connection, attempt: Open, *, detail: str, carrier_failed: bool = False) -> bool:
    """An intent that reached no carrier: the try does not count and the contact is due again, later each time."""
    earlier = (await attempt_store.count_undialed(connection, [attempt.contact_id])).get(attempt.contact_id, 0)
    due_at = due_after_no_dial(earlier=earlier, now=utc_now())
    return await _release(connection, attempt, detail=detail, due_at=due_at, carrier_failed=carrier_failed)


async def _release(
    connection: Connection, attempt: Open, *, detail: str, due_at: datetime | None, carrier_failed: bool = False
) -> bool:
    released = await attempt_store.set_released(
        connection,
        ids=[attempt.attempt_id],
        fences=[attempt.fence],
        disposition=Disposition.NOT_DIALED,
        detail=detail,
        carrier_failed=carrier_failed,
    )
    if not released:
        return False
    await attempt_store.set_contacts_waiting(connection, [attempt.contact_id], due_at=[due_at])
    told = AttemptEvent(
        attempt.org_id,
        attempt.campaign_id,
        CampaignEventKind.ATTEMPT_RELEASED,
        attempt.attempt_id,
        attempt.contact_id,
        {"detail": detail} | ({"due_at": due_at.isoformat()} if due_at else {}),
    )
    await record_attempt_events(connection, [told])
    return True
