"""The gates that every campaign dial passes, in one order, with a reason for each answer.

Asked for a batch of contacts at once inside the transaction that commits the intents: what was put on a list before
that is seen, and two dialers never pass one number at the same time where its calls are counted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from app.db import Connection, Row
from app.ids import E164, CampaignId, ContactId, OrgId
from campaigns.gates import store
from campaigns.gates.calling import Spots
from campaigns.gates.counting import NO_CAPS as NOT_COUNTED
from campaigns.gates.counting import Wanted, count_dials, judge_caps
from campaigns.gates.policy import Policy, load_policy
from campaigns.rules.calling.caps import strictest
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
    spots = Spots(policy.schedule, now)
    wanted = [_want(policy, one, spots) for one in candidates]
    counted = await count_dials(connection, policy.org_id, policy.campaign_id, policy.caps, wanted, now=now, lock=lock)
    verdicts: dict[ContactId, list[Verdict]] = {}
    dialed: set[E164] = set()
    for one, want in zip(candidates, wanted, strict=True):
        found = [*shared, _judge_consent(policy, one, now), judge_listed(listed.get(one.phone))]
        found.append(_judge_veto(policy, suppression.get(one.contact_id), now))
        if toll_gate is not None:
            found.append(judge_toll(toll_gate(one.phone)))
        found.append(Verdict.of(Gate.CALLING_HOURS, spots.find(one.phone, one.time_zone).ruling))
        caps = judge_caps(policy.caps, want, counted, now=now, about_to_dial=one.phone in dialed)
        found.append(NO_CAPS if caps is NOT_COUNTED else Verdict.of(Gate.CAPS, caps))
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

NOBODY_ASKED = Verdict(Gate.SUPPRESSION, True, "the campaign asks nobody")
NOT_LISTED = Verdict(Gate.DO_NOT_CALL, True, "on no list")
TOLL_PASSED = Verdict(Gate.TOLL_GATE, True, "the destination is allowed")
NO_CAPS = Verdict.of(Gate.CAPS, NOT_COUNTED)


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


def _judge_veto(policy: Policy, asked: Verdict | None, now: datetime) -> Verdict:
    if policy.suppression.url is None:
        return NOBODY_ASKED
    return asked or Verdict(Gate.SUPPRESSION, False, "who may veto the dial was not asked yet", None, now)


def _want(policy: Policy, one: Candidate, spots: Spots) -> Wanted:
    """The campaign's own limits of the number, or what the law of the place allows where that is less."""
    by_law = spots.find(one.phone, one.time_zone).opening.caps
    return Wanted(one.contact_id, one.phone, strictest((policy.caps.number, by_law)))
