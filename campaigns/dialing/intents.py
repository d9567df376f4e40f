"""Intents: claims pass the gates, get a dial slot each, and it is written down that they are called. One transaction.

After it commits these numbers may have been dialed, whatever happens to us.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.clock import utc_now
from app.db import Connection, Database
from campaigns.dialing import attempt_store, settling_store
from campaigns.dialing.attempts import LATE_SECONDS, Claim, Departure
from campaigns.dialing.gatekeeping import Admission, GateName, Refusal, Vetoes, ask_gates, reserve
from campaigns.dialing.lanes.taking import take_slots
from campaigns.outcomes.events import AttemptEvent, CampaignEventKind, record_attempt_events
from campaigns.rules.dispositions import Disposition
from telephony.lines.numbers import Number
from telephony.outbound_batch import prepare_calls
from telephony.toll_gate.gate import open_gate

NOT_RUNNING = "the campaign does not run any more"


@dataclass(frozen=True)
class Intents:
    """`departures`: to send at their slots. `later`: claims for which no slot is near; ask again in `wait_seconds`.
    Every other claim was given back, blocked, put off, or is somebody else's by now."""

    departures: list[Departure] = field(default_factory=list[Departure])
    later: list[Claim] = field(default_factory=list[Claim])
    wait_seconds: float = 0.0


async def commit_intents(
    db: Database,
    claims: Sequence[Claim],
    *,
    lead_seconds: float,
    patience: float = LATE_SECONDS,
    vetoes: Vetoes | None = None,
) -> Intents:
    """Intents for claims of one campaign, with slots from `lead_seconds` on. Gates come first, slots last: all dialers
    of a lane meet at its row, and hold it shortest."""
    terms = claims[0].terms
    async with db.system() as connection:
        await attempt_store.bound_idle(connection)
        held = await attempt_store.lock_claims(connection, {claim.attempt_id: claim.fence for claim in claims})
        ours = [claim for claim in claims if claim.attempt_id in held]
        if not ours:
            return Intents()
        gate = await open_gate(connection, terms.org_id, terms.from_number_id)
        admissions, refusals = await ask_gates(connection, gate, ours, vetoes or {})
        await turn_away(connection, refusals)
        slots = await take_slots(connection, terms, len(admissions), lead_seconds=lead_seconds, patience=patience)
        if slots is None:
            await release_claims(connection, [one.claim for one in admissions], why=NOT_RUNNING)
            return Intents()
        with_slot = admissions[: len(slots.instants)]
        goes, refusals = await reserve(connection, gate, with_slot)
        await turn_away(connection, refusals)
        going = [(one, slot) for one, slot, go in zip(with_slot, slots.instants, goes, strict=True) if go]
        departures = await write_intents(connection, gate.number, going, patience=slots.patience)
    return Intents(departures, [one.claim for one in admissions[len(with_slot) :]], slots.wait_seconds)


async def write_intents(
    connection: Connection, number: Number, going: Sequence[tuple[Admission, datetime]], *, patience: float
) -> list[Departure]:
    """The calls, and that the attempts are dialing them at these slots."""
    requests = [one.request for one, _ in going]
    calls = {call.id: call for call in await prepare_calls(connection, number, requests, now=utc_now())}
    departures = [Departure(one.claim, calls[one.request.call_id], slot, patience) for one, slot in going]
    await attempt_store.set_dialing(
        connection,
        ids=[one.claim.attempt_id for one in departures],
        call_ids=[one.call.id for one in departures],
        slots=[one.slot for one in departures],
        gates=[one.evidence for one, _ in going],
    )
    await record_attempt_events(connection, [_dialed(one) for one in departures])
    return departures


def _dialed(departure: Departure) -> AttemptEvent:
    data = {"phone": departure.claim.to, "ordinal": departure.claim.ordinal, "call_id": str(departure.call.id)}
    return event_of(departure.claim, CampaignEventKind.ATTEMPT_DIALED, data)


def event_of(claim: Claim, kind: CampaignEventKind, data: Mapping[str, Any]) -> AttemptEvent:
    """What happened to this try."""
    return AttemptEvent(claim.terms.org_id, claim.terms.campaign_id, kind, claim.attempt_id, claim.contact_id, data)


async def turn_away(connection: Connection, refusals: Sequence[Refusal]) -> None:
    """What a gate said no to, of claims that are held: for now, and the contact is due again then; or for good."""
    never = [one for one in refusals if one.for_good]
    later = [one for one in refusals if not one.for_good]
    if later:
        for gate, detail in {(one.gate, one.reason) for one in later}:
            alike = [one.claim for one in later if (one.gate, one.reason) == (gate, detail)]
            await attempt_store.set_released(
                connection,
                ids=[claim.attempt_id for claim in alike],
                fences=[claim.fence for claim in alike],
                disposition=None,
                detail=detail,
                put_off_by=gate,
            )
        await attempt_store.set_contacts_waiting(
            connection, [one.claim.contact_id for one in later], due_at=[one.due_at for one in later], by_gate=True
        )
    if never:
        await _block(connection, never)


async def _block(connection: Connection, refusals: Sequence[Refusal]) -> None:
    words = [Disposition.DO_NOT_CALL if one.gate is GateName.DO_NOT_CALL else Disposition.BLOCKED for one in refusals]
    await settling_store.set_settled(
        connection,
        ids=[one.claim.attempt_id for one in refusals],
        fences=[one.claim.fence for one in refusals],
        dispositions=words,
        details=[one.reason for one in refusals],
    )
    await attempt_store.set_contacts_blocked(
        connection,
        [one.claim.contact_id for one in refusals],
        dispositions=words,
        by=[one.gate for one in refusals],
        reasons=[one.reason for one in refusals],
    )
    kind = CampaignEventKind.CONTACT_BLOCKED
    await record_attempt_events(
        connection,
        [
            event_of(one.claim, kind, {"phone": one.claim.to, "gate": one.gate, "detail": one.reason})
            for one in refusals
        ],
    )


async def give_back(db: Database, claims: Sequence[Claim], *, why: str) -> int:
    """Claims that are not dialed after all; the contacts keep their places in the queue. How many were ours still."""
    async with db.system() as connection:
        await attempt_store.bound_idle(connection)
        return await release_claims(connection, claims, why=why)


async def release_claims(connection: Connection, claims: Sequence[Claim], *, why: str) -> int:
    """`give_back` inside the caller's transaction."""
    released = await attempt_store.set_released(
        connection,
        ids=[claim.attempt_id for claim in claims],
        fences=[claim.fence for claim in claims],
        disposition=None,
        detail=why,
    )
    back = [claim.contact_id for claim in claims if claim.attempt_id in released]
    await attempt_store.set_contacts_waiting(connection, back, due_at=[None] * len(back))
    return len(released)
