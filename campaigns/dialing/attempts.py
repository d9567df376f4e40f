"""An attempt's life: claimed → dialing → placed → settled; uncertain where nobody knows, released where nothing was
dialed. Each step is one transaction, and names the fence of whoever takes it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.clock import utc_now
from app.db import Connection, Database, Row
from app.ids import E164, AttemptId, CampaignId, ContactId, NumberId, OrgId, TeamVersionId
from campaigns.dialing import attempt_store
from campaigns.rules.dispositions import Disposition
from campaigns.rules.pacing import count_to_claim, slot_spacing_seconds
from campaigns.rules.retries import due_after_no_dial
from telephony.calls import Call
from telephony.outbound import DialRequest, OnDoNotCallList, prepare_call
from telephony.toll_gate.destinations import TollGateRefused


class Point(StrEnum):
    """Where a dialer may die; tests make it die there."""

    CLAIMED = "claimed"
    BEFORE_INTENT = "before intent"
    INTENT_COMMITTED = "intent committed"
    ANSWERED_BY_CARRIER = "answered by carrier"
    RECORDED = "recorded"
    SETTLING = "settling"


Failpoint = Callable[[Point], None]


def no_failpoint(_point: Point) -> None:
    """Nothing happens here in earnest."""


@dataclass(frozen=True)
class Times:
    """Seconds. `lease`: how long a dialer has for what it claimed. `request`: the most that one dial request takes.
    `grace`: how long an unknown outcome waits before the carrier's list is believed. `look_again`: how often a placed
    call without an end is asked about; the first time, that long after the ringing bound. `last_words`: how long after
    its end an answered call may still leave its hint, which a person who says it and hangs up makes late.
    `longest_call`: one that lasts longer is hung up."""

    lease: float = 30.0
    request: float = 20.0
    grace: float = 60.0
    look_again: float = 60.0
    last_words: float = 2.0
    longest_call: float = 4 * 3600.0


@dataclass(frozen=True)
class Claim:
    """A contact that is ours to dial until the lease is over. `deadline`: when that is at the latest, on the event
    loop's clock, which goes on while this process is frozen; others may then have concluded that we are gone."""

    attempt_id: AttemptId
    fence: int
    org_id: OrgId
    campaign_id: CampaignId
    contact_id: ContactId
    to: E164
    name: str | None
    from_number_id: NumberId
    team_version_id: TeamVersionId
    ring_timeout_seconds: int
    calls_per_second: float
    deadline: float
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class NotYet:
    """The next dial slot opens in so many seconds."""

    seconds: float


class NoDial(StrEnum):
    """Why a claim is not dialed."""

    LOST = "its lease is over or someone else has it"
    NOT_RUNNING = "the campaign does not run any more"
    BLOCKED = "the number may not be called"


class _Undo(Exception):
    """Roll the intent's transaction back."""

    def __init__(self, outcome: "NotYet | NoDial") -> None:
        super().__init__()
        self.outcome = outcome


async def claim_due(db: Database, campaign_id: CampaignId, *, dialer: str, times: Times) -> list[Claim]:
    """Contacts that are due, fit under the concurrency, and have a dial slot soon; possibly none."""
    deadline = asyncio.get_running_loop().time() + times.lease
    async with db.system() as connection:
        await attempt_store.bound_idle(connection)
        if not await attempt_store.try_lock_claims(connection, campaign_id):
            return []
        room = await attempt_store.select_room_to_claim(connection, campaign_id)
        if room is None:
            return []
        limit = count_to_claim(
            max_concurrent=room["max_concurrent"],
            calls_per_second=room["calls_per_second"],
            open_attempts=room["open_attempts"],
            waiting_for_slot=room["waiting_for_slot"],
            next_slot_in_seconds=room["next_slot_in_seconds"],
        )
        if limit == 0:
            return []
        rows = await attempt_store.claim_contacts(
            connection, campaign_id, limit=limit, dialer=dialer, lease_seconds=times.lease
        )
    return [_read_claim(row, room, campaign_id, deadline) for row in rows]


def _read_claim(row: Row, room: Row, campaign_id: CampaignId, deadline: float) -> Claim:
    return Claim(
        attempt_id=row["id"],
        fence=row["fence"],
        org_id=room["org_id"],
        campaign_id=campaign_id,
        contact_id=row["contact_id"],
        to=row["phone"],
        name=row["name"],
        from_number_id=room["from_number_id"],
        team_version_id=room["team_version_id"],
        ring_timeout_seconds=room["ring_timeout_seconds"],
        calls_per_second=room["calls_per_second"],
        deadline=deadline,
        variables=row["variables"],
    )


