"""The gates that every campaign dial passes, in one order, with a reason for each answer.

Asked for a batch of contacts at once inside the transaction that commits the intents: what was put on a list before
that is seen, and two dialers never pass one number at the same time where its calls are counted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from app.db import Connection, Row
from app.ids import E164, CampaignId, ContactId, OrgId
from campaigns.gates import store
from campaigns.gates.calling import find_opening, judge_hours
from campaigns.gates.policy import Policy, load_policy
from campaigns.rules.calling.caps import MOST, WEEK, Dials, Limits, judge_cap
from campaigns.rules.calling.consent import judge_consent
from campaigns.rules.calling.ruling import Ruling

__all__ = ["Candidate", "Gate", "Policy", "Verdict", "check_gates", "first_refusal", "load_policy", "to_evidence"]


class Gate(StrEnum):
    """In the order in which they are asked."""

    CAMPAIGN = "campaign"
    WINDOW = "window"
    CONSENT = "consent"
    DO_NOT_CALL = "do-not-call"
    SUPPRESSION = "suppression"
    TOLL_GATE = "toll-gate"
    CALLING_HOURS = "calling-hours"
    CAPS = "caps"


@dataclass(frozen=True)
class Candidate:
    """A contact about to be called. `phone`: the number dialed next. `time_zone`: what the list says."""

    contact_id: ContactId
    org_id: OrgId
    campaign_id: CampaignId
    phone: E164
    time_zone: str | None = None
    consent_at: datetime | None = None
    consent_expires_at: datetime | None = None


@dataclass(frozen=True)
class Verdict:
    """What a gate says. Not passed and no `next_at`: never. `source`: what it rests on."""

    gate: Gate
    passed: bool
    reason: str
    source: str | None = None
    next_at: datetime | None = None

    @classmethod
    def of(cls, gate: Gate, ruling: Ruling) -> "Verdict":
        return cls(gate, ruling.passed, ruling.reason, ruling.source, ruling.next_at)


SOON = timedelta(seconds=60)
BUSY = timedelta(seconds=5)
TollGate = Callable[[E164], str | None]
"""Why a number is not dialed, or None."""


async def check_gates(
    connection: Connection,
    policy: Policy,
    candidates: Sequence[Candidate],
    *,
    now: datetime,
    suppression: Mapping[ContactId, Verdict] = MappingProxyType({}),
    toll_gate: TollGate | None = None,
    lock: bool = True,
) -> dict[ContactId, list[Verdict]]:
    """Every gate's verdict on every candidate, in the order of the gates; at most three queries for all of them.

    Call it in the transaction that commits the intents, before anything that others wait for is locked. `suppression`:
    what SuppressionClient said; where the campaign asks somebody and an answer is missing, the contact is put off.
    `toll_gate`: left out, that gate is asked elsewhere and has no verdict here. `lock`: False where nothing is dialed.
    Verdicts of CAMPAIGN and WINDOW are about the campaign: a contact that they stop is given back, never blocked.
    """
    if not candidates:
        return {}
    shared = [judge_campaign(policy, now), judge_window(policy, now)]
    phones = sorted({candidate.phone for candidate in candidates})
    listed = await store.select_listed(connection, policy.org_id, policy.campaign_id, phones)
    counted = await _count_dials(connection, policy, candidates, now=now, lock=lock)
    verdicts: dict[ContactId, list[Verdict]] = {}
    dialed: set[E164] = set()
    for one in candidates:
        found = [*shared, _judge_consent(policy, one, now), judge_listed(listed.get(one.phone))]
        if policy.suppression.url is not None:
            found.append(suppression.get(one.contact_id) or Verdict(Gate.SUPPRESSION, False, NOT_ASKED, None, now))
        else:
            found.append(NOBODY_ASKED)
        if toll_gate is not None:
            found.append(judge_toll(toll_gate(one.phone)))
        found.append(Verdict.of(Gate.CALLING_HOURS, judge_hours(policy.schedule, one.phone, one.time_zone, now)))
        found.append(_judge_caps(policy, one, counted, now, about_to_dial=one.phone in dialed))
        if first_refusal(found) is None:
            dialed.add(one.phone)
        verdicts[one.contact_id] = found
    return verdicts


def first_refusal(verdicts: Iterable[Verdict]) -> Verdict | None:
    """The first gate that is closed; None: the contact may be dialed."""
    return next((verdict for verdict in verdicts if not verdict.passed), None)


def to_evidence(verdicts: Iterable[Verdict]) -> list[dict[str, Any]]:
    """For attempts.gates: JSON values, without what is empty."""
    rows = (
        {
            "gate": verdict.gate.value,
            "passed": verdict.passed,
            "reason": verdict.reason,
            "source": verdict.source,
            "next_at": verdict.next_at.isoformat() if verdict.next_at else None,
        }
        for verdict in verdicts
    )
    return [{key: value for key, value in row.items() if value is not None} for row in rows]


# -- the gates one by one

NOT_ASKED = "who may veto the dial was not asked yet"
NOBODY_ASKED = Verdict(Gate.SUPPRESSION, True, "the campaign asks nobody")
NOT_LISTED = Verdict(Gate.DO_NOT_CALL, True, "on no list")
TOLL_PASSED = Verdict(Gate.TOLL_GATE, True, "the destination is allowed")
NO_CAPS = Verdict(Gate.CAPS, True, "calls are not counted")


def judge_campaign(policy: Policy, now: datetime) -> Verdict:
    """A campaign that does not run holds its contacts back: they stay due."""
    if policy.status == "running":
        return Verdict(Gate.CAMPAIGN, True, "the campaign runs")
    words = {"draft": "was not started yet", "finished": "is finished"}
    reason = f"the campaign {words.get(policy.status, f'is {policy.status}')}"
    return Verdict(Gate.CAMPAIGN, False, reason, None, None if policy.status == "finished" else now)


def judge_window(policy: Policy, now: datetime) -> Verdict:
    """Between the campaign's start and its deadline."""
    if policy.starts_at is not None and now < policy.starts_at:
        reason = f"the campaign begins at {policy.starts_at:%Y-%m-%d %H:%M} UTC"
        return Verdict(Gate.WINDOW, False, reason, None, policy.starts_at)
    if policy.deadline_at is not None and now >= policy.deadline_at:
        return Verdict(Gate.WINDOW, False, f"the campaign's deadline was {policy.deadline_at:%Y-%m-%d %H:%M} UTC")
    return Verdict(Gate.WINDOW, True, "between the campaign's start and its deadline")


