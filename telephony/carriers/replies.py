"""What a carrier's reply says about being refused: by the person called, by something that blocks for them, or by the
carrier itself. The one list of these codes; docs/calling-hours.md says what is done about them.

A plain 603 may be either: under ATIS-1000099 ("603+") a network that blocks says so in the reason phrase and the Reason
header, of which Twilio's callbacks pass on the code alone.
"""

from dataclasses import dataclass
from enum import StrEnum

from telephony.carriers.base import CarrierName


class Refusal(StrEnum):
    UNWANTED = "unwanted"
    """The callee told their network that they do not want calls like this."""
    BLOCKED = "blocked"
    """An analytics engine, the callee's network or the carrier keeps the call from them."""
    DECLINED = "declined"
    """The callee, or something on their side, said no to this call."""


@dataclass(frozen=True)
class Reply:
    """`carrier`: None for a SIP status, which every carrier may pass on; else whose own number `code` is: Twilio's REST
    error, Plivo's hangup cause."""

    carrier: CarrierName | None
    code: int
    refusal: Refusal
    says: str
    source: str


REPLIES = (
    Reply(None, 603, Refusal.DECLINED, "Decline", "RFC 3261, 21.6.2; Twilio error 31603"),
    Reply(None, 607, Refusal.UNWANTED, "Unwanted", "RFC 8197"),
    Reply(None, 608, Refusal.BLOCKED, "Rejected, by an analytics engine", "RFC 8688"),
    Reply(CarrierName.TWILIO, 21216, Refusal.BLOCKED, "Number is blocked", "Twilio support, article 49801363547675"),
    Reply(CarrierName.PLIVO, 3020, Refusal.DECLINED, "Rejected", "Plivo, hangup causes"),
    Reply(CarrierName.PLIVO, 3040, Refusal.BLOCKED, "Forbidden: the destination blocks it", "Plivo, hangup causes"),
    Reply(CarrierName.PLIVO, 3110, Refusal.DECLINED, "Declined", "Plivo, hangup causes"),
    Reply(CarrierName.PLIVO, 3130, Refusal.BLOCKED, "Spam block", "Plivo, hangup causes"),
)
SIP_REFUSALS = frozenset(reply.code for reply in REPLIES if reply.carrier is None)

_BY_CODE = {(reply.carrier, reply.code): reply.refusal for reply in REPLIES}


def read_reply(
    *, carrier: CarrierName | str | None, sip_code: int | None = None, carrier_code: int | None = None
) -> Refusal | None:
    """What the codes mean, the carrier's own first; None where they say nothing of a refusal."""
    own = _BY_CODE.get((CarrierName(carrier), carrier_code)) if carrier and carrier_code is not None else None
    return own or (_BY_CODE.get((None, sip_code)) if sip_code is not None else None)
