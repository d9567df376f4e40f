"""What every carrier can do for us: dial, hang up, and say what it did.

Carriers are interchangeable: `telephony.outbound` knows this page only. The difference between the two errors is
what at-most-once dialing stands on: `DialRefused` says that nobody's phone rings, `DialUncertain` that we do not
know.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from app.errors import TrunklineError, Unavailable
from app.ids import E164, AttemptId, CallId
from telephony.toll_gate.destinations import TollGateRefused, require_canonical


class NumberFault(StrEnum):
    """Why the carrier dials this number at no time, whatever else it dials for us."""

    INVALID = "invalid"
    """There is no such number."""
    FORBIDDEN = "forbidden"
    """Not from this account, or not through this carrier."""


class DialRefused(TrunklineError):
    """The carrier surely did not place the call.

    `carrier_code`: its own number for the reason, if it gave one (Twilio: 21xxx). `retryable`: the same request may
    succeed in a moment (a full queue, nobody listening). `throttled`: it is well, and wants fewer requests.
    `number_fault`: what it has against the number called; None where it would have refused any other one too (an
    account, a trunk, a setting that somebody must mend).
    """

    status = 502
    code = "dial_refused"
    title = "The carrier refused the call"

    def __init__(
        self,
        detail: str,
        *,
        carrier_code: int | None = None,
        retryable: bool = False,
        throttled: bool = False,
        number_fault: NumberFault | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail, carrier_code=carrier_code, retryable=retryable, **extra)
        self.carrier_code = carrier_code
        self.retryable = retryable
        self.throttled = throttled
        self.number_fault = number_fault


class DialUncertain(TrunklineError):
    """The request went out and no usable answer came back: the call may or may not exist. Never dial again."""

    status = 502
    code = "dial_uncertain"
    title = "Unknown whether the carrier placed the call"


def require_dialable(to: str | None, from_: str | None) -> None:
    """The last look before a request leaves. Raises DialRefused."""
    for number, fault in ((to, NumberFault.INVALID), (from_, None)):
        try:
            require_canonical(number or "")
        except TollGateRefused as refused:
            raise DialRefused(refused.detail, number_fault=fault) from refused


class CarrierUnavailable(Unavailable):
    """The carrier did not answer a request that changes nothing when repeated."""

    code = "carrier_unavailable"
    title = "The carrier does not answer"


class ForgedWebhook(TrunklineError):
    """A request that claims to come from a carrier and is not signed by it."""

    status = 403
    code = "forged_webhook"
    title = "Forged webhook"


class CarrierName(StrEnum):
    """Mirrored by the checks on `numbers.carrier` and `calls.carrier`."""

    SIP = "sip"
    TWILIO = "twilio"
    PLIVO = "plivo"


@dataclass(frozen=True)
class OutgoingCall:
    """One request to dial. The call and attempt ids travel out inside both URLs, so that whatever the carrier says
    later finds its row even when the answer to this request is lost.

    `answer_url`: fetched when the callee answers. `status_url`: told every change. Both absolute, on `public_url`.
    Raises DialRefused for a number that is not E.164 to the letter, wherever it came from: no carrier ever sees one.
    """

    call_id: CallId
    attempt_id: AttemptId | None
    to: E164
    from_: E164
    ring_timeout_seconds: int
    answer_url: str
    status_url: str

    def __post_init__(self) -> None:
        require_dialable(self.to, self.from_)


@dataclass(frozen=True)
class CarrierCall:
    """A call as the carrier's own list shows it. `status` is the raw word; `created_at` is aware, in UTC."""

    carrier_call_id: str
    status: str
    to: str
    from_: str
    created_at: datetime | None


class Carrier(Protocol):
    """A carrier that we ask over HTTP. SIP is not one: LiveKit dials it (`Switchboard.dial_sip`)."""

    @property
    def name(self) -> CarrierName: ...

    async def dial(self, call: OutgoingCall) -> str:
        """Ask for the call, exactly once, and return the carrier's id for it.

        Raises DialRefused or DialUncertain; nothing else after the request may have left.
        """
        ...

    async def hang_up(self, carrier_call_id: str) -> None:
        """End the call at the carrier; one that is over or unknown there is no error.

        Raises CarrierUnavailable.
        """
        ...

    async def find_calls(self, *, to: str, from_: str, since: datetime) -> Sequence[CarrierCall]:
        """The carrier's own list of calls between the two numbers created at or after `since`, newest first.

        Raises CarrierUnavailable.
        """
        ...

    async def close(self) -> None:
        """Give back sockets and threads."""
        ...
