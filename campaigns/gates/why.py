"""Why is this contact called, or not? Every gate in order with its verdict, and when it may be called next."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.db import Connection
from app.ids import ContactId, OrgId
from campaigns.contacts import Contact, ContactStatus, load_contact
from campaigns.gates import store
from campaigns.gates.calling import find_opening
from campaigns.gates.gates import Candidate, Gate, Verdict, check_gates, first_refusal
from campaigns.gates.policy import Policy, load_policy
from campaigns.lifecycle.watch import load_canary_counts
from campaigns.rules.canary import Canary, decide_canary
from campaigns.rules.pacing import Mode
from telephony.floor.operator_store import BEAT_LOST_SECONDS
from telephony.toll_gate.gate import find_limit, load_rules
from telephony.toll_gate.limits import DialLimitReached


@dataclass(frozen=True)
class Why:
    """`verdicts`: one a gate, in their order. `next_at`: the first instant at which this contact may be dialed, None:
    never, or not before somebody changes something. `summary`: all of it in a sentence."""

    contact: Contact
    verdicts: Sequence[Verdict]
    next_at: datetime | None
    summary: str


async def why(connection: Connection, org_id: OrgId, contact_id: ContactId, *, now: datetime) -> Why:
    """Nothing is locked, asked outside or changed: a campaign's veto is said to be asked right before the dial.
    Raises ContactNotFound."""
    contact = await load_contact(connection, org_id, contact_id)
    policy = await load_policy(connection, contact.campaign_id)
    rules, dialing = await load_rules(connection, org_id)
    around = await load_circumstances(connection, contact)
    limit = await find_limit(connection, org_id, rules, dialing, contact.next_phone, now=now)
    around = replace(around, limit=_judge_limit(limit))
    candidate = to_candidate(contact)
    verdicts = await check_gates(
        connection,
        policy,
        [candidate],
        now=now,
        suppression={contact.id: _say_when_asked(policy, contact, around, now)},
        toll_gate=rules.why_not,
        lock=False,
    )
    found = verdicts[contact.id]
    shown = [around.limit if around.limit and one.gate is Gate.TOLL_GATE else one for one in found]
    next_at = find_next(policy, contact, shown, now)
    return Why(contact, shown, next_at, summarize(contact, found, next_at, now, around))


@dataclass(frozen=True)
class Circumstances:
    """What a dial depends on beside the gates. `for_people`: operators take the calls, of whom `idle` are free.
    `tried`: there was a try. `put_off`: why the last one was no dial, None where it was one; `put_off_by`: the gate
    that said so, None where none did. `canary`: how far the first calls are, where nobody else is dialed before the
    verdict on them. `limit`: of the toll gate, reached now, as its verdict."""

    for_people: bool = False
    idle: int = 0
    tried: bool = False
    put_off: str | None = None
    put_off_by: Gate | None = None
    canary: str | None = None
    limit: Verdict | None = None


async def load_circumstances(connection: Connection, contact: Contact) -> Circumstances:
    """Without the limit."""
    row = await store.select_circumstances(connection, contact.id, beat_seconds=BEAT_LOST_SECONDS)
    if row is None:
        return Circumstances()
    put_off = row["detail"] if row["status"] == "released" else None
    put_off_by = Gate(row["put_off_by"]) if row["put_off_by"] else None
    canary = None
    if row["canary_left"] is not None and row["canary_left"] <= 0:
        rule = Canary.model_validate(row["canary"])
        canary = decide_canary(await load_canary_counts(connection, contact.campaign_id, rule), rule).reason
        canary = canary or "all of them are over"
    return Circumstances(row["mode"] != Mode.AI, row["idle"], row["status"] is not None, put_off, put_off_by, canary)


def _judge_limit(limit: DialLimitReached | None) -> Verdict | None:
    if limit is None:
        return None
    return Verdict(Gate.TOLL_GATE, False, limit.detail.rstrip("."), "dialing rules", limit.retry_at)


def to_candidate(contact: Contact) -> Candidate:
    return Candidate(
        contact_id=contact.id,
        org_id=contact.org_id,
        campaign_id=contact.campaign_id,
        phone=contact.next_phone,
        time_zone=contact.time_zone,
        consent_at=contact.consent_at,
        consent_expires_at=contact.consent_expires_at,
    )


def find_next(policy: Policy, contact: Contact, verdicts: Sequence[Verdict], now: datetime) -> datetime | None:
    """When every gate that only waits has opened, in hours and before the deadline."""
    if contact.status is not ContactStatus.WAITING or policy.status not in ("running", "scheduled"):
        return None
    waits = [verdict for verdict in verdicts if not verdict.passed and verdict.gate is not Gate.CAMPAIGN]
    if any(verdict.next_at is None for verdict in waits):
        return None
    earliest = max([now, contact.due_at, *(verdict.next_at for verdict in waits if verdict.next_at)])
    hours = find_opening(policy.schedule, contact.next_phone, contact.time_zone).hours
    opens = hours.next_open(earliest) if hours else None
    if opens is None or (policy.deadline_at is not None and opens >= policy.deadline_at):
        return None
    return opens


def summarize(
    contact: Contact, verdicts: Sequence[Verdict], next_at: datetime | None, now: datetime, around: Circumstances
) -> str:
    """For people. `verdicts`: without the limit of the toll gate, which is asked after all of them."""
    if contact.status is ContactStatus.FINISHED:
        calls = "1 call" if contact.attempts_made == 1 else f"{contact.attempts_made} calls"
        return f"finished as {contact.disposition} after {calls}"
    if contact.status is ContactStatus.BLOCKED:
        return f"blocked for good by {contact.blocked_by or 'a gate'}: {contact.blocked_reason or contact.disposition}"
    if contact.status is ContactStatus.IN_FLIGHT:
        return "is being called now"
    refusal = first_refusal(verdicts)
    if refusal is not None:
        return f"not called, {refusal.gate}: {refusal.reason}"
    if around.canary is not None and contact.due_at <= now:
        return f"waits for the verdict of the campaign's canary: {around.canary}"
    if around.limit is not None and around.limit.next_at is not None and around.limit.next_at > contact.due_at:
        return f"not called, {around.limit.gate}: {around.limit.reason}"
    if next_at is not None and next_at > now:
        return f"every gate is open; due later{_why_later(contact, around)}"
    if around.for_people and around.idle == 0:
        return "called as soon as an operator is idle; none is"
    return f"called as soon as {'an operator and a line are' if around.for_people else 'a line is'} free"


def _why_later(contact: Contact, around: Circumstances) -> str:
    if around.put_off is not None:
        return f": its last try was not dialed ({around.put_off.rstrip('.')})"
    if contact.callback_at is not None and contact.callback_at == contact.due_at:
        return ", when they asked to be called again"
    return ", as its last call left it" if around.tried else ""


def _say_when_asked(policy: Policy, contact: Contact, around: Circumstances, now: datetime) -> Verdict:
    """What the last answer put off stays so until it is asked again; nobody is asked for this."""
    if around.put_off and around.put_off_by is Gate.SUPPRESSION and contact.due_at > now:
        return Verdict(Gate.SUPPRESSION, False, around.put_off, policy.suppression.url, contact.due_at)
    return Verdict(Gate.SUPPRESSION, True, "asked right before the dial", policy.suppression.url)