async def commit_intent(db: Database, claim: Claim) -> Call | NotYet | NoDial:
    """Take a dial slot and write down that this contact is called now, both or neither; the call to place.

    After this commits the number may have been dialed, whatever happens to us. The slot's row is locked last and
    shortest: all dialers of a campaign meet there.
    """
    try:
        async with db.system() as connection:
            await attempt_store.bound_idle(connection)
            wait = await attempt_store.select_slot_wait(connection, claim.campaign_id)
            if wait is None:
                raise _Undo(NoDial.NOT_RUNNING)
            if wait > 0:
                raise _Undo(NotYet(wait))
            call = await prepare_call(connection, _dial_request(claim), now=utc_now())
            spacing = slot_spacing_seconds(claim.calls_per_second)
            slot = await attempt_store.take_slot(connection, claim.campaign_id, spacing_seconds=spacing)
            if slot is None:
                raise _Undo(NotYet(0.0))  # someone was faster: ask again when the next one is
            if not await attempt_store.set_dialing(
                connection, claim.attempt_id, claim.fence, call_id=call.id, slot=slot
            ):
                raise _Undo(NoDial.LOST)
            return call
    except _Undo as undo:
        return undo.outcome
    except TollGateRefused as error:
        await block_contact(db, claim, error)
        return NoDial.BLOCKED


def _dial_request(claim: Claim) -> DialRequest:
    return DialRequest(
        org_id=claim.org_id,
        to=claim.to,
        team_version_id=claim.team_version_id,
        from_number_id=claim.from_number_id,
        variables={**claim.variables, **({"name": claim.name} if claim.name else {})},
        attempt_id=claim.attempt_id,
        ring_timeout_seconds=claim.ring_timeout_seconds,
    )


async def block_contact(db: Database, claim: Claim, refusal: TollGateRefused) -> bool:
    """The gate said no at the last moment: the contact is never dialed by this campaign."""
    word = Disposition.DO_NOT_CALL if isinstance(refusal, OnDoNotCallList) else Disposition.BLOCKED
    async with db.system() as connection:
        if not await attempt_store.set_settled(
            connection, claim.attempt_id, claim.fence, disposition=word, detail=refusal.detail
        ):
            return False
        await attempt_store.set_contact_blocked(connection, claim.contact_id, disposition=word)
    return True


async def give_back(db: Database, claim: Claim, *, why: str) -> bool:
    """A claim that is not dialed after all; the contact keeps its place in the queue."""
    async with db.system() as connection:
        if not await attempt_store.set_released(
            connection, claim.attempt_id, claim.fence, disposition=None, detail=why
        ):
            return False
        await attempt_store.set_contact_waiting(connection, claim.contact_id, due_at=None)
    return True


async def record_placed(db: Database, claim: Claim, *, times: Times) -> bool:
    """The carrier has it."""
    look_again = claim.ring_timeout_seconds + times.look_again
    async with db.system() as connection:
        return await attempt_store.set_placed(connection, claim.attempt_id, claim.fence, look_again_seconds=look_again)


async def record_uncertain(db: Database, claim: Claim, *, times: Times) -> bool:
    """Nobody knows whether the carrier has it: parked, and never blindly dialed again."""
    async with db.system() as connection:
        return await attempt_store.set_uncertain(connection, claim.attempt_id, claim.fence, grace_seconds=times.grace)


async def record_refused(db: Database, claim: Claim, *, retryable: bool, detail: str) -> bool:
    """The carrier surely did not dial: due again a little later, or over where it never would."""
    async with db.system() as connection:
        if retryable:
            return await release_undialed(connection, claim.attempt_id, claim.fence, claim.contact_id, detail=detail)
        if not await attempt_store.set_settled(
            connection, claim.attempt_id, claim.fence, disposition=Disposition.FAILED, detail=detail
        ):
            return False
        await attempt_store.set_contact_dialed(
            connection, claim.contact_id, disposition=Disposition.FAILED, due_at=None
        )
    return True


async def release_undialed(
    connection: Connection, attempt_id: UUID, fence: int, contact_id: UUID, *, detail: str
) -> bool:
    """An intent that reached no carrier: the try does not count and the contact is due again, later each time."""
    earlier = await attempt_store.count_undialed(connection, contact_id)
    if not await attempt_store.set_released(
        connection, attempt_id, fence, disposition=Disposition.NOT_DIALED, detail=detail
    ):
        return False
    due_at = due_after_no_dial(earlier=earlier, now=utc_now())
    await attempt_store.set_contact_waiting(connection, contact_id, due_at=due_at)
    return True