def judge_listed(row: Row | None) -> Verdict:
    """`row`: of do_not_call, with campaign_id, source, reason, created_at."""
    if row is None:
        return NOT_LISTED
    whose = "organization's" if row["campaign_id"] is None else "campaign's"
    why = f": {row['reason']}" if row["reason"] else ""
    source = f"{row['source']}, {row['created_at']:%Y-%m-%d}"
    return Verdict(Gate.DO_NOT_CALL, False, f"on the {whose} do-not-call list{why}", source)


def judge_toll(reason: str | None) -> Verdict:
    """`reason`: why the number is not dialed, or None."""
    return TOLL_PASSED if reason is None else Verdict(Gate.TOLL_GATE, False, reason)


def _judge_consent(policy: Policy, one: Candidate, now: datetime) -> Verdict:
    ruling = judge_consent(policy.consent, given_at=one.consent_at, expires_at=one.consent_expires_at, now=now)
    return Verdict.of(Gate.CONSENT, ruling)


def number_limits(policy: Policy, one: Candidate) -> Limits:
    """The campaign's own, or what the law of the place allows a day if that is less."""
    limits = policy.caps.number
    by_law = find_opening(policy.schedule, one.phone, one.time_zone).per_day
    if by_law is None or (limits.per_day is not None and limits.per_day <= by_law):
        return limits
    return limits.model_copy(update={"per_day": by_law})


@dataclass(frozen=True)
class _Counted:
    """`ours`: numbers that nobody else can be about to dial; None: nobody asked."""

    dials: Mapping[ContactId, Row]
    ours: Set[str] | None


async def _count_dials(
    connection: Connection, policy: Policy, candidates: Sequence[Candidate], *, now: datetime, lock: bool
) -> _Counted:
    """Only of contacts with a cap. The locks are taken by a statement of their own: what is counted after it includes
    whatever the last holder of a lock dialed."""
    limited = [one for one in candidates if number_limits(policy, one).any]
    wanted = candidates if policy.caps.contact.any else limited
    if not wanted:
        return _Counted({}, None)
    ours = None
    if lock and limited:
        ours = await store.try_lock_phones(connection, policy.org_id, sorted({one.phone for one in limited}))
    dials = await store.select_dials(
        connection,
        policy.org_id,
        [(one.contact_id, one.phone) for one in wanted],
        campaign_id=None if policy.caps.across_campaigns else policy.campaign_id,
        since=now - WEEK,
        most=MOST,
    )
    return _Counted({ContactId(contact_id): row for contact_id, row in dials.items()}, ours)


def _judge_caps(policy: Policy, one: Candidate, counted: _Counted, now: datetime, *, about_to_dial: bool) -> Verdict:
    number, contact = number_limits(policy, one), policy.caps.contact
    row = counted.dials.get(one.contact_id)
    if row is None:
        return NO_CAPS
    if number.any and (about_to_dial or (counted.ours is not None and one.phone not in counted.ours)):
        wait = SOON if about_to_dial else BUSY
        return Verdict(Gate.CAPS, False, "this number is being dialed for another contact", None, now + wait)
    rulings: list[Ruling] = []
    if contact.any:
        dials = Dials(row["contact_recent"] or (), row["contact_in_all"])
        rulings.append(judge_cap(contact, dials, whose="the contact", now=now))
    if number.any:
        dials = Dials(row["number_recent"] or (), row["number_in_all"])
        rulings.append(judge_cap(number, dials, whose="the number", now=now))
    return Verdict.of(Gate.CAPS, combine(rulings))


def combine(rulings: Sequence[Ruling]) -> Ruling:
    """All must pass: never wins over later, and the latest over the sooner."""
    refused = [ruling for ruling in rulings if not ruling.passed]
    if not refused:
        return Ruling(True, "; ".join(ruling.reason for ruling in rulings), rulings[0].source)
    never = [ruling for ruling in refused if ruling.next_at is None]
    return never[0] if never else max(refused, key=lambda ruling: ruling.next_at or datetime.min.replace(tzinfo=UTC))
