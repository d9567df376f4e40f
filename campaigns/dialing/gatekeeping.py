"""Every gate that a dial passes in the moment of its intent, asked for many claims in few statements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.clock import utc_now
from app.db import Connection, Database
from app.ids import E164, ContactId
from campaigns.dialing.attempts import Claim
from campaigns.gates.gates import Candidate, Verdict, check_gates, first_refusal, to_evidence
from campaigns.gates.gates import Gate as GateName
from campaigns.gates.policy import load_policy
from campaigns.gates.suppression import SuppressionClient
from telephony.outbound import DialRequest
from telephony.toll_gate.destinations import TollGateRefused
from telephony.toll_gate.gate import Gate

Vetoes = Mapping[ContactId, Verdict]
"""What somebody outside said of each contact, asked before the intent's transaction."""

OF_THE_CAMPAIGN = frozenset({GateName.CAMPAIGN, GateName.WINDOW})
"""What these say is nothing about the contact: it keeps its place."""


@dataclass(frozen=True)
class Admission:
    """A claim that may be dialed now, by this request; `evidence`: what each gate said, for the attempt's row."""

    claim: Claim
    request: DialRequest
    evidence: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Refusal:
    """A claim that a gate refuses. `for_good`: the contact is blocked; else it is due again at `due_at`, or keeps its
    place where that is None."""

    claim: Claim
    gate: GateName
    reason: str
    due_at: datetime | None = None
    for_good: bool = False


async def ask_vetoes(db: Database, client: SuppressionClient | None, claims: Sequence[Claim]) -> Vetoes:
    """What whoever may veto these claims, of one campaign, says; empty where the campaign asks nobody."""
    if client is None or not claims[0].terms.asks_for_vetoes:
        return {}
    async with db.system() as connection:
        policy = await load_policy(connection, claims[0].terms.campaign_id)
    return await client.ask(policy, [_candidate(claim) for claim in claims])


async def ask_gates(
    connection: Connection, gate: Gate, claims: Sequence[Claim], vetoes: Vetoes
) -> tuple[list[Admission], list[Refusal]]:
    """Who of these, all of one campaign, may be dialed now, in their order. The toll gate's limits come later, when
    it is known who has a slot (`reserve`)."""

    def why_not(to: E164) -> str | None:
        try:
            gate.check(to)
        except TollGateRefused as refused:
            return refused.detail
        return None

    policy = await load_policy(connection, claims[0].terms.campaign_id)
    verdicts = await check_gates(
        connection,
        policy,
        [_candidate(claim) for claim in claims],
        now=utc_now(),
        suppression=vetoes,
        toll_gate=why_not,
    )
    admissions: list[Admission] = []
    refusals: list[Refusal] = []
    for claim in claims:
        found = verdicts[claim.contact_id]
        refusal = first_refusal(found)
        if refusal is None:
            admissions.append(Admission(claim, _dial_request(claim), to_evidence(found)))
        else:
            refusals.append(_refuse(claim, refusal))
    return admissions, refusals


def _refuse(claim: Claim, verdict: Verdict) -> Refusal:
    if verdict.gate in OF_THE_CAMPAIGN:
        return Refusal(claim, verdict.gate, verdict.reason)
    return Refusal(claim, verdict.gate, verdict.reason, verdict.next_at, for_good=verdict.next_at is None)


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
        Refusal(one.claim, GateName.TOLL_GATE, limit.detail, due_at=limit.retry_at)
        for one, limit in zip(admissions, limits, strict=True)
        if limit is not None
    ]
    return [limit is None for limit in limits], refusals


def _candidate(claim: Claim) -> Candidate:
    return Candidate(
        contact_id=claim.contact_id,
        org_id=claim.terms.org_id,
        campaign_id=claim.terms.campaign_id,
        phone=claim.to,
        time_zone=claim.time_zone,
        consent_at=claim.consent_at,
        consent_expires_at=claim.consent_expires_at,
    )


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
