"""Somebody outside is asked right before the dial and may veto it: litigators, a register, a customer's own CRM.

A request is signed by Standard Webhooks and carries up to a hundred contacts:
`{"type": "suppression.check", "timestamp": …,
  "data": {"campaign_id": …, "campaign": …, "contacts": [{"contact_id": …, "phone": …}]}}`.
The answer names only those who must not be called, "until" where that is not for good (UTC, where it names no offset):
`{"vetoes": [{"contact_id": …, "reason": "a litigator", "until": "2026-12-01T00:00:00Z"}]}`.
"""

import asyncio
import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import AfterValidator, BaseModel, BeforeValidator, SecretStr, ValidationError
from standardwebhooks.webhooks import Webhook

from app.clock import Clock, utc_now
from app.errors import TrunklineError
from app.http.outward import AddressForbidden, NoAnswer, Outward
from app.ids import ContactId, OrgId, new_id
from app.logs import get_logger
from campaigns.gates.gates import Candidate, Gate, Verdict
from campaigns.gates.policy import OnFailure, Policy

log = get_logger(__name__)

AT_ONCE = 100
MOST_BYTES_READ = 512 * 1024
"""A hundred vetoes with reasons as long as they may be, every letter of them escaped."""
LONGEST_REASON = 500
PUT_OFF = timedelta(seconds=60)


class NoSigningKey(TrunklineError):
    """Without a key of the installation nothing can be signed."""

    code = "no_signing_key"
    title = "Nothing to sign with"


def _shorten(reason: object) -> object:
    return (reason or "vetoed")[:LONGEST_REASON] if isinstance(reason, str | None) else reason


def _assume_utc(until: datetime | None) -> datetime | None:
    return until.replace(tzinfo=UTC) if until is not None and until.tzinfo is None else until


def _is_near(until: datetime | None) -> datetime | None:
    """For good, where it is so far away that Postgres and the calendars of people end before it."""
    return None if until is not None and until.year >= 3000 else until


class Veto(BaseModel):
    """Lenient in what does not matter: one long reason must not make the whole answer unreadable."""

    contact_id: UUID
    reason: Annotated[str, BeforeValidator(_shorten)] = "vetoed"
    until: Annotated[datetime | None, AfterValidator(_assume_utc), AfterValidator(_is_near)] = None


class Vetoes(BaseModel):
    """What is answered; whoever is not named may be called."""

    vetoes: list[Veto]


class SuppressionClient:
    """Asks for a campaign. `outward` and the key stay the caller's."""

    def __init__(self, outward: Outward, key: SecretStr, *, clock: Clock = utc_now) -> None:
        self._outward, self._key, self._clock = outward, key, clock

    async def ask(self, policy: Policy, candidates: Sequence[Candidate]) -> dict[ContactId, Verdict]:
        """A verdict on each, for `check_gates`; empty where the campaign asks nobody. Waits for the far end as long as
        the campaign says and never raises: hold no transaction meanwhile."""
        if policy.suppression.url is None:
            return {}
        parts = [candidates[first : first + AT_ONCE] for first in range(0, len(candidates), AT_ONCE)]
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._ask_part(policy, part)) for part in parts]
        return {contact_id: verdict for one in asked for contact_id, verdict in one.result().items()}

    async def _ask_part(self, policy: Policy, part: Sequence[Candidate]) -> dict[ContactId, Verdict]:
        rule, url = policy.suppression, policy.suppression.url or ""
        who = urlsplit(url).hostname
        try:
            content, headers = self._sign(policy, part)
            answer = await self._outward.post(
                url,
                content=content,
                headers=headers,
                timeout_seconds=rule.timeout_seconds,
                most_bytes=MOST_BYTES_READ,
            )
            if not answer.is_success:
                raise NoAnswer(f"it answered {answer.status}")
            if not answer.is_whole:
                raise NoAnswer(f"its answer is over {MOST_BYTES_READ // 1024} KiB, or compressed unasked")
            vetoes = {veto.contact_id: veto for veto in Vetoes.model_validate_json(answer.body).vetoes}
        except (AddressForbidden, NoAnswer, NoSigningKey, ValidationError) as error:
            why = "its answer cannot be read" if isinstance(error, ValidationError) else error.detail
            log.warning("a veto could not be asked for", campaign_id=str(policy.campaign_id), host=who, why=why)
            failed = self._judge_failure(rule.on_failure, f"{who}: {why}")
            return {one.contact_id: failed for one in part}
        return {one.contact_id: self._judge(vetoes.get(one.contact_id), str(who)) for one in part}

    def _sign(self, policy: Policy, part: Sequence[Candidate]) -> tuple[bytes, dict[str, str]]:
        now, message_id = self._clock(), f"msg_{new_id()}"
        contacts = [{"contact_id": str(one.contact_id), "phone": one.phone} for one in part]
        data = {"campaign_id": str(policy.campaign_id), "campaign": policy.campaign_name, "contacts": contacts}
        body = json.dumps({"type": "suppression.check", "timestamp": now.isoformat(), "data": data})
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(signing_secret(self._key, policy.org_id)).sign(message_id, now, body),
        }
        return body.encode(), headers

    def _judge(self, veto: Veto | None, who: str) -> Verdict:
        source = f"{who}, {self._clock():%Y-%m-%d %H:%M:%S} UTC"
        if veto is None:
            return Verdict(Gate.SUPPRESSION, True, "no veto", source)
        if veto.until is not None and veto.until <= self._clock():
            return Verdict(Gate.SUPPRESSION, True, f"the veto is over: {veto.reason}", source)
        return Verdict(Gate.SUPPRESSION, False, f"vetoed: {veto.reason}", source, veto.until)

    def _judge_failure(self, on_failure: OnFailure, why: str) -> Verdict:
        if on_failure is OnFailure.ALLOW:
            return Verdict(Gate.SUPPRESSION, True, "no usable answer; the campaign dials all the same", why)
        next_at = self._clock().astimezone(UTC) + PUT_OFF
        return Verdict(Gate.SUPPRESSION, False, "no usable answer; asked again in a minute", why, next_at)


def signing_secret(key: SecretStr, org_id: OrgId) -> str:
    """What the far end checks our signatures with; always the same for an organization. Raises NoSigningKey."""
    if not key.get_secret_value():
        raise NoSigningKey("Set TRUNKLINE_SECRET_KEY: requests to others are signed with a key that is made from it.")
    derived = HKDF(hashes.SHA256(), 32, salt=org_id.bytes, info=b"trunkline suppression")
    return f"whsec_{base64.b64encode(derived.derive(key.get_secret_value().encode())).decode()}"
