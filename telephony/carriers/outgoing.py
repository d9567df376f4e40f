"""What a carrier is told of a call that it is to place."""

from urllib.parse import urlencode

from app.ids import E164
from app.settings import Settings
from telephony.calls import Call
from telephony.carriers.base import OutgoingCall


def outgoing_call(call: Call, settings: Settings, ring_timeout_seconds: int) -> OutgoingCall:
    """What the carrier is told: both URLs name the call, and the attempt if there is one."""
    query = "?" + urlencode({"attempt": str(call.attempt_id)}) if call.attempt_id else ""
    base = f"{settings.public_url}/webhooks/{call.carrier}"
    return OutgoingCall(
        call_id=call.id,
        attempt_id=call.attempt_id,
        to=E164(call.to_number or ""),
        from_=E164(call.from_number or ""),
        ring_timeout_seconds=ring_timeout_seconds,
        answer_url=f"{base}/answered/{call.id}{query}",
        status_url=f"{base}/status/{call.id}{query}",
    )
