"""Every gate that a dial passes in the moment of its intent, asked for many claims in few statements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.db import Connection
from campaigns.dialing.attempts import Claim
from campaigns.do_not_call import store as do_not_call_store
from telephony.outbound import DialRequest
from telephony.toll_gate.destinations import TollGateRefused
from telephony.toll_gate.gate import Gate

TOLL_GATE = "toll-gate"
DO_NOT_CALL = "do-not-call"


@dataclass(frozen=True)
class Admission:
    """A claim that may be dialed now, by this request; `evidence`: what each gate said, for the attempt's row."""

    claim: Claim
    request: DialRequest
    evidence: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Refusal:
    """A claim that `gate` refuses: until `due_at`, or for good where that is None. `listed`: because the number is on
    a do-not-call list."""

    claim: Claim
    gate: str
    reason: str
    due_at: datetime | None = None
    listed: bool = False


async def ask_gates(
    connection: Connection, gate: Gate, claims: Sequence[Claim]
) -> tuple[list[Admission], list[Refusal]]:
    """Who of these, all of one campaign, may be dialed now, in their order. The toll gate's limits come later, when
    it is known who has a slot (`reserve`)."""
    terms = claims[0].terms
    listed = await do_not_call_store.select_listed(
        connection, terms.org_id, terms.campaign_id, [claim.to for claim in claims]
    )
    admissions: list[Admission] = []
    refusals: list[Refusal] = []
    for claim in claims:
        if claim.to in listed:
            refusals.append(Refusal(claim, DO_NOT_CALL, "The number is on the do-not-call list.", listed=True))
            continue
        try:
            gate.check(claim.to)
        except TollGateRefused as refused:
            refusals.append(Refusal(claim, TOLL_GATE, refused.detail))
            continue
        admissions.append(Admission(claim, _dial_request(claim), [{"gate": DO_NOT_CALL, "passed": True}]))
    return admissions, refusals


async def reserve(
    connection: Connection, gate: Gate, admissions: Sequence[Admission]
) -> tuple[list[bool], list[Refusal]]:
    """Count these dials against the organization's limits: which of them go, and those that must wait."""
    limits = await gate.reserve(
        connection,
        [one.request.to for one in admissions],
        call_ids=[one.request.call_id for one in admissions],
    )
    refusals = [
        Refusal(one.claim, TOLL_GATE, limit.detail, due_at=limit.retry_at)
        for one, limit in zip(admissions, limits, strict=True)
        if limit is not None
    ]
    return [limit is None for limit in limits], refusals


def _dial_request(claim: Claim) -> DialRequest:
    return DialRequest(
        org_id=claim.terms.org_id,
        to=claim.to,
        team_version_id=claim.terms.team_version_id,
        from_number_id=claim.terms.from_number_id,
        variables={**claim.variables, **({"name": claim.name} if claim.name else {})},
        attempt_id=claim.attempt_id,
        ring_timeout_seconds=claim.terms.ring_timeout_seconds,
    )
