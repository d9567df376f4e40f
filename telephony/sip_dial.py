"""What a dial request to LiveKit SIP carries of ours, and what its failure says about the phone at the other end."""

from telephony.calls import Call
from telephony.carriers.base import DialRefused, DialUncertain

REFUSED_CODES = frozenset(
    {
        "invalid_argument",
        "malformed",
        "not_found",
        "bad_route",
        "permission_denied",
        "unauthenticated",
        "resource_exhausted",
        "failed_precondition",
        "unimplemented",
        "out_of_range",
    }
)
"""Twirp codes with which LiveKit says that it refused a request before asking LiveKit SIP to send an INVITE."""


def sip_attributes(call: Call) -> dict[str, str]:
    """How the callee's leg says which call it belongs to."""
    attributes = {"trunkline.call": str(call.id)}
    if call.attempt_id:
        attributes["trunkline.attempt"] = str(call.attempt_id)
    return attributes


def dial_headers(call: Call) -> dict[str, str]:
    """The INVITE's headers: what finds the call in a carrier's or a proxy's log."""
    return {"X-Trunkline-Attempt": str(call.attempt_id or call.id)}


def dial_error(code: str, message: str) -> DialRefused | DialUncertain:
    """Whether LiveKit's answer to a dial request leaves any doubt; `code` and `message` are Twirp's."""
    if code in REFUSED_CODES:
        full = code == "resource_exhausted"
        return DialRefused(f"LiveKit refused to dial: {code}.", retryable=full, throttled=full)
    # psrpc: not one LiveKit SIP took the request, so none dials.
    if code == "unavailable" and "no response from servers" in message:
        return DialRefused("No LiveKit SIP is running.", retryable=True)
    return DialUncertain(f"LiveKit failed while dialing: {code}.")
